//! Certificates whose time is over, or nearly so, and keys that every user of the machine can read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::apps::is_readable;
use super::documents::Documents;
use crate::document::{At, Diagnostic, Layout, Place, Report, Source};
use crate::tls::certificate::Certificate;

/// Certificates with less time than this left are told of: renewals happen before, and this one did not.
const SOON: Duration = Duration::from_secs(21 * 86_400);
/// Longest file, in bytes.
const FILE_BYTES: u64 = 1024 * 1024;

pub fn find(documents: &Documents, layout: &Layout, now_ms: u64, report: &mut Report) {
    for (name, group) in &documents.groups {
        for table in &group.document.certificate {
            look(&group.source, &layout.groups().join(name), [&table.chain, &table.key], layout, now_ms, report);
        }
    }
    for access in &documents.vpc_accesses {
        let Some(tls) = access.document.tls.as_ref().map(|tls| &tls.value) else { continue };
        if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
            look(&access.source, &layout.vpc_accesses(), [certificate, key], layout, now_ms, report);
        }
        if let Some(verify) = tls.verify.as_ref().filter(|verify| !verify.value) {
            let message = "whoever is between the gateway and an instance can pretend to be the instance";
            let diagnostic = Diagnostic::at(Place::of(&access.source, verify), message);
            let help = "name the authority of the instances' certificate in `authorities` instead";
            report.push(diagnostic.help(help).warning("unverified-backend"));
        }
    }
}

fn look(
    source: &Arc<Source>,
    directory: &Path,
    [chain_file, key_file]: [&At<String>; 2],
    layout: &Layout,
    now_ms: u64,
    report: &mut Report,
) {
    let now = Duration::from_millis(now_ms);
    let at = |value: &At<String>, message: String| Diagnostic::at(Place::of(source, value), message);
    let key = directory.join(&key_file.value);
    if is_readable(&key) {
        let message = "every user of this machine can read this key".to_owned();
        report.push(at(key_file, message).help(format!("chmod o-rwx {}", key.display())).warning("readable-secret"));
    }
    let read =
        |path: &At<String>| layout.file(&directory.join(&path.value), FILE_BYTES).ok().and_then(|b| String::from_utf8(b).ok());
    // What cannot be read is the catalog's to report.
    let (Some(chain), Some(key)) = (read(chain_file), read(key_file)) else { return };
    let Ok(certificate) = Certificate::read(&chain, &key) else { return };
    let (message, kind) = if now < certificate.not_before {
        (format!("this certificate is good only from {} on", day(certificate.not_before)), "early-certificate")
    } else if now >= certificate.not_after {
        (format!("this certificate has expired on {}", day(certificate.not_after)), "expired-certificate")
    } else if certificate.not_after - now < SOON {
        let days = (certificate.not_after - now).as_secs() / 86_400;
        (format!("this certificate expires on {}, in {days} days", day(certificate.not_after)), "expiring-certificate")
    } else {
        return;
    };
    let help = "put the new certificate and its key into these files; a running gateway takes them at its next reload";
    report.push(at(chain_file, message).help(help).warning(kind));
}

fn day(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "a day beyond the calendar".to_owned(), |t| t.strftime("%Y-%m-%d").to_string())
}

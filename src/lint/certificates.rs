//! Certificates whose time is over, or nearly so, and keys that every user of the machine can read.

use std::time::Duration;

use super::apps::is_readable;
use super::documents::Documents;
use crate::document::group::{CertificateTable, Group};
use crate::document::{At, Diagnostic, Layout, Parsed, Place, Report};
use crate::tls::certificate::Certificate;

/// Certificates with less time than this left are told of: renewals happen before, and this one did not.
const SOON: Duration = Duration::from_secs(21 * 86_400);
/// Longest file, in bytes.
const FILE_BYTES: u64 = 1024 * 1024;

pub fn find(documents: &Documents, layout: &Layout, now_ms: u64, report: &mut Report) {
    for (name, group) in &documents.groups {
        for table in &group.document.certificate {
            look(name, group, table, layout, Duration::from_millis(now_ms), report);
        }
    }
}

fn look(name: &str, group: &Parsed<Group>, table: &CertificateTable, layout: &Layout, now: Duration, report: &mut Report) {
    let directory = layout.groups().join(name);
    let at = |value: &At<String>, message: String| Diagnostic::at(Place::of(&group.source, value), message);
    let key = directory.join(&table.key.value);
    if is_readable(&key) {
        let message = "every user of this machine can read this key".to_owned();
        report.push(at(&table.key, message).help(format!("chmod o-rwx {}", key.display())).warning("readable-secret"));
    }
    let read =
        |path: &At<String>| layout.file(&directory.join(&path.value), FILE_BYTES).ok().and_then(|b| String::from_utf8(b).ok());
    // What cannot be read is the catalog's to report.
    let (Some(chain), Some(key)) = (read(&table.chain), read(&table.key)) else { return };
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
    report.push(at(&table.chain, message).help(help).warning(kind));
}

fn day(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "a day beyond the calendar".to_owned(), |t| t.strftime("%Y-%m-%d").to_string())
}

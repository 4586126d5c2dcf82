//! Apps: authorizations that have ended, and secrets that every user of the machine can read.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::catalog::{AppDocument, app_documents, each};
use crate::document::app::App;
use crate::document::{Diagnostic, Layout, Place, Report, Source};

/// The permission of all who are neither owner nor group.
const READABLE_BY_OTHERS: u32 = 0o004;

pub fn find(layout: &Layout, now_ms: u64, report: &mut Report) {
    // Errors of reading are the catalog's to report.
    let documents = app_documents(layout, &mut Report::default());
    let of_document = |document: &Arc<AppDocument>| {
        let mut report = Report::default();
        if let Some((source, apps)) = document.parse(layout, &mut Report::default()) {
            // Said once of a document: in it may be thousands of apps.
            let mut is_open = is_readable(&source.path);
            for app in &apps {
                ended(app, &source, now_ms, &mut report);
                readable(app, &source, &mut is_open, &mut report);
            }
        }
        report
    };
    each(&documents, of_document, |_| ()).into_iter().for_each(|found| report.extend(found));
}

fn ended(app: &App, source: &Arc<Source>, now_ms: u64, report: &mut Report) {
    for authorization in &app.authorization {
        let Some(expires) = &authorization.expires else { continue };
        let ends = expires.parse::<jiff::Timestamp>().map(|time| u64::try_from(time.as_millisecond()).unwrap_or(0));
        if ends.is_ok_and(|ends| ends <= now_ms) {
            let message = format!("the authorization of `{}` for `{}` has ended", app.name.value, authorization.api.value);
            report.push(
                Diagnostic::at(Place::of(source, expires), message)
                    .related(Place::of(source, &authorization.api), "calls of this API are refused with A403EP")
                    .help("give it a new end, or take it out")
                    .warning("expired-authorization"),
            );
        }
    }
}

/// `is_open`: everyone can read the document itself, which has not been said yet.
fn readable(app: &App, source: &Arc<Source>, is_open: &mut bool, report: &mut Report) {
    let warning = |span: &std::ops::Range<usize>, file: &Path| {
        let message = format!("every user of this machine can read a secret of the app `{}`", app.name.value);
        let place = Place { source: source.clone(), span: span.clone() };
        Diagnostic::at(place, message).help(format!("chmod o-rwx {}", file.display())).warning("readable-secret")
    };
    let inline = app.credentials().find_map(|table| table.app_secret.or(table.app_code));
    if let Some(secret) = inline.filter(|_| *is_open) {
        *is_open = false;
        report.push(warning(&secret.span, &source.path));
    }
    for file in app.credentials().flat_map(|table| [table.app_secret_file, table.app_code_file]).flatten() {
        let path = source.path.parent().unwrap_or(&source.path).join(&file.value);
        if is_readable(&path) {
            report.push(warning(&file.span, &path));
        }
    }
}

pub fn is_readable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & READABLE_BY_OTHERS != 0)
}

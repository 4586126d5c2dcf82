//! Apps: authorizations that have ended, and secrets that every user of the machine can read.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::documents::Documents;
use crate::document::app::{App, CredentialTable};
use crate::document::{At, Diagnostic, Layout, Parsed, Place, Report};

/// The permission of all who are neither owner nor group.
const READABLE_BY_OTHERS: u32 = 0o004;

pub fn find(documents: &Documents, layout: &Layout, now_ms: u64, report: &mut Report) {
    for app in &documents.apps {
        ended(app, now_ms, report);
        readable(app, layout, report);
    }
}

fn ended(app: &Parsed<App>, now_ms: u64, report: &mut Report) {
    for authorization in &app.document.authorization {
        let Some(expires) = &authorization.expires else { continue };
        let ends = expires.parse::<jiff::Timestamp>().map(|time| u64::try_from(time.as_millisecond()).unwrap_or(0));
        if ends.is_ok_and(|ends| ends <= now_ms) {
            let message =
                format!("the authorization of `{}` for `{}` has ended", app.document.name.value, authorization.api.value);
            report.push(
                Diagnostic::at(Place::of(&app.source, expires), message)
                    .related(Place::of(&app.source, &authorization.api), "calls of this API are refused with A403EP")
                    .help("give it a new end, or take it out")
                    .warning("expired-authorization"),
            );
        }
    }
}

fn readable(app: &Parsed<App>, layout: &Layout, report: &mut Report) {
    let document = &app.document;
    let first = CredentialTable {
        app_key: None,
        app_secret: document.app_secret.clone(),
        app_secret_file: document.app_secret_file.clone(),
        app_code: document.app_code.clone(),
        app_code_file: document.app_code_file.clone(),
    };
    let tables = || std::iter::once(&first).chain(document.credential.iter().map(|table| &table.value));
    let inline = tables().find_map(|table| table.app_secret.as_ref().or(table.app_code.as_ref()));
    if let Some(secret) = inline.filter(|_| is_readable(&app.source.path)) {
        report.push(warning(app, secret, &app.source.path));
    }
    for file in tables().flat_map(|table| [&table.app_secret_file, &table.app_code_file]).flatten() {
        let path = layout.apps().join(&file.value);
        if is_readable(&path) {
            report.push(warning(app, file, &path));
        }
    }
}

pub fn is_readable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & READABLE_BY_OTHERS != 0)
}

fn warning(app: &Parsed<App>, at: &At<String>, file: &Path) -> Diagnostic {
    let message = format!("every user of this machine can read a secret of the app `{}`", app.document.name.value);
    Diagnostic::at(Place::of(&app.source, at), message).help(format!("chmod o-rwx {}", file.display())).warning("readable-secret")
}

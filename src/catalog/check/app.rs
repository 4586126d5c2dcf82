//! App documents -> apps.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::Checked;
use super::target::Context;
use crate::catalog::{App, AppKey, Authorization, Secret};
use crate::document::app::{App as Document, AuthorizationTable, CredentialTable};
use crate::document::{At, Diagnostic, Layout, Place};

/// Longest file of a secret, in bytes.
const SECRET_FILE_BYTES: u64 = 4096;

/// Keys and AppCodes of all apps: each belongs to one. AppCodes are kept as digests: they are secrets.
#[derive(Default)]
pub struct Credentials {
    keys: HashMap<String, Place>,
    codes: HashMap<[u8; 32], Place>,
}

/// `None` stands for errors in the report. Files of secrets are relative to the directory of the apps.
pub fn app(
    document: &Document,
    by_path: &str,
    layout: &Layout,
    context: &Context<'_>,
    credentials: &mut Credentials,
    checked: &mut Checked<'_>,
) -> Option<App> {
    let name = checked.name("an app", &document.name, by_path);
    let owner = document.owner.as_ref().and_then(|owner| checked.text("owner", owner));
    let mut app =
        App { name: name.unwrap_or_default(), owner, keys: Vec::new(), app_codes: Vec::new(), authorizations: Vec::new() };
    let first = CredentialTable {
        app_key: document.app_key.clone(),
        app_secret: document.app_secret.clone(),
        app_secret_file: document.app_secret_file.clone(),
        app_code: document.app_code.clone(),
        app_code_file: document.app_code_file.clone(),
    };
    let first = At { value: first, span: document.name.span.clone() };
    let needed = document.credential.is_empty();
    credential(&first, needed, layout, credentials, &mut app, checked);
    for table in &document.credential {
        credential(table, true, layout, credentials, &mut app, checked);
    }
    for table in &document.authorization {
        authorization(table, context, &mut app, checked);
    }
    Some(app)
}

fn credential(
    table: &At<CredentialTable>,
    needed: bool,
    layout: &Layout,
    credentials: &mut Credentials,
    app: &mut App,
    checked: &mut Checked<'_>,
) {
    let secret = secret("app_secret", &table.app_secret, &table.app_secret_file, layout, checked);
    let code = secret_of_code(table, layout, checked);
    match (&table.app_key, secret) {
        (Some(key), Some((text, _))) => {
            if let Some(key) = app_key(key, credentials, checked) {
                app.keys.extend(text.map(|text| AppKey::new(key, text)));
            }
        }
        (Some(key), None) => {
            let diagnostic = checked.at(key, "this app key has no secret");
            checked.push(diagnostic.help("add `app_secret` or `app_secret_file`; `lockgate app create` makes both"));
        }
        (None, Some((_, place))) => checked.push(Diagnostic::at(place, "this secret has no app key").help("add `app_key`")),
        (None, None) if needed && code.is_none() => {
            let diagnostic = checked
                .at(table, "there are no credentials here")
                .note("an app has an app key with its secret, an AppCode, or both");
            checked.push(diagnostic.help("`lockgate app create` makes them"));
        }
        (None, None) => {}
    }
    if let Some((Some(text), place)) = code {
        match credentials.codes.insert(Sha256::digest(text.as_bytes()).into(), place.clone()) {
            Some(first) => checked.push(Diagnostic::at(place, "this AppCode is used twice").related(first, "first used here")),
            None => app.app_codes.push(Secret::new(text)),
        }
    }
}

fn secret_of_code(table: &CredentialTable, layout: &Layout, checked: &mut Checked<'_>) -> Option<(Option<String>, Place)> {
    let (text, place) = secret("app_code", &table.app_code, &table.app_code_file, layout, checked)?;
    // What an AppCode has to pass through: a header value after a blank, or a query.
    let sendable = |text: &String| text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.as_ref().is_some_and(|text| !sendable(text)) {
        checked.push(
            Diagnostic::at(place.clone(), "this AppCode cannot be sent").note("allowed: visible ASCII characters without blanks"),
        );
        return Some((None, place));
    }
    Some((text, place))
}

fn app_key(key: &At<String>, credentials: &mut Credentials, checked: &mut Checked<'_>) -> Option<String> {
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) || key.len() > 128 {
        checked.push(checked.at(key, "this is not an app key").note("allowed: 1 to 128 visible ASCII characters without blanks"));
        return None;
    }
    match credentials.keys.insert(key.value.clone(), checked.place(key)) {
        Some(first) => {
            let diagnostic = checked.at(key, format!("the app key `{}` is used twice", key.value));
            checked.push(diagnostic.related(first, "first used here"));
            None
        }
        None => Some(key.value.clone()),
    }
}

/// A secret, written or in a file, and its place; the text is `None` when it has an error. `None`: there is no such key.
fn secret(
    key: &str,
    written: &Option<At<String>>,
    file: &Option<At<String>>,
    layout: &Layout,
    checked: &mut Checked<'_>,
) -> Option<(Option<String>, Place)> {
    let (text, at) = match (written, file) {
        (Some(_), Some(file)) => {
            checked.push(checked.at(file, format!("both `{key}` and `{key}_file` are given")).help("keep one of them"));
            return Some((None, checked.place(file)));
        }
        (Some(text), None) => (text.value.clone(), text),
        (None, Some(file)) => match layout.text(&layout.apps().join(&file.value), SECRET_FILE_BYTES) {
            Ok(text) => (text.trim_end_matches(['\r', '\n']).to_owned(), file),
            Err(problem) => {
                checked.push(checked.at(file, format!("the file `{}`: {problem}", file.value)));
                return Some((None, checked.place(file)));
            }
        },
        (None, None) => return None,
    };
    if text.trim().is_empty() {
        checked.push(checked.at(at, format!("`{key}` is empty")));
        return Some((None, checked.place(at)));
    }
    Some((Some(text), checked.place(at)))
}

fn authorization(table: &AuthorizationTable, context: &Context<'_>, app: &mut App, checked: &mut Checked<'_>) {
    let expires_ms = match &table.expires {
        Some(expires) => match expires.parse::<jiff::Timestamp>() {
            Ok(time) => Some(u64::try_from(time.as_millisecond()).unwrap_or(0)),
            Err(_) => {
                let diagnostic = checked.at(expires, format!("`{}` is not a time", expires.value));
                checked.push(diagnostic.note("allowed: RFC 3339 with its zone, such as `2030-01-01T00:00:00Z`"));
                None
            }
        },
        None => None,
    };
    let target = context.api(&table.api, checked);
    let stages = context.stages(&table.api, &table.stages, "an authorization", checked);
    let Some((group, name)) = &target else { return };
    for (id, stage) in stages {
        if app.authorizations.iter().any(|other| other.group == *group && other.api == *name && other.stage == id) {
            checked.push(checked.at(stage, format!("`{}` is authorized twice in stage {}", table.api.value, stage.value)));
            continue;
        }
        app.authorizations.push(Authorization { group: *group, api: name.clone(), stage: id, expires_ms });
    }
}

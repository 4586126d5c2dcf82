//! App documents -> apps.

use std::path::Path;

use super::Checked;
use super::target::Context;
use crate::catalog::{App, AppKey, Authorization, Secret};
use crate::document::app::{App as Document, AuthorizationTable, Credential};
use crate::document::{At, Diagnostic, Layout, Place};

/// Longest file of a secret, in bytes.
const SECRET_FILE_BYTES: u64 = 4096;

/// With errors in the report, what could be made of it. `by_path`: its name by the path, where it is alone in its document.
pub fn app(
    document: Document,
    by_path: Option<&str>,
    path: &Path,
    layout: &Layout,
    context: &Context<'_>,
    checked: &mut Checked<'_>,
) -> App {
    let name = match by_path {
        Some(by_path) => checked.name("an app", &document.name, by_path),
        None => checked.well_formed("an app", &document.name),
    };
    let owner = document.owner.as_ref().and_then(|owner| checked.text("owner", owner));
    let (mut keys, mut codes) = (Vec::new(), Vec::new());
    let needed = document.credential.is_empty();
    for (nth, table) in document.credentials().enumerate() {
        let (key, code) = credential(&table, needed || nth > 0, path, layout, checked);
        keys.extend(key);
        codes.extend(code);
    }
    let mut authorizations = Vec::new();
    for table in &document.authorization {
        authorization(table, context, &mut authorizations, checked);
    }
    authorizations.sort_unstable_by_key(|authorization| (authorization.api, authorization.stage));
    App {
        name: name.unwrap_or_default().into(),
        owner: owner.map(Into::into),
        keys: keys.into(),
        app_codes: codes.into(),
        authorizations: authorizations.into(),
    }
}

fn credential(
    table: &Credential<'_>,
    needed: bool,
    path: &Path,
    layout: &Layout,
    checked: &mut Checked<'_>,
) -> (Option<AppKey>, Option<Secret>) {
    let secret = secret("app_secret", table.app_secret, table.app_secret_file, path, layout, checked);
    let code = secret_of_code(table, path, layout, checked);
    let mut app_key = None;
    match (table.app_key, secret) {
        (Some(key), Some((text, _))) => {
            let good = is_app_key(key, checked);
            app_key = text.filter(|_| good).map(|text| AppKey::new(key.value.clone(), text));
        }
        (Some(key), None) => {
            let diagnostic = checked.at(key, "this app key has no secret");
            checked.push(diagnostic.help("add `app_secret` or `app_secret_file`; `lockgate app create` makes both"));
        }
        (None, Some((_, place))) => checked.push(Diagnostic::at(place, "this secret has no app key").help("add `app_key`")),
        (None, None) if needed && code.is_none() => {
            let place = Place { source: checked.source.clone(), span: table.span.clone() };
            let diagnostic = Diagnostic::at(place, "there are no credentials here")
                .note("an app has an app key with its secret, an AppCode, or both");
            checked.push(diagnostic.help("`lockgate app create` makes them"));
        }
        (None, None) => {}
    }
    (app_key, code.and_then(|(text, _)| text).map(Secret::new))
}

fn secret_of_code(
    table: &Credential<'_>,
    path: &Path,
    layout: &Layout,
    checked: &mut Checked<'_>,
) -> Option<(Option<String>, Place)> {
    let (text, place) = secret("app_code", table.app_code, table.app_code_file, path, layout, checked)?;
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

fn is_app_key(key: &At<String>, checked: &mut Checked<'_>) -> bool {
    let good = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) && key.len() <= 128;
    if !good {
        checked.push(checked.at(key, "this is not an app key").note("allowed: 1 to 128 visible ASCII characters without blanks"));
    }
    good
}

/// Where a secret is.
pub enum Written<'a> {
    Here(&'a At<String>),
    /// In a file, relative to the directory of the document.
    InFile(&'a At<String>),
}

impl<'a> Written<'a> {
    /// `None`: it is nowhere.
    pub fn of(here: Option<&'a At<String>>, file: Option<&'a At<String>>) -> Option<Self> {
        here.map(Self::Here).or(file.map(Self::InFile))
    }

    pub fn span(&self) -> std::ops::Range<usize> {
        let (Self::Here(at) | Self::InFile(at)) = self;
        at.span.clone()
    }
}

/// A secret of the document at `path`. The error says what is wrong with its file.
pub fn secret_text(written: &Written<'_>, path: &Path, layout: &Layout) -> Result<String, String> {
    match written {
        Written::Here(text) => Ok(text.value.clone()),
        Written::InFile(file) => {
            let directory = path.parent().unwrap_or(path);
            let text = layout.text(&directory.join(&file.value), SECRET_FILE_BYTES)?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    }
}

/// A secret and its place; the text is `None` when it has an error. `None`: there is no such key.
fn secret(
    key: &str,
    here: Option<&At<String>>,
    file: Option<&At<String>>,
    path: &Path,
    layout: &Layout,
    checked: &mut Checked<'_>,
) -> Option<(Option<String>, Place)> {
    if let (Some(_), Some(file)) = (here, file) {
        checked.push(checked.at(file, format!("both `{key}` and `{key}_file` are given")).help("keep one of them"));
        return Some((None, checked.place(file)));
    }
    let written = Written::of(here, file)?;
    let place = Place { source: checked.source.clone(), span: written.span() };
    match (secret_text(&written, path, layout), file) {
        (Ok(text), _) if text.trim().is_empty() => {
            checked.push(Diagnostic::at(place.clone(), format!("`{key}` is empty")));
            Some((None, place))
        }
        (Ok(text), _) => Some((Some(text), place)),
        (Err(problem), file) => {
            let name = file.map(|file| file.value.as_str()).unwrap_or_default();
            checked.push(Diagnostic::at(place.clone(), format!("the file `{name}`: {problem}")));
            Some((None, place))
        }
    }
}

fn authorization(table: &AuthorizationTable, context: &Context<'_>, known: &mut Vec<Authorization>, checked: &mut Checked<'_>) {
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
    let Some(api) = target else { return };
    for (id, stage) in stages {
        if known.iter().any(|other| other.api == api && other.stage == id) {
            checked.push(checked.at(stage, format!("`{}` is authorized twice in stage {}", table.api.value, stage.value)));
            continue;
        }
        known.push(Authorization { api, stage: id, expires_ms });
    }
}

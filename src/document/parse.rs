//! Text to a typed document, with every error in the text and not only the first.
//!
//! serde stops at its first error. Here that error is recorded, the value it is about is taken out of the parsed
//! tree (or, where a value is missing, one is put in: see [`super::recover`]), and the tree is read again.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, Deserializer, Error};

use super::recover::{Recovery, Step};
use super::{Diagnostic, Place, Report, Source, nearest, plain};

/// Errors of one file that are shown; past them the file is not read any further.
const ERRORS_OF_A_FILE: usize = 20;

/// A kind of document.
pub trait Document: DeserializeOwned {
    /// Longest file, in bytes.
    const BYTES: u64 = 1024 * 1024;
    /// For a document with secrets: the keys whose values messages may show.
    const SHOWN_KEYS: Option<&'static [&'static str]> = None;
}

/// A document and the file it was read from.
#[derive(Debug)]
pub struct Parsed<T> {
    pub source: Arc<Source>,
    /// With errors in the report, what could be read despite them.
    pub document: T,
}

/// Parses a text that has been read.
pub fn parse_text<T: Document>(source: &Arc<Source>, report: &mut Report) -> Option<T> {
    if let Some(document) = plain::read(&source.text) {
        return Some(document);
    }
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        for error in errors.iter().take(ERRORS_OF_A_FILE) {
            report.push(syntax(source, error));
        }
        return None;
    }
    match T::deserialize(Deserializer::from(table.clone())) {
        Ok(document) => Some(document),
        Err(first) => recover(source, Recovery::new(table, source.text.len()), first, report),
    }
}

fn recover<T: Document>(source: &Arc<Source>, mut recovery: Recovery<'_>, first: Error, report: &mut Report) -> Option<T> {
    let mut error = first;
    let mut shown = 0;
    while shown < ERRORS_OF_A_FILE {
        match recovery.step(&error) {
            Step::Mended { report: true } => {
                report.push(shape(source, &error));
                shown += 1;
            }
            Step::Mended { report: false } => {}
            Step::Stuck => {
                report.push(shape(source, &error));
                return None;
            }
        }
        match T::deserialize(Deserializer::from(recovery.tree())) {
            Ok(document) => return Some(document),
            Err(next) => error = next,
        }
    }
    None
}

fn place(source: &Arc<Source>, error: &Error) -> Place {
    match error.span() {
        Some(span) => Place { source: source.clone(), span },
        None => Place::start(source),
    }
}

/// An error of TOML itself.
fn syntax(source: &Arc<Source>, error: &Error) -> Diagnostic {
    Diagnostic::at(place(source, error), error.message()).note("this file is not well-formed TOML")
}

/// An error of keys and types, in our words: serde's messages name the offending key and what is expected between
/// back-quotes.
fn shape(source: &Arc<Source>, error: &Error) -> Diagnostic {
    let message = error.message();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let at = |message: String| Diagnostic::at(place(source, error), message);
    if message.starts_with("unknown field") {
        let key = quoted.next().unwrap_or_default();
        let allowed: Vec<&str> = quoted.collect();
        let near = nearest(key, allowed.iter().copied());
        at(format!("unknown key `{key}`")).note(allowed_list("keys allowed here", &allowed)).did_you_mean(near)
    } else if message.starts_with("unknown variant") {
        let value = quoted.next().unwrap_or_default();
        let allowed: Vec<&str> = quoted.collect();
        let near = nearest(value, allowed.iter().copied());
        at(format!("`{value}` is not a value of this key")).note(allowed_list("allowed", &allowed)).did_you_mean(near)
    } else if message.starts_with("missing field") {
        let key = quoted.next().unwrap_or_default();
        at(format!("the key `{key}` is missing")).label(format!("`{key}` is required here"))
    } else if error.span().is_some_and(|span| source.is_secret(span.start)) {
        at("this value must be a string".to_owned())
    } else {
        at(plain_words(message))
    }
}

/// serde speaks of Rust's types; documents are TOML.
fn plain_words(message: &str) -> String {
    let Some((found, expected)) = message.split_once(", expected ") else { return message.to_owned() };
    let expected = match expected {
        "i64" | "u64" => "an integer",
        "a sequence" => "a list",
        expected if expected.starts_with("struct ") || expected == "a map" => "a table",
        other => other,
    };
    let found = found.replace("type: sequence", "type: list").replace("type: map", "type: table");
    format!("{found}, expected {expected}")
}

fn allowed_list(intro: &str, allowed: &[&str]) -> String {
    let list: Vec<String> = allowed.iter().map(|word| format!("`{word}`")).collect();
    format!("{intro}: {}", list.join(", "))
}

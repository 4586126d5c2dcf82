//! What differs between two definitions of an API, by meaning: defaults are filled in, lists that are sets are compared
//! as sets, keys that mean nothing are left out. [`meaning`] says it in words, [`sides`] finds what is to be compared.
//!
//! Works on the documents' own serialisation, so that a key that is added to a document is compared from then on.

mod meaning;
mod sides;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::document::api::Api;
pub use sides::{ApiDiff, Difference, Side, compare};

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The key, as `backend.timeout_ms`.
    pub key: String,
    /// What it is, in words.
    pub what: String,
    /// `None`: it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// `None`: it is not there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        meaning::sentence(self, f)
    }
}

/// What differs between two definitions, in the order of their keys.
pub fn definitions(from: &Api, to: &Api) -> Result<Vec<Change>, serde_json::Error> {
    let (mut from, mut to) = (serde_json::to_value(from)?, serde_json::to_value(to)?);
    meaning::normalise(&mut from, &mut to);
    let mut changes = Vec::new();
    walk("", Some(&from), Some(&to), &mut changes);
    Ok(changes)
}

fn walk(key: &str, from: Option<&Value>, to: Option<&Value>, changes: &mut Vec<Change>) {
    if from == to {
        return;
    }
    let empty = Map::new();
    match (from, to) {
        (Some(Value::Object(from)), Some(Value::Object(to))) => tables(key, from, to, changes),
        (None, Some(Value::Object(to))) => tables(key, &empty, to, changes),
        (Some(Value::Object(from)), None) => tables(key, from, &empty, changes),
        (Some(Value::Array(from)), Some(Value::Array(to))) => lists(key, from, to, changes),
        _ => changes.push(Change { key: key.to_owned(), what: meaning::words(key), from: from.cloned(), to: to.cloned() }),
    }
}

fn tables(key: &str, from: &Map<String, Value>, to: &Map<String, Value>, changes: &mut Vec<Change>) {
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    for inner in keys {
        let path = if key.is_empty() { inner.clone() } else { format!("{key}.{inner}") };
        walk(&path, from.get(inner), to.get(inner), changes);
    }
}

/// Lists of words are sets; tables in a list are told apart by their names, or else by their places.
fn lists(key: &str, from: &[Value], to: &[Value], changes: &mut Vec<Change>) {
    if from.iter().chain(to).any(Value::is_object) {
        return tables(key, &by_name(from), &by_name(to), changes);
    }
    let only =
        |list: &[Value], other: &[Value]| -> Vec<Value> { list.iter().filter(|item| !other.contains(item)).cloned().collect() };
    let (gone, new) = (only(from, to), only(to, from));
    if gone.is_empty() && new.is_empty() {
        return;
    }
    let side = |list: Vec<Value>| (!list.is_empty()).then_some(Value::Array(list));
    changes.push(Change { key: key.to_owned(), what: meaning::words(key), from: side(gone), to: side(new) });
}

fn by_name(list: &[Value]) -> Map<String, Value> {
    let name = |(at, item): (usize, &Value)| {
        let name = ["name", "id"].into_iter().find_map(|key| item.get(key)?.as_str().map(str::to_owned));
        (name.unwrap_or_else(|| (at + 1).to_string()), item.clone())
    };
    list.iter().enumerate().map(name).collect()
}

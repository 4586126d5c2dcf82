//! What the keys of a definition mean: their names in words, their defaults, their units.

use std::fmt;

use serde_json::{Value, json};

use super::Change;

/// Longest value that is shown in a sentence, in characters.
const SHOWN_CHARACTERS: usize = 60;

/// Keys whose words are not their own.
const WORDS: &[(&str, &str)] = &[
    ("authentication.type", "who may call"),
    ("authentication.app_code", "AppCode is taken from"),
    ("authentication.signature_methods", "signature methods"),
    ("authentication.require_nonce", "a nonce is required"),
    ("request.path", "path"),
    ("request.method", "methods"),
    ("request.protocols", "protocols"),
    ("request.mode", "request mode"),
    ("request.body_bytes", "largest body"),
    ("request.upgrades", "protocols to switch to"),
    ("backend.vpc_access", "backend VPC access"),
    ("backend.timeout_ms", "backend timeout"),
    ("response.content_type", "content type"),
    ("response.example", "example of an answer"),
    ("response.error_example", "example of an error"),
];

/// Two definitions with their defaults, and without what means nothing in them.
pub(super) fn normalise(from: &mut Value, to: &mut Value) {
    normalise_one(from);
    normalise_one(to);
    // Who calls is not asked any more: how it was asked has gone with it.
    if is_open(to) {
        close(from);
    }
}

fn is_open(definition: &Value) -> bool {
    definition.pointer("/authentication/type") == Some(&json!("none"))
}

fn close(definition: &mut Value) {
    if let Some(Value::Object(authentication)) = definition.get_mut("authentication") {
        authentication.retain(|key, _| key == "type");
    }
}

fn normalise_one(definition: &mut Value) {
    if let Some(method) = definition.pointer_mut("/request/method")
        && method.is_string()
    {
        *method = json!([method.clone()]);
    }
    match is_open(definition) {
        true => close(definition),
        false => table(
            definition,
            "authentication",
            [("app_code", json!("off")), ("signature_methods", json!(["HMAC_SHA256"])), ("require_nonce", json!(false))],
        ),
    }
    table(definition, "request", [("protocols", json!(["http", "https"])), ("mode", json!("pass-through"))]);
    table(definition, "backend", [("method", json!("ANY")), ("timeout_ms", json!(10_000))]);
    without_nothing(definition);
}

/// Fills the defaults of a table in.
fn table<const N: usize>(definition: &mut Value, name: &str, defaults: [(&str, Value); N]) {
    let Some(Value::Object(table)) = definition.get_mut(name) else { return };
    for (key, value) in defaults {
        let slot = table.entry(key).or_insert(Value::Null);
        if slot.is_null() {
            *slot = value;
        }
    }
}

/// Keys that are not there, and texts that say nothing.
fn without_nothing(value: &mut Value) {
    if let Value::Object(table) = value {
        table.values_mut().for_each(without_nothing);
        table.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
    }
}

/// A key in words: `backend.timeout_ms` is the backend timeout.
pub(super) fn words(key: &str) -> String {
    match WORDS.iter().find(|(known, _)| *known == key) {
        Some((_, words)) => (*words).to_owned(),
        None => unit(key).0.replace(['.', '_'], " "),
    }
}

/// A key without its unit, and the unit.
fn unit(key: &str) -> (&str, &str) {
    [("_ms", " ms"), ("_s", " s"), ("_bytes", " bytes")]
        .into_iter()
        .find_map(|(suffix, unit)| key.strip_suffix(suffix).map(|key| (key, unit)))
        .unwrap_or((key, ""))
}

/// `backend timeout: 10000 ms -> 500 ms`; `methods: + PUT, - GET`.
pub(super) fn sentence(change: &Change, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (_, unit) = unit(&change.key);
    write!(f, "{}: ", change.what)?;
    let lists = |side: &Option<Value>| side.as_ref().is_none_or(Value::is_array);
    if lists(&change.from) && lists(&change.to) {
        let signed = |sign: char, side: &Option<Value>| -> Vec<String> {
            side.iter()
                .flat_map(|list| list.as_array().into_iter().flatten())
                .map(|item| format!("{sign} {}", shown(item)))
                .collect()
        };
        let all: Vec<String> = signed('+', &change.to).into_iter().chain(signed('-', &change.from)).collect();
        return f.write_str(&all.join(", "));
    }
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => write!(f, "{}{unit} -> {}{unit}", shown(from), shown(to)),
        (Some(from), None) => write!(f, "{}{unit} -> {}", shown(from), absent(&change.key)),
        (None, Some(to)) => write!(f, "{} -> {}{unit}", absent(&change.key), shown(to)),
        (None, None) => Ok(()),
    }
}

/// A key that is not there, for people.
fn absent(key: &str) -> &'static str {
    match key {
        "request.body_bytes" => "that of the instance",
        _ => "none",
    }
}

/// A value for people: words bare, `true` as yes, control characters escaped, long texts cut.
fn shown(value: &Value) -> String {
    match value {
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) => {
            let mut shown: String = text.chars().take(SHOWN_CHARACTERS).flat_map(char::escape_debug).collect();
            if text.chars().nth(SHOWN_CHARACTERS).is_some() {
                shown.push_str("...");
            }
            shown.replace("\\\"", "\"").replace("\\'", "'")
        }
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

//! A schema as a page for people, in Markdown: each table with its keys, what they take, and what they are for.

use std::fmt::Write;

use serde_json::Value;

/// The page of one kind of document.
pub fn reference(schema: &Value) -> String {
    let mut page = String::new();
    let text = |key: &str| schema[key].as_str().unwrap_or_default();
    // Writing to a string does not fail.
    let _ = writeln!(page, "# {}\n\n{}.", text("title"), text("description"));
    table(&mut page, schema, "");
    page
}

/// The keys of a table, then the tables in it.
fn table(page: &mut String, schema: &Value, path: &str) {
    let keys: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
    if !keys.is_empty() {
        page.push_str("\n| key | takes | what it is for |\n|---|---|---|\n");
    }
    let required = |key: &str| schema["required"].as_array().into_iter().flatten().any(|name| name == key);
    for (key, of) in &keys {
        let needed = if required(key) { ", required" } else { "" };
        let about = of["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        let _ = writeln!(page, "| `{key}` | {}{needed} | {about} |", takes(of).replace('|', "\\|"));
    }
    for (key, of) in keys {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if of["properties"].is_object() {
            let _ = writeln!(page, "\n## `[{path}]`");
            table(page, of, &path);
        } else if of["items"]["properties"].is_object() {
            let _ = writeln!(page, "\n## `[[{path}]]`");
            table(page, &of["items"], &path);
        }
    }
}

/// What a value may be, in words.
fn takes(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    if let Some(word) = schema.get("const") {
        return format!("`{word}`");
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let separator = if choice == "oneOf" { ", " } else { "; or " };
            return choices.iter().map(takes).collect::<Vec<_>>().join(separator);
        }
    }
    match schema["type"].as_str() {
        Some("array") if schema["items"]["properties"].is_object() => "tables".to_owned(),
        Some("array") => format!("a list of: {}", takes(&schema["items"])),
        Some("object") => "a table".to_owned(),
        Some("integer") => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
            (Some(low), Some(high)) => format!("{low} to {high}"),
            _ => "an integer".to_owned(),
        },
        Some("boolean") => "`true`, `false`".to_owned(),
        Some(kind) => format!("a {kind}"),
        None => "anything".to_owned(),
    }
}

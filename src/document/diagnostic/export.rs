//! A report for tools: JSON of our own, and SARIF 2.1.0, which code hosts and editors read.
//!
//! Both are stable: keys may be added, none changes its meaning or goes away without a new `version`.

use serde_json::{Map, Value, json};

use super::{Diagnostic, Place, Report, Severity};

/// Of [`Report::to_json`].
const VERSION: u32 = 1;

/// What SARIF calls an error: errors have no names of their own.
const ERROR_RULE: &str = "document-error";

impl Severity {
    /// SARIF's levels have the same names.
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl Report {
    /// `{version, errors, warnings, diagnostics: [{severity, rule, message, file, line, column, endLine, endColumn, label,
    /// related: {file, line, .., label}, note, help}]}`. Lines and columns count from 1, columns in characters; what a
    /// finding does not have is left out.
    pub fn to_json(&self) -> Value {
        json!({
            "version": VERSION,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "diagnostics": self.diagnostics.iter().map(json_of).collect::<Vec<_>>(),
        })
    }

    /// A log of the Static Analysis Results Interchange Format (OASIS), version 2.1.0, with one run.
    pub fn to_sarif(&self) -> Value {
        let mut rules: Vec<&str> = self.diagnostics.iter().map(rule).collect();
        rules.sort_unstable();
        rules.dedup();
        let results: Vec<Value> = self.diagnostics.iter().map(|diagnostic| sarif_of(diagnostic, &rules)).collect();
        json!({
            "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "lockgate",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": rules.iter().map(|rule| json!({ "id": rule })).collect::<Vec<_>>(),
                } },
                "columnKind": "unicodeCodePoints",
                "results": results,
            }],
        })
    }
}

fn json_of(diagnostic: &Diagnostic) -> Value {
    let mut object = Map::new();
    object.insert("severity".into(), diagnostic.severity().as_str().into());
    insert(&mut object, "rule", diagnostic.warning);
    object.insert("message".into(), diagnostic.message.as_str().into());
    object.insert("file".into(), diagnostic.file.to_string_lossy().into());
    if let Some(place) = &diagnostic.place {
        object.extend(position(place).members());
    }
    insert(&mut object, "label", diagnostic.label.as_deref());
    if let Some((place, label)) = &diagnostic.related {
        let mut related = Map::new();
        related.insert("file".into(), place.source.path.to_string_lossy().into());
        related.extend(position(place).members());
        related.insert("label".into(), label.as_str().into());
        object.insert("related".into(), related.into());
    }
    insert(&mut object, "note", diagnostic.note.as_deref());
    insert(&mut object, "help", diagnostic.help.as_deref());
    object.into()
}

fn insert(object: &mut Map<String, Value>, key: &str, text: Option<&str>) {
    if let Some(text) = text {
        object.insert(key.into(), text.into());
    }
}

fn rule(diagnostic: &Diagnostic) -> &'static str {
    diagnostic.warning.unwrap_or(ERROR_RULE)
}

fn sarif_of(diagnostic: &Diagnostic, rules: &[&str]) -> Value {
    let rule = rule(diagnostic);
    let parts = [Some(diagnostic.message.as_str()), diagnostic.note.as_deref(), diagnostic.help.as_deref()];
    let mut result = json!({
        "ruleId": rule,
        "ruleIndex": rules.iter().position(|known| *known == rule),
        "level": diagnostic.severity().as_str(),
        "message": { "text": parts.into_iter().flatten().collect::<Vec<_>>().join("\n") },
        "locations": [location(&diagnostic.file.to_string_lossy(), diagnostic.place.as_ref(), diagnostic.label.as_deref())],
    });
    if let Some((place, label)) = &diagnostic.related {
        let mut related = location(&place.source.path.to_string_lossy(), Some(place), Some(label));
        related["id"] = 1.into();
        result["relatedLocations"] = json!([related]);
    }
    result
}

fn location(file: &str, place: Option<&Place>, label: Option<&str>) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(file) } });
    if let Some(place) = place {
        physical["region"] = Value::Object(Map::from_iter(position(place).region()));
    }
    let mut location = json!({ "physicalLocation": physical });
    if let Some(label) = label {
        location["message"] = json!({ "text": label });
    }
    location
}

/// A path as a relative reference, or a `file:` URI where it is absolute (RFC 3986).
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// Lines and columns of a place, from 1; the end is behind the last character.
struct Position {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

impl Position {
    fn members(self) -> impl Iterator<Item = (String, Value)> {
        self.named(["line", "column", "endLine", "endColumn"])
    }

    fn region(self) -> impl Iterator<Item = (String, Value)> {
        self.named(["startLine", "startColumn", "endLine", "endColumn"])
    }

    fn named(self, names: [&'static str; 4]) -> impl Iterator<Item = (String, Value)> {
        let numbers = [self.line, self.column, self.end_line, self.end_column];
        names.into_iter().zip(numbers).map(|(name, number)| (name.to_owned(), number.into()))
    }
}

fn position(place: &Place) -> Position {
    let (line, column) = place.start_position();
    let (end_line, end_column) = line_column(&place.source.text, place.span.end.max(place.span.start));
    Position { line, column, end_line, end_column }
}

impl Place {
    /// Line and column of its beginning, from 1; columns in characters.
    pub fn start_position(&self) -> (usize, usize) {
        line_column(&self.source.text, self.span.start)
    }
}

fn line_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..super::floor(text, at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Source;

    #[test]
    fn columns_are_characters_and_ends_are_behind_the_last() {
        let text = "a = 1\nname = \"né\" # x\n";
        let at = text.find("\"né\"").unwrap();
        let source = Source::new("a b/é.toml".into(), text.to_owned(), None);
        let place = Place { source, span: at..at + "\"né\"".len() };
        let mut report = Report::default();
        report.push(Diagnostic::at(place.clone(), "wrong").label("here").related(place, "there").warning("some-rule"));
        let json = report.to_json();
        let found = &json["diagnostics"][0];
        assert_eq!((&found["line"], &found["column"], &found["endColumn"]), (&2.into(), &8.into(), &12.into()));
        assert_eq!((&json["errors"], &json["warnings"], &found["rule"]), (&0.into(), &1.into(), &"some-rule".into()));
        let sarif = report.to_sarif();
        let location = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(location["artifactLocation"]["uri"], "a%20b/%C3%A9.toml");
        assert_eq!(location["region"]["startLine"], 2);
    }
}

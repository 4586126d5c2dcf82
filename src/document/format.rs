//! The canonical spelling of a document: keys in the order of its schema, one blank line before each table, spaces where
//! everyone expects them. Comments stay with what they stand at, and nothing changes its meaning.

use serde_json::Value;
use toml_edit::{Array, Decor, DocumentMut, InlineTable, Item, RawString, Table, Value as Written};

/// Why a document was not formatted.
#[derive(Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It is no TOML.
    Syntax(String),
    /// What came out would mean something else: a fault of ours, and the document stays as it is.
    Meaning,
}

impl std::fmt::Display for FormatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Syntax(problem) => write!(f, "not well-formed TOML: {problem}"),
            Self::Meaning => f.write_str("the formatter would change what this document means: please report it"),
        }
    }
}

/// Formats a text by the schema of its kind.
pub fn format(text: &str, schema: &Value) -> Result<String, FormatError> {
    let meaning = |text: &str| text.parse::<toml::Table>().map_err(|error| FormatError::Syntax(error.message().to_owned()));
    let before = meaning(text)?;
    let text = &format!("{}\n", text.trim_end());
    let (head, body) = split_head(text);
    let mut document: DocumentMut = body.parse().map_err(|_| FormatError::Meaning)?;
    let mut writer = Writer { tables: 0, begun: false };
    writer.table(document.as_table_mut(), schema);
    let trailing = lines(document.trailing().as_str(), !writer.begun);
    document.set_trailing(trailing);
    let formatted = format!("{head}{document}");
    let formatted = format!("{}\n", formatted.trim_end());
    if meaning(&formatted) == Ok(before) { Ok(formatted) } else { Err(FormatError::Meaning) }
}

/// The comment that stands at the head of a file, with its blank line: directives (`#:`), and what a blank line parts from
/// the rest. It is about the file, and stays at its head whatever comes first below.
fn split_head(text: &str) -> (String, &str) {
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let comments = |prefix: &str| text.split_inclusive('\n').take_while(|line| line.trim_start().starts_with(prefix)).count();
    let all = comments("#");
    let apart = text.lines().nth(all).is_some_and(|line| line.trim().is_empty());
    let count = if apart { all } else { comments("#:") };
    let mut head: String = text.lines().take(count).map(|line| format!("{}\n", line.trim())).collect();
    if apart && count > 0 {
        head.push('\n');
    }
    let body = text.split_inclusive('\n').skip(count).map(str::len).sum::<usize>();
    (head, text[text.len() - body..].trim_start_matches(['\r', '\n']))
}

/// Comments and blank lines before something: trimmed, at most one blank line together; `first`: none at the beginning.
fn lines(text: Option<&str>, first: bool) -> String {
    let mut out = String::new();
    let mut blank = first;
    // What follows the last line end stands on the line of the thing itself.
    let whole = text.and_then(|text| text.rsplit_once('\n')).map_or("", |(whole, _)| whole);
    for line in text.filter(|text| text.contains('\n')).map(|_| whole.split('\n')).into_iter().flatten().map(str::trim) {
        if !(line.is_empty() && blank) {
            out.push_str(line);
            out.push('\n');
        }
        blank = line.is_empty();
    }
    out
}

/// What stands behind something on its line: a comment keeps its distance, and has one.
fn behind(text: Option<&str>) -> String {
    let text = text.unwrap_or_default().trim_end();
    match text.chars().next() {
        Some('#') => format!(" {text}"),
        _ => text.to_owned(),
    }
}

fn prefix(decor: &Decor) -> Option<&str> {
    decor.prefix().and_then(RawString::as_str)
}

fn suffix(decor: &Decor) -> Option<&str> {
    decor.suffix().and_then(RawString::as_str)
}

struct Writer {
    /// Headers so far; their positions put them in order.
    tables: isize,
    /// Something stands above.
    begun: bool,
}

impl Writer {
    fn table(&mut self, table: &mut Table, schema: &Value) {
        let order: Vec<&String> = schema["properties"].as_object().into_iter().flat_map(|keys| keys.keys()).collect();
        let rank = |key: &str| order.iter().position(|known| *known == key).unwrap_or(order.len());
        table.sort_values_by(|a, _, b, _| rank(a.get()).cmp(&rank(b.get())));
        let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
        let mut first = true;
        for key in &keys {
            let Some((mut key, item)) = table.get_key_value_mut(key) else { continue };
            let Item::Value(value) = item else { continue };
            // A dotted key (`a.b = 1`) keeps its spelling.
            let above = lines(prefix(key.leaf_decor()), first);
            key.leaf_decor_mut().set_prefix(above);
            key.leaf_decor_mut().set_suffix(" ");
            let comment = behind(suffix(value.decor()));
            spell(value);
            *value.decor_mut() = Decor::new(" ", comment);
            (first, self.begun) = (false, true);
        }
        for name in &keys {
            let of = match &schema["properties"][name] {
                Value::Null => &schema["additionalProperties"],
                of => of,
            };
            match table.get_mut(name) {
                Some(Item::Table(table)) => self.headed(table, of),
                Some(Item::ArrayOfTables(tables)) => {
                    let of = &of["items"];
                    tables.iter_mut().for_each(|table| self.headed(table, of));
                }
                _ => {}
            }
        }
    }

    fn headed(&mut self, table: &mut Table, schema: &Value) {
        if table.is_dotted() {
            self.begun = true;
            return;
        }
        table.set_position(Some(self.tables));
        self.tables += 1;
        if !table.is_implicit() {
            let mut above = lines(prefix(table.decor()), true);
            if self.begun {
                above.insert(0, '\n');
            }
            let comment = behind(suffix(table.decor()));
            *table.decor_mut() = Decor::new(above, comment);
            self.begun = true;
        }
        self.table(table, schema);
    }
}

/// Lists and inline tables: on one line, or one item a line where they have several lines. With comments in them they keep
/// their spelling.
fn spell(value: &mut Written) {
    match value {
        Written::Array(array) if !spans_lines(&Written::from(array.clone())) => {
            array.iter_mut().for_each(spell);
            one_line(array);
        }
        Written::Array(array) if array.iter().all(|item| !spans_lines(&bare(item))) && !has_comment(array) => {
            for item in array.iter_mut() {
                spell(item);
                *item.decor_mut() = Decor::new("\n    ", "");
            }
            array.set_trailing("\n");
            array.set_trailing_comma(true);
        }
        Written::InlineTable(table) if !spans_lines(&Written::from(table.clone())) => inline(table),
        _ => {}
    }
}

fn one_line(array: &mut Array) {
    for (place, item) in array.iter_mut().enumerate() {
        *item.decor_mut() = Decor::new(if place == 0 { "" } else { " " }, "");
    }
    array.set_trailing("");
    array.set_trailing_comma(false);
}

fn inline(table: &mut InlineTable) {
    if table.is_dotted() {
        return;
    }
    let items: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
    if items.iter().all(|key| !matches!(table.get(key), Some(Written::InlineTable(inner)) if inner.is_dotted())) {
        table.iter_mut().for_each(|(_, value)| spell(value));
        table.fmt();
    }
}

/// A value without what stands around it.
fn bare(value: &Written) -> Written {
    let mut value = value.clone();
    *value.decor_mut() = Decor::new("", "");
    value
}

fn spans_lines(value: &Written) -> bool {
    bare(value).to_string().contains('\n')
}

fn has_comment(array: &Array) -> bool {
    let around = array.iter().flat_map(|item| [prefix(item.decor()), suffix(item.decor())]);
    around.chain([array.trailing().as_str()]).flatten().any(|text| text.contains('#'))
}

#[cfg(test)]
mod tests;

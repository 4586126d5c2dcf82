//! Mending a parsed tree so that reading it can go on past an error.
//!
//! A value of the wrong kind is taken out. A value that is missing is put in, with a place past the end of the text:
//! that is how everything later said of it is known not to be about anything written.

use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue, Error};

/// Steps of mending one file; each takes a value out or puts one in.
const STEPS: usize = 200;

pub(super) enum Step {
    /// The tree can be read again; `report`: the error is about something written.
    Mended {
        report: bool,
    },
    Stuck,
}

pub(super) struct Recovery<'i> {
    tree: Spanned<DeTable<'i>>,
    text_len: usize,
    steps: usize,
    /// Keys taken out, with the place of their table: that they are missing now is no error of its own.
    removed: Vec<(Range<usize>, String)>,
    /// What was put in last, and how many kinds of value were tried there.
    filled: Option<Filled>,
}

struct Filled {
    table: Range<usize>,
    key: String,
    span: Range<usize>,
    tried: usize,
}

impl<'i> Recovery<'i> {
    pub(super) fn new(tree: Spanned<DeTable<'i>>, text_len: usize) -> Self {
        Self { tree, text_len, steps: 0, removed: Vec::new(), filled: None }
    }

    pub(super) fn tree(&self) -> Spanned<DeTable<'i>> {
        self.tree.clone()
    }

    /// Mends what `error` is about.
    pub(super) fn step(&mut self, error: &Error) -> Step {
        self.steps += 1;
        if self.steps > STEPS {
            return Step::Stuck;
        }
        let Some(span) = error.span() else { return Step::Stuck };
        let written = span.start <= self.text_len;
        let mended = match missing_key(error.message()) {
            Some(key) => {
                let known = self.removed.iter().any(|(table, removed)| *table == span && removed == key);
                let filled = Filled { table: span, key: key.to_owned(), span: self.fresh_span(), tried: 0 };
                return match self.fill(filled, None) {
                    true => Step::Mended { report: written && !known },
                    false => Step::Stuck,
                };
            }
            None if written => self.remove(&span),
            None => self.refill(error, &span),
        };
        if mended { Step::Mended { report: written } } else { Step::Stuck }
    }

    /// A place past the end of the text that no other value has.
    fn fresh_span(&self) -> Range<usize> {
        let start = self.text_len + 1 + self.steps;
        start..start
    }

    fn remove(&mut self, span: &Range<usize>) -> bool {
        let table = self.tree.span();
        remove_from_table(self.tree.get_mut(), table, span, &mut self.removed)
    }

    /// The value put in last was of the wrong kind: another is tried.
    fn refill(&mut self, error: &Error, span: &Range<usize>) -> bool {
        match self.filled.take() {
            Some(filled) if filled.span == *span => self.fill(filled, first_allowed(error.message())),
            _ => false,
        }
    }

    fn fill(&mut self, mut filled: Filled, word: Option<String>) -> bool {
        let value = match (word, filled.tried) {
            (Some(word), 0 | 1) => DeValue::String(word.into()),
            (_, 0) => DeValue::String("".into()),
            (_, 1) => DeValue::Array(DeArray::new()),
            (_, 2) => DeValue::Table(DeTable::new()),
            (_, 3) => match DeValue::parse("1") {
                Ok(one) => one.into_inner(),
                Err(_) => return false,
            },
            _ => return false,
        };
        filled.tried += 1;
        let root = self.tree.span();
        let Some(table) = find_table(self.tree.get_mut(), &root, &filled.table) else { return false };
        let key: DeString<'i> = filled.key.clone().into();
        table.insert(Spanned::new(filled.span.clone(), key), Spanned::new(filled.span.clone(), value));
        self.filled = Some(filled);
        true
    }
}

fn missing_key(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// The first of the words that serde says are allowed.
fn first_allowed(message: &str) -> Option<String> {
    message.strip_prefix("unknown variant `")?.split('`').nth(2).map(str::to_owned)
}

/// The table whose place is `span`; of several (`a.b = 1` makes two of one place), the innermost.
fn find_table<'t, 'i>(table: &'t mut DeTable<'i>, own: &Range<usize>, span: &Range<usize>) -> Option<&'t mut DeTable<'i>> {
    let holds = table.values().any(|value| holds_table(value, span));
    if !holds {
        return (own == span).then_some(table);
    }
    table.iter_mut().find_map(|(_, value)| table_in_value(value, span))
}

fn holds_table(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    match value.get_ref() {
        DeValue::Table(table) => value.span() == *span || table.values().any(|inner| holds_table(inner, span)),
        DeValue::Array(items) => items.iter().any(|item| holds_table(item, span)),
        _ => false,
    }
}

fn table_in_value<'t, 'i>(value: &'t mut Spanned<DeValue<'i>>, span: &Range<usize>) -> Option<&'t mut DeTable<'i>> {
    let own = value.span();
    match value.get_mut() {
        DeValue::Table(table) => find_table(table, &own, span),
        DeValue::Array(items) => items.iter_mut().find_map(|item| table_in_value(item, span)),
        _ => None,
    }
}

/// Takes out the innermost entry that `span` is about.
fn remove_from_table(
    table: &mut DeTable<'_>,
    own: Range<usize>,
    span: &Range<usize>,
    removed: &mut Vec<(Range<usize>, String)>,
) -> bool {
    for (_, value) in table.iter_mut() {
        if remove_inside(value, span, removed) {
            return true;
        }
    }
    let entry = table.iter().find(|(key, value)| key.span() == *span || value.span() == *span);
    let Some(key) = entry.map(|(key, _)| key.get_ref().clone()) else { return false };
    table.remove(key.as_ref());
    removed.push((own, key.into_owned()));
    true
}

fn remove_inside(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>, removed: &mut Vec<(Range<usize>, String)>) -> bool {
    let own = value.span();
    match value.get_mut() {
        DeValue::Table(table) => remove_from_table(table, own, span, removed),
        DeValue::Array(items) => remove_from_array(items, span, removed),
        _ => false,
    }
}

fn remove_from_array(items: &mut DeArray<'_>, span: &Range<usize>, removed: &mut Vec<(Range<usize>, String)>) -> bool {
    if items.iter_mut().any(|item| remove_inside(item, span, removed)) {
        return true;
    }
    let Some(index) = items.iter().position(|item| item.span() == *span) else { return false };
    *items = std::mem::replace(items, DeArray::new())
        .into_iter()
        .enumerate()
        .filter(|(at, _)| *at != index)
        .map(|(_, item)| item)
        .collect();
    true
}

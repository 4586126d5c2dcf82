//! Mending a parsed tree so that reading it can go on past an error.
//!
//! A value of the wrong kind is taken out. A value that is missing is put in, with a place past the end of the text:
//! that is how everything later said of it is known not to be about anything written.

use std::ops::Range;

use super::nearest;
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
        Self { tree, text_len, steps: 0, filled: None }
    }

    pub(super) fn tree(&self) -> Spanned<DeTable<'i>> {
        self.tree.clone()
    }

    /// Mends what `error` is about.
    pub(super) fn step(&mut self, error: &Error) -> Step {
        self.steps += 1;
        let Some(span) = error.span().filter(|_| self.steps <= STEPS) else { return Step::Stuck };
        let written = span.start <= self.text_len;
        let (mended, report) = match missing_key(error.message()) {
            Some(key) => (self.fill_in(span, key.to_owned()), written),
            None if written => (self.take_out(&span, error.message()), true),
            None => (self.refill(error, &span), false),
        };
        if mended { Step::Mended { report } } else { Step::Stuck }
    }

    /// Takes out an unknown key, or an item of a list; a value of the wrong kind is taken for one of the right kind.
    fn take_out(&mut self, span: &Range<usize>, message: &str) -> bool {
        let root = self.tree.span();
        match take_from_table(self.tree.get_mut(), root, span) {
            Some(Taken::Item) => true,
            // The key that was meant gets a value: that it is missing now goes without saying.
            Some(Taken::Key { table }) => match suggestion(message) {
                Some(near) if !self.has(&table, &near) => self.fill_in(table, near),
                _ => true,
            },
            Some(Taken::Value { table, key }) => self.fill_in(table, key),
            None => false,
        }
    }

    fn has(&mut self, table: &Range<usize>, key: &str) -> bool {
        let root = self.tree.span();
        find_table(self.tree.get_mut(), &root, table).is_some_and(|table| table.contains_key(key))
    }

    fn fill_in(&mut self, table: Range<usize>, key: String) -> bool {
        let span = self.fresh_span();
        self.fill(Filled { table, key, span, tried: 0 }, None)
    }

    /// A place past the end of the text that no other value has.
    fn fresh_span(&self) -> Range<usize> {
        let start = self.text_len + 1 + self.steps;
        start..start
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
            (_, 4) => DeValue::Boolean(false),
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

/// The key that an unknown one is nearest to.
fn suggestion(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown field `")?.split('`');
    let key = quoted.next()?;
    nearest(key, quoted.skip(1).step_by(2)).map(str::to_owned)
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

/// What was taken out of the tree.
enum Taken {
    Item,
    Key { table: Range<usize> },
    Value { table: Range<usize>, key: String },
}

/// Takes out the innermost entry that `span` is about.
fn take_from_table(table: &mut DeTable<'_>, own: Range<usize>, span: &Range<usize>) -> Option<Taken> {
    if let Some(taken) = table.iter_mut().find_map(|(_, value)| take_inside(value, span)) {
        return Some(taken);
    }
    let (key, value) = table.iter().find(|(key, value)| key.span() == *span || value.span() == *span)?;
    let by_key = key.span() == *span && value.span() != *span;
    let key = key.get_ref().to_string();
    table.remove(key.as_str());
    Some(if by_key { Taken::Key { table: own } } else { Taken::Value { table: own, key } })
}

fn take_inside(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<Taken> {
    let own = value.span();
    match value.get_mut() {
        DeValue::Table(table) => take_from_table(table, own, span),
        DeValue::Array(items) => take_from_array(items, span),
        _ => None,
    }
}

fn take_from_array(items: &mut DeArray<'_>, span: &Range<usize>) -> Option<Taken> {
    if let Some(taken) = items.iter_mut().find_map(|item| take_inside(item, span)) {
        return Some(taken);
    }
    let index = items.iter().position(|item| item.span() == *span)?;
    *items = std::mem::replace(items, DeArray::new())
        .into_iter()
        .enumerate()
        .filter(|(at, _)| *at != index)
        .map(|(_, item)| item)
        .collect();
    Some(Taken::Item)
}

//! The plain part of TOML, in which nearly every document is written, read in one pass: several times as fast as TOML
//! as a whole, which matters where there are a million apps.
//!
//! Plain are bare keys, strings between double quotes without escapes, whole numbers, `true` and `false`, lists, tables
//! within braces, `[tables]` and `[[tables]]` whose parts follow them. Where a text has anything else, or an error of any kind,
//! there is no answer, and the whole of TOML is asked ([`super::parse`]), which also knows what to say of errors. What
//! both read they read alike, places included; the tests hold them side by side.

use serde::de::{DeserializeOwned, Error as _};

mod scan;
mod table;
mod value;

use scan::Reader;
use table::Table;

/// The document; `None`: it is not plain, or not right.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    let mut reader = Reader::new(text)?;
    let document = T::deserialize(Table::root(&mut reader)).ok()?;
    reader.is_at_end().then_some(document)
}

/// There is no more to say: the whole of TOML says it.
#[derive(Debug)]
struct NotPlain;

impl std::fmt::Display for NotPlain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not plain")
    }
}

impl std::error::Error for NotPlain {}

impl serde::de::Error for NotPlain {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }
    fn missing_field(_: &'static str) -> Self {
        Self
    }
    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

/// Keys of a table whose names are free: none twice, which is known without a list of them while they are in order.
#[derive(Default)]
struct Ascending<'t>(Option<&'t str>);

impl<'t> Ascending<'t> {
    fn accept(&mut self, key: &'t str) -> Result<(), NotPlain> {
        match self.0.replace(key) {
            Some(last) if last >= key => Err(NotPlain::custom("")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;

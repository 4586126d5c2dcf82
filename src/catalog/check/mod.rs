//! Checks: one file a kind of document. Each turns a document into its catalog type and says what is wrong with it;
//! the rest of what documents say of each other is in [`domains`], [`conflicts`] and [`published`].

pub(super) mod api;
pub(super) mod app;
mod cluster;
pub(super) mod conflicts;
pub(super) mod credentials;
pub(super) mod domains;
pub(super) mod files;
pub(super) mod gateway;
pub(super) mod group;
mod health;
pub(super) mod https;
pub(super) mod policy;
pub(super) mod published;
mod rules;
pub(super) mod stages;
pub(super) mod target;
pub(super) mod tls;
mod variables;
pub(super) mod vpc_access;

pub use published::{group_manifest, root_manifest, version_of};
pub use stages::STAGES;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::document::vpc_access::PORT;
use crate::document::{At, Diagnostic, Place, Report, Source, nearest};

/// A document under check: its errors go to the report of the run.
pub(super) struct Checked<'a> {
    pub source: &'a Arc<Source>,
    pub report: &'a mut Report,
}

impl Checked<'_> {
    /// An error at a value, to be completed and pushed.
    pub fn at<T>(&self, value: &At<T>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::at(self.place(value), message)
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.report.push(diagnostic);
    }

    pub fn place<T>(&self, value: &At<T>) -> Place {
        Place::of(self.source, value)
    }

    /// A number within its range.
    pub fn number(&mut self, key: &str, value: &At<i64>, range: RangeInclusive<u64>) -> Option<u64> {
        match u64::try_from(value.value).ok().filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let (low, high) = range.into_inner();
                self.push(
                    self.at(value, format!("{key} = {} is out of range", value.value)).note(format!("allowed: {low} to {high}")),
                );
                None
            }
        }
    }

    pub fn port(&mut self, value: &At<i64>) -> Option<u16> {
        self.number("port", value, PORT).and_then(|port| u16::try_from(port).ok())
    }

    /// A well-formed name.
    pub fn well_formed(&mut self, what: &str, name: &At<String>) -> Option<String> {
        match check_name(name) {
            Ok(()) => Some(name.value.clone()),
            Err(problem) => {
                self.push(self.at(name, format!("`{}` is not a name of {what}", name.value)).note(problem));
                None
            }
        }
    }

    /// A well-formed name, and the one that the document has by its path.
    pub fn name(&mut self, what: &str, name: &At<String>, by_path: &str) -> Option<String> {
        let well_formed = self.well_formed(what, name)?;
        if well_formed != by_path {
            let diagnostic = self.at(name, format!("the name of {what} differs from the one in its path"));
            self.push(
                diagnostic
                    .label(format!("the path says `{by_path}`"))
                    .help(format!("write `name = \"{by_path}\"`, or rename the file")),
            );
            return None;
        }
        Some(well_formed)
    }

    /// A text that must say something.
    pub fn text(&mut self, key: &str, value: &At<String>) -> Option<String> {
        if value.trim().is_empty() {
            self.push(self.at(value, format!("`{key}` is empty")));
            return None;
        }
        Some(value.value.clone())
    }
}

/// Names are file names and parts of domains: letters, digits, `-`, `_`, 1 to 64 of them, the first a letter or digit.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let bytes = name.as_bytes();
    let well_formed = bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.len() <= 64
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match well_formed {
        true => Ok(()),
        false => Err("a name has 1 to 64 letters, digits, `-` and `_`, and begins with a letter or a digit"),
    }
}

/// Names of one kind of document with their places in the catalog; `None`: the document has errors of its own.
pub(super) struct Names<Id> {
    what: &'static str,
    ids: HashMap<String, Option<Id>>,
}

impl<Id: Copy> Names<Id> {
    pub fn new(what: &'static str) -> Self {
        Self { what, ids: HashMap::new() }
    }
    pub fn insert(&mut self, name: String, id: Option<Id>) {
        self.ids.insert(name, id);
    }
    /// `None`: there is no document of this name.
    pub fn find(&self, name: &str) -> Option<Option<Id>> {
        self.ids.get(name).copied()
    }
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.ids.keys().map(String::as_str))
    }
    /// The error of a name that is not among these.
    pub fn unknown(&self, place: Place, name: &str) -> Diagnostic {
        let mut names: Vec<&str> = self.ids.keys().map(String::as_str).take(20).collect();
        names.sort_unstable();
        let known = if names.is_empty() { "there is none yet".to_owned() } else { format!("there are: {}", names.join(", ")) };
        let diagnostic = Diagnostic::at(place, format!("there is no {} `{name}`", self.what)).note(known);
        diagnostic.did_you_mean(self.nearest(name))
    }
}

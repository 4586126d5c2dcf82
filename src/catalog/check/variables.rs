//! `#name#` in a backend: what stands there is a variable of the stage that the API is published to.
//!
//! The text is filled in first and read then, by the rules for what is written out: a value may be a part of a name, a
//! segment, or several segments of a path. Neither names nor paths have a `#` of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Checked;
use crate::document::group::{VARIABLE_BYTES, VARIABLES};
use crate::document::{At, Diagnostic, Place, Source, nearest};

/// The variables of a stage of a group.
#[derive(Clone)]
pub struct Variables<'a> {
    pub stage: &'a str,
    /// `None`: the group has no table for the stage.
    pub values: Option<&'a BTreeMap<At<String>, At<String>>>,
    /// The document of the group.
    pub source: &'a Arc<Source>,
    /// Where the table is; without one, the name of the group.
    pub at: &'a At<String>,
}

/// A text with its variables filled in.
pub struct Filled {
    pub text: At<String>,
    /// What to say with an error of the text: `None`, when it has no variables.
    from: Option<(Place, String)>,
}

impl Filled {
    /// An error of the text also names the variable in it.
    pub fn explain(&self, diagnostic: Diagnostic) -> Diagnostic {
        match &self.from {
            Some((place, label)) => diagnostic.related(place.clone(), label.clone()),
            None => diagnostic,
        }
    }
}

impl Variables<'_> {
    pub fn value(&self, name: &str) -> Option<&At<String>> {
        self.values?.iter().find(|(known, _)| known.value == name).map(|(_, value)| value)
    }

    /// Fills in a text; `None`: something is missing, which is in the report.
    pub(super) fn fill(&self, written: &At<String>, checked: &mut Checked<'_>) -> Option<Filled> {
        let mut text = String::new();
        let mut from = None;
        for part in parts(written, checked)? {
            match part {
                Part::Text(plain) => text += plain,
                Part::Variable(name) => match self.value(name) {
                    Some(value) => {
                        text += value;
                        let label = format!("`#{name}#` in stage {}", self.stage);
                        from.get_or_insert((Place::of(self.source, value), label));
                    }
                    None => {
                        checked.push(self.missing(checked.place(written), name));
                        return None;
                    }
                },
            }
        }
        Some(Filled { text: At { value: text, span: written.span.clone() }, from })
    }

    fn missing(&self, place: Place, name: &str) -> Diagnostic {
        let names: Vec<&str> = self.values.into_iter().flatten().map(|(name, _)| name.value.as_str()).collect();
        let known = if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
        let diagnostic = Diagnostic::at(place, format!("the stage {} has no variable `{name}`", self.stage))
            .related(Place::of(self.source, self.at), format!("`variables` of `[stage.{}]` would have it", self.stage));
        diagnostic.note(known).did_you_mean(nearest(name, names))
    }
}

enum Part<'t> {
    Text(&'t str),
    Variable(&'t str),
}

/// Whether a text has variables; one with a single `#` has none, and is wrong.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('#').skip(1).step_by(2)
}

fn parts<'t>(written: &'t At<String>, checked: &mut Checked<'_>) -> Option<Vec<Part<'t>>> {
    let pieces: Vec<&str> = written.split('#').collect();
    let wrong = match pieces.len() % 2 {
        0 => Some("a `#` stands alone".to_owned()),
        _ => names(written).find(|name| !is_name(name)).map(|name| format!("`{name}` is not a name of a variable")),
    };
    if let Some(wrong) = wrong {
        checked.push(
            checked.at(written, format!("{wrong}: `{}`", written.value)).note("`#NAME#` stands for a variable of the stage"),
        );
        return None;
    }
    let part = |(at, piece): (usize, &&'t str)| if at % 2 == 0 { Part::Text(piece) } else { Part::Variable(piece) };
    Some(pieces.iter().enumerate().map(part).collect())
}

/// Checks the variables of a stage.
pub fn check(stage: &At<String>, variables: &BTreeMap<At<String>, At<String>>, checked: &mut Checked<'_>) {
    if variables.len() > VARIABLES {
        let message = format!("a stage has at most {VARIABLES} variables, and this has {}", variables.len());
        checked.push(checked.at(stage, message));
    }
    for (name, value) in variables {
        if !is_name(name) {
            let diagnostic = checked.at(name, format!("`{}` is not a name of a variable", name.value));
            checked.push(diagnostic.note("a variable has 1 to 64 letters, digits, `-` and `_`, and begins with a letter or `_`"));
        }
        if value.len() > VARIABLE_BYTES || value.chars().any(char::is_control) {
            let diagnostic = checked.at(value, format!("this is not a value of the variable `{}`", name.value));
            checked.push(diagnostic.note(format!("allowed: up to {VARIABLE_BYTES} bytes without control characters")));
        } else if value.contains('#') {
            let diagnostic = checked.at(value, format!("the value of the variable `{}` has a `#`", name.value));
            checked.push(diagnostic.note("variables do not stand in variables"));
        }
    }
}

fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
        && bytes.len() <= 64
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

//! `[stage.NAME]` of the groups -> which stages there are, and what each is to its group.
//!
//! A stage has one place in the catalog, whatever groups have it; `RELEASE`, `PRE` and `TEST` are stages of every group.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Checked;
use super::domains::named;
use super::variables::{self, Variables};
use crate::catalog::{Group, StageId};
use crate::document::group::{Group as Document, STAGES as TABLES, StageTable};
use crate::document::{At, Diagnostic, Place, Source, nearest};

/// Stages of every group.
pub const STAGES: [&str; 3] = ["RELEASE", "PRE", "TEST"];

/// Stages by name, `RELEASE` first.
pub struct Stages {
    pub names: Vec<String>,
    /// By the name in lower case: clients may write it in any case. With the place that made it a stage.
    ids: HashMap<String, (StageId, Option<Place>)>,
}

impl Stages {
    pub fn new() -> Self {
        let names = STAGES.map(str::to_owned).to_vec();
        let ids = STAGES.iter().zip(0..).map(|(name, id)| (name.to_ascii_lowercase(), (StageId(id), None))).collect();
        Self { names, ids }
    }

    pub fn find(&self, name: &str) -> Option<StageId> {
        let (id, _) = self.ids.get(&name.to_ascii_lowercase())?;
        (self.names.get(id.index())? == name).then_some(*id)
    }

    /// The stage that a table names; `None`: its name is no good, which is in the report.
    fn of(&mut self, name: &At<String>, checked: &mut Checked<'_>) -> Option<StageId> {
        if let Err(problem) = check_stage_name(name) {
            let diagnostic = checked.at(name, format!("`{}` is not a name of a stage", name.value)).note(problem);
            checked.push(diagnostic.did_you_mean(nearest(name, STAGES)));
            return None;
        }
        let next = StageId(self.names.len() as u32);
        let place = checked.place(name);
        let (id, first) = self.ids.entry(name.to_ascii_lowercase()).or_insert_with(|| {
            self.names.push(name.value.clone());
            (next, Some(place))
        });
        let known = self.names.get(id.index())?;
        if *known == name.value {
            return Some(*id);
        }
        let mut diagnostic = checked.at(name, format!("the stages `{known}` and `{}` differ in case alone", name.value));
        if let Some(first) = first {
            diagnostic = diagnostic.related(first.clone(), "the first is here");
        }
        checked.push(diagnostic.note("clients write the name of a stage in any case").help(format!("call it `{known}`")));
        None
    }
}

/// The product's rule.
fn check_stage_name(name: &str) -> Result<(), &'static str> {
    let bytes = name.as_bytes();
    let well_formed = (2..=10).contains(&bytes.len())
        && bytes.first().is_some_and(u8::is_ascii_uppercase)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match well_formed {
        true => Ok(()),
        false => Err("a stage has 2 to 10 letters, digits, `-` and `_`, and begins with an upper-case letter"),
    }
}

/// The stages of one group, as its document has them.
pub struct GroupStages {
    source: Arc<Source>,
    /// The name of the group: what the group does not have is missing there.
    name: At<String>,
    tables: BTreeMap<At<String>, StageTable>,
}

impl GroupStages {
    pub fn of(document: &Document, source: &Arc<Source>) -> Self {
        Self { source: source.clone(), name: document.name.clone(), tables: document.stage.clone() }
    }

    /// Those of every group, and those of its own.
    pub fn names(&self) -> Vec<&str> {
        STAGES.into_iter().chain(self.own()).collect()
    }

    pub fn has(&self, stage: &str) -> bool {
        STAGES.contains(&stage) || self.tables.keys().any(|name| name.value == stage)
    }

    /// Names of those of its own.
    pub fn own(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(|name| name.value.as_str()).filter(|name| !STAGES.contains(name))
    }

    /// What `#NAME#` stands for in a stage.
    pub fn variables<'a>(&'a self, stage: &'a str) -> Variables<'a> {
        let table = self.tables.iter().find(|(name, _)| name.value == stage);
        // Without a table, one would be in this file.
        let at = table.map_or(&self.name, |(name, _)| name);
        Variables { stage, values: table.map(|(_, table)| &table.variables), source: &self.source, at }
    }

    /// The error of a stage that the group does not have.
    pub fn unknown(&self, place: Place, stage: &str) -> Diagnostic {
        let names = self.names();
        Diagnostic::at(place, format!("there is no stage `{stage}` in the group `{}`", self.name.value))
            .note(format!("there are: {}; another one is made by `[stage.NAME]` in the group", names.join(", ")))
            .did_you_mean(nearest(stage, names))
    }

    /// `None`: the group has the stage. Otherwise the error, at the name of the group.
    pub fn missing(&self, stage: &str) -> Option<Diagnostic> {
        match self.has(stage) {
            true => None,
            false => Some(self.unknown(Place::of(&self.source, &self.name), stage)),
        }
    }
}

/// Checks `[stage.NAME]` and fills in [`Group::stages`] and [`Group::bound`].
pub fn stages(document: &Document, group: &mut Group, stages: &mut Stages, checked: &mut Checked<'_>) {
    if let (true, Some((last, _))) = (document.stage.len() > TABLES, document.stage.last_key_value()) {
        let message = format!("a group has at most {TABLES} stages with a table, and this has {}", document.stage.len());
        checked.push(checked.at(last, message));
    }
    let mut bound: Vec<(crate::catalog::Domain, Place)> = Vec::new();
    // As they are written: the second of two that collide is the one that is wrong.
    let mut tables: Vec<_> = document.stage.iter().collect();
    tables.sort_by_key(|(name, _)| name.span.start);
    for (name, table) in tables {
        variables::check(name, &table.variables, checked);
        let domains = named(table.domains.as_deref().unwrap_or_default(), &group.domains, checked);
        let Some(id) = stages.of(name, checked) else { continue };
        if id.index() >= STAGES.len() {
            group.stages.push(id);
        }
        for (domain, place) in domains {
            match bound.iter().find(|(other, _)| *other == domain) {
                Some((_, first)) => {
                    let message = format!("the domain `{domain}` is bound to two stages");
                    checked.push(Diagnostic::at(place, message).related(first.clone(), "first bound here"));
                }
                None => {
                    bound.push((domain.clone(), place));
                    group.bound.push((domain, id));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check_stage_name;

    #[test]
    fn names_of_stages_are_the_products() {
        for name in ["RELEASE", "AB", "Blue", "B1", "GREEN-2", "A_23456789"] {
            assert_eq!(check_stage_name(name), Ok(()), "{name}");
        }
        for name in ["", "A", "blue", "1A", "_A", "A B", "A/B", "A.B", "ABCDEFGHIJK", "É1"] {
            assert!(check_stage_name(name).is_err(), "{name}");
        }
    }
}

//! What is compared: drafts, what is current in a stage, single versions.

use std::path::Path;

use serde::Serialize;

use super::{Change, definitions};
use crate::document::version::canonical;
use crate::document::{Layout, Report, api, digest};
use crate::publish::history::{self, Published};
use crate::publish::state::State;
use crate::publish::target::{Drafts, Known, Target};
use crate::publish::version::is_version;
use crate::publish::{PublishError, stage};

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    Draft,
    /// What is current there.
    Stage(String),
    /// In whatever stage it is.
    Version(String),
}

impl Side {
    /// `draft`, a version, or a stage.
    pub fn parse(text: &str) -> Self {
        match text {
            "draft" => Self::Draft,
            version if is_version(version) => Self::Version(version.to_owned()),
            stage => Self::Stage(stage.to_owned()),
        }
    }
}

/// An API on both sides.
#[derive(Debug, Serialize)]
pub struct ApiDiff {
    /// `GROUP/API`
    pub api: String,
    /// Where the definitions are from: `draft`, `RELEASE 20261122213949628`; `None`: it is not there.
    pub from: Option<String>,
    pub to: Option<String>,
    #[serde(flatten)]
    pub difference: Difference,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "difference", content = "changes", rename_all = "lowercase")]
pub enum Difference {
    None,
    /// On the second side only.
    Added,
    /// On the first side only.
    Removed,
    Changed(Vec<Change>),
}

/// Compares APIs, by meaning. Those that are on neither side are left out.
pub fn compare(config_dir: &Path, target: &Target, from: &Side, to: &Side) -> Result<Vec<ApiDiff>, PublishError> {
    let layout = Layout::new(config_dir);
    let _reading = layout.reading();
    let mut sides = Sides { stages: Vec::new(), state: State::read(&layout)?, layout: &layout };
    sides.stages = sides.state.stages().map(str::to_owned).collect();
    for side in [from, to] {
        sides.check(side)?;
    }
    let targets = target.resolve(&mut sides)?;
    let mut diffs = Vec::new();
    for (group, api) in targets {
        let (one, other) = (sides.definition(from, &group, &api)?, sides.definition(to, &group, &api)?);
        let difference = match (&one, &other) {
            (None, None) => continue,
            (None, Some(_)) => Difference::Added,
            (Some(_), None) => Difference::Removed,
            (Some(one), Some(other)) if one.sha256 == other.sha256 => Difference::None,
            (Some(one), Some(other)) => changed(one, other)?,
        };
        let label = |side: Option<Found>| side.map(|found| found.label);
        diffs.push(ApiDiff { api: format!("{group}/{api}"), from: label(one), to: label(other), difference });
    }
    Ok(diffs)
}

fn changed(one: &Found, other: &Found) -> Result<Difference, PublishError> {
    let changes = definitions(&one.definition, &other.definition)
        .map_err(|error| PublishError::Request(format!("the definitions cannot be compared: {error}")))?;
    Ok(if changes.is_empty() { Difference::None } else { Difference::Changed(changes) })
}

struct Found {
    label: String,
    sha256: String,
    definition: api::Api,
}

struct Sides<'l> {
    layout: &'l Layout,
    state: State<'l>,
    stages: Vec<String>,
}

impl Sides<'_> {
    fn check(&self, side: &Side) -> Result<(), PublishError> {
        let Side::Stage(stage) = side else { return Ok(()) };
        let groups = Drafts(self.layout).groups()?;
        stage::check(stage, self.layout, &self.state, groups.iter().map(String::as_str)).map_err(|error| match error {
            PublishError::Request(message) => PublishError::Request(format!("{message}; or a version, or `draft`")),
            error => error,
        })
    }

    fn definition(&mut self, side: &Side, group: &str, api: &str) -> Result<Option<Found>, PublishError> {
        match side {
            Side::Draft => self.draft(group, api),
            Side::Stage(stage) => {
                let current = self.state.group(stage, group)?.current.get(api).map(|current| current.version.clone());
                current.map(|version| self.version(stage, group, api, &version)).transpose()
            }
            Side::Version(version) => {
                let has = |stage: &&String| self.layout.has(&self.layout.version(stage, group, api, version));
                let stage = self.stages.iter().find(has).cloned();
                stage.map(|stage| self.version(&stage, group, api, version)).transpose()
            }
        }
    }

    fn draft(&self, group: &str, api: &str) -> Result<Option<Found>, PublishError> {
        let path = self.layout.api(group, api);
        if !self.layout.has(&path) {
            return Ok(None);
        }
        let mut report = Report::default();
        let parsed = self.layout.parse::<api::Api>(&path, &mut report).filter(|_| report.is_empty());
        let Some(parsed) = parsed else { return Err(PublishError::Documents(report)) };
        let sha256 = digest(&canonical(&parsed.document).map_err(PublishError::Serialise)?);
        Ok(Some(Found { label: "draft".to_owned(), sha256, definition: parsed.document }))
    }

    fn version(&self, stage: &str, group: &str, api: &str, version: &str) -> Result<Found, PublishError> {
        let document = history::read(self.layout, stage, group, api, version)?.document;
        let label = format!("{stage} {version}");
        Ok(Found { label, sha256: document.sha256.value, definition: document.definition })
    }
}

impl Known for Sides<'_> {
    const WHAT: &'static str = "drafts and published";

    fn groups(&mut self) -> Result<Vec<String>, PublishError> {
        let mut groups = Drafts(self.layout).groups()?;
        groups.extend(Published { state: &mut self.state, stages: &self.stages }.groups()?);
        groups.sort();
        groups.dedup();
        Ok(groups)
    }

    fn apis(&mut self, group: &str) -> Result<Vec<String>, PublishError> {
        let mut apis = Drafts(self.layout).apis(group)?;
        apis.extend(Published { state: &mut self.state, stages: &self.stages }.apis(group)?);
        apis.sort();
        apis.dedup();
        Ok(apis)
    }
}

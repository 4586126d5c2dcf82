//! What was published: the versions of an API, and the generations.

use std::path::Path;

use super::retention;
use super::state::State;
use super::target::{Drafts, Known, Target};
use super::{PublishError, stage, version};
use crate::document::manifest::{Change, Current, Manifest};
use crate::document::version::Version;
use crate::document::{At, Diagnostic, Layout, Parsed, Place, Report, digest, parse_text};

/// A version of an API in a stage.
pub struct Entry {
    pub stage: String,
    pub group: String,
    pub api: String,
    pub current: bool,
    pub version: Version,
}

/// The versions of these APIs that are kept, newest first; of all stages, or of one.
pub fn versions(config_dir: &Path, target: &Target, stage: Option<&str>) -> Result<Vec<Entry>, PublishError> {
    let layout = Layout::new(config_dir);
    let _reading = layout.reading();
    let mut state = State::read(&layout)?;
    let stages = stages(&layout, &state, stage)?;
    let targets = target.resolve(&mut Published { state: &mut state, stages: &stages })?;
    let mut entries = Vec::new();
    for (group, api) in targets {
        for stage in &stages {
            let of_group = state.group(stage, &group)?;
            let current = of_group.current.get(&api).map(|current| current.version.clone());
            for version in committed(&layout, stage, &group, &api, of_group.latest.get(&api))?.into_iter().rev() {
                let is_current = current.as_deref() == Some(version.as_str());
                let parsed = read(&layout, stage, &group, &api, &version)?;
                let stage = stage.clone();
                entries.push(Entry {
                    stage,
                    group: group.clone(),
                    api: api.clone(),
                    current: is_current,
                    version: parsed.document,
                });
            }
        }
    }
    Ok(entries)
}

/// A generation that is kept.
pub struct Generation {
    pub number: u64,
    pub current: bool,
    pub sha256: String,
    pub change: Change,
}

/// The generations that are kept, newest first.
pub fn generations(config_dir: &Path) -> Result<Vec<Generation>, PublishError> {
    let layout = Layout::new(config_dir);
    let _reading = layout.reading();
    let state = State::read(&layout)?;
    let directory = layout.generations();
    let numbers = retention::generations(&directory).map_err(PublishError::io(&directory))?;
    let mut generations = Vec::new();
    for number in numbers.into_iter().rev() {
        let mut report = Report::default();
        if let Some(parsed) = layout.parse::<Manifest>(&layout.generation(number), &mut report) {
            let Manifest { sha256, change, .. } = parsed.document;
            generations.push(Generation { number, current: number == state.generation(), sha256, change });
        }
    }
    Ok(generations)
}

/// Versions that were current once, oldest first: those above the latest were left by a publication that died.
pub(super) fn committed(
    layout: &Layout,
    stage: &str,
    group: &str,
    api: &str,
    latest: Option<&String>,
) -> Result<Vec<String>, PublishError> {
    let directory = layout.versions(stage, group, api);
    let versions = retention::versions(&directory).map_err(PublishError::io(&directory))?;
    Ok(versions.into_iter().filter(|version| latest.is_some_and(|latest| version <= latest)).collect())
}

/// Reads a version that need not be current, and sees that its definition has the digest that it states.
pub(super) fn read(layout: &Layout, stage: &str, group: &str, api: &str, version: &str) -> Result<Parsed<Version>, PublishError> {
    let path = layout.version(stage, group, api, version);
    let mut report = Report::default();
    let parsed = layout.source::<Version>(&path, &mut report).and_then(|source| {
        let document: Version = parse_text(&source, &mut report)?;
        intact(&document, &source.text, [stage, group, api, version]).then_some(()).or_else(|| {
            let message = "this published file is damaged: its definition does not have the digest that it states";
            report.push(Diagnostic::at(Place::of(&source, &document.sha256), message));
            None
        })?;
        Some(Parsed { source, document })
    });
    parsed.filter(|_| report.is_empty()).ok_or(PublishError::Documents(report))
}

fn intact(document: &Version, text: &str, names: [&str; 4]) -> bool {
    let actual = crate::document::version::canonical_in(text).map(digest);
    let stated =
        [&document.stage, &document.group, &document.api, &document.version].map(|name: &At<String>| name.value.as_str());
    actual.as_deref() == Some(document.sha256.value.as_str()) && stated == names
}

/// What a manifest says of a version file.
pub(super) fn entry_of(version: &Parsed<Version>) -> Current {
    let Version { version: name, sha256, .. } = &version.document;
    Current { version: name.value.clone(), sha256: sha256.value.clone(), file_sha256: digest(&version.source.text) }
}

/// Every version of this name: APIs that were published at once have the same.
pub fn find(config_dir: &Path, name: &str, target: &Target) -> Result<Vec<Version>, PublishError> {
    if !version::is_version(name) {
        return Err(PublishError::Request(format!("`{name}` is not a version: that has 17 digits, yyyyMMddHHmmssSSS")));
    }
    let layout = Layout::new(config_dir);
    let _reading = layout.reading();
    let mut state = State::read(&layout)?;
    let stages = stages(&layout, &state, None)?;
    let targets = target.resolve(&mut Published { state: &mut state, stages: &stages })?;
    let mut found = Vec::new();
    for (group, api) in targets {
        for stage in &stages {
            let latest = state.group(stage, &group)?.latest.get(&api).is_some_and(|latest| name <= latest.as_str());
            if latest && layout.has(&layout.version(stage, &group, &api, name)) {
                found.push(read(&layout, stage, &group, &api, name)?.document);
            }
        }
    }
    match found.is_empty() {
        true => Err(PublishError::Request(format!("there is no version {name}: see `lockgate history`"))),
        false => Ok(found),
    }
}

fn stages(layout: &Layout, state: &State<'_>, stage: Option<&str>) -> Result<Vec<String>, PublishError> {
    let Some(stage) = stage else { return Ok(state.stages().map(str::to_owned).collect()) };
    let groups = Drafts(layout).groups()?;
    stage::check(stage, layout, state, groups.iter().map(String::as_str))?;
    Ok(state.stages().filter(|known| *known == stage).map(str::to_owned).collect())
}

/// What was ever published to some stages.
pub(super) struct Published<'s, 'l> {
    pub state: &'s mut State<'l>,
    pub stages: &'s [String],
}

impl Known for Published<'_, '_> {
    const WHAT: &'static str = "published";

    fn groups(&mut self) -> Result<Vec<String>, PublishError> {
        let mut groups: Vec<String> = self.stages.iter().flat_map(|stage| self.state.groups(stage)).map(str::to_owned).collect();
        groups.sort();
        groups.dedup();
        Ok(groups)
    }

    fn apis(&mut self, group: &str) -> Result<Vec<String>, PublishError> {
        let mut apis = Vec::new();
        for stage in self.stages {
            apis.extend(self.state.group(stage, group)?.latest.keys().cloned());
        }
        apis.sort();
        apis.dedup();
        Ok(apis)
    }
}

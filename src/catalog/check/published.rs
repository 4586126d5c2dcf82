//! The manifest and the version files it names -> published APIs. Files it does not name are not looked at.

use std::collections::HashMap;

use super::api::definition;
use super::conflicts::{Claim, Conflicts};
use super::{Checked, Names, check_name};
use crate::catalog::{Api, GroupId, StageId, VpcAccessId};
use crate::document::manifest::{Current, Manifest};
use crate::document::version::{Version, canonical_in, digest};
use crate::document::{At, Diagnostic, Layout, Parsed, Place, Report};

/// Stages that every instance knows.
pub const STAGES: [&str; 3] = ["RELEASE", "PRE", "TEST"];

/// Stages by name, `RELEASE` first.
pub struct Stages {
    pub names: Vec<String>,
    ids: HashMap<String, StageId>,
}

impl Stages {
    pub fn new() -> Self {
        let mut stages = Self { names: Vec::new(), ids: HashMap::new() };
        for name in STAGES {
            stages.add(name);
        }
        stages
    }
    pub fn find(&self, name: &str) -> Option<StageId> {
        self.ids.get(name).copied()
    }
    fn add(&mut self, name: &str) -> StageId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let id = StageId(self.names.len() as u32);
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        id
    }
}

/// What the manifest and the version files are checked against.
pub struct Context<'a> {
    pub layout: &'a Layout,
    pub groups: &'a Names<GroupId>,
    pub vpc_accesses: &'a Names<VpcAccessId>,
}

/// Reads the manifest; without one, nothing is published.
pub fn manifest(layout: &Layout, report: &mut Report) -> Option<Parsed<Manifest>> {
    let path = layout.manifest();
    layout.has(&path).then(|| layout.parse(&path, report)).flatten()
}

/// Every published API that is good.
pub fn published(manifest: &Parsed<Manifest>, context: &Context<'_>, stages: &mut Stages, report: &mut Report) -> Vec<Api> {
    let mut apis = Vec::new();
    let mut conflicts = Conflicts::default();
    for (stage, groups) in &manifest.document.current {
        let stage_id = stages.add(stage);
        for (group, entries) in groups {
            for (name, current) in entries {
                let entry = Entry { stage, group, name, current, place: Place::of(&manifest.source, current) };
                if let Some(api) = entry.api(stage_id, context, &mut conflicts, report) {
                    apis.push(api);
                }
            }
        }
    }
    apis
}

/// One entry of the manifest.
struct Entry<'a> {
    stage: &'a str,
    group: &'a str,
    name: &'a str,
    current: &'a Current,
    place: Place,
}

impl Entry<'_> {
    fn api(&self, stage: StageId, context: &Context<'_>, conflicts: &mut Conflicts, report: &mut Report) -> Option<Api> {
        // They become a path: a manifest that was tampered with must not lead out of the directory.
        for part in [self.stage, self.group, self.name, self.current.version.as_str()] {
            if let Err(problem) = check_name(part) {
                report.push(Diagnostic::at(self.place.clone(), format!("`{part}` is not a name")).note(problem));
                return None;
            }
        }
        let group = match context.groups.find(self.group) {
            Some(group) => group,
            None => {
                let diagnostic = context.groups.unknown(self.place.clone(), self.group);
                report.push(diagnostic.help("put the group's directory back, or take its entries out of the manifest"));
                return None;
            }
        };
        let path = context.layout.version(self.stage, self.group, self.name, &self.current.version);
        if !context.layout.has(&path) {
            let message = format!("the published version {} is not there: {}", self.current.version, path.display());
            report.push(Diagnostic::at(self.place.clone(), message).help("publish the API again, or restore the file"));
            return None;
        }
        let version = context.layout.parse::<Version>(&path, report)?;
        self.verify(&version, report)?;
        let mut checked = Checked { source: &version.source, report };
        let document = &version.document.definition;
        let definition = definition(document, self.name, context.vpc_accesses, Some(&self.place), &mut checked)?;
        let group = group?;
        let claim = Claim {
            stage,
            stage_name: self.stage,
            group,
            name: self.name,
            methods: &definition.methods,
            path: &definition.path,
            place: checked.place(&document.request.path),
        };
        conflicts.claim(claim, report);
        Some(Api {
            group,
            name: self.name.to_owned(),
            stage,
            version: self.current.version.clone(),
            authentication: definition.authentication,
            protocols: definition.protocols,
            methods: definition.methods,
            path: definition.path,
            backend: definition.backend,
        })
    }

    /// The file is the one that the manifest names, and has not changed since it was written.
    fn verify(&self, version: &Parsed<Version>, report: &mut Report) -> Option<()> {
        let document = &version.document;
        let actual = canonical_in(&version.source.text).map(digest).unwrap_or_default();
        let expected: [(&str, &At<String>, &str); 5] = [
            ("the version", &document.version, &self.current.version),
            ("the stage", &document.stage, self.stage),
            ("the group", &document.group, self.group),
            ("the API", &document.api, self.name),
            ("the digest", &document.sha256, &self.current.sha256),
        ];
        for (what, written, wanted) in expected {
            if written.value != wanted {
                let message = format!("{what} of this published file is not the one of the manifest");
                let diagnostic = Diagnostic::at(Place::of(&version.source, written), message)
                    .related(self.place.clone(), format!("`{wanted}`"));
                report.push(diagnostic.help("published files are never edited: publish the API again, or restore the file"));
                return None;
            }
        }
        if actual != document.sha256.value {
            let message = "this published file is damaged: its definition does not have the digest that it states";
            let diagnostic = Diagnostic::at(Place::of(&version.source, &document.sha256), message)
                .note(format!("the definition has {actual}"));
            report.push(diagnostic.help("published files are never edited: publish the API again, or restore the file"));
            return None;
        }
        Some(())
    }
}

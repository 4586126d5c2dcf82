//! The root manifest, the manifests of groups and the version files they name -> published APIs. Each file is known by
//! its digest, so that one that has changed since it was written is named. Files that no manifest names are not looked
//! at.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::api::{Within, definition};
use super::conflicts::{Claim, Conflicts};
use super::stages::{GroupStages, Stages};
use super::variables::Variables;
use super::{Checked, Names, check_name};
use crate::catalog::whole::generations;
use crate::catalog::{Api, GroupId, StageId, VpcAccessId};
use crate::document::manifest::{Current, GroupEntry, GroupManifest, Manifest, body};
use crate::document::version::Version;
use crate::document::{Diagnostic, Document, Layout, Parsed, Place, Report, Source, digest, parse_text};

/// What the manifests and the version files are checked against.
pub struct Context<'a> {
    pub layout: &'a Layout,
    pub groups: &'a Names<GroupId>,
    pub vpc_accesses: &'a Names<VpcAccessId>,
    pub stages: &'a Stages,
    /// Of each group.
    pub stages_of: &'a HashMap<String, GroupStages>,
}

/// Reads the root manifest. `None` without an error: there is none, nothing was ever published.
pub fn root_manifest(layout: &Layout, report: &mut Report) -> Option<Parsed<Manifest>> {
    let path = layout.manifest();
    if !layout.has(&path) {
        let newest = generations(layout).pop()?;
        // Looked at again: the first publication of all may have put it there meanwhile.
        if !layout.has(&path) {
            let copy = layout.generation(newest);
            let diagnostic = Diagnostic::file(&path, "this published file is gone: without it nothing is published");
            report.push(diagnostic.help(format!("put back a copy of it: the newest is {}", copy.display())));
            return None;
        }
    }
    let source = layout.source::<Manifest>(&path, report)?;
    let actual = body(&source.text).map(digest);
    let document: Manifest = parse_text(&source, report)?;
    if actual.as_deref() != Some(document.sha256.as_str()) {
        let diagnostic = damaged(&source).note(format!("what follows its `sha256` has {}", actual.unwrap_or_default()));
        report.push(diagnostic.help("put back the copy of it that is in `published/generations/`"));
        return None;
    }
    Some(Parsed { source, document })
}

/// Reads the manifest of a group that an entry of the root names.
pub fn group_manifest(
    layout: &Layout,
    stage: &str,
    group: &str,
    entry: &GroupEntry,
    place: &Place,
    report: &mut Report,
) -> Option<Parsed<GroupManifest>> {
    // They become a path: a manifest that was tampered with must not lead out of the directory.
    names(&[stage, group], place, report)?;
    let path = layout.group_manifest(stage, group, entry.generation);
    let what = format!("the manifest of group `{group}` in {stage}");
    let source = named::<GroupManifest>(layout, &path, &entry.sha256, &what, place, report)?;
    let document = parse_text(&source, report)?;
    Some(Parsed { source, document })
}

/// Every published API that is good, and the names of all by their groups.
pub fn published(
    manifest: &Parsed<Manifest>,
    context: &Context<'_>,
    known: &mut HashMap<String, Vec<String>>,
    report: &mut Report,
) -> Vec<Api> {
    let mut apis = Vec::new();
    let mut conflicts = Conflicts::default();
    for (stage, groups) in &manifest.document.stage {
        for (group, entry) in groups {
            let place = Place::of(&manifest.source, entry);
            let Some(of_group) = group_manifest(context.layout, stage, group, entry, &place, report) else { continue };
            let names = known.entry(group.clone()).or_default();
            // One that is offline may be published again: an authorization for it still means something.
            names.extend(of_group.document.latest.keys().cloned());
            if of_group.document.current.is_empty() {
                continue;
            }
            if context.groups.find(group).is_none() {
                let diagnostic = context.groups.unknown(place, group);
                report.push(diagnostic.help("put the group's directory back, or take its APIs offline"));
                continue;
            }
            let Some(stages) = context.stages_of.get(group) else { continue };
            if let Some(diagnostic) = stages.missing(stage) {
                let help = format!("put the stage back, or `lockgate offline {group} --stage {stage}`");
                report.push(diagnostic.related(place, "APIs of the group are published there").help(help));
                continue;
            }
            let Some(stage_id) = context.stages.find(stage) else { continue };
            let variables = stages.variables(stage);
            for (name, current) in &of_group.document.current {
                let entry = Entry { stage, group, name, current, place: Place::of(&of_group.source, current) };
                if let Some(api) = entry.api(stage_id, &variables, context, &mut conflicts, report) {
                    apis.push(api);
                }
            }
        }
    }
    apis
}

/// One entry of the manifest of a group.
struct Entry<'a> {
    stage: &'a str,
    group: &'a str,
    name: &'a str,
    current: &'a Current,
    place: Place,
}

impl Entry<'_> {
    fn api(
        &self,
        stage: StageId,
        variables: &Variables<'_>,
        context: &Context<'_>,
        conflicts: &mut Conflicts,
        report: &mut Report,
    ) -> Option<Api> {
        let version = version_of(context.layout, self.stage, self.group, self.name, self.current, &self.place, report)?;
        let mut checked = Checked { source: &version.source, report };
        let document = &version.document.definition;
        let within = Within { vpc_accesses: context.vpc_accesses, variables: variables.clone(), manifest: Some(&self.place) };
        let definition = definition(document, self.name, &within, &mut checked)?;
        let group = context.groups.find(self.group)??;
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
            body_bytes: definition.body_bytes,
            upgrades: definition.upgrades,
            backend: definition.backend,
        })
    }
}

/// Reads the version file that an entry of a group's manifest names.
pub fn version_of(
    layout: &Layout,
    stage: &str,
    group: &str,
    api: &str,
    current: &Current,
    place: &Place,
    report: &mut Report,
) -> Option<Parsed<Version>> {
    names(&[api, &current.version], place, report)?;
    let path = layout.version(stage, group, api, &current.version);
    let what = format!("the published version {}", current.version);
    let source = named::<Version>(layout, &path, &current.file_sha256, &what, place, report)?;
    let document = parse_text(&source, report)?;
    Some(Parsed { source, document })
}

fn names(parts: &[&str], place: &Place, report: &mut Report) -> Option<()> {
    for part in parts {
        if let Err(problem) = check_name(part) {
            report.push(Diagnostic::at(place.clone(), format!("`{part}` is not a name")).note(problem));
            return None;
        }
    }
    Some(())
}

/// Reads a file that a manifest names, and that has not changed since it was written.
fn named<T: Document>(
    layout: &Layout,
    path: &Path,
    sha256: &str,
    what: &str,
    place: &Place,
    report: &mut Report,
) -> Option<Arc<Source>> {
    if !layout.has(path) {
        let message = format!("{what} is not there: {}", path.display());
        report.push(Diagnostic::at(place.clone(), message).help("publish the API again, or restore the file"));
        return None;
    }
    let source = layout.source::<T>(path, report)?;
    let actual = digest(&source.text);
    if actual != sha256 {
        let diagnostic = damaged(&source).related(place.clone(), "named here").note(format!("the file has {actual}"));
        report.push(diagnostic.help("published files are never edited: publish the API again, or restore the file"));
        return None;
    }
    Some(source)
}

fn damaged(source: &Arc<Source>) -> Diagnostic {
    Diagnostic::at(Place::start(source), "this published file is damaged: it does not have the digest that it should have")
}

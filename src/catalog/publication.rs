//! What a publication touches, checked as it would be: the definitions, their groups, the VPC accesses they name, and
//! the paths that other APIs of these groups answer on in the stage, where one of them may be in the way. Nothing else is
//! read, so that one API among many is published as fast as one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::check::api::{Within, definition};
use super::check::conflicts::{Claim, Conflicts};
use super::check::domains::Claims;
use super::check::files::Files;
use super::check::gateway::{Settings, settings};
use super::check::published::{Published, group_manifest, version_of};
use super::check::stages::{GroupStages, Stages, stages};
use super::check::tls::SystemTrust;
use super::check::{Checked, Names, group, vpc_access};
use super::parallel::each;
use super::{Backend, GroupId, StageId, VpcAccessId};
use crate::document::manifest::{Current, GroupManifest, Manifest};
use crate::document::{At, Entry, Layout, Parsed, Place, Report, Source, api, gateway};

/// A definition that is to become current: a draft, or an older version.
pub struct Candidate {
    pub group: String,
    pub api: String,
    pub source: Arc<Source>,
    pub definition: api::Api,
}

/// The settings of the instance, of which a publication needs what becomes of old versions.
pub fn instance_settings(layout: &Layout, report: &mut Report) -> Option<Settings> {
    let parsed = layout.parse::<gateway::Gateway>(&layout.gateway(), report)?;
    settings(&parsed.document, &Files { layout, directory: &layout.root }, &mut Checked { source: &parsed.source, report })
}

/// Checks the candidates as they would be in `stage`, beside what is current there by `root`.
pub fn check_publication(
    layout: &Layout,
    root: Option<&Parsed<Manifest>>,
    stage: &str,
    candidates: &[Candidate],
    suffix: &str,
    report: &mut Report,
) {
    let mut by_group: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        by_group.entry(&candidate.group).or_default().push(candidate);
    }
    let entries = layout.documents(&layout.vpc_accesses(), report);
    let mut touched = Touched { layout, root, stage, vpc_accesses: names(&entries), entries, checked: BTreeSet::new(), report };
    for (group, candidates) in by_group {
        let Some(stages) = touched.group(group, suffix) else { continue };
        let mut conflicts = Conflicts::default();
        touched.others(group, &candidates, &stages, &mut conflicts);
        for candidate in candidates {
            touched.candidate(candidate, &stages, &mut conflicts);
        }
    }
}

struct Touched<'a> {
    layout: &'a Layout,
    root: Option<&'a Parsed<Manifest>>,
    stage: &'a str,
    /// By their places in `entries`.
    vpc_accesses: Names<VpcAccessId>,
    entries: Vec<Entry>,
    /// VPC accesses that have been looked into.
    checked: BTreeSet<VpcAccessId>,
    report: &'a mut Report,
}

/// All by name; what they say is looked at where a definition names them.
fn names(entries: &[Entry]) -> Names<VpcAccessId> {
    let mut names = Names::new("VPC access");
    for (entry, id) in entries.iter().zip(0..) {
        names.insert(entry.name.clone(), Some(VpcAccessId(id)));
    }
    names
}

impl Touched<'_> {
    /// The stages of a group that has the one in question. `None` stands for errors in the report.
    fn group(&mut self, name: &str, suffix: &str) -> Option<GroupStages> {
        let parsed = self.layout.parse(&self.layout.group(name), self.report)?;
        let mut checked = Checked { source: &parsed.source, report: self.report };
        let mut group = group::group(&parsed.document, name, suffix, &mut Claims::default(), &mut checked)?;
        stages(&parsed.document, &mut group, &mut Stages::new(), &mut checked);
        let of_group = GroupStages::of(&parsed.document, &parsed.source);
        match of_group.missing(self.stage) {
            Some(diagnostic) => {
                self.report.push(diagnostic);
                None
            }
            None => Some(of_group),
        }
    }

    /// The paths of the APIs that stay as they are. They are read only where a candidate answers otherwise than the version that
    /// it replaces, to which they have been compared.
    fn others(&mut self, group: &str, candidates: &[&Candidate], stages: &GroupStages, conflicts: &mut Conflicts) {
        let Some(root) = self.root else { return };
        let Some(entry) = root.document.stage.get(self.stage).and_then(|groups| groups.get(group)) else { return };
        let place = Place::of(&root.source, entry);
        let Some(manifest) = group_manifest(self.layout, self.stage, group, entry, &place, self.report) else { return };
        if candidates.iter().all(|candidate| self.answers_as_before(candidate, &manifest)) {
            return;
        }
        let replaced: BTreeSet<&str> = candidates.iter().map(|candidate| candidate.api.as_str()).collect();
        let others = manifest.document.current.iter().filter(|(name, _)| !replaced.contains(name.as_str()));
        let others: Vec<_> = others.collect();
        let (layout, stage, vpc_accesses) = (self.layout, self.stage, &self.vpc_accesses);
        let read = |(name, current): &(&String, &At<Current>)| {
            let (mut report, place) = (Report::default(), Place::of(&manifest.source, current));
            let within = Within { vpc_accesses, variables: stages.variables(stage), manifest: Some(&place) };
            let published = Published { layout, stage, group };
            (published.definition(name, current, &within, &mut Vec::new(), &mut report), report)
        };
        for ((name, _), (definition, report)) in others.iter().zip(each(&others, read, |_| ())) {
            self.report.extend(report);
            if let Some((good, place)) = definition {
                conflicts.claim(claim(stage, name, &good.methods, &good.path, place), self.report);
            }
        }
    }

    /// The methods and the path are those of the current version.
    fn answers_as_before(&self, candidate: &Candidate, manifest: &Parsed<GroupManifest>) -> bool {
        let Some(current) = manifest.document.current.get(&candidate.api) else { return false };
        // One that is damaged is about to be replaced.
        let (place, mut unsaid) = (Place::of(&manifest.source, current), Report::default());
        let before = version_of(self.layout, self.stage, &candidate.group, &candidate.api, current, &place, &mut unsaid);
        let (next, before) = (&candidate.definition.request, before.map(|before| before.document.definition.request));
        before.is_some_and(|before| before.path == next.path && before.method == next.method)
    }

    fn candidate(&mut self, candidate: &Candidate, stages: &GroupStages, conflicts: &mut Conflicts) {
        let Candidate { api, source, definition: document, .. } = candidate;
        let mut checked = Checked { source, report: self.report };
        let within = Within { vpc_accesses: &self.vpc_accesses, variables: stages.variables(self.stage), manifest: None };
        let Some(good) = definition(document, api, &within, &mut checked) else { return };
        let place = checked.place(&document.request.path);
        conflicts.claim(claim(self.stage, api, &good.methods, &good.path, place), self.report);
        let Backend::Vpc { vpc_access, .. } = good.backend;
        self.vpc_access(vpc_access);
    }

    fn vpc_access(&mut self, id: VpcAccessId) {
        if self.checked.insert(id)
            && let Some(Entry { name, path }) = self.entries.get(id.index())
            && let Some(parsed) = self.layout.parse(path, self.report)
        {
            let mut checked = Checked { source: &parsed.source, report: self.report };
            vpc_access::vpc_access(&parsed.document, name, self.layout, &SystemTrust::default(), &mut checked);
        }
    }
}

/// Conflicts are looked for within one group and stage.
fn claim<'a>(
    stage_name: &'a str,
    name: &'a str,
    methods: &'a super::MethodSet,
    path: &'a super::PathTemplate,
    place: Place,
) -> Claim<'a> {
    Claim { stage: StageId(0), stage_name, group: GroupId(0), name, methods, path, place }
}

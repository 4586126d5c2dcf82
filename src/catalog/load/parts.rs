//! What is published, group by group. A part is kept as long as the root names the same manifest for it; where it names
//! another, only versions that are new are read.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::kept::Places;
use crate::catalog::check::Names;
use crate::catalog::check::api::Within;
use crate::catalog::check::conflicts::{Claim, Conflicts};
use crate::catalog::check::published::Published;
use crate::catalog::check::stages::GroupStages;
use crate::catalog::{Api, ApiName, Backend, GroupId, StageId, VpcAccessId};
use crate::document::manifest::{Current, GroupEntry};
use crate::document::{Files, Layout, Place, Report, Stamp};

/// A group in a stage.
pub struct Part {
    /// Of the manifest of the group.
    pub sha256: String,
    /// Names of APIs that were ever published there.
    pub latest: Arc<[ApiName]>,
    pub apis: Vec<Arc<Api>>,
    /// Digests of their version files.
    digests: Vec<String>,
    /// What variables of the stage they were made with.
    variables: Values,
    pub files: Arc<Files>,
}

/// Variables of a stage, as they were filled in.
type Values = Vec<(String, String)>;

/// A part as it is to be.
pub struct Wanted<'a> {
    pub stage: &'a str,
    /// `None`: there is no such stage, which is an error where something is current there.
    pub stage_id: Option<StageId>,
    pub group: &'a str,
    pub entry: &'a GroupEntry,
    pub place: Place,
}

/// What parts are read by.
pub struct Context<'a> {
    pub layout: &'a Layout,
    pub groups: &'a Names<GroupId>,
    pub vpc_accesses: &'a Names<VpcAccessId>,
    /// Of each group.
    pub stages_of: &'a HashMap<String, GroupStages>,
    /// Behind the places of the parts before.
    pub before: &'a Places,
    /// The same as those.
    pub same_places: bool,
}

/// A part that was read, and its names still without numbers.
pub struct Read {
    pub sha256: String,
    pub latest: Vec<String>,
    pub apis: Vec<(Arc<Api>, String)>,
    pub files: Files,
    pub read: usize,
}

/// Reads a part, with what is the same as before.
pub fn read(wanted: &Wanted<'_>, before: Option<&Part>, context: &Context<'_>) -> (Option<Read>, Report) {
    let mut report = Report::default();
    let part = read_into(wanted, before, context, &mut report);
    match before {
        // What is wrong is told by all the files.
        Some(_) if !report.is_empty() => read(wanted, None, context),
        _ => (part, report),
    }
}

fn read_into(wanted: &Wanted<'_>, before: Option<&Part>, context: &Context<'_>, report: &mut Report) -> Option<Read> {
    let Wanted { stage, stage_id, group, entry, place } = wanted;
    let published = Published { layout: context.layout, stage, group };
    let (mut files, mut apis) = (Files::new(), Vec::new());
    let manifest = published.manifest(entry, place, &mut files, report)?;
    // One that is offline may be published again: an authorization for it still means something.
    let latest = manifest.document.latest.into_keys().collect();
    let sha256 = entry.sha256.clone();
    if manifest.document.current.is_empty() {
        return Some(Read { sha256, latest, apis, files, read: 1 });
    }
    let Some(group_id) = context.groups.find(group) else {
        let diagnostic = context.groups.unknown(place.clone(), group);
        report.push(diagnostic.help("put the group's directory back, or take its APIs offline"));
        return None;
    };
    let stages = context.stages_of.get(*group)?;
    if let Some(diagnostic) = stages.missing(stage) {
        let help = format!("put the stage back, or `lockgate offline {group} --stage {stage}`");
        report.push(diagnostic.related(place.clone(), "APIs of the group are published there").help(help));
        return None;
    }
    let stage_id = (*stage_id)?;
    let variables = stages.variables(stage);
    let before = before.filter(|before| before.variables == wanted.variables(context));
    let known: HashMap<&str, Known<'_>> = before.map(Part::known).unwrap_or_default();
    let mut conflicts = Conflicts::default();
    let mut read = 1;
    for (name, current) in &manifest.document.current {
        let at = Place::of(&manifest.source, current);
        let same = known.get(name.as_str()).filter(|known| known.is(current));
        let kept = same.and_then(|known| Some((known.api(context, group_id?, stage_id)?, at.clone(), known.file.clone())));
        let (api, path_place, file) = match kept {
            Some((api, place, file)) => (api, place, Some(file)),
            None => {
                read += 1;
                let found = {
                    let (vpc_accesses, variables) = (context.vpc_accesses, variables.clone());
                    let within = Within { vpc_accesses, variables, manifest: Some(&at) };
                    published.definition(name, current, &within, &mut files, report)
                };
                let (Some((definition, path_place)), Some(group)) = (found, group_id) else { continue };
                let api = Api {
                    group,
                    name: name.clone(),
                    // Given when all names are known.
                    id: ApiName(u32::MAX),
                    stage: stage_id,
                    version: current.version.clone(),
                    authentication: definition.authentication,
                    protocols: definition.protocols,
                    methods: definition.methods,
                    path: definition.path,
                    body_bytes: definition.body_bytes,
                    upgrades: definition.upgrades,
                    backend: definition.backend,
                };
                (Arc::new(api), path_place, None)
            }
        };
        files.extend(file);
        let (methods, path) = (&api.methods, &api.path);
        conflicts.claim(
            Claim { stage: stage_id, stage_name: stage, group: api.group, name, methods, path, place: path_place },
            report,
        );
        apis.push((api, current.value.file_sha256.clone()));
    }
    Some(Read { sha256, latest, apis, files, read })
}

impl Wanted<'_> {
    fn variables(&self, context: &Context<'_>) -> Values {
        let values = context.stages_of.get(self.group).and_then(|stages| stages.variables(self.stage).values);
        values.into_iter().flatten().map(|(name, value)| (name.value.clone(), value.value.clone())).collect()
    }
}

/// An API of a part before.
struct Known<'p> {
    api: &'p Arc<Api>,
    digest: &'p str,
    file: (PathBuf, Option<Stamp>),
}

impl Part {
    /// `name`: the number of an API's name.
    pub fn new(read: Read, wanted: &Wanted<'_>, context: &Context<'_>, mut name: impl FnMut(&str) -> ApiName) -> Self {
        let latest = read.latest.iter().map(|api| name(api)).collect();
        let (mut apis, mut digests) = (Vec::with_capacity(read.apis.len()), Vec::with_capacity(read.apis.len()));
        for (mut api, digest) in read.apis {
            if api.id == ApiName(u32::MAX) {
                let id = name(&api.name);
                Arc::make_mut(&mut api).id = id;
            }
            apis.push(api);
            digests.push(digest);
        }
        let variables = wanted.variables(context);
        Self { sha256: read.sha256, latest, apis, digests, variables, files: Arc::new(read.files) }
    }

    /// The first file is the manifest; those of the versions follow, in the order of the APIs.
    fn known(&self) -> HashMap<&str, Known<'_>> {
        let files = self.files.iter().skip(1);
        let all = self.apis.iter().zip(&self.digests).zip(files);
        all.map(|((api, digest), file)| (api.name.as_str(), Known { api, digest, file: file.clone() })).collect()
    }

    /// It is what is wanted, and has its place in this catalog now. False: it has to be read.
    pub fn stays(&mut self, wanted: &Wanted<'_>, context: &Context<'_>) -> bool {
        let same = self.sha256 == wanted.entry.sha256 && self.variables == wanted.variables(context);
        if !same || self.apis.is_empty() {
            return same;
        }
        let has_stage = context.stages_of.get(wanted.group).is_some_and(|stages| stages.has(wanted.stage));
        let (Some(Some(group)), Some(stage), true) = (context.groups.find(wanted.group), wanted.stage_id, has_stage) else {
            return false;
        };
        if context.same_places {
            return true;
        }
        let moved: Option<Vec<_>> = self.apis.iter().map(|api| moved(api, context, group, stage)).collect();
        moved.is_some_and(|apis| {
            self.apis = apis;
            true
        })
    }
}

impl Known<'_> {
    fn is(&self, current: &Current) -> bool {
        self.api.version == current.version && self.digest == current.file_sha256
    }

    fn api(&self, context: &Context<'_>, group: GroupId, stage: StageId) -> Option<Arc<Api>> {
        match context.same_places {
            true => Some(self.api.clone()),
            false => moved(self.api, context, group, stage),
        }
    }
}

/// An API with the places of another catalog.
fn moved(api: &Api, context: &Context<'_>, group: GroupId, stage: StageId) -> Option<Arc<Api>> {
    let mut api = Api { group, stage, ..api.clone() };
    let Backend::Vpc { vpc_access, .. } = &mut api.backend;
    let name = context.before.vpc_accesses.get(vpc_access.index())?;
    *vpc_access = context.vpc_accesses.find(name)??;
    Some(Arc::new(api))
}

//! From a config directory to a catalog: every document is read, all of them are checked together. What a load before has
//! kept ([`Kept`]) is not read again; what is read is read on all cores.

pub mod apps;
mod counted;
mod drafts;
mod kept;
mod parts;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::domains::Claims;
use super::check::files::Files;
use super::check::gateway::{DEFAULT_DOMAIN_SUFFIX, Settings, settings};
use super::check::https::Sites;
use super::check::policy::{self, policy};
use super::check::published::root_manifest;
use super::check::stages::{GroupStages, Stages, stages};
use super::check::target::Context;
use super::check::tls::SystemTrust;
use super::check::{Checked, Names, credentials, group, https, vpc_access};
use super::parallel::each;
use super::{Api, ApiName, ApiNames, Apps, Catalog, EngineLoss, Group, GroupId, Policy, Scheme, VpcAccess, VpcAccessId};
use crate::document::manifest::Manifest;
use crate::document::{Diagnostic, Document, Entry, Layout, Parsed, Place, Report, Stamps, gateway};
use apps::List;
pub use apps::{AppDocument, app_documents};
use counted::Counted;
pub use counted::load_counted;
use kept::Places;
pub use kept::{Effort, Kept};
use parts::Part;

/// Told what is done, how much of it, and how much there is.
pub type Progress<'a> = &'a dyn Fn(&'static str, usize, usize);

/// Reads and checks the whole config directory: what is served, and the drafts. The report has every error.
pub fn load(config_dir: &Path) -> Result<Arc<Catalog>, Report> {
    load_layout(Layout::new(config_dir))
}

/// Reads and checks what a gateway serves: what is published, and the documents that are live without publishing. Of drafts
/// only the names count: what they say is not served, and a mistake in one keeps nobody from serving the rest.
///
/// Also says how all that was read looked, good or bad: when a look changes, it is time to load again.
pub fn load_served(config_dir: &Path, kept: &mut Kept, progress: Progress<'_>) -> (Result<Catalog, Report>, Stamps) {
    let mut loader = Loader { progress, ..Loader::served(Layout::new(config_dir)) };
    let catalog = loader.catalog(kept);
    let stamps = loader.layout.stamps();
    (loader.finish(catalog), stamps)
}

/// The same for a directory as it would be with some files written: how a change is checked before it is made.
pub fn load_layout(layout: Layout) -> Result<Arc<Catalog>, Report> {
    load_watched(layout, &|_, _, _| ())
}

/// The same, told how far it is.
pub fn load_watched(layout: Layout, progress: Progress<'_>) -> Result<Arc<Catalog>, Report> {
    let mut loader = Loader { judges_drafts: true, progress, ..Loader::served(layout) };
    let catalog = loader.catalog(&mut Kept::default());
    loader.finish(catalog).map(Arc::new)
}

/// What a gateway would serve of a directory as it would be with some files written.
pub(super) fn load_as_served(layout: Layout) -> Result<Catalog, Report> {
    let mut loader = Loader::served(layout);
    let catalog = loader.catalog(&mut Kept::default());
    loader.finish(catalog)
}

/// Where the gateway of this config directory keeps its state, which is also where it is spoken to.
pub fn state_directory(config_dir: &Path) -> Result<PathBuf, Report> {
    let mut loader = Loader::served(Layout::new(config_dir));
    match loader.settings() {
        Some(settings) => Ok(settings.instance.state_directory),
        None => Err(loader.report),
    }
}

/// Where the operator's listener of an instance is, whatever its other documents say; `None`: it has none.
pub fn admin_address(config_dir: &Path) -> Result<Option<SocketAddr>, Report> {
    let mut loader = Loader::served(Layout::new(config_dir));
    match loader.settings() {
        Some(settings) if loader.report.is_empty() => Ok(settings.admin),
        _ => Err(loader.report),
    }
}

struct Loader<'p> {
    layout: Layout,
    report: Report,
    judges_drafts: bool,
    /// `None`: all of it is looked into.
    counted: Option<Counted>,
    progress: Progress<'p>,
}

/// The groups, and what each brings for all.
struct Groups {
    list: Vec<Group>,
    names: Names<GroupId>,
    sites: Sites,
    stages: Stages,
    stages_of: HashMap<String, GroupStages>,
}

impl Loader<'_> {
    /// Of what a gateway serves, in which drafts have no part.
    fn served(layout: Layout) -> Self {
        Self { layout, report: Report::default(), judges_drafts: false, counted: None, progress: &|_, _, _| () }
    }

    fn finish(mut self, catalog: Option<Catalog>) -> Result<Catalog, Report> {
        match catalog {
            Some(catalog) if self.report.is_empty() => Ok(catalog),
            _ => {
                self.report.sort();
                Err(self.report)
            }
        }
    }

    fn catalog(&mut self, kept: &mut Kept) -> Option<Catalog> {
        let _reading = self.layout.reading();
        if !self.layout.exists() {
            // It is seen when it is there again.
            self.layout.note_directory(&self.layout.root, None);
            let diagnostic = Diagnostic::file(&self.layout.root, "there is no such config directory");
            self.report.push(diagnostic.help("`lockgate init DIR` makes one; `--config DIR` names another"));
            return None;
        }
        kept.effort = Effort::default();
        let settings = self.settings();
        let suffix =
            settings.as_ref().map_or(DEFAULT_DOMAIN_SUFFIX, |settings| &settings.instance.default_domain_suffix).to_owned();
        let (vpc_accesses, vpc_access_names) = self.vpc_accesses();
        let mut directories = self.layout.directories(&self.layout.groups(), &mut self.report);
        let groups = self.groups(&directories, &suffix);
        directories.retain(|entry| self.looks_into(&entry.name));
        let mut known = Known::default();
        self.drafts(&directories, &vpc_access_names, &groups.stages_of, kept, &mut known);
        let mut apis = Vec::new();
        let mut generation = 0;
        if let Some(manifest) = root_manifest(&self.layout, &mut self.report) {
            generation = manifest.document.generation;
            let places = places(&groups.list, &vpc_accesses, &groups.stages);
            apis = self.published(&manifest, &groups, &vpc_access_names, places, kept, &mut known);
        }
        let (apps, broken) = match &self.counted {
            Some(counted) => (counted.apps(), Vec::new()),
            None => self.apps(&groups, kept, &known.0),
        };
        let context = groups.context(&kept.names, &known.0);
        let loss = settings.as_ref().map(|settings| settings.quota.on_engine_loss).unwrap_or_default();
        let policies = self.policies(&context, &apps, broken, loss, &mut kept.callers);
        let Groups { list: groups, sites, stages, .. } = groups;
        let Settings { instance, listeners, security, quota, cluster, limits, access_log, log_format, admin, .. } = settings?;
        if let Some(listener) = listeners.iter().find(|listener| listener.scheme == Scheme::Https) {
            let answers = |name: &str| apis.iter().any(|api| api.protocols.https && groups[api.group.index()].name == name);
            sites.complain(&listener.address.to_string(), answers, &mut self.report);
        }
        let (stages, sites) = (stages.names, sites.list);
        let sha256 = self.layout.digest();
        Some(Catalog {
            generation,
            sha256,
            instance,
            listeners,
            security,
            quota,
            cluster,
            limits,
            access_log,
            log_format,
            admin,
            stages,
            vpc_accesses,
            groups,
            sites,
            apis,
            names: kept.names.clone(),
            apps,
            policies,
        })
    }

    fn looks_into(&self, group: &str) -> bool {
        self.counted.as_ref().is_none_or(|counted| counted.has(group))
    }

    fn settings(&mut self) -> Option<Settings> {
        let parsed = self.layout.parse::<gateway::Gateway>(&self.layout.gateway(), &mut self.report)?;
        let mut checked = Checked { source: &parsed.source, report: &mut self.report };
        settings(&parsed.document, &Files { layout: &self.layout, directory: &self.layout.root }, &mut checked)
    }

    /// Documents of a kind, parsed on all cores.
    fn parsed<T: Document + Send>(&mut self, paths: &[PathBuf]) -> Vec<Option<Parsed<T>>> {
        let layout = &self.layout;
        let parse = |path: &PathBuf| {
            let mut report = Report::default();
            (layout.parse(path, &mut report), report)
        };
        let mut all = Vec::with_capacity(paths.len());
        for (parsed, report) in each(paths, parse, |_| ()) {
            self.report.extend(report);
            all.push(parsed);
        }
        all
    }

    fn vpc_accesses(&mut self) -> (Vec<Arc<VpcAccess>>, Names<VpcAccessId>) {
        let mut list = Vec::new();
        let mut names = Names::new("VPC access");
        let system = SystemTrust::default();
        let entries = self.layout.documents(&self.layout.vpc_accesses(), &mut self.report);
        let paths: Vec<PathBuf> = entries.iter().map(|entry| entry.path.clone()).collect();
        for (entry, parsed) in entries.into_iter().zip(self.parsed(&paths)) {
            let good = parsed.and_then(|parsed| {
                let mut checked = Checked { source: &parsed.source, report: &mut self.report };
                vpc_access::vpc_access(&parsed.document, &entry.name, &self.layout, &system, &mut checked)
            });
            let id = good.map(|good| push(&mut list, Arc::new(good), VpcAccessId));
            names.insert(entry.name, id);
        }
        (list, names)
    }

    fn groups(&mut self, directories: &[Entry], suffix: &str) -> Groups {
        let mut all = Groups {
            list: Vec::new(),
            names: Names::new("group"),
            sites: Sites::default(),
            stages: Stages::new(),
            stages_of: HashMap::new(),
        };
        let mut claims = Claims::default();
        let paths: Vec<PathBuf> = directories.iter().map(|entry| self.layout.group(&entry.name)).collect();
        for (entry, parsed) in directories.iter().zip(self.parsed(&paths)) {
            let good = parsed.and_then(|parsed| {
                all.stages_of.insert(entry.name.clone(), GroupStages::of(&parsed.document, &parsed.source));
                let mut checked = Checked { source: &parsed.source, report: &mut self.report };
                let mut group = group::group(&parsed.document, &entry.name, suffix, &mut claims, &mut checked)?;
                https::https(&parsed.document, &mut group, &self.layout, &entry.path, &mut all.sites, &mut checked);
                stages(&parsed.document, &mut group, &mut all.stages, &mut checked);
                Some(group)
            });
            let id = good.map(|good| push(&mut all.list, good, GroupId));
            all.names.insert(entry.name.clone(), id);
        }
        all
    }

    /// What is published: what the root names by the digest it had before is kept.
    fn published(
        &mut self,
        manifest: &Parsed<Manifest>,
        groups: &Groups,
        vpc_accesses: &Names<VpcAccessId>,
        places: Places,
        kept: &mut Kept,
        known: &mut Known,
    ) -> Vec<Arc<Api>> {
        let mut wanted = Vec::new();
        for (stage, of_stage) in &manifest.document.stage {
            let stage_id = groups.stages.find(stage);
            let of_stage = of_stage.iter().filter(|(group, _)| self.looks_into(group));
            wanted.extend(of_stage.map(|(group, entry)| parts::Wanted {
                stage,
                stage_id,
                group,
                entry,
                place: Place::of(&manifest.source, entry),
            }));
        }
        let before = std::mem::replace(&mut kept.places, places);
        let same_places = before == kept.places;
        let Groups { names, stages_of, .. } = groups;
        let context =
            parts::Context { layout: &self.layout, groups: names, vpc_accesses, stages_of, before: &before, same_places };
        let mut parts = std::mem::take(&mut kept.parts);
        let key = |wanted: &parts::Wanted<'_>| (wanted.stage.to_owned(), wanted.group.to_owned());
        // Those that the root names as before stay as they are.
        let mut same: Vec<Option<Part>> = Vec::with_capacity(wanted.len());
        for wanted in &wanted {
            let part = parts.remove(&key(wanted));
            same.push(part.and_then(|mut part| match part.stays(wanted, &context) {
                true => Some(part),
                false => {
                    parts.insert(key(wanted), part);
                    None
                }
            }));
        }
        let to_read: Vec<&parts::Wanted<'_>> =
            wanted.iter().zip(&same).filter(|(_, part)| part.is_none()).map(|(w, _)| w).collect();
        let (progress, all) = (self.progress, to_read.len());
        let read = |wanted: &&parts::Wanted<'_>| parts::read(wanted, parts.get(&key(wanted)), &context);
        let mut read = each(&to_read, read, |done| progress("reading", done, all)).into_iter();
        let (mut apis, mut files) = (Vec::new(), Vec::new());
        for (wanted, part) in wanted.iter().zip(same) {
            // With errors, it is not what the root names.
            let mut is_good = true;
            let part = part.or_else(|| {
                let (part, report) = read.next()?;
                is_good = report.is_empty();
                self.report.extend(report);
                let part = part?;
                kept.effort.groups += 1;
                kept.effort.published_files += part.read;
                let name = |api: &str| ApiNames::number(&mut kept.names, &format!("{}/{api}", wanted.group));
                Some(Part::new(part, wanted, &context, name))
            });
            let Some(part) = part else { continue };
            known.add(&part.latest);
            apis.extend(part.apis.iter().cloned());
            files.push(part.files.clone());
            if is_good {
                kept.parts.insert(key(wanted), part);
            }
        }
        self.layout.note_published(files);
        apis
    }

    /// The apps, and the documents that could not be read.
    fn apps(&mut self, groups: &Groups, kept: &mut Kept, known: &[bool]) -> (Apps, Vec<Arc<AppDocument>>) {
        let stages = stages_in_groups(groups);
        if kept.stages != stages {
            kept.lists.clear();
            kept.stages = stages;
        }
        let (context, random) = (groups.context(&kept.names, known), &kept.random);
        let documents = app_documents(&self.layout, &mut self.report);
        let (layout, lists) = (&self.layout, &kept.lists);
        let list = |document: &Arc<AppDocument>| {
            let mut report = Report::default();
            let before = lists.get(&document.path).filter(|list| list.is_kept(layout, &context));
            match before {
                Some(list) => (Some(list.clone()), false, report),
                None => (List::read(document.clone(), layout, &context, random, &mut report).map(Arc::new), true, report),
            }
        };
        let (progress, all) = (self.progress, documents.len());
        let (mut lists, mut broken) = (Vec::with_capacity(documents.len()), Vec::new());
        let mut read = 0;
        let found = each(&documents, list, |done| progress("apps", done, all));
        for ((list, is_new, report), document) in found.into_iter().zip(&documents) {
            read += usize::from(is_new);
            if list.is_none() {
                broken.push(document.clone());
            }
            lists.extend(list);
            self.report.extend(report);
        }
        let same = read == 0 && lists.len() == kept.lists.len();
        if !same {
            credentials::check(&lists, &self.layout, &mut self.report);
        }
        kept.effort.app_documents = read;
        let apps = Apps::new(kept.random.clone(), lists.iter().map(|list| list.apps.clone()).collect());
        // With errors, what is wrong is to be found again.
        kept.lists = match self.report.is_empty() {
            true => lists.into_iter().map(|list| (list.document.path.clone(), list)).collect(),
            false => Default::default(),
        };
        (apps, broken)
    }

    fn policies(
        &mut self,
        context: &Context<'_>,
        apps: &Apps,
        broken: Vec<Arc<AppDocument>>,
        loss: EngineLoss,
        callers: &mut policy::Callers,
    ) -> Vec<Policy> {
        let entries = self.layout.documents(&self.layout.policies(), &mut self.report);
        let paths: Vec<PathBuf> = entries.iter().map(|entry| entry.path.clone()).collect();
        let all = self.parsed(&paths);
        *callers = std::mem::take(callers).of(apps, broken, all.iter().flatten().map(|parsed| &parsed.document));
        let mut bound = policy::Bound::default();
        let mut policies = Vec::new();
        for (entry, parsed) in entries.into_iter().zip(all) {
            let Some(parsed) = parsed else { continue };
            let mut checked = Checked { source: &parsed.source, report: &mut self.report };
            policies.extend(policy(&parsed.document, &entry.name, context, callers, &mut bound, loss, &mut checked));
        }
        policies
    }
}

impl Groups {
    /// What apps and policies may name.
    fn context<'a>(&'a self, names: &'a ApiNames, known: &'a [bool]) -> Context<'a> {
        Context { groups: &self.names, names, known, stages: &self.stages, stages_of: &self.stages_of }
    }
}

/// APIs that there are, by the numbers of their names.
#[derive(Default)]
struct Known(Vec<bool>);

impl Known {
    fn add(&mut self, names: &[ApiName]) {
        for name in names {
            if self.0.len() <= name.index() {
                self.0.resize(name.index() + 1, false);
            }
            self.0[name.index()] = true;
        }
    }
}

/// The stages as authorizations know them: their places, and which groups have which.
fn stages_in_groups(groups: &Groups) -> Vec<String> {
    let own = groups.list.iter().filter_map(|group| Some((&group.name, groups.stages_of.get(&group.name)?)));
    let own = own.flat_map(|(group, stages)| stages.own().map(move |stage| format!("{group}/{stage}")));
    groups.stages.names.iter().cloned().chain(own).collect()
}

fn places(groups: &[Group], vpc_accesses: &[Arc<VpcAccess>], stages: &Stages) -> Places {
    Places {
        groups: groups.iter().map(|group| group.name.clone()).collect(),
        vpc_accesses: vpc_accesses.iter().map(|access| access.name.clone()).collect(),
        stages: stages.names.clone(),
    }
}

fn push<T, Id>(list: &mut Vec<T>, item: T, id: impl FnOnce(u32) -> Id) -> Id {
    let index = list.len() as u32;
    list.push(item);
    id(index)
}

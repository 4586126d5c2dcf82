//! From a config directory to a catalog: every document is read, all of them are checked together.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::app::{Credentials, app};
use super::check::domains::Claims;
use super::check::gateway::{DEFAULT_DOMAIN_SUFFIX, Settings, settings};
use super::check::https::Sites;
use super::check::policy::{self, policy};
use super::check::published as check_published;
use super::check::published::{published, root_manifest};
use super::check::stages::{GroupStages, Stages, stages};
use super::check::target::Context;
use super::check::tls::SystemTrust;
use super::check::{Checked, Names, api, group, https, vpc_access};
use super::{App, Catalog, Group, GroupId, Policy, Scheme, VpcAccess, VpcAccessId};
use crate::document::{Diagnostic, Entry, Layout, Report, Stamps, gateway};

/// Reads and checks the whole config directory: what is served, and the drafts. The report has every error.
pub fn load(config_dir: &Path) -> Result<Arc<Catalog>, Report> {
    load_layout(Layout::new(config_dir))
}

/// Reads and checks what a gateway serves: what is published, and the documents that are live without publishing. Of drafts
/// only the names count: what they say is not served, and a mistake in one keeps nobody from serving the rest.
///
/// Also says how all that was read looked, good or bad: when a look changes, it is time to load again.
pub fn load_served(config_dir: &Path) -> (Result<Catalog, Report>, Stamps) {
    let mut loader = Loader::served(config_dir);
    let catalog = loader.catalog();
    let stamps = loader.layout.stamps();
    (loader.finish(catalog), stamps)
}

/// The same for a directory as it would be with some files written: how a change is checked before it is made.
pub fn load_layout(layout: Layout) -> Result<Arc<Catalog>, Report> {
    let mut loader = Loader { layout, report: Report::default(), judges_drafts: true };
    let catalog = loader.catalog();
    loader.finish(catalog).map(Arc::new)
}

/// What a gateway would serve of a directory as it would be with some files written.
pub(super) fn load_as_served(layout: Layout) -> Result<Catalog, Report> {
    let mut loader = Loader { layout, report: Report::default(), judges_drafts: false };
    let catalog = loader.catalog();
    loader.finish(catalog)
}

/// Where the gateway of this config directory keeps its state, which is also where it is spoken to.
pub fn state_directory(config_dir: &Path) -> Result<PathBuf, Report> {
    let mut loader = Loader::served(config_dir);
    match loader.settings() {
        Some(settings) => Ok(settings.instance.state_directory),
        None => Err(loader.report),
    }
}

/// Where the operator's listener of an instance is, whatever its other documents say; `None`: it has none.
pub fn admin_address(config_dir: &Path) -> Result<Option<SocketAddr>, Report> {
    let mut loader = Loader::served(config_dir);
    match loader.settings() {
        Some(settings) if loader.report.is_empty() => Ok(settings.admin),
        _ => Err(loader.report),
    }
}

struct Loader {
    layout: Layout,
    report: Report,
    judges_drafts: bool,
}

impl Loader {
    /// Of what a gateway serves, in which drafts have no part.
    fn served(config_dir: &Path) -> Self {
        Self { layout: Layout::new(config_dir), report: Report::default(), judges_drafts: false }
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

    fn catalog(&mut self) -> Option<Catalog> {
        let _reading = self.layout.reading();
        if !self.layout.exists() {
            let diagnostic = Diagnostic::file(&self.layout.root, "there is no such config directory");
            self.report.push(diagnostic.help("`lockgate init DIR` makes one; `--config DIR` names another"));
            return None;
        }
        let settings = self.settings();
        let suffix =
            settings.as_ref().map_or(DEFAULT_DOMAIN_SUFFIX, |settings| &settings.instance.default_domain_suffix).to_owned();
        let (vpc_accesses, vpc_access_names) = self.vpc_accesses();
        let directories = self.layout.directories(&self.layout.groups(), &mut self.report);
        let Groups { list: groups, names: group_names, sites, stages, stages_of } = self.groups(&directories, &suffix);
        let mut apis_by_group = self.drafts(&directories, &vpc_access_names, &stages_of);
        let mut apis = Vec::new();
        let mut generation = 0;
        if let Some(manifest) = root_manifest(&self.layout, &mut self.report) {
            generation = manifest.document.generation;
            let context = check_published::Context {
                layout: &self.layout,
                groups: &group_names,
                vpc_accesses: &vpc_access_names,
                stages: &stages,
                stages_of: &stages_of,
            };
            apis = published(&manifest, &context, &mut apis_by_group, &mut self.report);
        }
        apis_by_group.values_mut().for_each(|names| names.sort_unstable());
        let context = Context { groups: &group_names, apis: &apis_by_group, stages: &stages, stages_of: &stages_of };
        let (apps, broken) = self.apps(&context);
        let policies = self.policies(&context, &policy::Callers::new(&apps, &broken));
        let Settings { instance, listeners, security, quota, limits, access_log, log_format, admin, .. } = settings?;
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
            limits,
            access_log,
            log_format,
            admin,
            stages,
            vpc_accesses,
            groups,
            sites,
            apis,
            apps,
            policies,
        })
    }

    fn settings(&mut self) -> Option<Settings> {
        let parsed = self.layout.parse::<gateway::Gateway>(&self.layout.gateway(), &mut self.report)?;
        let mut checked = Checked { source: &parsed.source, report: &mut self.report };
        settings(&parsed.document, &self.layout.root, &mut checked)
    }

    fn vpc_accesses(&mut self) -> (Vec<Arc<VpcAccess>>, Names<VpcAccessId>) {
        let mut list = Vec::new();
        let mut names = Names::new("VPC access");
        let system = SystemTrust::default();
        for entry in self.layout.documents(&self.layout.vpc_accesses(), &mut self.report) {
            let parsed = self.layout.parse(&entry.path, &mut self.report);
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
        for entry in directories {
            let parsed = self.layout.parse(&self.layout.group(&entry.name), &mut self.report);
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

    /// Checks the drafts, if they are to be judged; what they say does not exist for callers, only their names are kept.
    fn drafts(
        &mut self,
        directories: &[Entry],
        vpc_accesses: &Names<VpcAccessId>,
        stages_of: &HashMap<String, GroupStages>,
    ) -> HashMap<String, Vec<String>> {
        let mut names: HashMap<String, Vec<String>> = HashMap::new();
        for group in directories {
            // Of a group that cannot be read, that error comes first.
            let stages = stages_of.get(&group.name).filter(|_| self.judges_drafts);
            for entry in self.layout.documents(&self.layout.apis(&group.name), &mut self.report) {
                if self.judges_drafts
                    && let Some(parsed) = self.layout.parse(&entry.path, &mut self.report)
                    && let Some(stages) = stages
                {
                    let mut checked = Checked { source: &parsed.source, report: &mut self.report };
                    api::draft(&parsed.document, &entry.name, vpc_accesses, stages, &mut checked);
                }
                names.entry(group.name.clone()).or_default().push(entry.name);
            }
        }
        names
    }

    /// The apps, and the names of those whose documents could not be read.
    fn apps(&mut self, context: &Context<'_>) -> (Vec<App>, Vec<String>) {
        let mut credentials = Credentials::default();
        let (mut apps, mut broken) = (Vec::new(), Vec::new());
        for entry in self.layout.documents(&self.layout.apps(), &mut self.report) {
            let Some(parsed) = self.layout.parse(&entry.path, &mut self.report) else {
                broken.push(entry.name);
                continue;
            };
            let mut checked = Checked { source: &parsed.source, report: &mut self.report };
            apps.extend(app(&parsed.document, &entry.name, &self.layout, context, &mut credentials, &mut checked));
        }
        (apps, broken)
    }

    fn policies(&mut self, context: &Context<'_>, callers: &policy::Callers<'_>) -> Vec<Policy> {
        let mut bound = policy::Bound::default();
        let mut policies = Vec::new();
        for entry in self.layout.documents(&self.layout.policies(), &mut self.report) {
            let Some(parsed) = self.layout.parse(&entry.path, &mut self.report) else { continue };
            let mut checked = Checked { source: &parsed.source, report: &mut self.report };
            policies.extend(policy(&parsed.document, &entry.name, context, callers, &mut bound, &mut checked));
        }
        policies
    }
}

/// The groups, and what each brings for all.
struct Groups {
    list: Vec<Group>,
    names: Names<GroupId>,
    sites: Sites,
    stages: Stages,
    stages_of: HashMap<String, GroupStages>,
}

fn push<T, Id>(list: &mut Vec<T>, item: T, id: impl FnOnce(u32) -> Id) -> Id {
    let index = list.len() as u32;
    list.push(item);
    id(index)
}

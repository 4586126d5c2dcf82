//! One publication, from drafts to the renamed manifest.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::atomic::{self, Access};
use super::lock::{Lock, LockError};
use super::manifest;
use super::version::{Head, number};
use crate::catalog;
use crate::document::manifest::{Current, Manifest};
use crate::document::version::{canonical, canonical_in, digest};
use crate::document::{At, Diagnostic, Layout, Report, api, nearest, read_text};

/// What to publish.
pub struct Request {
    pub target: Target,
    pub stage: String,
    pub remarks: String,
    pub published_by: String,
    pub now: Timestamp,
}

pub enum Target {
    All,
    /// `GROUP/API`, or `GROUP` for all of its APIs.
    These(Vec<String>),
}

/// What a publication did.
#[derive(Debug)]
pub struct Outcome {
    pub generation: u64,
    /// `GROUP/API` and its version.
    pub published: Vec<(String, String)>,
    /// What was current already, with its version.
    pub unchanged: Vec<(String, String)>,
}

#[derive(Debug)]
pub enum PublishError {
    /// The documents have errors: nothing was published.
    Documents(Report),
    /// What was asked for does not exist.
    Request(String),
    /// Another publication is under way.
    Busy(String),
    Io(PathBuf, io::Error),
    Serialise(toml::ser::Error),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Documents(report) => report.fmt(f),
            Self::Request(problem) => f.write_str(problem),
            Self::Busy(holder) => write!(f, "another publication is under way: {holder}"),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Serialise(error) => write!(f, "the definition cannot be written: {error}"),
        }
    }
}

impl std::error::Error for PublishError {}

struct Draft {
    group: String,
    api: String,
    canonical: String,
    digest: String,
}

/// Publishes drafts to a stage. With an error, nothing has changed.
pub fn publish(config_dir: &Path, request: &Request) -> Result<Outcome, PublishError> {
    let layout = Layout::new(config_dir);
    let _lock = lock(&layout, request)?;
    let current = read_manifest(&layout)?;
    check_stage(&request.stage, &current)?;
    let targets = targets(&layout, &request.target)?;
    check_drafts(&layout, &current, &request.stage, &targets)?;

    let mut next = current.clone();
    let version = number(request.now, &current.last_version);
    let mut outcome = Outcome { generation: current.generation, published: Vec::new(), unchanged: Vec::new() };
    let mut files = Vec::new();
    for (group, api) in targets {
        let draft = draft(&layout, group, api)?;
        let name = format!("{}/{}", draft.group, draft.api);
        if let Some(current) = unchanged(&layout, &current, &request.stage, &draft) {
            outcome.unchanged.push((name, current));
            continue;
        }
        let path = layout.version(&request.stage, &draft.group, &draft.api, &version);
        files.push((path, version_file(request, &draft, &version)?));
        let entry = Current { version: version.clone(), sha256: draft.digest };
        let group = next.current.entry(request.stage.clone()).or_default().entry(draft.group).or_default();
        group.insert(draft.api, At { value: entry, span: 0..0 });
        outcome.published.push((name, version.clone()));
    }
    if outcome.published.is_empty() {
        return Ok(outcome);
    }
    next.generation += 1;
    next.last_version = version;
    outcome.generation = next.generation;
    commit(layout, files, manifest::text(&next))?;
    Ok(outcome)
}

fn lock(layout: &Layout, request: &Request) -> Result<Lock, PublishError> {
    if !layout.exists() {
        return Err(PublishError::Request(format!("there is no config directory {}", layout.root.display())));
    }
    let path = layout.published().join(".lock");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let holder = format!("process {} on {}, since {}", std::process::id(), host.trim(), request.now);
    Lock::take(&path, &holder).map_err(|error| match error {
        LockError::Busy(holder) => PublishError::Busy(holder),
        LockError::Io(error) => PublishError::Io(path, error),
    })
}

fn read_manifest(layout: &Layout) -> Result<Manifest, PublishError> {
    let path = layout.manifest();
    if !layout.has(&path) {
        return Ok(Manifest::default());
    }
    let mut report = Report::default();
    match layout.parse::<Manifest>(&path, &mut report) {
        Some(parsed) if report.is_empty() => Ok(parsed.document),
        _ => Err(PublishError::Documents(report)),
    }
}

fn check_stage(stage: &str, manifest: &Manifest) -> Result<(), PublishError> {
    let mut known = catalog::STAGES.to_vec();
    known.extend(manifest.current.keys().map(String::as_str));
    if known.contains(&stage) {
        return Ok(());
    }
    let hint = nearest(stage, known.iter().copied()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Err(PublishError::Request(format!("there is no stage `{stage}`: allowed are {}{hint}", catalog::STAGES.join(", "))))
}

/// The drafts that are asked for, each once, in order.
fn targets(layout: &Layout, target: &Target) -> Result<Vec<(String, String)>, PublishError> {
    let mut report = Report::default();
    let groups = layout.directories(&layout.groups(), &mut report);
    let groups: Vec<String> = groups.into_iter().map(|group| group.name).collect();
    let mut apis = |group: &str| -> Vec<(String, String)> {
        layout.documents(&layout.apis(group), &mut report).into_iter().map(|api| (group.to_owned(), api.name)).collect()
    };
    let mut targets = Vec::new();
    match target {
        Target::All => groups.iter().for_each(|group| targets.extend(apis(group))),
        Target::These(names) => {
            for name in names {
                let (group, api) = name.split_once('/').map_or((name.as_str(), None), |(group, api)| (group, Some(api)));
                if !groups.iter().any(|known| known == group) {
                    return Err(unknown("group", group, groups.iter().map(String::as_str)));
                }
                let known = apis(group);
                match api {
                    Some(api) if !known.iter().any(|(_, known)| known == api) => {
                        return Err(unknown(
                            &format!("API in group `{group}`, named"),
                            api,
                            known.iter().map(|(_, api)| api.as_str()),
                        ));
                    }
                    Some(api) => targets.push((group.to_owned(), api.to_owned())),
                    None => targets.extend(known),
                }
            }
        }
    }
    targets.sort();
    targets.dedup();
    match targets.is_empty() {
        true => Err(PublishError::Request("there is no API to publish".to_owned())),
        false => Ok(targets),
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> PublishError {
    let hint = nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    PublishError::Request(format!("there is no {what} `{name}`{hint}"))
}

/// The full check, apart from the versions that this publication may replace: a damaged one is mended by publishing.
fn check_drafts(layout: &Layout, current: &Manifest, stage: &str, targets: &[(String, String)]) -> Result<(), PublishError> {
    let mut others = current.clone();
    if let Some(groups) = others.current.get_mut(stage) {
        for (group, api) in targets {
            groups.get_mut(group).map(|apis| apis.remove(api));
        }
    }
    let layout = layout.clone().with(layout.manifest(), manifest::text(&others));
    catalog::load_layout(layout).map(drop).map_err(PublishError::Documents)
}

fn draft(layout: &Layout, group: String, api: String) -> Result<Draft, PublishError> {
    let mut report = Report::default();
    let path = layout.api(&group, &api);
    let Some(parsed) = layout.parse::<api::Api>(&path, &mut report).filter(|_| report.is_empty()) else {
        // It was good a moment ago: somebody is editing it.
        report.push(Diagnostic::file(&path, "this draft changed while it was being published"));
        return Err(PublishError::Documents(report));
    };
    let canonical = canonical(&parsed.document).map_err(PublishError::Serialise)?;
    let digest = digest(&canonical);
    Ok(Draft { group, api, canonical, digest })
}

/// The version that is current and has this very definition, undamaged.
fn unchanged(layout: &Layout, manifest: &Manifest, stage: &str, draft: &Draft) -> Option<String> {
    let current = manifest.current.get(stage)?.get(&draft.group)?.get(&draft.api)?;
    let path = layout.version(stage, &draft.group, &draft.api, &current.version);
    let text = read_text(&path, <crate::document::version::Version as crate::document::Document>::BYTES).ok()?;
    let intact = current.sha256 == draft.digest && canonical_in(&text) == Some(draft.canonical.as_str());
    intact.then(|| current.version.clone())
}

fn version_file(request: &Request, draft: &Draft, version: &str) -> Result<String, PublishError> {
    let head = Head {
        version,
        stage: &request.stage,
        group: &draft.group,
        api: &draft.api,
        remarks: &request.remarks,
        published_by: &request.published_by,
        time: format!("{:.3}", request.now),
        sha256: &draft.digest,
    };
    head.file(&draft.canonical).map_err(PublishError::Serialise)
}

/// Checks what would be, then writes it: version files first, the manifest last.
fn commit(layout: Layout, files: Vec<(PathBuf, String)>, manifest: String) -> Result<(), PublishError> {
    let manifest_path = layout.manifest();
    let mut next = layout.with(manifest_path.clone(), manifest.clone());
    for (path, text) in &files {
        next = next.with(path.clone(), text.clone());
    }
    catalog::load_layout(next).map_err(PublishError::Documents)?;
    for (path, text) in &files {
        // Left by a publication that died before its manifest: nobody has ever served it.
        let written = atomic::replace(path, text, Access::Everyone);
        written.map_err(|error| PublishError::Io(path.clone(), error))?;
    }
    atomic::replace(&manifest_path, &manifest, Access::Everyone).map_err(|error| PublishError::Io(manifest_path, error))
}

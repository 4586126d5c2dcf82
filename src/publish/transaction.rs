//! One publication, from drafts to the renamed manifest.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::atomic::{self, Access};
use super::lock::{Lock, LockError};
use super::state::{Manifests, State};
use super::version::{Head, number};
use crate::catalog;
use crate::document::manifest::{Change, Current};
use crate::document::version::{Version, canonical};
use crate::document::{Diagnostic, Document, Layout, Report, api, digest, nearest, read_text};

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
    let mut state = State::read(&layout)?;
    check_stage(&request.stage, &state)?;
    let targets = targets(&layout, &request.target)?;
    check_drafts(&layout, &request.stage, &targets)?;

    let version = number(request.now, state.last_version());
    let mut outcome = Outcome { generation: state.generation(), published: Vec::new(), unchanged: Vec::new() };
    let mut files = Vec::new();
    for (group, api) in targets {
        let draft = draft(&layout, group, api)?;
        let name = format!("{}/{}", draft.group, draft.api);
        let current = state.current(&request.stage, &draft.group, &draft.api)?;
        if let Some(current) = current.filter(|current| unchanged(&layout, current, &request.stage, &draft)) {
            outcome.unchanged.push((name, current.version.clone()));
            continue;
        }
        let path = layout.version(&request.stage, &draft.group, &draft.api, &version);
        let text = version_file(request, &draft, &version)?;
        let entry = Current { version: version.clone(), sha256: draft.digest, file_sha256: digest(&text) };
        state.set(&request.stage, &draft.group, &draft.api, Some(entry))?;
        files.push((path, text));
        outcome.published.push((name, version.clone()));
    }
    if outcome.published.is_empty() {
        return Ok(outcome);
    }
    outcome.generation += 1;
    let manifests = state.manifests(outcome.generation, &version, change(request, &outcome.published))?;
    commit(layout.clone(), files, manifests)?;
    Ok(outcome)
}

/// What the manifest says of this publication.
fn change(request: &Request, published: &[(String, String)]) -> Change {
    let what = match published {
        [(api, _)] => format!("publish {api} to {}", request.stage),
        several => format!("publish {} APIs to {}", several.len(), request.stage),
    };
    Change { what, remarks: request.remarks.clone(), by: request.published_by.clone(), time: format!("{:.3}", request.now) }
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

fn check_stage(stage: &str, state: &State<'_>) -> Result<(), PublishError> {
    let mut known = catalog::STAGES.to_vec();
    known.extend(state.stages());
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
fn check_drafts(layout: &Layout, stage: &str, targets: &[(String, String)]) -> Result<(), PublishError> {
    let mut others = State::read(layout)?;
    for (group, api) in targets {
        others.set(stage, group, api, None)?;
    }
    let manifests = others.manifests(others.generation() + 1, "", Change::default())?;
    catalog::load_layout(pending(layout.clone(), &[], &manifests)).map(drop).map_err(PublishError::Documents)
}

/// The directory as it would be.
fn pending(layout: Layout, files: &[(PathBuf, String)], manifests: &Manifests) -> Layout {
    let root = layout.manifest();
    let files = files.iter().chain(&manifests.groups).cloned();
    files.fold(layout, |layout, (path, text)| layout.with(path, text)).with(root, manifests.root.clone())
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

/// Whether the version has this very definition, undamaged.
fn unchanged(layout: &Layout, current: &Current, stage: &str, draft: &Draft) -> bool {
    let path = layout.version(stage, &draft.group, &draft.api, &current.version);
    let intact = |text: String| digest(&text) == current.file_sha256;
    current.sha256 == draft.digest && read_text(&path, <Version as Document>::BYTES).is_ok_and(intact)
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

/// Checks what would be, then writes it: version files first, then the manifests of groups, the root last.
fn commit(layout: Layout, files: Vec<(PathBuf, String)>, manifests: Manifests) -> Result<(), PublishError> {
    catalog::load_layout(pending(layout.clone(), &files, &manifests)).map_err(PublishError::Documents)?;
    let root = layout.manifest();
    // What a publication left that died before its root was renamed: nobody has ever served it.
    for (path, text) in files.iter().chain(&manifests.groups).map(|(path, text)| (path, text)).chain([(&root, &manifests.root)]) {
        atomic::replace(path, text, Access::Everyone).map_err(|error| PublishError::Io(path.clone(), error))?;
    }
    let copy = layout.generation(manifests.generation);
    atomic::replace(&copy, &manifests.root, Access::Everyone).map_err(|error| PublishError::Io(copy, error))
}

//! Drafts become current in a stage.

use std::collections::BTreeSet;
use std::path::Path;

use super::target::{Drafts, Target};
use super::transaction::{Author, Committed, Slot, Transaction};
use super::version::Head;
use super::{Progress, PublishError, stage};
use crate::catalog::Candidate;
use crate::document::manifest::Current;
use crate::document::version::{Version, canonical};
use crate::document::{Document, Layout, Report, digest, read_text};

/// What to publish.
pub struct Request {
    pub target: Target,
    pub stage: String,
    pub author: Author,
}

/// What a publication did.
#[derive(Debug)]
pub struct Outcome {
    /// `GROUP/API` and its version.
    pub published: Vec<(String, String)>,
    /// What was current already, with its version.
    pub unchanged: Vec<(String, String)>,
    pub committed: Committed,
}

/// What a publication would do.
#[derive(Debug)]
pub struct Preview {
    /// The directory as it would be.
    pub layout: Layout,
    /// `GROUP/API`.
    pub published: Vec<String>,
    /// What is current already, with its version.
    pub unchanged: Vec<(String, String)>,
}

/// Publishes drafts to a stage. With an error, nothing has changed.
pub fn publish(config_dir: &Path, request: &Request, progress: Progress<'_>) -> Result<Outcome, PublishError> {
    let layout = Layout::new(config_dir);
    let mut transaction = Transaction::begin(&layout, &request.author)?;
    let (mut outcome, version) = prepare(&mut transaction, request, progress)?;
    outcome.committed = match version {
        Some(version) => transaction.commit(what(&request.stage, &outcome.published), &version, progress)?,
        None => transaction.unchanged()?,
    };
    Ok(outcome)
}

/// The same with all its checks, up to where something would be written.
pub fn preview(config_dir: &Path, request: &Request, progress: Progress<'_>) -> Result<Preview, PublishError> {
    let layout = Layout::new(config_dir);
    let _reading = layout.reading();
    let mut transaction = Transaction::look(&layout, &request.author)?;
    let (Outcome { published, unchanged, .. }, version) = prepare(&mut transaction, request, progress)?;
    let next = match version {
        Some(version) => transaction.preview(what(&request.stage, &published), &version),
        None => layout.clone(),
    };
    Ok(Preview { layout: next, published: published.into_iter().map(|(api, _)| api).collect(), unchanged })
}

/// Checks the drafts and makes them current in the transaction, with their version; `None`: all of them are already.
fn prepare(
    transaction: &mut Transaction<'_>,
    request: &Request,
    progress: Progress<'_>,
) -> Result<(Outcome, Option<String>), PublishError> {
    let Request { target, stage, author } = request;
    let layout = transaction.layout;
    let targets = target.resolve(&mut Drafts(layout))?;
    let groups: BTreeSet<&str> = targets.iter().map(|(group, _)| group.as_str()).collect();
    stage::check(stage, layout, &transaction.state, groups)?;
    let drafts = drafts(layout, targets, progress)?;
    transaction.check(stage, &drafts)?;
    let mut outcome = Outcome { published: Vec::new(), unchanged: Vec::new(), committed: transaction.current() };
    let mut changed: Vec<(Slot, String)> = Vec::new();
    for Candidate { group, api, definition, .. } in &drafts {
        let canonical = canonical(definition).map_err(PublishError::Serialise)?;
        match current(transaction, stage, group, api, &digest(&canonical))? {
            Some(version) => outcome.unchanged.push((format!("{group}/{api}"), version)),
            None => changed.push(((stage.clone(), group.clone(), api.clone()), canonical)),
        }
    }
    if changed.is_empty() {
        return Ok((outcome, None));
    }
    let slots: Vec<Slot> = changed.iter().map(|(slot, _)| slot.clone()).collect();
    let version = transaction.version(&slots);
    for (slot, canonical) in changed {
        let (_, group, api) = &slot;
        let (path, name) = (layout.version(stage, group, api, &version), format!("{group}/{api}"));
        let current = write(transaction, author, path, &slot, &version, &canonical);
        transaction.set(slot, Some(current))?;
        outcome.published.push((name, version.clone()));
    }
    Ok((outcome, Some(version)))
}

fn drafts(layout: &Layout, targets: Vec<(String, String)>, progress: Progress<'_>) -> Result<Vec<Candidate>, PublishError> {
    if targets.is_empty() {
        return Err(PublishError::Request("there is no API to publish".to_owned()));
    }
    let mut report = Report::default();
    let mut drafts = Vec::with_capacity(targets.len());
    let count = targets.len();
    for (group, api) in targets {
        if let Some(parsed) = layout.parse(&layout.api(&group, &api), &mut report) {
            drafts.push(Candidate { group, api, source: parsed.source, definition: parsed.document });
            progress("reading", drafts.len(), count);
        }
    }
    match report.is_empty() {
        true => Ok(drafts),
        false => Err(PublishError::Documents(report)),
    }
}

/// The current version, where it has this very definition and is undamaged: a damaged one is mended by publishing.
fn current(
    transaction: &mut Transaction<'_>,
    stage: &str,
    group: &str,
    api: &str,
    sha256: &str,
) -> Result<Option<String>, PublishError> {
    let layout = transaction.layout;
    let Some(current) = transaction.state.group(stage, group)?.current.get(api) else { return Ok(None) };
    let path = layout.version(stage, group, api, &current.version);
    let intact = |text: String| digest(&text) == current.file_sha256;
    let same = current.sha256 == sha256 && read_text(&path, Version::BYTES).is_ok_and(intact);
    Ok(same.then(|| current.version.clone()))
}

fn write(
    transaction: &mut Transaction<'_>,
    author: &Author,
    path: std::path::PathBuf,
    (stage, group, api): &Slot,
    version: &str,
    canonical: &str,
) -> Current {
    let (sha256, time) = (digest(canonical), author.time());
    let head =
        Head { version, stage, group, api, remarks: &author.remarks, published_by: &author.by, time: &time, sha256: &sha256 };
    let text = head.file(canonical);
    let current = Current { version: version.to_owned(), sha256, file_sha256: digest(&text) };
    transaction.write(path, text);
    current
}

/// What the manifest says of this publication.
fn what(stage: &str, published: &[(String, String)]) -> String {
    match published {
        [(api, _)] => format!("publish {api} to {stage}"),
        several => format!("publish {} APIs to {stage}", several.len()),
    }
}

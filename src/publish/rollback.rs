//! Older versions become current again, and APIs go offline.

use std::path::Path;

use super::history::{Published, committed, entry_of, read};
use super::target::Target;
use super::transaction::{Author, Committed, Transaction};
use super::{Progress, PublishError, stage};
use crate::catalog::Candidate;
use crate::document::Layout;

/// What to undo.
pub struct Rollback {
    pub target: Target,
    pub stage: String,
    /// `None`: the version before the current one; of an API that is offline, its latest.
    pub version: Option<String>,
    pub author: Author,
}

/// An API whose current version changed. `None`: it was, or is, offline.
#[derive(Debug)]
pub struct Move {
    pub api: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

#[derive(Debug)]
pub struct Moved {
    /// APIs that stay as they were have the same version twice.
    pub moves: Vec<Move>,
    pub committed: Committed,
}

/// Makes older versions current. With an error, nothing has changed.
pub fn rollback(config_dir: &Path, request: &Rollback, progress: Progress<'_>) -> Result<Moved, PublishError> {
    let Rollback { target, stage, version, author } = request;
    let layout = Layout::new(config_dir);
    let mut transaction = Transaction::begin(&layout, author)?;
    stage::check(stage, &layout, &transaction.state, [])?;
    let targets = targets(&mut transaction, target, stage)?;
    let (mut moves, mut candidates, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for (group, api) in targets {
        let of_group = transaction.state.group(stage, &group)?;
        let from = of_group.current.get(&api).map(|current| current.version.clone());
        let versions = committed(&layout, stage, &group, &api, of_group.latest.get(&api))?;
        let to = wanted(&versions, from.as_deref(), version.as_deref(), &format!("{group}/{api}"), stage)?;
        let name = format!("{group}/{api}");
        if from.as_ref() != Some(&to) {
            let parsed = read(&layout, stage, &group, &api, &to)?;
            entries.push(((stage.clone(), group.clone(), api.clone()), entry_of(&parsed)));
            candidates.push(Candidate { group, api, source: parsed.source, definition: parsed.document.definition });
        }
        moves.push(Move { api: name, from, to: Some(to) });
    }
    if candidates.is_empty() {
        return Ok(Moved { moves, committed: transaction.unchanged()? });
    }
    transaction.check(stage, &candidates)?;
    for (slot, entry) in entries {
        transaction.set(slot, Some(entry))?;
    }
    let what = what("roll", "back", &moves, stage);
    let committed = transaction.commit(what, "", progress)?;
    Ok(Moved { moves, committed })
}

/// Takes APIs out of a stage. Their versions stay: `rollback` brings them back.
pub fn offline(
    config_dir: &Path,
    target: &Target,
    stage: &str,
    author: &Author,
    progress: Progress<'_>,
) -> Result<Moved, PublishError> {
    let layout = Layout::new(config_dir);
    let mut transaction = Transaction::begin(&layout, author)?;
    stage::check(stage, &layout, &transaction.state, [])?;
    let targets = targets(&mut transaction, target, stage)?;
    let mut moves = Vec::new();
    for (group, api) in targets {
        let from = transaction.state.group(stage, &group)?.current.get(&api).map(|current| current.version.clone());
        moves.push(Move { api: format!("{group}/{api}"), from: from.clone(), to: None });
        if from.is_some() {
            transaction.set((stage.to_owned(), group, api), None)?;
        }
    }
    if moves.iter().all(|moved| moved.from.is_none()) {
        return Ok(Moved { moves, committed: transaction.unchanged()? });
    }
    let what = what("take", "offline", &moves, stage);
    let committed = transaction.commit(what, "", progress)?;
    Ok(Moved { moves, committed })
}

fn targets(transaction: &mut Transaction<'_>, target: &Target, stage: &str) -> Result<Vec<(String, String)>, PublishError> {
    let stages = [stage.to_owned()];
    let targets = target.resolve(&mut Published { state: &mut transaction.state, stages: &stages })?;
    match targets.is_empty() {
        true => Err(PublishError::Request(format!("nothing was ever published to {stage}"))),
        false => Ok(targets),
    }
}

/// The version to go back to.
fn wanted(versions: &[String], from: Option<&str>, to: Option<&str>, api: &str, stage: &str) -> Result<String, PublishError> {
    let found = match (to, from) {
        (Some(to), _) => versions.iter().find(|version| *version == to),
        (None, Some(from)) => versions.iter().rev().find(|version| version.as_str() < from),
        (None, None) => versions.last(),
    };
    found.cloned().ok_or_else(|| {
        let what = match to {
            Some(to) => format!("there is no version {to} of {api} in {stage}"),
            None => format!("there is no version of {api} in {stage} before the current one"),
        };
        let kept = if versions.is_empty() { "none".to_owned() } else { versions.join(", ") };
        PublishError::Request(format!("{what}; kept are: {kept}"))
    })
}

fn what(verb: &str, particle: &str, moves: &[Move], stage: &str) -> String {
    let changed: Vec<&Move> = moves.iter().filter(|moved| moved.from != moved.to).collect();
    match changed.as_slice() {
        [Move { api, to: Some(to), .. }] => format!("{verb} {api} {particle} to {to} in {stage}"),
        [Move { api, .. }] => format!("{verb} {api} {particle} in {stage}"),
        several => format!("{verb} {} APIs {particle} in {stage}", several.len()),
    }
}

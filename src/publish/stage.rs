//! Which stages there are.

use std::collections::BTreeSet;

use super::PublishError;
use super::state::State;
use crate::catalog::STAGES;
use crate::document::group::Group;
use crate::document::{Layout, Report, nearest};

/// Refuses a stage that is neither one of every group, nor of one of these, nor one that something was published to.
pub(super) fn check<'g>(
    stage: &str,
    layout: &Layout,
    state: &State<'_>,
    groups: impl IntoIterator<Item = &'g str>,
) -> Result<(), PublishError> {
    if STAGES.contains(&stage) || state.stages().any(|known| known == stage) {
        return Ok(());
    }
    let mut own: BTreeSet<String> = state.stages().map(str::to_owned).collect();
    for group in groups {
        // What is wrong with a group is said when it is checked.
        if let Some(parsed) = layout.parse::<Group>(&layout.group(group), &mut Report::default()) {
            own.extend(parsed.document.stage.into_keys().map(|name| name.value));
        }
    }
    if own.contains(stage) {
        return Ok(());
    }
    let own = own.iter().map(String::as_str).filter(|name| !STAGES.contains(name));
    let known: Vec<&str> = STAGES.into_iter().chain(own).collect();
    let hint = nearest(stage, known.iter().copied()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Err(PublishError::Request(format!("there is no stage `{stage}`: there are {}{hint}", known.join(", "))))
}

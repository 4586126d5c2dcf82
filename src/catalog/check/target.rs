//! What apps and policies name: APIs and groups, and stages.

use std::collections::HashMap;

use super::stages::{GroupStages, Stages};
use super::{Checked, Names};
use crate::catalog::{GroupId, StageId};
use crate::document::{At, nearest};

/// What there is to be named.
pub struct Context<'a> {
    pub groups: &'a Names<GroupId>,
    /// Names of the APIs of each group, drafted or published; in order.
    pub apis: &'a HashMap<String, Vec<String>>,
    pub stages: &'a Stages,
    /// Of each group.
    pub stages_of: &'a HashMap<String, GroupStages>,
}

impl Context<'_> {
    /// `GROUP/API` that exists, drafted or published.
    pub fn api(&self, target: &At<String>, checked: &mut Checked<'_>) -> Option<(GroupId, String)> {
        let Some((group, api)) = target.split_once('/') else {
            checked.push(checked.at(target, format!("`{}` does not name an API", target.value)).note("allowed: `GROUP/API`"));
            return None;
        };
        let Some(id) = self.groups.find(group) else {
            checked.push(self.groups.unknown(checked.place(target), group));
            return None;
        };
        let apis = self.apis.get(group).map(Vec::as_slice).unwrap_or_default();
        if apis.binary_search_by(|known| known.as_str().cmp(api)).is_err() {
            let near = nearest(api, apis.iter().map(String::as_str)).map(|near| format!("{group}/{near}"));
            let diagnostic = checked.at(target, format!("there is no API `{api}` in group `{group}`"));
            checked.push(diagnostic.note("an API can be named that is drafted or published").did_you_mean(near.as_deref()));
            return None;
        }
        Some((id?, api.to_owned()))
    }

    pub fn group(&self, target: &At<String>, checked: &mut Checked<'_>) -> Option<GroupId> {
        match self.groups.find(target) {
            Some(id) => id,
            None => {
                checked.push(self.groups.unknown(checked.place(target), target));
                None
            }
        }
    }

    /// Stages that the group of a target has (`GROUP` or `GROUP/API`), each with where it is named; `what` they are of, for when
    /// there is none.
    pub fn stages<'s>(
        &self,
        target: &str,
        stages: &'s At<Vec<At<String>>>,
        what: &str,
        checked: &mut Checked<'_>,
    ) -> Vec<(StageId, &'s At<String>)> {
        if stages.is_empty() {
            let diagnostic = checked.at(stages, format!("{what} has at least one stage"));
            checked.push(diagnostic.note("allowed: `RELEASE`, `PRE`, `TEST`, and others of the group"));
        }
        // What is wrong with the target, or with its group, is said there.
        let Some(of_group) = target.split('/').next().and_then(|group| self.stages_of.get(group)) else { return Vec::new() };
        let mut known = Vec::new();
        for stage in &stages.value {
            match self.stages.find(stage).filter(|_| of_group.names().contains(&stage.as_str())) {
                Some(id) => known.push((id, stage)),
                None => checked.push(of_group.unknown(checked.place(stage), stage)),
            }
        }
        known
    }
}

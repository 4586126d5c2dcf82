//! What apps and policies name: APIs and groups, and stages.

use std::collections::HashMap;

use super::stages::{GroupStages, Stages};
use super::{Checked, Names};
use crate::catalog::{ApiName, ApiNames, GroupId, StageId};
use crate::document::{At, nearest};

/// What there is to be named.
pub struct Context<'a> {
    pub groups: &'a Names<GroupId>,
    pub names: &'a ApiNames,
    /// By their numbers: APIs that are drafted or published, or were published once.
    pub known: &'a [bool],
    pub stages: &'a Stages,
    /// Of each group.
    pub stages_of: &'a HashMap<String, GroupStages>,
}

impl Context<'_> {
    pub fn knows(&self, name: ApiName) -> bool {
        self.known.get(name.index()).is_some_and(|known| *known)
    }

    /// `GROUP/API` that exists, drafted or published.
    pub fn api(&self, target: &At<String>, checked: &mut Checked<'_>) -> Option<ApiName> {
        if let Some(name) = self.names.find(target).filter(|name| self.knows(*name)) {
            return Some(name);
        }
        let Some((group, api)) = target.split_once('/') else {
            checked.push(checked.at(target, format!("`{}` does not name an API", target.value)).note("allowed: `GROUP/API`"));
            return None;
        };
        if self.groups.find(group).is_none() {
            checked.push(self.groups.unknown(checked.place(target), group));
            return None;
        }
        let all = self.names.all().filter(|name| self.knows(*name));
        let parts = all.filter_map(|name| self.names.name(name).split_once('/'));
        let mut apis: Vec<&str> = parts.filter(|(of, _)| *of == group).map(|(_, api)| api).collect();
        apis.sort_unstable();
        let near = nearest(api, apis).map(|near| format!("{group}/{near}"));
        let diagnostic = checked.at(target, format!("there is no API `{api}` in group `{group}`"));
        checked.push(diagnostic.note("an API can be named that is drafted or published").did_you_mean(near.as_deref()));
        None
    }

    /// The group of an API, and the API in it.
    pub fn parts(&self, name: ApiName) -> Option<(GroupId, String)> {
        let (group, api) = self.names.name(name).split_once('/')?;
        Some((self.groups.find(group)??, api.to_owned()))
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
            match self.stages.find(stage).filter(|_| of_group.has(stage)) {
                Some(id) => known.push((id, stage)),
                None => checked.push(of_group.unknown(checked.place(stage), stage)),
            }
        }
        known
    }
}

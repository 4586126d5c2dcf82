//! Stages: the name that a call gives -> the templates of its group there.

use std::sync::Arc;

use super::Built;
use super::templates::Templates;
use crate::catalog::{Catalog, Group, GroupId, STAGES, StageId, each};

#[derive(Clone)]
pub(super) struct Stages {
    /// Names, by `StageId`; those of every group first.
    names: Box<[Box<[u8]>]>,
    groups: Box<[OfGroup]>,
    /// Each group's stages, one group after the other.
    all: Box<[InStage]>,
}

#[derive(Clone)]
struct OfGroup {
    /// Place of the first stage; the others follow, in order.
    first: u32,
    /// Beside those of every group.
    own: Box<[StageId]>,
}

/// A group in a stage.
#[derive(Clone)]
pub(super) struct InStage {
    pub templates: Arc<Templates>,
    /// The API that `templates` counts from.
    pub first: u32,
}

impl Stages {
    pub fn build(catalog: &Catalog, before: Option<&Self>) -> (Self, Built) {
        let mut count = 0;
        let group = |group: &Group| {
            let first = count;
            count += (STAGES.len() + group.stages.len()) as u32;
            OfGroup { first, own: group.stages.as_slice().into() }
        };
        let groups = catalog.groups.iter().map(group).collect();
        let nothing = InStage { templates: Arc::new(Templates::build([].into_iter())), first: 0 };
        let names = catalog.stages.iter().map(|name| name.as_bytes().into()).collect();
        let mut stages = Self { names, groups, all: vec![nothing; count as usize].into() };

        // Of a catalog that was checked, every API is in a stage of its group.
        let placed = (0..).zip(&catalog.apis).filter_map(|(id, api)| Some((stages.place(api.group, api.stage)?, id)));
        let mut placed: Vec<(u32, u32)> = placed.collect();
        placed.sort_unstable();
        let runs: Vec<&[(u32, u32)]> = placed.chunk_by(|one, next| one.0 == next.0).collect();
        let made = each(&runs, |run| in_stage(run, catalog, before), |_| ());
        let mut built = Built { all: runs.len(), anew: 0 };
        for (run, (in_stage, is_new)) in runs.iter().zip(made) {
            built.anew += usize::from(is_new);
            if let Some(place) = run.first().and_then(|(place, _)| stages.all.get_mut(*place as usize)) {
                *place = in_stage;
            }
        }
        (stages, built)
    }

    /// What a group has in one of its stages.
    pub fn of(&self, group: GroupId, stage: StageId) -> Option<&InStage> {
        self.all.get(self.place(group, stage)? as usize)
    }

    /// The stage that `X-Ca-Stage` names, in any case; without it, or with an empty one, the first, `RELEASE`.
    #[inline]
    pub fn named(&self, group: GroupId, name: Option<&[u8]>) -> Option<(StageId, &InStage)> {
        let of_group = self.groups.get(group.index())?;
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Some((StageId(0), self.all.get(of_group.first as usize)?));
        };
        let is = |stage: &StageId| self.names.get(stage.index()).is_some_and(|known| known.eq_ignore_ascii_case(name));
        let every = (0..STAGES.len() as u32).map(StageId);
        let stage = every.chain(of_group.own.iter().copied()).find(is)?;
        Some((stage, self.of(group, stage)?))
    }

    /// Bytes of memory, without the templates.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.groups) + size_of_val(&*self.all)
    }

    /// Bytes of memory of all templates.
    pub fn templates_bytes(&self) -> usize {
        self.all.iter().map(|in_stage| in_stage.templates.bytes()).sum()
    }

    fn place(&self, group: GroupId, stage: StageId) -> Option<u32> {
        let group = self.groups.get(group.index())?;
        let place = match stage.index() < STAGES.len() {
            true => stage.index(),
            false => STAGES.len() + group.own.iter().position(|own| *own == stage)?,
        };
        Some(group.first + place as u32)
    }
}

/// The APIs of a run, by the templates before where they are the same; true: they are not.
fn in_stage(run: &[(u32, u32)], catalog: &Catalog, before: Option<&Stages>) -> (InStage, bool) {
    let first = run.first().map_or(0, |(_, id)| *id);
    let apis = || run.iter().filter_map(|&(_, id)| Some((id - first, catalog.apis.get(id as usize)?)));
    let place = apis().next().map(|(_, api)| (api.group, api.stage));
    let known = before.zip(place).and_then(|(before, (group, stage))| before.of(group, stage));
    match known.filter(|known| known.templates.are_of(apis())) {
        Some(known) => (InStage { templates: known.templates.clone(), first }, false),
        None => (InStage { templates: Arc::new(Templates::build(apis())), first }, true),
    }
}

//! Stages: the name that a call gives -> the path templates of its group there.

use super::trie::{Builder, NodeId};
use crate::catalog::{Catalog, Group, GroupId, STAGES, StageId};

pub(super) struct Stages {
    /// Names, by `StageId`; those of every group first.
    names: Box<[Box<[u8]>]>,
    groups: Box<[OfGroup]>,
}

struct OfGroup {
    /// The root of the templates in the first stage; those of the others follow, in order.
    first: NodeId,
    /// Beside those of every group.
    own: Box<[StageId]>,
}

impl Stages {
    pub fn build(catalog: &Catalog, trie: &mut Builder<'_>) -> Self {
        let group = |group: &Group| {
            let first = trie.root();
            for _ in 1..STAGES.len() + group.stages.len() {
                trie.root();
            }
            OfGroup { first, own: group.stages.as_slice().into() }
        };
        let groups = catalog.groups.iter().map(group).collect();
        Self { names: catalog.stages.iter().map(|name| name.as_bytes().into()).collect(), groups }
    }

    /// The templates of a group in one of its stages.
    pub fn templates(&self, group: GroupId, stage: StageId) -> Option<NodeId> {
        let group = self.groups.get(group.index())?;
        let place = match stage.index() < STAGES.len() {
            true => stage.index(),
            false => STAGES.len() + group.own.iter().position(|own| *own == stage)?,
        };
        Some(NodeId(group.first.0 + place as u32))
    }

    /// The stage that `X-Ca-Stage` names, in any case; without it, or with an empty one, the first, `RELEASE`.
    #[inline]
    pub fn named(&self, group: GroupId, name: Option<&[u8]>) -> Option<(StageId, NodeId)> {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Some((StageId(0), self.groups.get(group.index())?.first));
        };
        let own = &self.groups.get(group.index())?.own;
        let is = |stage: &StageId| self.names.get(stage.index()).is_some_and(|known| known.eq_ignore_ascii_case(name));
        let every = (0..STAGES.len() as u32).map(StageId);
        let stage = every.chain(own.iter().copied()).find(is)?;
        Some((stage, self.templates(group, stage)?))
    }
}

//! What is published, as read under the lock, and as it is to be: the root manifest and the manifests of the groups
//! that a publication touches. Others are not read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{PublishError, manifest};
use crate::catalog;
use crate::document::manifest::{Change, Current, GroupEntry, GroupManifest, Manifest};
use crate::document::{At, Layout, Parsed, Place, Report, digest};

pub(super) struct State<'l> {
    layout: &'l Layout,
    root: Option<Parsed<Manifest>>,
    /// By stage and group.
    groups: BTreeMap<(String, String), Group>,
}

struct Group {
    before: GroupManifest,
    /// As it is to be; `None`: as it was.
    next: Option<GroupManifest>,
}

/// Texts to be written, and where.
pub(super) struct Manifests {
    pub groups: Vec<(PathBuf, String)>,
    pub root: String,
    /// The digest that the root states of itself.
    pub sha256: String,
}

impl<'l> State<'l> {
    pub fn read(layout: &'l Layout) -> Result<Self, PublishError> {
        let mut report = Report::default();
        let root = catalog::root_manifest(layout, &mut report);
        match report.is_empty() {
            true => Ok(Self { layout, root, groups: BTreeMap::new() }),
            false => Err(PublishError::Documents(report)),
        }
    }

    /// `None`: nothing was ever published.
    pub fn root(&self) -> Option<&Parsed<Manifest>> {
        self.root.as_ref()
    }

    fn document(&self) -> Option<&Manifest> {
        self.root.as_ref().map(|root| &root.document)
    }

    pub fn generation(&self) -> u64 {
        self.document().map_or(0, |root| root.generation)
    }

    pub fn sha256(&self) -> &str {
        self.document().map_or("", |root| &root.sha256)
    }

    pub fn last_version(&self) -> &str {
        self.document().map_or("", |root| &root.last_version)
    }

    /// Stages with a manifest.
    pub fn stages(&self) -> impl Iterator<Item = &str> {
        self.document().into_iter().flat_map(|root| root.stage.keys().map(String::as_str))
    }

    /// Groups with a manifest in this stage.
    pub fn groups(&self, stage: &str) -> impl Iterator<Item = &str> {
        self.document().and_then(|root| root.stage.get(stage)).into_iter().flat_map(|groups| groups.keys().map(String::as_str))
    }

    /// A group in a stage, as it is before the change.
    pub fn group(&mut self, stage: &str, group: &str) -> Result<&GroupManifest, PublishError> {
        self.load(stage, group).map(|group| &group.before)
    }

    fn load(&mut self, stage: &str, group: &str) -> Result<&mut Group, PublishError> {
        let key = (stage.to_owned(), group.to_owned());
        let read = match self.groups.contains_key(&key) {
            true => GroupManifest::default(),
            false => self.read_group(stage, group)?,
        };
        Ok(self.groups.entry(key).or_insert(Group { before: read, next: None }))
    }

    fn read_group(&self, stage: &str, group: &str) -> Result<GroupManifest, PublishError> {
        let Some(root) = &self.root else { return Ok(GroupManifest::default()) };
        let Some(entry) = root.document.stage.get(stage).and_then(|groups| groups.get(group)) else {
            return Ok(GroupManifest::default());
        };
        let mut report = Report::default();
        let place = Place::of(&root.source, entry);
        match catalog::group_manifest(self.layout, stage, group, entry, &place, &mut report) {
            Some(parsed) if report.is_empty() => Ok(parsed.document),
            _ => Err(PublishError::Documents(report)),
        }
    }

    /// The newest version that the API had before the change, current or not.
    pub fn latest_before(&self, stage: &str, group: &str, api: &str) -> Option<&str> {
        let group = self.groups.get(&(stage.to_owned(), group.to_owned()))?;
        group.before.latest.get(api).map(String::as_str)
    }

    /// Makes a version current, or none.
    pub fn set(&mut self, stage: &str, group: &str, api: &str, current: Option<Current>) -> Result<(), PublishError> {
        let group = self.load(stage, group)?;
        let next = group.next.get_or_insert_with(|| group.before.clone());
        match current {
            Some(current) => {
                let latest = next.latest.entry(api.to_owned()).or_default();
                if *latest < current.version {
                    latest.clone_from(&current.version);
                }
                next.current.insert(api.to_owned(), At { value: current, span: 0..0 });
            }
            None => drop(next.current.remove(api)),
        }
        Ok(())
    }

    /// The manifests of the next generation: those of the groups that changed, and the root, which comes last.
    pub fn manifests(&self, generation: u64, last_version: &str, change: Change) -> Manifests {
        let mut stages = self.document().map(|root| root.stage.clone()).unwrap_or_default();
        let mut groups = Vec::new();
        for ((stage, group), state) in &self.groups {
            let Some(next) = &state.next else { continue };
            let text = manifest::group(next);
            let entry = GroupEntry { generation, sha256: digest(&text) };
            stages.entry(stage.clone()).or_default().insert(group.clone(), At { value: entry, span: 0..0 });
            groups.push((self.layout.group_manifest(stage, group, generation), text));
        }
        let last_version = last_version.max(self.last_version()).to_owned();
        let (root, sha256) = manifest::root(&Manifest { sha256: String::new(), generation, last_version, change, stage: stages });
        Manifests { groups, root, sha256 }
    }
}

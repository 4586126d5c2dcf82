//! What is published, as read under the lock, and as it is to be: the root manifest and the manifests of the groups
//! that a publication touches. Others are not read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{PublishError, manifest};
use crate::catalog;
use crate::document::manifest::{Change, Current, GroupEntry, GroupManifest, Manifest};
use crate::document::{At, Layout, Parsed, Place, Report, digest};

/// A stage and a group.
type Key = (String, String);

pub struct State<'l> {
    layout: &'l Layout,
    root: Option<Parsed<Manifest>>,
    groups: BTreeMap<Key, Group>,
}

struct Group {
    manifest: GroupManifest,
    changed: bool,
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

    fn document(&self) -> Option<&Manifest> {
        self.root.as_ref().map(|root| &root.document)
    }

    pub fn generation(&self) -> u64 {
        self.document().map_or(0, |root| root.generation)
    }

    pub fn last_version(&self) -> &str {
        self.document().map_or("", |root| &root.last_version)
    }

    /// Stages with a manifest.
    pub fn stages(&self) -> impl Iterator<Item = &str> {
        self.document().into_iter().flat_map(|root| root.stage.keys().map(String::as_str))
    }

    fn group(&mut self, stage: &str, group: &str) -> Result<&mut Group, PublishError> {
        let key = (stage.to_owned(), group.to_owned());
        if !self.groups.contains_key(&key) {
            let manifest = self.read_group(stage, group)?;
            self.groups.insert(key.clone(), Group { manifest, changed: false });
        }
        Ok(self.groups.entry(key).or_insert_with(|| Group { manifest: GroupManifest::default(), changed: false }))
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

    /// The current version of an API.
    pub fn current(&mut self, stage: &str, group: &str, api: &str) -> Result<Option<&Current>, PublishError> {
        Ok(self.group(stage, group)?.manifest.current.get(api).map(|current| &current.value))
    }

    /// Makes a version current, or none.
    pub fn set(&mut self, stage: &str, group: &str, api: &str, current: Option<Current>) -> Result<(), PublishError> {
        let group = self.group(stage, group)?;
        group.changed = true;
        match current {
            Some(current) => {
                let latest = group.manifest.latest.entry(api.to_owned()).or_default();
                if *latest < current.version {
                    latest.clone_from(&current.version);
                }
                group.manifest.current.insert(api.to_owned(), At { value: current, span: 0..0 });
            }
            None => drop(group.manifest.current.remove(api)),
        }
        Ok(())
    }

    /// The manifests of the next generation: those of the groups that changed, and the root, which is the last.
    pub fn manifests(&self, generation: u64, last_version: &str, change: Change) -> Result<Manifests, PublishError> {
        let mut stage = self.document().map(|root| root.stage.clone()).unwrap_or_default();
        let mut groups = Vec::new();
        for ((stage_name, group), state) in self.groups.iter().filter(|(_, state)| state.changed) {
            let text = manifest::group(&state.manifest);
            let entry = GroupEntry { generation, sha256: digest(&text) };
            stage.entry(stage_name.clone()).or_default().insert(group.clone(), At { value: entry, span: 0..0 });
            groups.push((self.layout.group_manifest(stage_name, group, generation), text));
        }
        let last_version = last_version.max(self.last_version()).to_owned();
        let root = Manifest { sha256: String::new(), generation, last_version, change, stage };
        Ok(Manifests { generation, groups, root: manifest::root(&root).map_err(PublishError::Serialise)? })
    }
}

/// Texts to be written, and where.
pub struct Manifests {
    pub generation: u64,
    pub groups: Vec<(PathBuf, String)>,
    pub root: String,
}

//! Old files are taken away: versions beyond the newest of an API, generations beyond the newest, manifests of groups
//! that no kept generation names. What a kept generation names stays. Only directories that a change has touched are
//! looked at; while a gateway reads, nothing is taken away, and the next change makes up for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Progress;
use super::transaction::Slot;
use crate::catalog::Retention;
use crate::document::manifest::{GroupManifest, Manifest};
use crate::document::{Document, Layout, read_text};

/// A path, and what could not be done there.
type Failure = (PathBuf, io::Error);

/// The newest generation that is kept; 0: none.
pub fn newest(layout: &Layout) -> u64 {
    generations(&layout.generations()).ok().and_then(|mut generations| generations.pop_last()).unwrap_or(0)
}

/// Generations with a file in this directory.
pub fn generations(directory: &Path) -> io::Result<BTreeSet<u64>> {
    Ok(names(directory)?.iter().filter_map(|name| name.strip_suffix(".toml")?.parse().ok()).collect())
}

/// Versions with a file in this directory.
pub fn versions(directory: &Path) -> io::Result<BTreeSet<String>> {
    let version =
        |name: &str| name.strip_suffix(".toml").filter(|name| name.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned);
    Ok(names(directory)?.iter().filter_map(|name| version(name)).collect())
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Takes away unfinished files, left by a publication that died.
pub fn remove_unfinished(directory: &Path) -> Result<(), Failure> {
    remove_where(directory, |_| false)
}

/// And versions above the latest: nobody has ever served them.
pub fn remove_above(directory: &Path, latest: &str) -> Result<(), Failure> {
    remove_where(directory, |name| name.strip_suffix(".toml").is_some_and(|version| version > latest))
}

fn remove_where(directory: &Path, is_left: impl Fn(&str) -> bool) -> Result<(), Failure> {
    for name in names(directory).map_err(|error| (directory.to_path_buf(), error))? {
        if is_left(&name) || (name.starts_with('.') && name.ends_with(".new")) {
            let path = directory.join(name);
            fs::remove_file(&path).map_err(|error| (path, error))?;
        }
    }
    Ok(())
}

/// Takes away what need not be kept, in the directories of these APIs.
pub fn remove(layout: &Layout, kept: &Retention, touched: &[Slot], progress: Progress<'_>) -> Result<(), Failure> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |error| (path, error)
    };
    let Some(_removing) = layout.removing().map_err(at(&layout.published()))? else { return Ok(()) };
    let directory = layout.generations();
    let mut roots = generations(&directory).map_err(at(&directory))?;
    while roots.len() > kept.generations {
        let Some(oldest) = roots.pop_first() else { break };
        let path = layout.generation(oldest);
        fs::remove_file(&path).map_err(at(&path))?;
    }
    let mut groups: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (stage, group, api) in touched {
        groups.entry((stage, group)).or_default().push(api);
    }
    let mut needed = Needed { layout, oldest: roots.first().copied().unwrap_or(0), oldest_root: None };
    let (mut done, all) = (0, touched.len());
    for ((stage, group), apis) in groups {
        let manifests = needed.manifests(stage, group).map_err(at(&layout.published().join(stage).join(group)))?;
        let mut named = None;
        for api in apis {
            let directory = layout.versions(stage, group, api);
            let mut versions = versions(&directory).map_err(at(&directory))?;
            while versions.len() > kept.versions {
                let Some(oldest) = versions.pop_first() else { break };
                // Read only where there is something to take away.
                let named = named.get_or_insert_with(|| versions_named(layout, stage, group, &manifests));
                // A manifest that cannot be read may name anything.
                if named.as_ref().is_some_and(|named| !named.contains(&(api.to_owned(), oldest.clone()))) {
                    let path = layout.version(stage, group, api, &oldest);
                    fs::remove_file(&path).map_err(at(&path))?;
                }
            }
            done += 1;
            progress("tidying", done, all);
        }
    }
    Ok(())
}

/// Which manifests of groups the kept generations name.
struct Needed<'l> {
    layout: &'l Layout,
    /// The oldest kept generation.
    oldest: u64,
    oldest_root: Option<Option<Manifest>>,
}

impl Needed<'_> {
    /// Takes the others away. A manifest that was written since the oldest kept generation is named by one of them, or
    /// was left by a publication that died; an older one is needed only if the oldest kept generation names it.
    fn manifests(&mut self, stage: &str, group: &str) -> io::Result<BTreeSet<u64>> {
        let directory = self.layout.published().join(stage).join(group);
        let mut manifests = generations(&directory)?;
        let older: Vec<u64> = manifests.range(..self.oldest).copied().collect();
        for generation in older {
            match self.root() {
                // Without the root nobody knows: it stays.
                None => continue,
                Some(root) => {
                    let entry = root.stage.get(stage).and_then(|groups| groups.get(group));
                    if entry.is_some_and(|entry| entry.generation == generation) {
                        continue;
                    }
                }
            }
            fs::remove_file(self.layout.group_manifest(stage, group, generation))?;
            manifests.remove(&generation);
        }
        Ok(manifests)
    }

    fn root(&mut self) -> Option<&Manifest> {
        let (layout, oldest) = (self.layout, self.oldest);
        let root = self.oldest_root.get_or_insert_with(|| {
            let text = read_text(&layout.generation(oldest), Manifest::BYTES).ok()?;
            toml::from_str(&text).ok()
        });
        root.as_ref()
    }
}

/// The versions that these manifests of a group name.
fn versions_named(layout: &Layout, stage: &str, group: &str, manifests: &BTreeSet<u64>) -> Option<BTreeSet<(String, String)>> {
    let mut named = BTreeSet::new();
    for generation in manifests {
        let text = read_text(&layout.group_manifest(stage, group, *generation), GroupManifest::BYTES).ok()?;
        let manifest: GroupManifest = toml::from_str(&text).ok()?;
        named.extend(manifest.current.into_iter().map(|(api, current)| (api, current.value.version)));
    }
    Some(named)
}

//! Where documents lie in a config directory: as it is, or as it would be with some files written.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::kind::{CHOSEN, KINDS};
use super::source::{read_bytes, text};
use super::{Diagnostic, Document, Files, Parsed, Report, Source, Stamp, Stamps, parse_text};

#[derive(Clone, Debug, Default)]
struct Read {
    digests: BTreeMap<PathBuf, [u8; 32]>,
    stamps: Stamps,
}

/// A config directory. Threads may read in it together.
#[derive(Debug)]
pub struct Layout {
    pub root: PathBuf,
    /// Files that are not written yet, and are read as if they were.
    pending: BTreeMap<PathBuf, String>,
    /// What has been read.
    read: Mutex<Read>,
}

impl Clone for Layout {
    fn clone(&self) -> Self {
        Self { root: self.root.clone(), pending: self.pending.clone(), read: Mutex::new(self.read().clone()) }
    }
}

impl Layout {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), pending: BTreeMap::new(), read: Mutex::default() }
    }

    fn read(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory as it would be with this file.
    pub fn with(mut self, path: PathBuf, text: String) -> Self {
        self.pending.insert(path, text);
        self
    }

    /// Whether there is a config directory.
    pub fn exists(&self) -> bool {
        !self.pending.is_empty() || self.root.is_dir()
    }

    /// Whether there is something at this path, be it readable or not.
    pub fn has(&self, path: &Path) -> bool {
        self.pending.contains_key(path) || std::fs::symlink_metadata(path).is_ok()
    }

    /// Reads and parses a document. What is wrong is in the report; `None`: nothing of it could be read.
    pub fn parse<T: Document>(&self, path: &Path, report: &mut Report) -> Option<Parsed<T>> {
        let source = self.source::<T>(path, report)?;
        let document = parse_text(&source, report)?;
        Some(Parsed { source, document })
    }

    /// Reads a document without parsing it.
    pub fn source<T: Document>(&self, path: &Path, report: &mut Report) -> Option<Arc<Source>> {
        let (look, source) = self.look_at::<T>(path, report);
        self.note(path, look, source.as_ref().map(|source| Sha256::digest(source.text.as_bytes()).into()));
        source
    }

    /// Reads a document that another one names by its digest, and so is no part of [`Self::digest`] by itself; also how it
    /// looked.
    pub fn look_at<T: Document>(&self, path: &Path, report: &mut Report) -> (Option<Stamp>, Option<Arc<Source>>) {
        let new = |text| Source::new(path.to_path_buf(), text, T::SHOWN_KEYS);
        if let Some(text) = self.pending.get(path) {
            return (Stamp::of(path), Some(new(text.clone())));
        }
        let (look, bytes) = read_bytes(path, T::BYTES);
        match bytes.and_then(text) {
            Ok(text) => (look, Some(new(text))),
            Err(problem) => {
                report.push(Diagnostic::file(path, problem));
                (look, None)
            }
        }
    }

    /// Reads a text that is no document, such as a secret in a file of its own.
    pub fn text(&self, path: &Path, limit: u64) -> Result<String, String> {
        text(self.file(path, limit)?)
    }

    /// A file is a part of what was read, by what it was found to be now or before.
    pub fn note(&self, path: &Path, look: Option<Stamp>, digest: Option<[u8; 32]>) {
        let mut read = self.read();
        read.stamps.file(path, look);
        if let Some(digest) = digest {
            read.digests.insert(path.to_path_buf(), digest);
        }
    }

    /// A directory was listed, now or before.
    pub fn note_directory(&self, path: &Path, look: Option<Stamp>) {
        self.read().stamps.directory(path, look);
    }

    /// Files that are known by the digests that name them were read, now or before.
    pub fn note_published(&self, files: Vec<Arc<Files>>) {
        self.read().stamps.published(files);
    }

    /// How everything read so far looked when it was.
    pub fn stamps(&self) -> Stamps {
        self.read().stamps.clone()
    }

    /// Nothing that is not written yet takes the place of files here.
    pub fn is_as_written(&self) -> bool {
        self.pending.is_empty()
    }

    /// SHA-256 over every document read so far, and every file that one names, by their paths below the root: in lower-case
    /// hexadecimal. What is published is in it by the root manifest, which names the rest by digest.
    pub fn digest(&self) -> String {
        let mut all = Sha256::new();
        for (path, digest) in &self.read().digests {
            let name = path.strip_prefix(&self.root).unwrap_or(path).as_os_str().as_encoded_bytes();
            all.update((name.len() as u64).to_le_bytes());
            all.update(name);
            all.update(digest);
        }
        all.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A file that a document names, of certificates or a key: a part of what was read. The error says what is wrong, in
    /// words.
    pub fn file(&self, path: &Path, limit: u64) -> Result<Vec<u8>, String> {
        let (look, bytes) = read_bytes(path, limit);
        self.note(path, look, bytes.as_ref().ok().map(|bytes| Sha256::digest(bytes).into()));
        bytes
    }

    /// The documents (`NAME.toml`) of a directory, in order of their names. A directory that does not exist has none;
    /// names that start with a dot, and files that are no documents, are left alone.
    pub fn documents(&self, directory: &Path, report: &mut Report) -> Vec<Entry> {
        let stem = |path: &Path| match path.extension() == Some(OsStr::new("toml")) {
            true => path.file_stem().map(OsStr::to_owned),
            false => None,
        };
        let mut entries = self.list(directory, report, |item| stem(Path::new(&item.file_name())));
        let pending = self.pending_in(directory).filter(|path| path.parent() == Some(directory));
        entries.extend(pending.filter_map(|path| Some(Entry { name: stem(path)?.into_string().ok()?, path: path.clone() })));
        entries.sort();
        entries.dedup();
        entries
    }

    /// The directories of a directory, in order of their names.
    pub fn directories(&self, directory: &Path, report: &mut Report) -> Vec<Entry> {
        let mut entries = self.list(directory, report, |item| {
            let known = item.file_type().ok().filter(|kind| !kind.is_symlink());
            known.map_or_else(|| item.path().is_dir(), |kind| kind.is_dir()).then(|| item.file_name())
        });
        for path in self.pending_in(directory) {
            let name = path.strip_prefix(directory).ok().and_then(|rest| rest.iter().next());
            if let Some(name) = name.and_then(OsStr::to_str) {
                entries.push(Entry { name: name.to_owned(), path: directory.join(name) });
            }
        }
        entries.sort();
        entries.dedup();
        entries
    }

    fn list(&self, directory: &Path, report: &mut Report, name: impl Fn(&DirEntry) -> Option<OsString>) -> Vec<Entry> {
        self.note_directory(directory, Stamp::of(directory));
        list(directory, report, name)
    }

    /// Every document that people edit and that is there, by the places of its kinds.
    pub fn drafts(&self, report: &mut Report) -> Vec<PathBuf> {
        let mut drafts = Vec::new();
        for kind in KINDS.iter().filter(|kind| !kind.published) {
            let mut directories = vec![self.root.clone()];
            let parts: Vec<&str> = kind.place.split('/').collect();
            let Some((file, above)) = parts.split_last() else { continue };
            for part in above {
                let below = |directory: &PathBuf| match *part {
                    CHOSEN => self.directories(directory, report).into_iter().map(|entry| entry.path).collect(),
                    part => vec![directory.join(part)],
                };
                directories = directories.iter().flat_map(below).collect();
            }
            for directory in directories {
                match file.starts_with(CHOSEN) {
                    true => drafts.extend(self.documents(&directory, report).into_iter().map(|entry| entry.path)),
                    false => drafts.extend(Some(directory.join(file)).filter(|path| self.has(path))),
                }
            }
        }
        drafts
    }

    fn pending_in<'a>(&'a self, directory: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
        self.pending.range(directory.to_path_buf()..).map(|(path, _)| path).take_while(move |path| path.starts_with(directory))
    }

    pub fn gateway(&self) -> PathBuf {
        self.root.join("gateway.toml")
    }
    pub fn vpc_accesses(&self) -> PathBuf {
        self.root.join("vpc-access")
    }
    pub fn vpc_access(&self, name: &str) -> PathBuf {
        self.vpc_accesses().join(format!("{name}.toml"))
    }
    pub fn groups(&self) -> PathBuf {
        self.root.join("groups")
    }
    pub fn group(&self, group: &str) -> PathBuf {
        self.groups().join(group).join("group.toml")
    }
    pub fn apis(&self, group: &str) -> PathBuf {
        self.groups().join(group).join("apis")
    }
    pub fn api(&self, group: &str, api: &str) -> PathBuf {
        self.apis(group).join(format!("{api}.toml"))
    }
    pub fn apps(&self) -> PathBuf {
        self.root.join("apps")
    }
    pub fn app(&self, name: &str) -> PathBuf {
        self.apps().join(format!("{name}.toml"))
    }
    /// Documents of many apps each.
    pub fn app_lists(&self) -> PathBuf {
        self.root.join("app-lists")
    }
    pub fn policies(&self) -> PathBuf {
        self.root.join("policies")
    }
    pub fn policy(&self, name: &str) -> PathBuf {
        self.policies().join(format!("{name}.toml"))
    }
    pub fn published(&self) -> PathBuf {
        self.root.join("published")
    }
    pub fn manifest(&self) -> PathBuf {
        self.published().join("manifest.toml")
    }
    /// Root manifests that were current once, and the one that is.
    pub fn generations(&self) -> PathBuf {
        self.published().join("generations")
    }
    pub fn generation(&self, generation: u64) -> PathBuf {
        self.generations().join(format!("{generation}.toml"))
    }
    /// The manifest of a group in a stage that this generation wrote.
    pub fn group_manifest(&self, stage: &str, group: &str, generation: u64) -> PathBuf {
        self.published().join(stage).join(group).join(format!("{generation}.toml"))
    }
    /// The directory of an API's version files in a stage.
    pub fn versions(&self, stage: &str, group: &str, api: &str) -> PathBuf {
        self.published().join(stage).join(group).join(api)
    }
    pub fn version(&self, stage: &str, group: &str, api: &str, version: &str) -> PathBuf {
        self.versions(stage, group, api).join(format!("{version}.toml"))
    }
}

/// A document or a directory of documents, and the name it has by its path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub name: String,
    pub path: PathBuf,
}

fn list(directory: &Path, report: &mut Report, name: impl Fn(&DirEntry) -> Option<OsString>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let listing = match std::fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return entries,
        Err(error) => {
            report.push(Diagnostic::file(directory, format!("this directory cannot be read: {error}")));
            return entries;
        }
    };
    for item in listing {
        let item = match item {
            Ok(item) if item.file_name().as_encoded_bytes().starts_with(b".") => continue,
            Ok(item) => item,
            Err(error) => {
                report.push(Diagnostic::file(directory, format!("this directory cannot be read to its end: {error}")));
                break;
            }
        };
        let Some(name) = name(&item) else { continue };
        match name.into_string() {
            Ok(name) => entries.push(Entry { name, path: item.path() }),
            Err(_) => report.push(Diagnostic::file(&item.path(), "the name of this file is not UTF-8")),
        }
    }
    entries
}

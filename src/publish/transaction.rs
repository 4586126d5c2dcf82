//! One change of what is published: everything is written and synced first, and nobody reads it. Then one rename puts
//! the next root manifest in the place of the last. Before it nothing has changed, after it everything has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::atomic::{self, Access};
use super::batch::Batch;
use super::lock::{Lock, LockError};
use super::retention;
use super::state::{Manifests, State};
use super::version::number;
use super::{Progress, PublishError};
use crate::catalog::{self, Candidate, Settings};
use crate::document::manifest::{Change, Current};
use crate::document::{Layout, Report};

/// Who changes something, when and why.
pub struct Author {
    pub by: String,
    pub remarks: String,
    pub now: Timestamp,
}

impl Author {
    /// RFC 3339, in milliseconds.
    pub(super) fn time(&self) -> String {
        format!("{:.3}", self.now)
    }
}

/// What came of a change.
#[derive(Debug)]
pub struct Committed {
    pub generation: u64,
    /// Digest of the root manifest, which stands for all that is published; empty: nothing ever was.
    pub sha256: String,
    /// What went wrong after the change was made: it stands, and the next one tries again.
    pub warnings: Vec<String>,
}

/// A stage, a group and an API.
pub(super) type Slot = (String, String, String);

pub(super) struct Transaction<'a> {
    pub layout: &'a Layout,
    pub author: &'a Author,
    pub state: State<'a>,
    files: Vec<(PathBuf, String)>,
    touched: Vec<Slot>,
    /// `None`: nothing will be written.
    _lock: Option<Lock>,
}

impl<'a> Transaction<'a> {
    pub fn begin(layout: &'a Layout, author: &'a Author) -> Result<Self, PublishError> {
        let lock = lock(layout, author)?;
        Ok(Self { _lock: Some(lock), ..Self::look(layout, author)? })
    }

    /// To see what would be: ended by [`Self::preview`].
    pub fn look(layout: &'a Layout, author: &'a Author) -> Result<Self, PublishError> {
        Ok(Self { layout, author, state: State::read(layout)?, files: Vec::new(), touched: Vec::new(), _lock: None })
    }

    /// The definitions agree with all that they touch, as it would be. Settings with errors are errors, too.
    pub fn check(&self, stage: &str, candidates: &[Candidate]) -> Result<(), PublishError> {
        let mut report = Report::default();
        if let Some(Settings { instance, .. }) = catalog::instance_settings(self.layout, &mut report) {
            let suffix = &instance.default_domain_suffix;
            catalog::check_publication(self.layout, self.state.root(), stage, candidates, suffix, &mut report);
        }
        match report.is_empty() {
            true => Ok(()),
            false => {
                report.sort();
                Err(PublishError::Documents(report))
            }
        }
    }

    /// A version that none of these APIs has, and that is above all others.
    pub fn version(&self, slots: &[Slot]) -> String {
        let mut version = number(self.author.now, self.state.last_version());
        while slots.iter().any(|(stage, group, api)| self.layout.has(&self.layout.version(stage, group, api, &version))) {
            version = number(self.author.now, &version);
        }
        version
    }

    /// A version file to be written.
    pub fn write(&mut self, path: PathBuf, text: String) {
        self.files.push((path, text));
    }

    /// Makes a version current, or none.
    pub fn set(&mut self, slot: Slot, current: Option<Current>) -> Result<(), PublishError> {
        self.state.set(&slot.0, &slot.1, &slot.2, current)?;
        self.touched.push(slot);
        Ok(())
    }

    /// What is current.
    pub fn current(&self) -> Committed {
        Committed { generation: self.state.generation(), sha256: self.state.sha256().to_owned(), warnings: Vec::new() }
    }

    /// Nothing is to be changed. Whoever made it so may have been told that the disk has not confirmed it: here it does.
    pub fn unchanged(self) -> Result<Committed, PublishError> {
        self.confirm(&self.layout.published(), self.state.generation()).map(|()| self.current())
    }

    fn confirm(&self, directory: &Path, generation: u64) -> Result<(), PublishError> {
        let directory = directory.to_path_buf();
        atomic::sync_directory(&directory).map_err(|error| PublishError::Unconfirmed { generation, directory, error })
    }

    /// The directory as a commit would leave it.
    pub fn preview(self, what: String, last_version: &str) -> Layout {
        let manifests = self.manifests(what, last_version, self.state.generation() + 1);
        let root = [(self.layout.manifest(), manifests.root)];
        let files = self.files.into_iter().chain(manifests.groups).chain(root);
        files.fold(self.layout.clone(), |layout, (path, text)| layout.with(path, text))
    }

    fn manifests(&self, what: String, last_version: &str, generation: u64) -> Manifests {
        let Author { by, remarks, .. } = self.author;
        let change = Change { what, remarks: remarks.clone(), by: by.clone(), time: self.author.time() };
        self.state.manifests(generation, last_version, change)
    }

    /// `last_version`: the highest given, or empty.
    pub fn commit(mut self, what: String, last_version: &str, progress: Progress<'_>) -> Result<Committed, PublishError> {
        let generation = retention::newest(self.layout).max(self.state.generation()) + 1;
        self.sweep(progress)?;
        let manifests = self.manifests(what, last_version, generation);
        self.keep_root()?;
        let mut files = std::mem::take(&mut self.files);
        files.extend(manifests.groups);
        let batch = Batch::write(&files, progress)?;
        let path = self.layout.manifest();
        let directory = atomic::put(&path, &manifests.root, Access::Everyone).map_err(PublishError::io(&path))?;
        // From here on it is current, whatever fails.
        batch.keep();
        self.confirm(&directory, generation)?;
        let warnings = self.tidy(generation, &manifests.root, progress);
        Ok(Committed { generation, sha256: manifests.sha256, warnings })
    }

    /// What is in the way of the new files was left by publications that died: nobody has ever served it.
    fn sweep(&self, progress: Progress<'_>) -> Result<(), PublishError> {
        let groups = self.touched.iter().map(|(stage, group, _)| self.layout.published().join(stage).join(group));
        let directories: BTreeSet<PathBuf> = groups.chain([self.layout.published(), self.layout.generations()]).collect();
        for directory in directories {
            retention::remove_unfinished(&directory).map_err(|(path, error)| PublishError::Io(path, error))?;
        }
        for (done, (stage, group, api)) in self.touched.iter().enumerate() {
            let latest = self.state.latest_before(stage, group, api).unwrap_or_default();
            let directory = self.layout.versions(stage, group, api);
            retention::remove_above(&directory, latest).map_err(|(path, error)| PublishError::Io(path, error))?;
            progress("looking", done + 1, self.touched.len());
        }
        Ok(())
    }

    /// The root that is current stays, under its generation.
    fn keep_root(&self) -> Result<(), PublishError> {
        let Some(root) = self.state.root() else { return Ok(()) };
        let path = self.layout.generation(root.document.generation);
        match fs::read_to_string(&path) {
            Ok(text) if text == root.source.text => Ok(()),
            _ => atomic::replace(&path, &root.source.text, Access::Everyone).map_err(PublishError::io(&path)),
        }
    }

    /// The change is made; what follows may fail, and is made up for by the next one.
    fn tidy(&self, generation: u64, root: &str, progress: Progress<'_>) -> Vec<String> {
        let mut warnings = Vec::new();
        let copy = self.layout.generation(generation);
        if let Err(error) = atomic::replace(&copy, root, Access::Everyone) {
            warnings.push(format!("{}: {error}", copy.display()));
        }
        let mut report = Report::default();
        match catalog::instance_settings(self.layout, &mut report) {
            Some(Settings { retention: kept, .. }) => {
                if let Err((path, error)) = retention::remove(self.layout, &kept, &self.touched, progress) {
                    warnings.push(format!("old files are not removed: {}: {error}", path.display()));
                }
            }
            None => {
                let why = report.first().map(|(place, text)| format!(": {place}: {text}")).unwrap_or_default();
                warnings.push(format!("old files are not removed, for how many are to be kept is not known{why}"));
            }
        }
        warnings
    }
}

fn lock(layout: &Layout, author: &Author) -> Result<Lock, PublishError> {
    if !layout.exists() {
        return Err(PublishError::Request(format!("there is no config directory {}", layout.root.display())));
    }
    let path = layout.published().join(".lock");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let holder = format!("process {} on {}, {}, since {}", std::process::id(), host.trim(), author.by, author.now);
    Lock::take(&path, &holder).map_err(|error| match error {
        LockError::Busy(holder) => PublishError::Busy(holder),
        LockError::Io(error) => PublishError::io(Path::new(&path))(error),
    })
}

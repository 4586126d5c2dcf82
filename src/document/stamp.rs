//! What a file or directory looked like when it was read: another look tells whether it may have changed since.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The look of one path, links followed. Equal looks mean the same content, as far as a look can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Changes with every write, and cannot be set back.
    changed: (i64, i64),
}

impl Stamp {
    /// `None`: there is nothing, or nothing that can be looked at.
    pub fn of(path: &Path) -> Option<Self> {
        let look = std::fs::metadata(path).ok()?;
        Some(Self {
            device: look.dev(),
            inode: look.ino(),
            size: look.size(),
            modified: (look.mtime(), look.mtime_nsec()),
            changed: (look.ctime(), look.ctime_nsec()),
        })
    }
}

/// The looks of all that was read.
#[derive(Clone, Debug, Default)]
pub struct Stamps {
    files: BTreeMap<PathBuf, Option<Stamp>>,
    directories: BTreeMap<PathBuf, Option<Stamp>>,
}

impl Stamps {
    /// Called before the file is read: what changes from then on shows.
    pub fn file(&mut self, path: &Path) {
        self.files.insert(path.to_path_buf(), Stamp::of(path));
    }

    pub fn directory(&mut self, path: &Path) {
        self.directories.insert(path.to_path_buf(), Stamp::of(path));
    }

    /// The directories that were listed, be they there or not.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.keys().map(PathBuf::as_path)
    }

    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Anything looks different now.
    pub fn have_changed(&self) -> bool {
        self.files.iter().chain(&self.directories).any(|(path, stamp)| Stamp::of(path) != *stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_replaced_or_taken_away_looks_different() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let looked = || {
            let mut stamps = Stamps::default();
            stamps.directory(directory.path());
            ["a", "b"].iter().for_each(|name| stamps.file(&path(name)));
            stamps
        };
        std::fs::write(path("a"), "1").unwrap();
        let before = looked();
        assert!(!before.have_changed());
        std::fs::write(path("a"), "12").unwrap();
        assert!(before.have_changed());
        let before = looked();
        std::fs::write(path("b"), "").unwrap();
        assert!(before.have_changed());
        let before = looked();
        std::fs::write(path("c"), "12").unwrap();
        std::fs::rename(path("c"), path("a")).unwrap();
        assert!(before.have_changed());
        let before = looked();
        std::fs::remove_file(path("b")).unwrap();
        assert!(before.have_changed());
    }
}

//! What a file or directory looked like when it was read: another look tells whether it may have changed since.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

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
        std::fs::metadata(path).ok().map(|look| Self::from(&look))
    }

    /// Another look tells for sure: what changes from now on changes the look. Clocks of file systems tick, and a file that
    /// has just changed may change again within the tick.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        i64::try_from(now).is_ok_and(|now| self.changed.0 + SETTLES_WITHIN_S < now)
    }
}

/// Longer than the clock of any file system ticks.
const SETTLES_WITHIN_S: i64 = 2;

impl From<&Metadata> for Stamp {
    fn from(look: &Metadata) -> Self {
        Self {
            device: look.dev(),
            inode: look.ino(),
            size: look.size(),
            modified: (look.mtime(), look.mtime_nsec()),
            changed: (look.ctime(), look.ctime_nsec()),
        }
    }
}

/// The looks of all that was read.
#[derive(Clone, Debug, Default)]
pub struct Stamps {
    files: BTreeMap<PathBuf, Option<Stamp>>,
    directories: BTreeMap<PathBuf, Option<Stamp>>,
    /// Of what is published, group by group: files that are written once.
    published: Vec<Arc<Files>>,
}

/// Files with the looks they had.
pub type Files = Vec<(PathBuf, Option<Stamp>)>;

impl Stamps {
    /// `look`: from before the file was read, so that what changed since shows.
    pub fn file(&mut self, path: &Path, look: Option<Stamp>) {
        self.files.insert(path.to_path_buf(), look);
    }

    pub fn directory(&mut self, path: &Path, look: Option<Stamp>) {
        self.directories.insert(path.to_path_buf(), look);
    }

    pub fn published(&mut self, files: Vec<Arc<Files>>) {
        self.published = files;
    }

    /// The directories that were listed, be they there or not.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.keys().map(PathBuf::as_path)
    }

    /// Files that are not named by the digest of what is published.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Anything looks different now, of what people edit: files of what is published are written once, and another root says
    /// so when others take their places.
    pub fn were_edited(&self) -> bool {
        self.edited().any(|(path, stamp)| Stamp::of(path) != *stamp)
    }

    /// Looks at everything from this place on, published files too, until something looks different or is more urgent.
    pub fn look(&self, from: usize, mut is_urgent: impl FnMut() -> bool) -> Look {
        let published = self.published.iter().flat_map(|files| files.iter()).map(|(path, stamp)| (path, stamp));
        for (place, (path, stamp)) in self.edited().chain(published).enumerate().skip(from) {
            if is_urgent() {
                return Look::Interrupted(place);
            }
            if Stamp::of(path) != *stamp {
                return Look::Changed;
            }
        }
        Look::Same
    }

    fn edited(&self) -> impl Iterator<Item = (&PathBuf, &Option<Stamp>)> {
        self.files.iter().chain(&self.directories)
    }
}

/// What a look at everything found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Same,
    Changed,
    /// The same so far; the rest begins here.
    Interrupted(usize),
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
            stamps.directory(directory.path(), Stamp::of(directory.path()));
            ["a", "b"].iter().for_each(|name| stamps.file(&path(name), Stamp::of(&path(name))));
            stamps
        };
        std::fs::write(path("a"), "1").unwrap();
        let before = looked();
        assert!(!before.were_edited());
        std::fs::write(path("a"), "12").unwrap();
        assert!(before.were_edited());
        let before = looked();
        std::fs::write(path("b"), "").unwrap();
        assert!(before.were_edited());
        let before = looked();
        std::fs::write(path("c"), "12").unwrap();
        std::fs::rename(path("c"), path("a")).unwrap();
        assert!(before.were_edited());
        let before = looked();
        std::fs::remove_file(path("b")).unwrap();
        assert!(before.were_edited());
    }

    #[test]
    fn a_look_gives_way_and_goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: usize| directory.path().join(name.to_string());
        (0..9).for_each(|name| std::fs::write(path(name), "1").unwrap());
        let of = |name: usize| (path(name), Stamp::of(&path(name)));
        let mut stamps = Stamps::default();
        (0..3).map(of).for_each(|(path, look)| stamps.file(&path, look));
        stamps.published(vec![Arc::new((3..6).map(of).collect()), Arc::new((6..9).map(of).collect())]);
        let after = |looks: usize| {
            let mut looks = 0..looks;
            move || looks.next().is_none()
        };
        assert_eq!(stamps.look(0, || false), Look::Same);
        assert_eq!(stamps.look(0, after(5)), Look::Interrupted(5));
        assert_eq!(stamps.look(5, after(2)), Look::Interrupted(7));
        assert_eq!(stamps.look(7, || false), Look::Same);
        std::fs::write(path(8), "12").unwrap();
        assert!(!stamps.were_edited(), "the root says when published files are others");
        assert_eq!(stamps.look(0, after(8)), Look::Interrupted(8));
        assert_eq!(stamps.look(8, || false), Look::Changed);
        // There are fewer files by now.
        assert_eq!(stamps.look(10, || false), Look::Same);
    }
}

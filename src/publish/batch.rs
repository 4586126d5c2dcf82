//! Several files at once, whole or absent: written beside their places, synced, renamed. Few are synced each by itself; of
//! many, the disk is waited for twice, however many they are: their whole file system is synced.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::atomic::{self, Access};
use super::{Progress, PublishError};
use crate::sys::sync_file_system;

/// More are not waited for one by one. Whoever else writes to the file system is waited for with them, which few files are not
/// worth.
const FEW_FILES: usize = 16;

/// Files that were written; taken away again unless they are kept.
pub struct Batch {
    written: Vec<PathBuf>,
    /// Directories that were made for them.
    made: Vec<PathBuf>,
    /// Directories whose entries are not known to be on the disk.
    unsynced: BTreeSet<PathBuf>,
    kept: bool,
}

impl Batch {
    /// Writes files that nobody reads yet. When this returns, all of them are on the disk.
    pub fn write(files: &[(PathBuf, String)], progress: Progress<'_>) -> Result<Self, PublishError> {
        let mut batch = Self { written: Vec::new(), made: Vec::new(), unsynced: BTreeSet::new(), kept: false };
        match files.len() > FEW_FILES {
            true => batch.many(files, progress)?,
            false => batch.few(files, progress)?,
        }
        Ok(batch)
    }

    /// They are part of what is current now.
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// Each file is waited for, and each directory.
    fn few(&mut self, files: &[(PathBuf, String)], progress: Progress<'_>) -> Result<(), PublishError> {
        let mut open: Vec<(File, PathBuf, &Path)> = Vec::with_capacity(files.len());
        for (path, text) in files {
            let (file, temporary) = self.file(path, text).map_err(PublishError::io(path))?;
            open.push((file, temporary, path));
        }
        for (file, temporary, path) in open {
            file.sync_all().and_then(|()| fs::rename(&temporary, path)).map_err(PublishError::io(path))?;
            self.written.push(path.to_path_buf());
        }
        progress("writing", files.len(), files.len());
        for directory in std::mem::take(&mut self.unsynced) {
            atomic::sync_directory(&directory).map_err(PublishError::io(&directory))?;
        }
        Ok(())
    }

    /// The disk is waited for twice: when all is written, and when all is in its place.
    fn many(&mut self, files: &[(PathBuf, String)], progress: Progress<'_>) -> Result<(), PublishError> {
        let place = files.first().and_then(|(path, _)| path.ancestors().skip(1).find(|here| here.is_dir()));
        let place = place.unwrap_or(Path::new("."));
        // Opened before anything is written: what cannot be written from then on is an error.
        let disk = File::open(place).map_err(PublishError::io(place))?;
        let sync = || sync_file_system(disk.as_raw_fd()).map_err(PublishError::io(place));
        let mut temporaries = Vec::with_capacity(files.len());
        for (done, (path, text)) in files.iter().enumerate() {
            temporaries.push(self.file(path, text).map_err(PublishError::io(path))?.1);
            progress("writing", done + 1, files.len());
        }
        sync()?;
        for (done, (temporary, (path, _))) in temporaries.iter().zip(files).enumerate() {
            fs::rename(temporary, path).map_err(PublishError::io(path))?;
            self.written.push(path.clone());
            progress("placing", done + 1, files.len());
        }
        sync()
    }

    /// Writes a file beside its place.
    fn file(&mut self, path: &Path, text: &str) -> io::Result<(File, PathBuf)> {
        self.directory(path)?;
        let temporary = atomic::temporary(path)?;
        self.written.push(temporary.clone());
        let file = atomic::write(&temporary, text, Access::Everyone)?;
        Ok((file, temporary))
    }

    /// Makes the directory of a file.
    fn directory(&mut self, path: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        for here in path.ancestors().skip(1) {
            if !self.unsynced.insert(here.to_path_buf()) || here.is_dir() {
                break;
            }
            missing.push(here);
        }
        for directory in missing.into_iter().rev() {
            fs::create_dir(directory)?;
            self.made.push(directory.to_path_buf());
        }
        Ok(())
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if !self.kept {
            // Nobody has read them; what stays is taken away by the next publication.
            self.written.iter().for_each(|path| drop(fs::remove_file(path)));
            self.made.iter().rev().for_each(|path| drop(fs::remove_dir(path)));
        }
    }
}

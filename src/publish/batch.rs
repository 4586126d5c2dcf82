//! Many files at once, whole or absent: written beside their places, synced, renamed. The disk is waited for a few times
//! and not once a file: what a sync of one file writes out, those of the others find done.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::atomic::{self, Access};
use super::{Progress, PublishError};

/// Files open at the same time.
const OPEN_FILES: usize = 256;

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
        for (index, chunk) in files.chunks(OPEN_FILES).enumerate() {
            batch.chunk(chunk)?;
            progress("writing", index * OPEN_FILES + chunk.len(), files.len());
        }
        for directory in std::mem::take(&mut batch.unsynced) {
            atomic::sync_directory(&directory).map_err(PublishError::io(&directory))?;
        }
        Ok(batch)
    }

    /// They are part of what is current now.
    pub fn keep(mut self) {
        self.kept = true;
    }

    fn chunk(&mut self, files: &[(PathBuf, String)]) -> Result<(), PublishError> {
        let mut open: Vec<(File, PathBuf, &Path)> = Vec::with_capacity(files.len());
        for (path, text) in files {
            self.directory(path).map_err(PublishError::io(path))?;
            let temporary = atomic::temporary(path).map_err(PublishError::io(path))?;
            self.written.push(temporary.clone());
            let file = atomic::write(&temporary, text, Access::Everyone).map_err(PublishError::io(path))?;
            open.push((file, temporary, path));
        }
        for (file, temporary, path) in open {
            file.sync_all().and_then(|()| fs::rename(&temporary, path)).map_err(PublishError::io(path))?;
            self.written.push(path.to_path_buf());
        }
        Ok(())
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

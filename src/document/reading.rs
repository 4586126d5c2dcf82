//! Reading what is published, while old files of it are taken away: readers share a lock of the directory, and whoever
//! takes away waits for none of them, but leaves it for the next time.

use std::fs::{File, TryLockError};

use super::Layout;

/// Held while files below `published/` are read: none of them is taken away meanwhile.
pub struct Reading {
    _directory: Option<File>,
}

/// Held while files are taken away.
pub struct Removing {
    _directory: File,
}

impl Layout {
    /// Where the directory cannot be locked (there is none, or the file system has no locks), reading goes on without:
    /// a file that is gone is an error like another then.
    pub fn reading(&self) -> Reading {
        let directory = File::open(self.published()).ok().filter(|directory| directory.lock_shared().is_ok());
        Reading { _directory: directory }
    }

    /// `None`: somebody reads.
    pub fn removing(&self) -> std::io::Result<Option<Removing>> {
        let directory = File::open(self.published())?;
        match directory.try_lock() {
            Ok(()) => Ok(Some(Removing { _directory: directory })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

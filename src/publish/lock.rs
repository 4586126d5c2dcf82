//! One publication at a time: an advisory lock on a file, which also says who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use super::atomic;

/// How long a publication waits for another to end.
const WAIT: Duration = Duration::from_secs(10);
const TRY_EVERY: Duration = Duration::from_millis(20);

/// The lock; the kernel releases it when this is dropped, or the process ends in any way.
pub struct Lock {
    _file: File,
}

pub enum LockError {
    /// Held for longer than anyone should wait; who holds it, by its own account.
    Busy(String),
    Io(io::Error),
}

impl Lock {
    /// `holder`: a line about this process, for others to read.
    pub fn take(path: &Path, holder: &str) -> Result<Self, LockError> {
        if let Some(directory) = path.parent() {
            // Synced: all that is published will lie in it.
            atomic::make_directory(directory).map_err(LockError::Io)?;
        }
        // The file stays when the lock goes: to remove it would let two processes lock two files of one name.
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = options.map_err(LockError::Io)?;
        for _ in 0..WAIT.as_millis() / TRY_EVERY.as_millis() {
            match file.try_lock() {
                Ok(()) => {
                    write_holder(&mut file, holder).map_err(LockError::Io)?;
                    return Ok(Self { _file: file });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_EVERY),
                Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
            }
        }
        let mut who = String::new();
        // Only for the message: the lock is held, whoever says so.
        let _ = (&file).take(1024).read_to_string(&mut who);
        Err(LockError::Busy(who.trim().to_owned()))
    }
}

fn write_holder(file: &mut File, holder: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{holder}")
}

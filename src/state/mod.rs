//! What outlives the process: nonces that have been used, in a file of the state directory that is mapped into memory.
//!
//! ```text
//! state/nonces        the set (gate::authenticate::nonce)
//! state/process-N     held by a running process, whose place is N; the kernel lets go of it when the process ends in any way
//! state/tender        held by the one process that moves the window of nonces on
//! state/lock          held while files are opened, made, or made anew in another size
//! ```
//!
//! Several processes may share it: an upgrade has two for a while. What they share are words that change one at a time, so
//! that a process may be killed between any two instructions.

mod file;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::catalog::Catalog;
use crate::gate::authenticate::nonce::{self, NonceSet};
use crate::gate::quota::map::PROCESSES;
use crate::gate::quota::memory::Words;
pub use file::FileError;
use file::{Kind, Region, Shape};

/// How long a process waits for another that opens the files.
const WAIT: Duration = Duration::from_secs(10);
const TRY_EVERY: Duration = Duration::from_millis(20);

/// The state directory, opened by a gateway.
pub struct State {
    /// What happened to the files that an operator should know.
    pub notices: Vec<String>,
    nonces: Region,
    _place: File,
    tender: File,
    tends: Cell<bool>,
}

/// Why the state cannot be used.
#[derive(Debug)]
pub enum StateError {
    Io(PathBuf, io::Error),
    File(PathBuf, FileError),
    /// As many processes share it as may.
    NoPlace(PathBuf),
    /// Another process keeps nonces for another window.
    OtherWindow {
        path: PathBuf,
        window_ms: u64,
    },
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(path, error) => {
                write!(f, "the state directory: {}: {error}", path.display())?;
                f.write_str("\n  help: `state_directory` in [instance] names a directory that the gateway may write to")
            }
            Self::File(path, error) => {
                write!(f, "{}: {error}", path.display())?;
                f.write_str("\n  help: its size follows `nonce_capacity` in [security]")
            }
            Self::NoPlace(directory) => {
                write!(f, "{PROCESSES} processes already share the state directory {}", directory.display())?;
                f.write_str(
                    "\n  help: `fuser DIR/process-*` names them; gateways that are not to share have directories of their own",
                )
            }
            Self::OtherWindow { path, window_ms } => {
                write!(f, "{}: another process uses it with signature_window_s = {}", path.display(), window_ms / 1000)?;
                f.write_str("\n  help: end that one first: how long nonces are remembered follows from it")
            }
        }
    }
}

impl State {
    pub fn open(catalog: &Catalog, now_ms: u64) -> Result<Self, StateError> {
        let directory = &catalog.instance.state_directory;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| StateError::Io(directory.clone(), error))?;
        let lock = held(directory, "lock")?;
        let (place, alone) = take_place(directory)?;
        let mut notices = Vec::new();
        let (capacity, window_ms) = (catalog.security.nonce_capacity, catalog.security.signature_window_ms);
        let shape = Shape { kind: Kind::Nonces, words: nonce::words(capacity), sizes: [capacity as u64, window_ms] };
        let path = directory.join("nonces");
        let mut lost = 0;
        let carry = |old: &Region, new: &Region| lost = set_of(new, now_ms).carry_over(&set_of(old, now_ms));
        let nonces = file::open(&path, &shape, alone, now_ms, &mut notices, carry)?;
        if lost > 0 {
            notices.push(format!("{}: there was no room for {lost} nonces in the smaller set", path.display()));
        }
        if nonces.sizes[1] != window_ms {
            return Err(StateError::OtherWindow { path, window_ms: nonces.sizes[1] });
        }
        drop(lock);
        let tender = open_lock(&directory.join("tender"))?;
        let tends = Cell::new(false);
        Ok(Self { notices, nonces, _place: place, tender, tends })
    }

    pub fn nonces(&self, now_ms: u64) -> NonceSet {
        set_of(&self.nonces, now_ms)
    }

    /// Whether this process looks after what all of them share. Asked about once a second: when the one that does ends,
    /// another takes over.
    pub fn tends(&self) -> bool {
        if !self.tends.get() && self.tender.try_lock().is_ok() {
            self.tends.set(true);
        }
        self.tends.get()
    }
}

fn set_of(region: &Region, now_ms: u64) -> NonceSet {
    let [capacity, window_ms] = region.sizes;
    NonceSet::over(Words::Mapped(region.words), capacity as usize, window_ms, now_ms, region.key)
}

/// A free place, held as long as the file is open; and whether no other is taken.
fn take_place(directory: &Path) -> Result<(File, bool), StateError> {
    let (mut mine, mut alone) = (None, true);
    for process in 0..PROCESSES {
        let path = directory.join(format!("process-{process}"));
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) if mine.is_none() => mine = Some(file),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => alone = false,
            Err(TryLockError::Error(error)) => return Err(StateError::Io(path, error)),
        }
    }
    Ok((mine.ok_or_else(|| StateError::NoPlace(directory.to_owned()))?, alone))
}

fn open_lock(path: &Path) -> Result<File, StateError> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    file.map_err(|error| StateError::Io(path.to_owned(), error))
}

fn held(directory: &Path, name: &str) -> Result<File, StateError> {
    let path = directory.join(name);
    let file = open_lock(&path)?;
    for _ in 0..WAIT.as_millis() / TRY_EVERY.as_millis() {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_EVERY),
            Err(TryLockError::Error(error)) => return Err(StateError::Io(path, error)),
        }
    }
    Err(StateError::Io(path, io::Error::new(io::ErrorKind::WouldBlock, "another process holds it")))
}

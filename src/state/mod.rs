//! What outlives the process: nonces that have been used, and what has been counted, in files of the state directory that are
//! mapped into memory.
//!
//! ```text
//! state/nonces        the set (gate::authenticate::nonce)
//! state/counters      counters of quotas, and what workers have leased of them (gate::quota)
//! state/process-N     held by a running process, whose place is N; the kernel lets go of it when the process ends in any way
//! state/tender        held by the one process that moves the window of nonces on, and clears up after processes that died
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
use crate::gate::quota::Quotas;
use crate::gate::quota::map::{Map, PROCESSES};
use crate::gate::quota::memory::Words;
pub use file::FileError;
use file::{Kind, Region, Shape};

const NONCES: &str = "nonces";
const COUNTERS: &str = "counters";
const LOCK: &str = "lock";

/// How long a process waits for another that opens the files.
const WAIT: Duration = Duration::from_secs(10);
const TRY_EVERY: Duration = Duration::from_millis(20);

/// The state directory, opened by a gateway.
pub struct State {
    /// What happened to the files that an operator should know.
    pub notices: Vec<String>,
    directory: PathBuf,
    nonces: Region,
    counters: Region,
    /// This process's, of [`PROCESSES`].
    process: usize,
    _place: File,
    /// Held while anyone opens the files.
    lock: File,
    tender: File,
    tends: Cell<bool>,
}

/// Why the state cannot be used.
#[derive(Debug)]
pub enum StateError {
    Io(PathBuf, io::Error),
    File(PathBuf, FileError),
    /// No gateway has made it yet.
    Absent(PathBuf),
    /// It is none of ours, or damaged.
    Foreign(PathBuf, String),
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
                let is_nonces = path.file_stem().is_some_and(|name| name == NONCES);
                let setting = if is_nonces { "`nonce_capacity` in [security]" } else { "`counter_capacity` in [quota]" };
                write!(f, "\n  help: its size follows {setting}")
            }
            Self::Absent(path) => {
                write!(f, "nothing has been counted: there is no {}", path.display())?;
                f.write_str("\n  help: a gateway makes it when it starts, in the `state_directory` of its gateway.toml")
            }
            Self::Foreign(path, why) => write!(f, "{}: {why}", path.display()),
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
        let lock = held(directory, LOCK)?;
        let (place, process, alone) = take_place(directory)?;
        let mut notices = Vec::new();
        let nonces = open_nonces(catalog, alone, now_ms, &mut notices)?;
        let counters = open_counters(catalog, process, alone, now_ms, &mut notices)?;
        let tender = open_lock(&directory.join("tender"))?;
        lock.unlock().map_err(|error| StateError::Io(directory.join(LOCK), error))?;
        let (directory, tends) = (directory.clone(), Cell::new(false));
        Ok(Self { notices, directory, nonces, counters, process, _place: place, lock, tender, tends })
    }

    pub fn nonces(&self, now_ms: u64) -> NonceSet {
        set_of(&self.nonces, now_ms)
    }

    pub fn quotas(&self) -> Quotas {
        quotas_of(&self.counters, self.process)
    }

    /// Whether this process looks after what all of them share. Asked about once a second: when the one that does ends,
    /// another takes over.
    pub fn tends(&self) -> bool {
        if !self.tends.get() && self.tender.try_lock().is_ok() {
            self.tends.set(true);
        }
        self.tends.get()
    }

    /// Ends what processes were in the middle of that are no more: others wait for it.
    pub fn bury_the_dead(&self, quotas: &Quotas) {
        // Nobody takes a place meanwhile.
        if self.lock.try_lock().is_err() {
            return;
        }
        for process in (0..PROCESSES).filter(|&process| process != self.process && quotas.was_used_by(process)) {
            let place = open_lock(&place_of(&self.directory, process));
            if place.is_ok_and(|place| place.try_lock().is_ok()) {
                quotas.bury(process);
            }
        }
        // It was locked a moment ago.
        let _ = self.lock.unlock();
    }
}

fn open_nonces(catalog: &Catalog, alone: bool, now_ms: u64, notices: &mut Vec<String>) -> Result<Region, StateError> {
    let (capacity, window_ms) = (catalog.security.nonce_capacity, catalog.security.signature_window_ms);
    let shape = Shape { kind: Kind::Nonces, words: nonce::words(capacity), sizes: [capacity as u64, window_ms] };
    let path = catalog.instance.state_directory.join(NONCES);
    let mut lost = 0;
    let carry = |old: &Region, new: &Region| lost = set_of(new, now_ms).carry_over(&set_of(old, now_ms));
    let nonces = file::open(&path, &shape, alone, now_ms, notices, carry)?;
    if lost > 0 {
        notices.push(format!("{}: there was no room for {lost} nonces in the smaller set", path.display()));
    }
    match nonces.sizes {
        [_, of_others] if of_others != window_ms => Err(StateError::OtherWindow { path, window_ms: of_others }),
        _ => Ok(nonces),
    }
}

fn open_counters(
    catalog: &Catalog,
    process: usize,
    alone: bool,
    now_ms: u64,
    notices: &mut Vec<String>,
) -> Result<Region, StateError> {
    let capacity = catalog.quota.counter_capacity;
    let shape = Shape { kind: Kind::Counters, words: Map::new(capacity).words(), sizes: [capacity as u64, 0] };
    let path = catalog.instance.state_directory.join(COUNTERS);
    let mut lost = 0;
    let carry = |old: &Region, new: &Region| lost = quotas_of(new, process).carry_over(&quotas_of(old, process), now_ms);
    let counters = file::open(&path, &shape, alone, now_ms, notices, carry)?;
    if lost > 0 {
        notices.push(format!("{}: there was no room for {lost} counters in the smaller table", path.display()));
    }
    let quotas = quotas_of(&counters, process);
    if alone {
        quotas.bury_all()
    } else {
        quotas.bury(process)
    }
    Ok(counters)
}

/// The counters of a state directory, for those who look at them while gateways count, or when none runs.
pub fn counters(directory: &Path) -> Result<Quotas, StateError> {
    Ok(quotas_of(&file::look(&directory.join(COUNTERS), Kind::Counters)?, 0))
}

fn set_of(region: &Region, now_ms: u64) -> NonceSet {
    let [capacity, window_ms] = region.sizes;
    NonceSet::over(Words::Mapped(region.words), capacity as usize, window_ms, now_ms, region.key)
}

fn quotas_of(region: &Region, process: usize) -> Quotas {
    Quotas::shared(region.words, region.sizes[0] as usize, process, region.key)
}

/// A free place, held as long as the file is open; which it is; and whether no other is taken.
fn take_place(directory: &Path) -> Result<(File, usize, bool), StateError> {
    let (mut mine, mut alone) = (None, true);
    for process in 0..PROCESSES {
        let path = place_of(directory, process);
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) if mine.is_none() => mine = Some((file, process)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => alone = false,
            Err(TryLockError::Error(error)) => return Err(StateError::Io(path, error)),
        }
    }
    let (file, process) = mine.ok_or_else(|| StateError::NoPlace(directory.to_owned()))?;
    Ok((file, process, alone))
}

fn place_of(directory: &Path, process: usize) -> PathBuf {
    directory.join(format!("process-{process}"))
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

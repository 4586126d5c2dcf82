//! What a gateway knows of itself: which generation it serves, since when, on which workers, and what went wrong last.
//!
//! One [`Status`] a process. The thread that loads documents writes it, workers note the generation they run, and whoever
//! is asked how the gateway is reads a [`View`]. Nothing of it is on the path of a request.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// How far a gateway is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    Starting,
    /// Its listeners accept connections.
    Serving,
    /// It finishes what it has, and takes no more.
    Draining,
}

/// What a load had to do anew; all else is what the load before had made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Files of what is published that were read: manifests and versions.
    pub published_files: usize,
    /// Documents of apps that were read.
    pub app_documents: usize,
    /// Groups whose tables were built, counted once in each stage.
    pub groups: usize,
    /// Groups that have tables, counted in the same way.
    pub of_groups: usize,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { published_files, app_documents, groups, of_groups } = self;
        write!(f, "{published_files} published files and {app_documents} documents of apps read, ")?;
        write!(f, "{groups} of {of_groups} groups built")
    }
}

/// One accepted state of all files that are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// Of the manifest: how often something was published. Apps, VPC accesses and the like change without it.
    pub number: u64,
    /// SHA-256 over every document loaded, in lower-case hexadecimal.
    pub sha256: String,
    /// Loads that this process has accepted, the first included: grows with every generation, whatever changed.
    pub load: u64,
    /// When it was accepted, Unix time in milliseconds.
    pub loaded_unix_ms: u64,
    pub groups: usize,
    pub apis: usize,
    pub apps: usize,
    pub vpc_accesses: usize,
    /// What was done for it.
    pub work: Work,
}

/// Why the files as they are now are not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    pub unix_ms: u64,
    /// Where the first error stands: `FILE:LINE:COLUMN`, or `FILE` when it is about the whole of it.
    pub place: String,
    /// The first error in one line. Never shows a secret.
    pub message: String,
    /// Errors in all.
    pub errors: usize,
    /// All of them, as the command line shows them.
    pub report: String,
}

/// What a worker runs.
#[derive(Debug, Default)]
pub struct WorkerStatus {
    load: AtomicU64,
    since_unix_ms: AtomicU64,
}

pub struct Status {
    started_unix_ms: u64,
    phase: AtomicU8,
    workers: Box<[WorkerStatus]>,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    generation: Generation,
    /// `None`: the files are served as they are.
    error: Option<LoadError>,
    refused: u64,
    /// Keys of `gateway.toml` that have changed and take effect when the gateway is started anew.
    restart_needed: Vec<String>,
    last_load_us: u64,
}

/// A copy, for a person or a program.
#[derive(Clone, Debug)]
pub struct View {
    pub phase: Phase,
    pub started_unix_ms: u64,
    pub generation: Generation,
    pub error: Option<LoadError>,
    /// Loads that were refused, since the start.
    pub loads_refused: u64,
    pub restart_needed: Vec<String>,
    /// How long the last accepted load took, from the first file read to the last worker's switch, in microseconds.
    pub last_load_us: u64,
    /// For each worker, the load it runs and since when (Unix time in milliseconds).
    pub workers: Vec<(u64, u64)>,
}

impl WorkerStatus {
    /// The worker has switched to this load.
    pub fn runs(&self, load: u64, now_unix_ms: u64) {
        self.since_unix_ms.store(now_unix_ms, Ordering::Relaxed);
        self.load.store(load, Ordering::Release);
    }

    pub fn load(&self) -> u64 {
        self.load.load(Ordering::Acquire)
    }
}

impl Status {
    pub fn new(workers: usize, now_unix_ms: u64) -> Self {
        Self {
            started_unix_ms: now_unix_ms,
            phase: AtomicU8::new(Phase::Starting as u8),
            workers: (0..workers).map(|_| WorkerStatus::default()).collect(),
            state: Mutex::default(),
        }
    }

    pub fn worker(&self, number: usize) -> Option<&WorkerStatus> {
        self.workers.get(number)
    }

    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Workers that run this load, or a later one.
    pub fn workers_at(&self, load: u64) -> usize {
        self.workers.iter().filter(|worker| worker.load() >= load).count()
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Draining,
        }
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The files are served as they are.
    pub fn accepted(&self, generation: Generation, restart_needed: Vec<String>, took_us: u64) {
        let mut state = self.state();
        let refused = state.refused;
        *state = State { generation, error: None, refused, restart_needed, last_load_us: took_us };
    }

    /// The files have errors: what was served before goes on.
    pub fn refused(&self, error: LoadError) {
        let mut state = self.state();
        state.refused += 1;
        state.error = Some(error);
    }

    pub fn view(&self) -> View {
        let State { generation, error, refused, restart_needed, last_load_us } = self.state().clone();
        View {
            phase: self.phase(),
            started_unix_ms: self.started_unix_ms,
            generation,
            error,
            loads_refused: refused,
            restart_needed,
            last_load_us,
            workers: self.workers.iter().map(|w| (w.load(), w.since_unix_ms.load(Ordering::Relaxed))).collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole after every statement, whoever panicked in between.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_leaves_the_generation_and_goes_with_the_next_good_one() {
        let status = Status::new(2, 1);
        let generation = |load| Generation { number: 7, load, ..Generation::default() };
        status.accepted(generation(1), Vec::new(), 10);
        let error = LoadError { unix_ms: 2, place: "a.toml:1:2".into(), message: "m".into(), errors: 1, report: "r".into() };
        status.refused(error.clone());
        let view = status.view();
        assert_eq!((view.generation, view.error, view.loads_refused), (generation(1), Some(error), 1));
        status.accepted(generation(2), vec!["[instance] workers".into()], 10);
        let view = status.view();
        assert_eq!((view.generation, view.error, view.loads_refused), (generation(2), None, 1));
        assert_eq!(view.restart_needed, ["[instance] workers"]);
    }

    #[test]
    fn workers_are_counted_by_what_they_run() {
        let status = Status::new(3, 1);
        status.workers.iter().for_each(|worker| worker.runs(1, 5));
        status.worker(1).expect("there are three").runs(2, 6);
        assert_eq!((status.workers_at(1), status.workers_at(2), status.workers_at(3)), (3, 1, 0));
        assert_eq!(status.view().workers, [(1, 5), (2, 6), (1, 5)]);
    }
}

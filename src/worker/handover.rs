//! How a generation comes into force on every worker, in two phases: each makes it ready and says so; when all have, one
//! store is the order to switch. A worker that is busy sees the order at its next request, an idle one hears the bell.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, SystemTime};

use crate::catalog::Catalog;
use crate::gate::policy::used::InForce;
use crate::gate::{Shared, Tables};
use crate::net::bell::Ringer;
use crate::net::clock;
use crate::observe::status::Status;
use crate::upstream::board::{Board, Seating};

/// Longest wait for a worker in either phase. A worker answers within a turn of its loop; one that does not is stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// What workers are given of a generation.
pub struct Generation {
    pub load: u64,
    pub tables: Tables,
    pub seating: Seating,
}

/// What the thread that hands over and the workers share.
pub struct Handover {
    /// The load that is in force.
    pub order: Arc<AtomicU64>,
    offered: Mutex<Arc<Generation>>,
    prepared: Box<[AtomicU64]>,
    ringers: Arc<[Ringer]>,
    waiting: Mutex<Option<Thread>>,
    policies: Mutex<InForce>,
    status: Arc<Status>,
}

/// The side that hands over. One for the process.
pub struct Swap {
    handover: Arc<Handover>,
    shared: Arc<Shared>,
    board: Arc<Board>,
    current: Arc<Generation>,
    /// The last load that was begun.
    load: u64,
    /// Generations that a request may still be running on: freed here, not on a worker, which would have to wait for it.
    retired: Vec<Arc<Generation>>,
}

/// A worker did not answer in time.
#[derive(Debug)]
pub struct Stuck {
    pub worker: usize,
}

impl Generation {
    /// With what has not changed since the one before.
    pub fn build(before: Option<&Self>, load: u64, catalog: Arc<Catalog>, shared: &Shared, board: &Board) -> Arc<Self> {
        let (seating, before) = (board.seats(&catalog), before.map(|before| &before.tables));
        Arc::new(Self { load, tables: Tables::after(before, catalog, shared), seating })
    }

    fn policies(&self) -> InForce {
        let Tables { catalog, policies, .. } = &self.tables;
        InForce { catalog: catalog.clone(), policies: policies.clone() }
    }
}

impl Handover {
    pub fn new(first: &Arc<Generation>, ringers: Arc<[Ringer]>, status: Arc<Status>) -> Self {
        Self {
            order: Arc::new(AtomicU64::new(first.load)),
            offered: Mutex::new(first.clone()),
            prepared: ringers.iter().map(|_| AtomicU64::new(first.load)).collect(),
            ringers,
            waiting: Mutex::default(),
            policies: Mutex::new(first.policies()),
            status,
        }
    }

    /// The policies of the generation in force.
    pub fn policies(&self) -> InForce {
        self.policies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The generation that a worker has not prepared yet, if there is one.
    pub fn offered_to(&self, worker: usize) -> Option<Arc<Generation>> {
        let offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let prepared = self.prepared.get(worker)?.load(Ordering::Relaxed);
        (offered.load > prepared).then_some(offered)
    }

    /// The worker is ready for the order.
    pub fn is_prepared(&self, worker: usize, load: u64) {
        if let Some(prepared) = self.prepared.get(worker) {
            prepared.store(load, Ordering::Release);
        }
        self.wake();
    }

    /// The worker has switched.
    pub fn runs(&self, worker: usize, load: u64) {
        if let Some(own) = self.status.worker(worker) {
            own.runs(load, clock::unix_ms());
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = &*self.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }

    fn ring_all(&self) {
        self.ringers.iter().for_each(Ringer::ring);
    }

    /// Waits until every worker has come so far; the first that has not is an error.
    fn wait_for_all(&self, has: impl Fn(usize) -> bool) -> Result<(), Stuck> {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
        let deadline = SystemTime::now() + PATIENCE;
        loop {
            let Some(worker) = (0..self.ringers.len()).find(|&worker| !has(worker)) else { return Ok(()) };
            let Some(left) = deadline.duration_since(SystemTime::now()).ok().filter(|left| !left.is_zero()) else {
                return Err(Stuck { worker });
            };
            thread::park_timeout(left);
        }
    }
}

impl Swap {
    pub fn new(handover: Arc<Handover>, shared: Arc<Shared>, board: Arc<Board>, first: Arc<Generation>) -> Self {
        let load = first.load;
        Self { handover, shared, board, current: first, load, retired: Vec::new() }
    }

    /// The catalog in force.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.current.tables.catalog
    }

    /// Groups whose tables were built for it, and groups in all, counted once in each stage.
    pub fn groups_built(&self) -> (usize, usize) {
        let built = self.current.tables.built;
        (built.anew, built.all)
    }

    /// What the catalog in force is known by.
    pub fn load(&self) -> u64 {
        self.current.load
    }

    /// Builds a generation and puts it in force on every worker; returns its load when all of them run it. Where a worker
    /// cannot even prepare, everything stays as it was.
    pub fn put_in_force(&mut self, catalog: Arc<Catalog>) -> Result<u64, Stuck> {
        // Spent either way: a worker that was late must not take what it prepared for the next one.
        self.load += 1;
        let load = self.load;
        let next = Generation::build(Some(&self.current), load, catalog, &self.shared, &self.board);
        let handover = &*self.handover;
        *handover.offered.lock().unwrap_or_else(PoisonError::into_inner) = next.clone();
        handover.ring_all();
        let prepared = |worker: usize| handover.prepared.get(worker).is_none_or(|own| own.load(Ordering::Acquire) >= load);
        if let Err(stuck) = handover.wait_for_all(prepared) {
            self.retired.push(next);
            return Err(stuck);
        }
        self.retired.push(std::mem::replace(&mut self.current, next));
        handover.order.store(load, Ordering::Release);
        *handover.policies.lock().unwrap_or_else(PoisonError::into_inner) = self.current.policies();
        if self.shared.quotas.standing().is_some() {
            self.shared.quotas.reopen();
        }
        handover.ring_all();
        let status = &handover.status;
        handover.wait_for_all(|worker| status.worker(worker).is_none_or(|own| own.load() >= load))?;
        Ok(load)
    }

    /// Frees generations that nobody runs any more.
    pub fn tidy(&mut self) {
        // A worker's tables have the catalog, as the generation's have.
        self.retired.retain(|generation| Arc::strong_count(&generation.tables.catalog) > 1);
    }
}

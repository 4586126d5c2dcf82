//! What the workers of a process know together of the instances: how many calls each has in flight, and its health.
//!
//! A worker writes its counts into a row of its own, so that no cache line is written by two; the others read it when
//! they choose. Health is one word an instance, read on every choice and written when it changes. All of it is relaxed:
//! a count or a word that is a moment old makes a choice a little worse, never wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::health::Health;
use crate::catalog::Catalog;

/// Counts in a cache line, and the line beside it that the processor fetches along with it.
const COUNTS: usize = 32;

#[repr(align(128))]
#[derive(Default)]
struct Line([AtomicU32; COUNTS]);

/// One for the process.
pub struct Board {
    /// A row for each worker, a count for each instance.
    rows: Box<[Box<[Line]>]>,
    health: Box<[AtomicU64]>,
}

/// An instance's place on the board, as one worker sees it.
#[derive(Clone)]
pub struct Entry {
    board: Arc<Board>,
    worker: usize,
    index: usize,
}

impl Board {
    pub fn new(catalog: &Catalog, workers: usize) -> Arc<Self> {
        Self::sized(catalog.vpc_accesses.iter().map(|access| access.instances.len()).sum(), workers)
    }

    pub(super) fn sized(instances: usize, workers: usize) -> Arc<Self> {
        let row = || (0..instances.div_ceil(COUNTS)).map(|_| Line::default()).collect();
        let health = (0..instances).map(|_| AtomicU64::new(Health::default().into())).collect();
        Arc::new(Self { rows: (0..workers).map(|_| row()).collect(), health })
    }

    /// The place of the instance that is the `index`th over all VPC accesses.
    pub(super) fn entry(self: &Arc<Self>, worker: usize, index: usize) -> Option<Entry> {
        let there = index < self.health.len() && worker < self.rows.len();
        there.then(|| Entry { board: self.clone(), worker, index })
    }
}

impl Entry {
    /// Calls of this worker in flight.
    pub fn own_calls(&self) -> u32 {
        self.count(self.worker).load(Ordering::Relaxed)
    }

    /// Calls of all workers in flight.
    pub fn calls(&self) -> u64 {
        (0..self.board.rows.len()).map(|worker| u64::from(self.count(worker).load(Ordering::Relaxed))).sum()
    }

    /// This worker alone writes its count: a load and a store, no locked instruction.
    pub fn begin(&self) {
        self.count(self.worker).store(self.own_calls().wrapping_add(1), Ordering::Relaxed);
    }

    pub fn end(&self) {
        self.count(self.worker).store(self.own_calls().wrapping_sub(1), Ordering::Relaxed);
    }

    pub fn health(&self) -> Health {
        self.board.health[self.index].load(Ordering::Relaxed).into()
    }

    /// Changes the health; written only where the change is one. False: `change` made nothing of it.
    pub fn change(&self, mut change: impl FnMut(Health) -> Option<Health>) -> bool {
        let word = &self.board.health[self.index];
        let mut before = word.load(Ordering::Relaxed);
        loop {
            let Some(after) = change(before.into()).map(u64::from) else { return false };
            if after == before {
                return true;
            }
            match word.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => before = other,
            }
        }
    }

    fn count(&self, worker: usize) -> &AtomicU32 {
        &self.board.rows[worker][self.index / COUNTS].0[self.index % COUNTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_see_the_calls_of_all() {
        let board = Board::sized(40, 3);
        let entry = |worker| board.entry(worker, 33).expect("within the board");
        entry(0).begin();
        entry(2).begin();
        entry(2).begin();
        assert_eq!((entry(1).calls(), entry(1).own_calls(), entry(2).own_calls()), (3, 0, 2));
        entry(2).end();
        assert_eq!(entry(0).calls(), 2);
        assert_eq!(board.entry(0, 32).expect("within the board").calls(), 0);
        assert!(board.entry(3, 0).is_none() && board.entry(0, 40).is_none());
    }

    #[test]
    fn one_of_many_workers_gets_the_trial() {
        let board = Board::sized(1, 4);
        let entry = |worker| board.entry(worker, 0).expect("within the board");
        let policy = super::super::health::Policy {
            first: std::time::Duration::from_secs(1),
            longest: std::time::Duration::from_secs(1),
            failures: 1,
        };
        entry(0).change(|health| Some(health.failed(super::super::health::Fault::Refused, false, 0, &policy, 0)));
        let claimed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|w| scope.spawn(move || usize::from(entry(w).change(|h| h.trial(2000))))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(9)).sum()
        });
        assert_eq!(claimed, 1);
    }
}

//! What the workers of a process know together of the instances: how many calls each has in flight, and its health.
//!
//! A worker writes its counts into a row of its own, so that no cache line is written by two; the others read it when
//! they choose. Health is one word an instance, read on every choice and written when it changes. All of it is relaxed:
//! a count or a word that is a moment old makes a choice a little worse, never wrong.
//!
//! An instance keeps its [`Seat`] from one generation to the next, by what it is ([`Key`]) and not by its place in a
//! document: a reload forgets neither calls in flight nor who stands aside. Seats are given out off the workers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::health::{Health, State};
use crate::catalog::{BackendInstance, Catalog, VpcAccess};

/// Seats of a segment: counts in a cache line, and the line beside it that the processor fetches along with it.
const SEATS: usize = 32;

#[repr(align(128))]
#[derive(Default)]
struct Line([AtomicU32; SEATS]);

/// What an instance is: the same key in two generations is the same instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    access: String,
    address: SocketAddr,
    /// How it is spoken to: behind another name, or for other authorities, it is another instance.
    tls: Option<[u8; 32]>,
    http2: bool,
}

impl Key {
    /// The VPC access.
    pub fn access(&self) -> &str {
        &self.access
    }

    pub fn of(access: &VpcAccess, instance: &BackendInstance) -> Self {
        let tls = access.tls.as_ref().map(|tls| *tls.digest());
        Self { access: access.name.clone(), address: instance.address, tls, http2: access.http2 }
    }
}

/// One for the process.
pub struct Board {
    workers: usize,
    seated: Mutex<Seated>,
}

#[derive(Default)]
struct Seated {
    segments: Vec<Arc<Segment>>,
    /// Who sits where (segment, place); a seat that nobody holds any more is given to another.
    seats: HashMap<Key, (Weak<Seat>, usize, usize)>,
    free: Vec<(usize, usize)>,
}

struct Segment {
    /// A line for each worker, a count for each seat.
    calls: Box<[Line]>,
    health: [AtomicU64; SEATS],
}

/// An instance's place on the board, as long as anyone holds it.
pub struct Seat {
    segment: Arc<Segment>,
    place: usize,
}

/// The seats of all instances of a catalog, in its order.
pub type Seating = Box<[Box<[Arc<Seat>]>]>;

/// An instance's place on the board, as one worker sees it.
#[derive(Clone)]
pub struct Entry {
    seat: Arc<Seat>,
    worker: usize,
}

impl Board {
    pub fn new(workers: usize) -> Self {
        Self { workers, seated: Mutex::default() }
    }

    /// A seat for every instance of the catalog: the one it has, or a new one.
    pub fn seats(&self, catalog: &Catalog) -> Seating {
        let mut seated = self.seated.lock().unwrap_or_else(PoisonError::into_inner);
        seated.reclaim();
        let of_access = |access: &Arc<VpcAccess>| {
            access.instances.iter().map(|instance| seated.seat(Key::of(access, instance), self.workers)).collect()
        };
        catalog.vpc_accesses.iter().map(of_access).collect()
    }

    /// Instances as they are now, in the order of their names: those that are asked for. For who watches the gateway, off
    /// the workers.
    pub fn seen(&self, now_ms: u64, wanted: impl Fn(&str, SocketAddr, State) -> bool) -> Vec<Seen> {
        let seated = self.seated.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = seated.seats.iter().filter_map(|(key, (seat, ..))| Some((key, seat.upgrade()?.entry(0))));
        let seen = taken.filter_map(|(key, entry)| {
            let (access, address, state) = (&key.access, key.address, entry.health().state(now_ms));
            wanted(access, address, state).then(|| Seen { access: access.clone(), address, state, calls: entry.calls() })
        });
        let mut seen: Vec<_> = seen.collect();
        seen.sort_unstable_by(|one, other| (&one.access, one.address).cmp(&(&other.access, other.address)));
        seen
    }
}

/// An instance as the board has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub access: String,
    pub address: SocketAddr,
    pub state: State,
    /// In flight, of all workers.
    pub calls: u64,
}

impl Seated {
    /// Seats that nobody holds are free: with its last holder, the last call to it has ended.
    fn reclaim(&mut self) {
        let free = &mut self.free;
        self.seats.retain(|_, (seat, segment, place)| {
            let taken = seat.strong_count() > 0;
            if !taken {
                free.push((*segment, *place));
            }
            taken
        });
    }

    fn seat(&mut self, key: Key, workers: usize) -> Arc<Seat> {
        if let Some(seat) = self.seats.get(&key).and_then(|(seat, ..)| seat.upgrade()) {
            return seat;
        }
        let (number, place) = match self.free.pop() {
            Some(free) => free,
            None => {
                self.segments.push(Arc::new(Segment::new(workers)));
                let number = self.segments.len() - 1;
                self.free.extend((1..SEATS).rev().map(|place| (number, place)));
                (number, 0)
            }
        };
        let segment = self.segments[number].clone();
        segment.health[place].store(Health::default().into(), Ordering::Relaxed);
        let seat = Arc::new(Seat { segment, place });
        self.seats.insert(key, (Arc::downgrade(&seat), number, place));
        seat
    }
}

impl Segment {
    fn new(workers: usize) -> Self {
        Self { calls: (0..workers).map(|_| Line::default()).collect(), health: Default::default() }
    }
}

impl Seat {
    pub fn entry(self: &Arc<Self>, worker: usize) -> Entry {
        debug_assert!(worker < self.segment.calls.len(), "a worker of the board");
        Entry { seat: self.clone(), worker }
    }
}

impl Entry {
    /// Calls of this worker in flight.
    pub fn own_calls(&self) -> u32 {
        self.count(self.worker).load(Ordering::Relaxed)
    }

    /// Calls of all workers in flight.
    pub fn calls(&self) -> u64 {
        let place = self.seat.place;
        self.seat.segment.calls.iter().map(|line| u64::from(line.0[place].load(Ordering::Relaxed))).sum()
    }

    /// This worker alone writes its count: a load and a store, no locked instruction.
    pub fn begin(&self) {
        self.count(self.worker).store(self.own_calls().wrapping_add(1), Ordering::Relaxed);
    }

    pub fn end(&self) {
        self.count(self.worker).store(self.own_calls().wrapping_sub(1), Ordering::Relaxed);
    }

    pub fn health(&self) -> Health {
        self.seat.segment.health[self.seat.place].load(Ordering::Relaxed).into()
    }

    /// Changes the health; written only where the change is one. False: `change` made nothing of it.
    pub fn change(&self, mut change: impl FnMut(Health) -> Option<Health>) -> bool {
        let word = &self.seat.segment.health[self.seat.place];
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
        &self.seat.segment.calls[worker].0[self.seat.place]
    }
}

#[cfg(test)]
impl Board {
    /// A seat for each of so many instances that no catalog knows.
    pub(super) fn some(&self, access: &VpcAccess) -> Box<[Arc<Seat>]> {
        let mut seated = self.seated.lock().expect("no test panics with it");
        access.instances.iter().map(|instance| seated.seat(Key::of(access, instance), self.workers)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::WhenAllDown::TryAll;
    use crate::upstream::tests::access;

    #[test]
    fn workers_see_the_calls_of_all() {
        let seats = Board::new(3).some(&access(&[100; 40], TryAll));
        let entry = |worker| seats[33].entry(worker);
        entry(0).begin();
        entry(2).begin();
        entry(2).begin();
        assert_eq!((entry(1).calls(), entry(1).own_calls(), entry(2).own_calls()), (3, 0, 2));
        entry(2).end();
        assert_eq!(entry(0).calls(), 2);
        assert_eq!(seats[32].entry(0).calls(), 0);
    }

    #[test]
    fn an_instance_keeps_its_seat_and_a_free_one_is_given_away_clean() {
        let board = Board::new(1);
        let mut access = access(&[100; 3], TryAll);
        let before = board.some(&access);
        before[2].entry(0).begin();
        before[1].entry(0).change(|health| Some(health.checked(false, 0)));
        access.instances.remove(0);
        let after = board.some(&access);
        assert!(Arc::ptr_eq(&before[1], &after[0]) && Arc::ptr_eq(&before[2], &after[1]));
        assert_eq!(after[1].entry(0).calls(), 1);
        after[1].entry(0).end();
        drop((before, after));
        access.name = "another".into();
        board.seated.lock().unwrap().reclaim();
        let fresh = board.some(&access);
        assert!(fresh.iter().all(|seat| seat.entry(0).health() == Health::default()));
        assert_eq!(board.seated.lock().unwrap().segments.len(), 1, "seats are used again");
    }

    #[test]
    fn one_of_many_workers_gets_the_trial() {
        let seats = Board::new(4).some(&access(&[100], TryAll));
        let entry = |worker| seats[0].entry(worker);
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

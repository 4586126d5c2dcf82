//! Leases: how workers share a budget exactly, each counting in words of its own.
//!
//! Units of a window stand in the counter's pool, in the workers' leases, or for a moment in a worker's hands. A call takes
//! one from its worker's own lease: an atomic decrement in a line that no other worker writes. Where that is empty, the
//! worker takes a new lease from the pool: larger, the sooner it came back, and smaller, the less is left, down to one. Where
//! the pool is empty, it takes from the leases of the others. A call is refused only when there is nothing anywhere.
//!
//! *Never more than the limit.* A unit is in one word, and leaves it by one compare-and-swap, which one worker wins. Units
//! in hand are written to one word. What a worker that is killed had in hand is lost, and what stood in its leases is found
//! there by the others, and by its successor.
//!
//! *Never fewer.* A worker that finds the pool and every lease empty may have looked at one word after units left it and at
//! another before they came. So whoever moves units from word to word, or takes units that it may have to give back, marks
//! itself as in doubt before, and counts the move after. A refusal is final only if between two readings of the marks, with
//! the search between them, nothing was moved and nobody was in doubt. Otherwise the answer is [`Take::InDoubt`]: ask again
//! in a moment. A final refusal is written into the pool, and every later call of the window is refused at one look.
//!
//! In a cluster a pool may give out what the engine has granted this node; where that is at its end, see [`node`].

mod node;

use super::allowance::{Cause, Need, View};
use super::bucket::{self, Token};
use super::map::Map;
use super::memory::Memory;
use super::table::{Find, find};
use super::want::{Budget, Take, Want};
use super::window::Window;
use super::word::{DEAD, MOST_LEASED, Pool, lease_tag, leased};
use node::take_from_pool;

/// A worker that comes back for more within this time is given twice as much.
const SOON_MS: u64 = 10;
/// One that comes back after this time is given half as much.
const LATE_MS: u64 = 100;
/// After this time without a visit to the pool, another counter may have the lease's place.
const IDLE_MS: u64 = 1000;
/// The largest lease.
const LARGEST: u64 = 1 << 16;
const _: () = assert!(LARGEST + LARGEST < MOST_LEASED);
/// Searches repeated at once because something moved meanwhile.
const SEARCHES: usize = 4;

/// A counter that has been found: who it is, and where its pool stands.
#[derive(Clone, Copy)]
struct Counter {
    id: u64,
    pool: usize,
}

/// A worker's part in the protocol: its seat, its mark, and how fast it uses what it is given. One for each thread.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lessee {
    map: Map,
    seat: usize,
    /// As last stored: moves, and whether it is in doubt.
    mark: u64,
    /// Inside [`Lessee::begin`] and [`Lessee::end`].
    open: bool,
    moved: bool,
    /// By the lease's place.
    paces: Box<[Pace]>,
    /// In a cluster: how it stands, for the next call.
    pub view: Option<View>,
    /// What the engine is to be asked for.
    pub needs: Vec<Need>,
}

/// How fast a lease is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Pace {
    counter: u64,
    pool: usize,
    /// Units asked for last.
    size: u64,
    visited_ms: u64,
}

/// Moves are counted from the second bit on.
const IN_DOUBT: u64 = 1;

impl Lessee {
    /// Takes a seat. What a predecessor left in its leases is this worker's now.
    pub fn sit(memory: &(impl Memory + ?Sized), map: Map, process: usize, worker: usize) -> Self {
        let seat = map.seat(process, worker);
        clear_mark(memory, map.mark(seat));
        let mut staff = memory.load(map.staff(process));
        while staff <= worker as u64 {
            match memory.exchange(map.staff(process), staff, worker as u64 + 1) {
                Ok(()) => break,
                Err(other) => staff = other,
            }
        }
        let mark = memory.load(map.mark(seat));
        let paces = vec![Pace::default(); map.leases].into();
        Self { map, seat, mark, open: false, moved: false, paces, view: None, needs: Vec::new() }
    }

    /// A call begins that may have to give back what it takes.
    fn begin(&mut self, memory: &(impl Memory + ?Sized)) {
        self.open = true;
        self.moved = false;
        self.put_mark(memory, self.mark | IN_DOUBT);
    }

    /// It has all that it wants, or has given all back.
    fn end(&mut self, memory: &(impl Memory + ?Sized)) {
        self.open = false;
        self.settle(memory);
    }

    /// Takes what the call wants.
    fn take(&mut self, memory: &(impl Memory + ?Sized), want: &mut Want<'_>, now_ms: u64) -> Take {
        if let Budget::Window(window) = want.budget
            && self.take_leased(memory, want.id, window)
        {
            return Take::Taken;
        }
        loop {
            let counter = match find(memory, &self.map, self.seat, want, now_ms) {
                Find::At(pool) => Counter { id: want.id, pool },
                Find::Full => return Take::Full,
                Find::Busy => return Take::InDoubt,
            };
            let taken = match want.budget {
                Budget::Window(_) => self.take_pooled(memory, counter, want, now_ms),
                Budget::Bucket { queue } => match self.view {
                    Some(view) => self.take_turn(memory, counter, queue, want, now_ms, view),
                    None => take_token(memory, &self.map, counter, want.limit, queue, want, now_ms),
                },
            };
            // Or the counter's place was given to another meanwhile.
            if let Some(taken) = taken {
                return taken;
            }
        }
    }

    /// The usual case: from the worker's own lease.
    #[inline]
    fn take_leased(&self, memory: &(impl Memory + ?Sized), counter: u64, window: Window) -> bool {
        let at = self.map.lease(self.seat, counter);
        let tag = lease_tag(counter, window);
        let mut word = memory.load(at);
        while leased(word, tag) > 0 {
            match memory.exchange(at, word, word - 1) {
                Ok(()) => return true,
                Err(other) => word = other,
            }
        }
        false
    }

    fn take_pooled(
        &mut self,
        memory: &(impl Memory + ?Sized),
        counter: Counter,
        want: &mut Want<'_>,
        now_ms: u64,
    ) -> Option<Take> {
        let Budget::Window(window) = want.budget else { return None };
        let wanted = self.pace(memory, counter, now_ms);
        loop {
            let word = memory.load(counter.pool);
            if word == DEAD || memory.load(self.map.key_of(counter.pool)) != counter.id {
                return None;
            }
            let mut pool = Pool::read(word, window);
            let allowed = self.allowed(memory, counter, want.limit, &mut pool);
            want.budget = Budget::Window(pool.window);
            let left = allowed.units.saturating_sub(pool.granted);
            if left == 0 {
                if pool.dry && allowed.is_final {
                    return Some(Take::Dry);
                }
                match self.take_from_others(memory, counter, pool.window) {
                    Take::Dry => {}
                    other => return Some(other),
                }
                if let Some(view) = self.view.filter(|_| !allowed.is_final) {
                    match self.await_engine(memory, counter, word, pool, want, view) {
                        Some(take) => return Some(take),
                        None => continue,
                    }
                }
                pool.dry = true;
                match memory.exchange(counter.pool, word, pool.word()) {
                    Ok(()) => return Some(Take::Dry),
                    Err(_) => continue,
                }
            }
            let units = self.share(memory, wanted, left);
            pool.granted += units;
            pool.dry = false;
            let node = self.view.is_some();
            let take = |memory: &_| take_from_pool(memory, counter.pool, word, pool, node.then_some(units));
            if self.carry(memory, counter, pool.window, units, take).is_ok() {
                if !allowed.is_final && left - units < self.comfort(memory, wanted) {
                    self.needs.push(Need { id: want.id, budget: want.budget, limit: want.limit, cause: Cause::Ahead });
                }
                return Some(Take::Taken);
            }
        }
    }

    /// Takes units from where `take` finds them: one for the call, the others into the worker's own lease.
    fn carry<M: Memory + ?Sized>(
        &mut self,
        memory: &M,
        counter: Counter,
        window: Window,
        units: u64,
        take: impl FnOnce(&M) -> Result<(), u64>,
    ) -> Result<(), u64> {
        if units == 1 {
            return take(memory);
        }
        self.doubt(memory);
        let taken = take(memory);
        if taken.is_ok() {
            self.deposit(memory, counter, lease_tag(counter.id, window), units - 1);
        }
        self.settle(memory);
        taken
    }

    /// Takes from the leases of others; `Dry`: there is nothing, and nothing can come back.
    fn take_from_others(&mut self, memory: &(impl Memory + ?Sized), counter: Counter, window: Window) -> Take {
        let tag = lease_tag(counter.id, window);
        for _ in 0..SEARCHES {
            let before = self.moves(memory);
            for seat in self.seats(memory) {
                let at = self.map.lease(seat, counter.id);
                let mut word = memory.load(at);
                while leased(word, tag) > 0 {
                    // Half of it, so that the two need not meet at this word again soon.
                    let mine = seat != self.seat && self.is_mine(memory, counter, tag);
                    let units = if mine { leased(word, tag).div_ceil(2) } else { 1 };
                    match self.carry(memory, counter, window, units, |memory| memory.exchange(at, word, word - units)) {
                        Ok(()) => return Take::Taken,
                        Err(other) => word = other,
                    }
                }
            }
            let after = self.moves(memory);
            match (before, after) {
                (_, None) => return Take::InDoubt,
                (Some(before), Some(after)) if before == after => return Take::Dry,
                _ => {}
            }
        }
        Take::InDoubt
    }

    /// Takes one unit of each, or nothing: on failure, which of `wants` there was no unit of, and why.
    pub fn take_all(
        &mut self,
        memory: &(impl Memory + ?Sized),
        wants: &mut [Want<'_>],
        now_ms: u64,
    ) -> Result<(), (usize, Take)> {
        if let [want] = wants {
            return match self.take(memory, want, now_ms) {
                Take::Taken => Ok(()),
                refused => Err((0, refused)),
            };
        }
        self.begin(memory);
        let refused = wants.iter_mut().enumerate().find_map(|(n, want)| match self.take(memory, want, now_ms) {
            Take::Taken => None,
            refused => Some((n, refused)),
        });
        if let Some((n, _)) = refused {
            // The last taken first: who needs it too needs most of the others as well.
            wants.iter().take(n).rev().for_each(|want| self.give_back(memory, want, now_ms));
        }
        self.end(memory);
        refused.map_or(Ok(()), Err)
    }

    /// Gives back what was taken since [`Lessee::begin`].
    fn give_back(&mut self, memory: &(impl Memory + ?Sized), want: &Want<'_>, now_ms: u64) {
        let Find::At(pool) = find(memory, &self.map, self.seat, want, now_ms) else { return };
        let Budget::Window(window) = want.budget else {
            return match want.turn {
                Some(turn) => self.return_turn(want, turn),
                None => bucket::give_back(memory, pool, want.limit),
            };
        };
        // Of a window that is over it is void.
        if Pool::window(memory.load(pool)) != Some(window) {
            return;
        }
        self.moved = true;
        let counter = Counter { id: want.id, pool };
        let tag = lease_tag(counter.id, window);
        if self.is_mine(memory, counter, tag) {
            self.deposit(memory, counter, tag, 1);
        } else {
            return_to_pool(memory, counter.pool, window, 1);
        }
    }

    /// How many units to ask for, by how soon this worker came back.
    fn pace(&mut self, memory: &(impl Memory + ?Sized), counter: Counter, now_ms: u64) -> u64 {
        let at = self.map.place(counter.id);
        let pace = self.paces[at];
        let since_ms = now_ms.saturating_sub(pace.visited_ms);
        if pace.counter != counter.id {
            if since_ms > IDLE_MS {
                self.vacate(memory, pace);
                self.paces[at] = Pace { counter: counter.id, pool: counter.pool, size: 1, visited_ms: now_ms };
            }
            return 1;
        }
        let size = match since_ms {
            0..=SOON_MS => (pace.size * 2).min(LARGEST),
            LATE_MS.. => (pace.size / 2).max(1),
            _ => pace.size,
        };
        self.paces[at] = Pace { counter: counter.id, pool: counter.pool, size, visited_ms: now_ms };
        size
    }

    /// How many of them to take, where so many are left for all workers.
    fn share(&self, memory: &(impl Memory + ?Sized), wanted: u64, left: u64) -> u64 {
        if wanted == 1 {
            return 1;
        }
        let workers = self.seats(memory).count() as u64;
        wanted.min(left / (2 * workers.max(1))).max(1)
    }

    /// Brings the units of a lease back to their pool, so that its place is free.
    fn vacate(&mut self, memory: &(impl Memory + ?Sized), pace: Pace) {
        let at = self.map.lease(self.seat, pace.counter);
        if pace.counter == 0 || memory.load(at) & MOST_LEASED == 0 {
            return;
        }
        self.doubt(memory);
        let mut word = memory.load(at);
        while let Err(other) = memory.exchange(at, word, 0) {
            word = other;
        }
        let tag = word & !MOST_LEASED;
        // Of a window that is over they are void; so they are where the counter itself is gone, which is later.
        if let Some(window) = Pool::window(memory.load(pace.pool)).filter(|&window| lease_tag(pace.counter, window) == tag) {
            self.moved = true;
            return_to_pool(memory, pace.pool, window, leased(word, tag));
        }
        self.settle(memory);
    }

    /// Whether the lease's place is this counter's: nobody else's units stand in it.
    fn is_mine(&self, memory: &(impl Memory + ?Sized), counter: Counter, tag: u64) -> bool {
        let at = self.map.place(counter.id);
        let word = memory.load(self.map.lease(self.seat, counter.id));
        self.paces[at].counter == counter.id || word & !MOST_LEASED == tag
    }

    /// Puts units in hand into the worker's own lease.
    fn deposit(&mut self, memory: &(impl Memory + ?Sized), counter: Counter, tag: u64, units: u64) {
        self.moved = true;
        let at = self.map.lease(self.seat, counter.id);
        let mut word = memory.load(at);
        loop {
            // What stands there of another window is void.
            match memory.exchange(at, word, tag | (leased(word, tag) + units).min(MOST_LEASED)) {
                Ok(()) => return,
                Err(other) => word = other,
            }
        }
    }

    fn doubt(&mut self, memory: &(impl Memory + ?Sized)) {
        if self.mark & IN_DOUBT == 0 {
            self.moved = false;
            self.put_mark(memory, self.mark | IN_DOUBT);
        }
    }

    /// Nothing is in hand any more, unless a call holds on to what it took.
    fn settle(&mut self, memory: &(impl Memory + ?Sized)) {
        if !self.open {
            let moves = if self.moved { 2 } else { 0 };
            self.put_mark(memory, (self.mark & !IN_DOUBT).wrapping_add(moves));
        }
    }

    fn put_mark(&mut self, memory: &(impl Memory + ?Sized), mark: u64) {
        self.mark = mark;
        memory.store(self.map.mark(self.seat), mark);
    }

    /// The sum of everyone else's moves; `None`: someone else is in doubt.
    fn moves(&self, memory: &(impl Memory + ?Sized)) -> Option<u64> {
        moves(self.map, memory, Some(self.seat))
    }

    /// Every seat that has ever been taken.
    fn seats<'a, M: Memory + ?Sized>(&self, memory: &'a M) -> impl Iterator<Item = usize> + use<'a, M> {
        seats(self.map, memory)
    }
}

/// Every seat that has ever been taken.
pub fn seats<M: Memory + ?Sized>(map: Map, memory: &M) -> impl Iterator<Item = usize> + use<'_, M> {
    (0..map.processes).flat_map(move |process| {
        let staff = (memory.load(map.staff(process)) as usize).min(map.workers);
        (0..staff).map(move |worker| map.seat(process, worker))
    })
}

/// The sum of all moves, but for those of one seat; `None`: someone is in doubt.
pub fn moves(map: Map, memory: &(impl Memory + ?Sized), besides: Option<usize>) -> Option<u64> {
    let mut sum = 0u64;
    for seat in seats(map, memory).filter(|&seat| Some(seat) != besides) {
        let mark = memory.load(map.mark(seat));
        if mark & IN_DOUBT != 0 {
            return None;
        }
        sum = sum.wrapping_add(mark);
    }
    Some(sum)
}

fn take_token(
    memory: &(impl Memory + ?Sized),
    map: &Map,
    counter: Counter,
    limit: u64,
    queue: u64,
    want: &mut Want<'_>,
    now_ms: u64,
) -> Option<Take> {
    if memory.load(map.key_of(counter.pool)) != counter.id {
        return None;
    }
    let (taken, wait_ms) = match bucket::take(memory, counter.pool, limit, queue, now_ms) {
        Token::In(wait_ms) => (Take::Taken, wait_ms),
        Token::None(wait_ms) => (Take::Dry, wait_ms),
        Token::Gone => return None,
    };
    (want.turn, want.wait_ms) = (None, wait_ms);
    Some(taken)
}

pub fn return_to_pool(memory: &(impl Memory + ?Sized), at: usize, window: Window, units: u64) {
    let mut word = memory.load(at);
    loop {
        let pool = Pool::read(word, window);
        if word == DEAD || pool.window != window {
            return;
        }
        let less = Pool { granted: pool.granted.saturating_sub(units), dry: false, ..pool };
        match memory.exchange(at, word, less.word()) {
            Ok(()) => return,
            Err(other) => word = other,
        }
    }
}

/// Ends the doubt that a worker left which is no more. What it had in hand is lost.
pub fn clear_mark(memory: &(impl Memory + ?Sized), at: usize) {
    let mark = memory.load(at);
    if mark & IN_DOUBT != 0 {
        // It may have moved something before it ended.
        let _ = memory.exchange(at, mark, (mark & !IN_DOUBT).wrapping_add(2));
    }
}

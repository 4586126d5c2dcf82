//! What a node of a cluster may give out of a window that all nodes share: the third level of the leases.
//!
//! As workers lease from the pool of their node, nodes lease from an engine that they share. What the engine has granted this
//! node stands beside the pool, in a word of the same form: the *allowance*, in whose place the limit stands where there is
//! no cluster. Its mark says that the engine has nothing left for anyone, and no other node either: only then is a refusal
//! final. Otherwise the call waits ([`Take::Awaited`](super::Take)), and what it needs goes to the engine ([`Need`]).
//!
//! *Never more than the limit.* The allowance of a window grows only by what the engine has taken out of the limit for it, and
//! the pool gives out no more than it. What goes back is taken out of the pool and of the leases first, as a worker would
//! take it, then out of the allowance, and only then told to the engine.
//!
//! Without an engine the setting of the limit decides ([`EngineLoss`]): the allowance may be raised up to a bound, and the
//! engine is told when it is back.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use super::lease::{moves, seats};
use super::map::Map;
use super::memory::Memory;
use super::table::{ALLOWANCE, UNTIL};
use super::want::Budget;
use super::window::Window;
use super::word::{DEAD, Pool, lease_tag, leased, mix};
pub use crate::catalog::EngineLoss;

/// What a node knows of its cluster: written by who speaks to the engine, read by workers.
#[derive(Debug, Default)]
pub struct Standing {
    /// It cannot be reached.
    lost: AtomicBool,
    /// How many share the engine.
    nodes: AtomicU64,
    /// How far its clock is ahead of this node's.
    ahead_ms: AtomicI64,
    /// What the engine has last said of counters: others may have the place of one, which is then not known of.
    heard: Heard,
}

/// Where what was heard of a counter stands.
#[derive(Debug)]
struct Heard(Box<[AtomicU64]>);

const HEARD: usize = 4096;
const HEARD_BITS: u32 = 40;

impl Default for Heard {
    fn default() -> Self {
        Self((0..HEARD).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Heard {
    fn place(&self, id: u64, of: Option<Window>) -> Option<(&AtomicU64, u64)> {
        let salt = of.map_or(1, |window| window.number << 3 | (window.period as u64) << 1);
        let known = mix(id, salt);
        Some((self.0.get(known as usize % HEARD)?, known >> HEARD_BITS))
    }
}

impl Standing {
    /// Before the engine has been spoken to. `nodes`: how many are known to share it.
    pub fn new(nodes: u64) -> Self {
        Self { lost: AtomicBool::new(true), nodes: AtomicU64::new(nodes), ..Self::default() }
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    /// Returns what it was before.
    pub fn set_lost(&self, lost: bool) -> bool {
        self.lost.swap(lost, Relaxed)
    }

    pub fn nodes(&self) -> u64 {
        self.nodes.load(Relaxed)
    }

    pub fn set_nodes(&self, nodes: u64) {
        self.nodes.store(nodes, Relaxed);
    }

    pub fn ahead_ms(&self) -> i64 {
        self.ahead_ms.load(Relaxed)
    }

    pub fn set_ahead_ms(&self, ahead_ms: i64) {
        self.ahead_ms.store(ahead_ms, Relaxed);
    }

    /// Of a window, how much the engine has given to other nodes; of a bucket (`None`), how many tokens it has left.
    pub fn hear(&self, id: u64, of: Option<Window>, units: u64) {
        if let Some((place, known)) = self.heard.place(id, of) {
            place.store(known << HEARD_BITS | units.min((1 << HEARD_BITS) - 1), Relaxed);
        }
    }

    /// What was last heard of it.
    pub fn heard(&self, id: u64, of: Option<Window>) -> Option<u64> {
        let (place, known) = self.heard.place(id, of)?;
        let word = place.load(Relaxed);
        (word >> HEARD_BITS == known).then_some(word & ((1 << HEARD_BITS) - 1))
    }
}

/// What of it one call goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The engine cannot be reached, or not in the time that the call has.
    pub lost: bool,
    pub nodes: u64,
}

/// What a node needs of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Need {
    pub id: u64,
    pub budget: Budget,
    pub limit: u64,
    pub cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A call waits for it.
    Waits,
    /// It is for calls to come.
    Ahead,
    /// A call that waited for its turn has left.
    Left,
    /// A call took this turn, and could not use it.
    Back(u64),
}

/// The allowance beside a pool, for a caller whose clock says `window`: perhaps of one that has begun since.
pub fn read(memory: &(impl Memory + ?Sized), pool: usize, window: Window) -> Pool {
    Pool::read(memory.load(pool + ALLOWANCE), window)
}

fn change(memory: &(impl Memory + ?Sized), pool: usize, window: Window, how: impl Fn(Pool) -> Option<Pool>) -> bool {
    let mut word = memory.load(pool + ALLOWANCE);
    loop {
        let allowance = Pool::read(word, window);
        let Some(next) = how(allowance).filter(|_| allowance.window == window) else { return false };
        match memory.exchange(pool + ALLOWANCE, word, next.word()) {
            Ok(()) => return true,
            Err(other) => word = other,
        }
    }
}

/// Adds what the engine has granted. False: a later window has begun, and this one's units are void.
pub fn grant(memory: &(impl Memory + ?Sized), pool: usize, window: Window, units: u64) -> bool {
    change(memory, pool, window, |now| Some(Pool { granted: now.granted + units, ..now }))
}

/// The engine has nothing left, and no other node either.
pub fn mark_final(memory: &(impl Memory + ?Sized), pool: usize, window: Window) {
    change(memory, pool, window, |now| Some(Pool { dry: true, ..now }));
}

/// The limit is another one: what is left of it is to be asked for.
pub fn reopen(memory: &(impl Memory + ?Sized), pool: usize) {
    let word = memory.load(pool + ALLOWANCE);
    if let Some(window) = Pool::window(word).filter(|_| memory.load(pool + UNTIL) == 0) {
        change(memory, pool, window, |now| now.dry.then_some(Pool { dry: false, ..now }));
    }
}

/// Nothing of the window has been granted: it begins anew.
pub fn clear(memory: &(impl Memory + ?Sized), pool: usize, window: Window) {
    change(memory, pool, window, |_| Some(Pool::fresh(window)));
}

/// Without the engine: raises the allowance to the bound of the setting. False: it is there already.
pub fn raise(memory: &(impl Memory + ?Sized), pool: usize, window: Window, loss: EngineLoss, limit: u64, nodes: u64) -> bool {
    let bound = match loss {
        EngineLoss::Refuse => 0,
        EngineLoss::LocalShare => limit.checked_div(nodes).unwrap_or(0),
        EngineLoss::Allow => limit,
    };
    change(memory, pool, window, |now| (now.granted < bound).then_some(Pool { granted: bound, ..now }))
}

/// What a search for unused units has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Collected {
    /// Taken out of the node: they are the caller's, to tell the engine of.
    pub units: u64,
    /// Nothing is left, in anyone's hands either.
    pub all: bool,
}

/// Takes what is unused of a window out of the pool, the leases and the allowance.
pub fn collect(memory: &(impl Memory + ?Sized), map: &Map, id: u64, pool: usize, window: Window) -> Collected {
    let before = moves(*map, memory, None);
    let mut units = 0;
    let mut word = memory.load(pool);
    loop {
        let now = Pool::read(word, window);
        let allowance = read(memory, pool, window);
        if word == DEAD || now.window != window || allowance.window != window {
            return Collected { units, all: true };
        }
        let left = allowance.granted.saturating_sub(now.granted);
        if left == 0 {
            break;
        }
        match memory.exchange(pool, word, Pool { granted: now.granted + left, ..now }.word()) {
            Ok(()) => {
                units += left;
                break;
            }
            Err(other) => word = other,
        }
    }
    let tag = lease_tag(id, window);
    for seat in seats(*map, memory) {
        let at = map.lease(seat, id);
        let mut word = memory.load(at);
        while leased(word, tag) > 0 {
            match memory.exchange(at, word, tag) {
                Ok(()) => {
                    units += leased(word, tag);
                    break;
                }
                Err(other) => word = other,
            }
        }
    }
    let all = before.is_some() && moves(*map, memory, None) == before;
    if units > 0 {
        // In this order: what is left of the pool may seem less in between, and never more.
        change(memory, pool, window, |now| Some(Pool { granted: now.granted.saturating_sub(units), ..now }));
        super::lease::return_to_pool(memory, pool, window, units);
    }
    Collected { units, all }
}

/// Whether nothing of a window is unused on the node, in anyone's hands either.
pub fn is_empty(memory: &(impl Memory + ?Sized), map: &Map, id: u64, pool: usize, window: Window) -> bool {
    let before = moves(*map, memory, None);
    before.is_some() && !holds(memory, map, id, pool, window) && moves(*map, memory, None) == before
}

fn holds(memory: &(impl Memory + ?Sized), map: &Map, id: u64, pool: usize, window: Window) -> bool {
    let (now, allowance) = (Pool::read(memory.load(pool), window), read(memory, pool, window));
    let tag = lease_tag(id, window);
    let in_pool = allowance.window == window && allowance.granted > if now.window == window { now.granted } else { 0 };
    in_pool || seats(*map, memory).any(|seat| leased(memory.load(map.lease(seat, id)), tag) > 0)
}

#[cfg(test)]
mod tests {
    use super::super::window::Period;
    use super::*;

    #[test]
    fn what_was_heard_is_of_one_counter_and_window() {
        let standing = Standing::default();
        let window = |number| Some(Window { period: Period::Day, number });
        standing.hear(7, window(1), 40);
        standing.hear(7, None, 9);
        assert_eq!((standing.heard(7, window(1)), standing.heard(7, None)), (Some(40), Some(9)));
        assert_eq!((standing.heard(7, window(2)), standing.heard(8, window(1))), (None, None));
    }
}

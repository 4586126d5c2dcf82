//! The counters that workers share, as a process holds them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::allowance::{self, Collected, Standing, View};
use super::lease::{Lessee, clear_mark};
use super::look::{self, Level, Reset, Seen};
use super::map::Map;
use super::memory::{Memory, Words};
use super::table::{self, FIRST_ID};
use super::turn::{self, Turns};
use super::want::{Take, Want, Wants};
use super::window::Window;
use super::word::mix;
use crate::gate::fingerprint::fingerprint;

/// The memory of the counters, and this process's place among those that share it.
pub struct Quotas {
    words: Words,
    map: Map,
    process: usize,
    key: [u8; 16],
    /// In a cluster.
    standing: Option<Arc<Standing>>,
    node: u64,
}

impl Quotas {
    /// Of this process alone: with room for `counters`, and seats for `workers`.
    pub fn own(counters: usize, workers: usize, key: [u8; 16]) -> Self {
        let map = Map { processes: 1, workers, ..Map::new(counters) };
        Self { words: Words::own(map.words()), map, process: 0, key, standing: None, node: 0 }
    }

    /// Of several processes, of which this one is number `process`. The words are as many as [`Map::new`] wants for
    /// `counters`.
    pub fn shared(words: &'static [AtomicU64], counters: usize, process: usize, key: [u8; 16]) -> Self {
        Self { words: Words::Mapped(words), map: Map::new(counters), process, key, standing: None, node: 0 }
    }

    /// As a node of a cluster, in which all have the key `key`; its own tells it from the others.
    pub fn of_node(self, key: [u8; 16], standing: Arc<Standing>) -> Self {
        let node = fingerprint(&self.key, &[b"node"]);
        Self { standing: Some(standing), node, key, ..self }
    }

    /// How the cluster stands; `None`: there is none.
    pub fn standing(&self) -> Option<&Arc<Standing>> {
        self.standing.as_ref()
    }

    /// The time by which windows begin: the engine's, in a cluster.
    #[inline]
    pub fn now_ms(&self, unix_ms: u64) -> u64 {
        self.standing.as_ref().map_or(unix_ms, |standing| unix_ms.saturating_add_signed(standing.ahead_ms()))
    }

    /// A worker's part. Each worker of a process has its own number, below the seats that there are.
    pub fn lessee(&self, worker: usize) -> Lessee {
        Lessee::sit(&*self.words, self.map, self.process, worker)
    }

    /// What a rule, or a subject of rules, is known by: the same in every process and after every restart, and not to be
    /// guessed by callers. Made of names and values once, where that can be.
    pub fn id(&self, parts: &[&[u8]]) -> u64 {
        fingerprint(&self.key, parts).max(FIRST_ID)
    }

    /// What an app is known by as a subject.
    pub fn app(&self, name: &[u8]) -> u64 {
        self.id(&[b"app", name])
    }

    /// What an owner of apps is known by as a subject.
    pub fn owner(&self, name: &[u8]) -> u64 {
        self.id(&[b"owner", name])
    }

    /// The counter of a group's default domain.
    pub fn default_domain(&self, group: &[u8]) -> u64 {
        self.id(&[b"default-domain", group])
    }

    /// Takes a unit of each counter, or of none: on failure, which there was no unit of, and why. `late`: the call waits for
    /// the cluster's engine no longer.
    #[inline]
    pub fn take(&self, lessee: &mut Lessee, wants: &mut Wants<'_>, now_ms: u64, late: bool) -> Result<(), (usize, Take)> {
        lessee.view = self.view(late);
        lessee.take_all(&*self.words, wants, now_ms)
    }

    #[inline]
    fn view(&self, late: bool) -> Option<View> {
        let view = |standing: &Arc<Standing>| View { lost: late || standing.is_lost(), nodes: standing.nodes() };
        self.standing.as_ref().map(view)
    }

    /// A call that waited for its token has left: the calls that wait keep their turns, and another may wait behind them.
    pub fn give_place_up(&self, lessee: &mut Lessee, want: &Want<'_>, now_ms: u64) {
        lessee.view = self.view(false);
        lessee.give_place_up(&*self.words, want, now_ms);
    }

    /// A process that shared the memory is no more: whatever its workers were in the middle of is over. What they had in
    /// hand is lost; what they had leased is there for the others.
    pub fn bury(&self, process: usize) {
        if !self.was_used_by(process) {
            return;
        }
        (0..self.map.workers).for_each(|worker| clear_mark(&*self.words, self.map.mark(self.map.seat(process, worker))));
        table::unlock(&*self.words, &self.map, process);
    }

    /// Whether a process with this number has ever had workers.
    pub fn was_used_by(&self, process: usize) -> bool {
        self.words.load(self.map.staff(process)) > 0
    }

    /// The same for every process: nobody else uses the memory.
    pub fn bury_all(&self) {
        (0..self.map.processes).for_each(|process| self.bury(process));
        table::mend(&*self.words, &self.map);
    }

    /// Every counter that there is.
    pub fn counters(&self) -> impl Iterator<Item = Seen> {
        look::counters(&*self.words, self.map)
    }

    /// How far a counter has come; `None`: there is none, nothing has been counted.
    pub fn level(&self, id: u64) -> Option<Level> {
        look::level_of(&*self.words, self.map, id)
    }

    /// Begins a counter anew: all of its limit is there again.
    pub fn reset(&self, id: u64) -> Reset {
        look::reset(&*self.words, self.map, id)
    }

    /// What the engine has granted this node of a window so far; `None`: there is no such counter.
    pub fn allowance(&self, id: u64, window: Window) -> Option<u64> {
        let allowance = allowance::read(&*self.words, self.place(id)?, window);
        Some(if allowance.window == window { allowance.granted } else { 0 })
    }

    /// What this node is known by in its cluster: its state directory, whatever process uses it.
    pub fn node(&self) -> u64 {
        self.node
    }

    /// Adds to it. False: nobody can use it any more.
    pub fn grant(&self, id: u64, window: Window, units: u64) -> bool {
        self.place(id).is_some_and(|at| allowance::grant(&*self.words, at, window, units) && self.place(id) == Some(at))
    }

    /// No node has anything left of a window, nor has the engine.
    pub fn mark_final(&self, id: u64, window: Window) {
        if let Some(at) = self.place(id) {
            allowance::mark_final(&*self.words, at, window);
        }
    }

    /// Limits may be others than they were.
    pub fn reopen(&self) {
        let places = self.counters().filter_map(|seen| self.place(seen.id));
        places.for_each(|at| allowance::reopen(&*self.words, at));
    }

    /// Takes what is unused of a window out of this node.
    pub fn collect(&self, id: u64, window: Window) -> Collected {
        match self.place(id) {
            Some(at) => allowance::collect(&*self.words, &self.map, id, at, window),
            None => Collected { units: 0, all: true },
        }
    }

    /// Whether nothing of a window is unused on this node.
    pub fn is_empty(&self, id: u64, window: Window) -> bool {
        self.place(id).is_none_or(|at| allowance::is_empty(&*self.words, &self.map, id, at, window))
    }

    /// Begins a window of this node anew: all of the limit is with the engine.
    pub fn clear(&self, id: u64, window: Window) -> Reset {
        if let Some(at) = self.place(id) {
            allowance::clear(&*self.words, at, window);
        }
        self.reset(id)
    }

    /// Turns that this node has of a bucket.
    pub fn turns_left(&self, id: u64, limit: u64, now_ms: u64) -> u64 {
        self.place(id).map_or(0, |at| turn::left(&*self.words, at, limit, now_ms))
    }

    /// Adds to them. False: they have to be taken first.
    pub fn give_turns(&self, id: u64, limit: u64, turns: Turns, now_ms: u64) -> bool {
        self.place(id).is_none_or(|at| turn::give(&*self.words, at, limit, turns, now_ms))
    }

    pub fn collect_turns(&self, id: u64, limit: u64, now_ms: u64) -> Option<Turns> {
        turn::collect(&*self.words, self.place(id)?, limit, now_ms)
    }

    /// No node has any, nor has the engine, until then.
    pub fn refuse_turns(&self, id: u64, limit: u64, until_ms: u64, now_ms: u64) {
        if let Some(at) = self.place(id) {
            turn::refuse(&*self.words, at, limit, until_ms, now_ms);
        }
    }

    /// What a process before this one has left of a bucket's turns is void.
    pub fn clear_turns(&self, id: u64) {
        if let Some(at) = self.place(id) {
            turn::clear(&*self.words, at);
        }
    }

    fn place(&self, id: u64) -> Option<usize> {
        table::place(&*self.words, &self.map, id)
    }

    /// Takes over the counters of another memory of the same key, which nobody uses any more. How many found no room.
    pub fn carry_over(&self, old: &Self, now_ms: u64) -> usize {
        table::carry_over(&*old.words, &old.map, &*self.words, &self.map, now_ms)
    }
}

/// The rule of the quotas of default domains; those of policies have ids ([`Quotas::id`]).
pub const DEFAULT_DOMAIN: u64 = 1;

/// The counter of a subject under a rule, by what each is known by.
#[inline]
pub fn counter(rule: u64, subject: u64) -> u64 {
    mix(rule, subject).max(FIRST_ID)
}

#[cfg(test)]
mod tests {
    use super::super::want::{Budget, Want};
    use super::super::window::Period;
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn want(quotas: &Quotas, name: &str, limit: u64) -> Want<'static> {
        let budget = Budget::window(Period::Day, NOW_MS, 0);
        Want { id: quotas.id(&[name.as_bytes()]), budget, limit, ..Want::default() }
    }

    fn passes(quotas: &Quotas, lessee: &mut Lessee, name: &str, limit: u64) -> bool {
        let mut wants = Wants::default();
        assert!(wants.push(want(quotas, name, limit)));
        quotas.take(lessee, &mut wants, NOW_MS, false).is_ok()
    }

    #[test]
    fn a_larger_or_smaller_memory_goes_on_where_the_old_one_ended() {
        let old = Quotas::own(100, 4, [7; 16]);
        let mut lessee = old.lessee(2);
        for n in 0..90 {
            assert_eq!((0..10).filter(|_| passes(&old, &mut lessee, &format!("c{n}"), 9)).count(), 9);
            assert!(passes(&old, &mut lessee, &format!("c{n}"), 10), "a lease of the larger limit may be out");
        }
        for counters in [1000, 100] {
            let new = Quotas::own(counters, 4, [7; 16]);
            assert_eq!(new.carry_over(&old, NOW_MS), 0);
            new.bury_all();
            let mut lessee = new.lessee(0);
            for n in 0..90 {
                assert!(!passes(&new, &mut lessee, &format!("c{n}"), 10));
                assert!(passes(&new, &mut lessee, &format!("c{n}"), 11));
            }
        }
        let tiny = Quotas::own(1, 4, [7; 16]);
        assert!((1..90).contains(&tiny.carry_over(&old, NOW_MS)), "some find room, others do not");
    }

    #[test]
    fn what_a_worker_was_in_the_middle_of_ends_with_its_process() {
        let quotas = Quotas::own(100, 2, [7; 16]);
        let mut first = quotas.lessee(0);
        assert!(passes(&quotas, &mut first, "a", 1));
        let mark = quotas.map.mark(1);
        quotas.lessee(1);
        quotas.words[mark].fetch_or(1, std::sync::atomic::Ordering::SeqCst);
        let mut wants = Wants::default();
        assert!(wants.push(want(&quotas, "a", 1)));
        assert_eq!(quotas.take(&mut first, &mut wants, NOW_MS, false), Err((0, Take::InDoubt)));
        quotas.bury(0);
        assert_eq!(quotas.take(&mut first, &mut wants, NOW_MS, false), Err((0, Take::Dry)));
    }
}

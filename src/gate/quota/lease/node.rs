//! The end of what a node of a cluster may give out: where a worker's lease meets the engine's.

use super::super::allowance::{self, Cause, Need, View};
use super::super::bucket;
use super::super::memory::Memory;
use super::super::table::{Find, find};
use super::super::turn::{self, Turn};
use super::super::want::{Take, Want};
use super::super::word::Pool;
use super::{Counter, Lessee, return_to_pool, take_token};
use crate::catalog::EngineLoss;

/// What a pool may give out, and whether there is more to ask for.
pub(super) struct Allowed {
    pub(super) units: u64,
    pub(super) is_final: bool,
}

impl Lessee {
    /// What a pool may give out in all. In a cluster, a window that the engine has begun has begun.
    pub(super) fn allowed(&self, memory: &(impl Memory + ?Sized), counter: Counter, limit: u64, pool: &mut Pool) -> Allowed {
        if self.view.is_none() {
            return Allowed { units: limit, is_final: true };
        }
        let allowance = allowance::read(memory, counter.pool, pool.window);
        if allowance.window != pool.window {
            *pool = Pool::fresh(allowance.window);
        }
        Allowed { units: allowance.granted, is_final: allowance.dry }
    }

    /// Nothing is left on this node. `None`: there is again, look anew.
    pub(super) fn await_engine(
        &mut self,
        memory: &(impl Memory + ?Sized),
        counter: Counter,
        word: u64,
        pool: Pool,
        want: &Want<'_>,
        view: View,
    ) -> Option<Take> {
        // The counter is in use: nobody takes its place meanwhile.
        if Pool::window(word) != Some(pool.window) && memory.exchange(counter.pool, word, pool.word()).is_err() {
            return None;
        }
        if view.lost {
            let raised = allowance::raise(memory, counter.pool, pool.window, want.loss, want.limit, view.nodes);
            return (!raised).then_some(Take::Lost);
        }
        self.needs.push(Need { id: want.id, budget: want.budget, limit: want.limit, cause: Cause::Waits });
        Some(Take::Awaited)
    }

    /// Takes one of the turns that the engine has given this node. `None`: the counter's place is another's.
    pub(super) fn take_turn(
        &mut self,
        memory: &(impl Memory + ?Sized),
        counter: Counter,
        queue: u64,
        want: &mut Want<'_>,
        now_ms: u64,
        view: View,
    ) -> Option<Take> {
        if memory.load(self.map.key_of(counter.pool)) != counter.id {
            return None;
        }
        let limit = want.limit.min(bucket::MOST_PER_SECOND);
        let need = |cause| Need { id: want.id, budget: want.budget, limit, cause };
        if limit == 0 {
            want.wait_ms = 1000;
            return Some(Take::Dry);
        }
        bucket::keep(memory, counter.pool, now_ms);
        let taken = match turn::take(memory, counter.pool, limit, queue, now_ms) {
            Turn::In(turn, wait_ms) => {
                // Now and then, until few are left.
                let left = turn::left(memory, counter.pool, limit, now_ms);
                if left == 0 || left.is_power_of_two() {
                    self.needs.push(need(Cause::Ahead));
                }
                (want.turn, want.wait_ms) = (Some(turn), wait_ms);
                Take::Taken
            }
            Turn::None(wait_ms) => {
                want.wait_ms = wait_ms;
                Take::Dry
            }
            Turn::Ask if !view.lost => {
                self.needs.push(need(Cause::Waits));
                Take::Awaited
            }
            Turn::Ask => {
                let nodes = match want.loss {
                    EngineLoss::Refuse => return Some(Take::Lost),
                    EngineLoss::LocalShare => view.nodes.max(1),
                    EngineLoss::Allow => 1,
                };
                if limit / nodes == 0 {
                    return Some(Take::Lost);
                }
                return take_token(memory, &self.map, counter, limit / nodes, queue / nodes, want, now_ms);
            }
        };
        Some(taken)
    }

    /// Puts a turn back that was taken a moment ago.
    pub(super) fn return_turn(&mut self, want: &Want<'_>, turn: u64) {
        self.needs.push(Need {
            id: want.id,
            budget: want.budget,
            limit: want.limit.min(bucket::MOST_PER_SECOND),
            cause: Cause::Back(turn),
        });
    }

    /// A call that waited has left: of its node's part, or of the engine's turns.
    pub fn give_place_up(&mut self, memory: &(impl Memory + ?Sized), want: &Want<'_>, now_ms: u64) {
        let Find::At(pool) = find(memory, &self.map, self.seat, want, now_ms) else { return };
        match self.view {
            Some(View { lost: false, .. }) => {
                let limit = want.limit.min(bucket::MOST_PER_SECOND);
                self.needs.push(Need { id: want.id, budget: want.budget, limit, cause: Cause::Left });
            }
            _ => bucket::give_back(memory, pool, want.limit),
        }
    }

    /// Below this the engine is asked for more: from there on leases of workers would have to be smaller than they want.
    pub(super) fn comfort(&self, memory: &(impl Memory + ?Sized), wanted: u64) -> u64 {
        2 * self.seats(memory).count() as u64 * (wanted - 1) + 1
    }
}

/// `of_node`: in a cluster, how many units these are. Some may have gone back to the engine since the allowance was looked
/// at, and the pool look as it did before: what was taken beyond the allowance is put back.
pub(super) fn take_from_pool(
    memory: &(impl Memory + ?Sized),
    at: usize,
    word: u64,
    taken: Pool,
    of_node: Option<u64>,
) -> Result<(), u64> {
    memory.exchange(at, word, taken.word())?;
    let Some(units) = of_node else { return Ok(()) };
    let allowance = allowance::read(memory, at, taken.window);
    if allowance.window == taken.window && allowance.granted < taken.granted {
        return_to_pool(memory, at, taken.window, units);
        return Err(taken.word());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::AtomicU64;

    use super::super::super::map::Map;
    use super::super::super::want::Budget;
    use super::super::super::window::{Period, Window};
    use super::*;

    const ID: u64 = 1000;
    const NOW_MS: u64 = 1_800_000_000_000;
    const GRANTED: u64 = 40;
    const MAP: Map = Map { processes: 1, workers: 2, leases: 1, buckets: 1 };

    fn window() -> Window {
        Window::at(Period::Day, NOW_MS, 0)
    }

    fn want() -> Want<'static> {
        Want { id: ID, budget: Budget::Window(window()), limit: 1000, ..Want::default() }
    }

    /// A memory in which something else happens as a whole before one of the accesses.
    struct Meddled<'a> {
        words: &'a [AtomicU64],
        accesses_left: Cell<usize>,
        meddle: &'a dyn Fn(),
    }

    impl Meddled<'_> {
        fn access(&self) -> &[AtomicU64] {
            if self.accesses_left.get() == 1 {
                (self.meddle)();
            }
            self.accesses_left.set(self.accesses_left.get().saturating_sub(1));
            self.words
        }
    }

    impl Memory for Meddled<'_> {
        fn load(&self, at: usize) -> u64 {
            self.access().load(at)
        }
        fn exchange(&self, at: usize, current: u64, new: u64) -> Result<(), u64> {
            self.access().exchange(at, current, new)
        }
        fn store(&self, at: usize, new: u64) {
            self.access().store(at, new);
        }
    }

    /// A node with two workers, of which the first has come for units a few times, and takes some at a time.
    struct Node {
        words: Vec<AtomicU64>,
        workers: [Lessee; 2],
        pool: usize,
        passed: u64,
    }

    impl Node {
        fn new() -> Self {
            let words: Vec<AtomicU64> = (0..MAP.words()).map(|_| AtomicU64::new(0)).collect();
            let memory = &words[..];
            let mut workers = [0, 1].map(|n| Lessee::sit(memory, MAP, 0, n));
            workers.iter_mut().for_each(|worker| worker.view = Some(View { lost: false, nodes: 2 }));
            let Find::At(pool) = find(memory, &MAP, 0, &want(), NOW_MS) else { panic!("there is room") };
            allowance::grant(memory, pool, window(), GRANTED);
            let mut node = Self { words, workers, pool, passed: 0 };
            // One, two and four; then the lease is used up.
            (0..7).for_each(|_| assert_eq!(node.call(0), Take::Taken));
            node
        }

        fn call(&mut self, worker: usize) -> Take {
            let taken = take(&self.words[..], &mut self.workers[worker]);
            self.passed += u64::from(taken == Take::Taken);
            taken
        }

        /// Calls until nothing is left; what has passed, and been collected, must be all.
        fn assert_whole(mut self, collected: u64, what: &str) {
            for worker in [1, 0, 1] {
                while self.call(worker) == Take::Taken {}
            }
            assert_eq!(self.passed + collected, GRANTED, "{what}");
            assert!(allowance::is_empty(&self.words[..], &MAP, ID, self.pool, window()), "{what}");
        }
    }

    fn take(memory: &(impl Memory + ?Sized), worker: &mut Lessee) -> Take {
        match worker.take_all(memory, &mut [want()], NOW_MS) {
            Ok(()) => Take::Taken,
            Err((_, why)) => why,
        }
    }

    /// The engine's thread takes what is unused, at any moment of a worker's look for units: what the worker has taken of the
    /// pool by then, and was not there any more, it puts back.
    #[test]
    fn units_may_be_collected_at_any_moment_of_a_take() {
        let mut moments = 0;
        for at in 1.. {
            let mut node = Node::new();
            let collected = Cell::new(None);
            let collect = || collected.set(Some(allowance::collect(&node.words[..], &MAP, ID, node.pool, window()).units));
            let memory = Meddled { words: &node.words, accesses_left: Cell::new(at), meddle: &collect };
            let mut worker = node.workers[0].clone();
            let taken = take(&memory, &mut worker);
            node.workers[0] = worker;
            node.passed += u64::from(taken == Take::Taken);
            let Some(units) = collected.get() else { break };
            node.assert_whole(units, &format!("collected before access {at}"));
            moments = at;
        }
        assert!(moments > 10, "{moments}");
    }

    #[test]
    fn units_may_be_taken_at_any_moment_of_a_collection() {
        let mut moments = 0;
        for at in 1.. {
            let mut node = Node::new();
            let (worker, done) = (Cell::new(Some(node.workers[0].clone())), Cell::new(None));
            let meddle = || {
                let mut one = worker.take().expect("once");
                done.set(Some(take(&node.words[..], &mut one)));
                worker.set(Some(one));
            };
            let memory = Meddled { words: &node.words, accesses_left: Cell::new(at), meddle: &meddle };
            let units = allowance::collect(&memory, &MAP, ID, node.pool, window()).units;
            let Some(taken) = done.get() else { break };
            node.passed += u64::from(taken == Take::Taken);
            node.workers[0] = worker.take().expect("it is back");
            node.assert_whole(units, &format!("taken before access {at}"));
            moments = at;
        }
        assert!(moments > 10, "{moments}");
    }
}

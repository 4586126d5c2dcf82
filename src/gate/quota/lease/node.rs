//! The end of what a node of a cluster may give out: where a worker's lease meets the engine's.

use super::super::allowance::{self, Need, View};
use super::super::memory::Memory;
use super::super::want::{Take, Want};
use super::super::word::Pool;
use super::{Counter, Lessee, return_to_pool};

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
        self.needs.push(Need { id: want.id, budget: want.budget, limit: want.limit, urgent: true });
        Some(Take::Awaited)
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

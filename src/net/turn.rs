//! A queue: first come, first served, bounded in length and time.
//!
//! A turn is the right to use one of a few things: a connection to an instance, the processor for a handshake. Who waits is woken when a turn is handed over to it, or by the worker's
//! sweeper when it has waited too long; there is no timer for each.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Why a request gets no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTurn {
    /// As many wait as may.
    QueueFull,
    TooLong,
}

#[derive(Default)]
pub struct Turns {
    taken: Cell<usize>,
    waiting: RefCell<VecDeque<Rc<Waiter>>>,
}

struct Waiter {
    state: Cell<State>,
    until_ms: u64,
    /// Woken at every sweep, too: its client may be gone.
    restless: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    /// Handed over, and not yet noticed.
    Granted,
    Expired,
    /// Noticed.
    Over,
}

/// A wait for a turn. It moves no bytes, and may be dropped: its place goes to the next.
pub struct Turn<'a> {
    turns: &'a Turns,
    waiter: Rc<Waiter>,
}

impl Turns {
    /// Takes a turn, if fewer than `at_most` are taken and nobody waits.
    pub fn take(&self, at_most: usize) -> bool {
        let free = self.taken.get() < at_most && self.waiting.borrow().is_empty();
        if free {
            self.taken.set(self.taken.get() + 1);
        }
        free
    }

    pub fn taken(&self) -> usize {
        self.taken.get()
    }

    /// The turn goes to the one that has waited longest.
    pub fn give_back(&self) {
        let next = self.waiting.borrow_mut().pop_front();
        match next {
            Some(next) => next.end(State::Granted),
            None => self.taken.set(self.taken.get().saturating_sub(1)),
        }
    }

    pub fn queue(&self, until_ms: u64, at_most: usize) -> Result<Turn<'_>, NoTurn> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= at_most {
            return Err(NoTurn::QueueFull);
        }
        let state = Cell::new(State::Waiting);
        let waiter = Rc::new(Waiter { state, until_ms, restless: Cell::new(false), waker: RefCell::default() });
        waiting.push_back(waiter.clone());
        Ok(Turn { turns: self, waiter })
    }

    /// Ends waits that have been too long: the oldest are at the front.
    pub fn expire(&self, now_ms: u64) {
        let mut waiting = self.waiting.borrow_mut();
        let late = waiting.iter().take_while(|waiter| waiter.until_ms <= now_ms).count();
        // Waking only schedules a task: nobody comes back here meanwhile.
        waiting.drain(..late).for_each(|waiter| waiter.end(State::Expired));
        waiting.iter().filter(|waiter| waiter.restless.get()).for_each(|waiter| waiter.wake());
    }
}

impl Waiter {
    fn end(&self, state: State) {
        self.state.set(state);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Turn<'_> {
    /// From now on the task is woken at every sweep.
    pub fn wake_often(&self) {
        self.waiter.restless.set(true);
    }
}

impl Future for Turn<'_> {
    type Output = Result<(), NoTurn>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.waiter.state.get() {
            State::Waiting => {
                *self.waiter.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
            State::Granted => {
                self.waiter.state.set(State::Over);
                Poll::Ready(Ok(()))
            }
            State::Expired | State::Over => Poll::Ready(Err(NoTurn::TooLong)),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        match self.waiter.state.get() {
            State::Waiting => self.turns.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.waiter)),
            State::Granted => self.turns.give_back(),
            State::Expired | State::Over => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(turn: &mut Turn<'_>) -> Poll<Result<(), NoTurn>> {
        Pin::new(turn).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn taken(n: usize) -> Turns {
        let turns = Turns::default();
        assert!((0..n).all(|_| turns.take(n)) && !turns.take(n));
        turns
    }

    #[test]
    fn turns_come_in_order() {
        let turns = taken(2);
        let mut waits: Vec<_> = (0..3).map(|_| turns.queue(1000, 10).expect("room in the queue")).collect();
        for next in 0..3 {
            assert!(waits[next..].iter_mut().all(|wait| poll(wait).is_pending()));
            turns.give_back();
            assert_eq!(poll(&mut waits[next]), Poll::Ready(Ok(())));
        }
        assert_eq!(turns.taken(), 2);
    }

    #[test]
    fn nobody_gets_past_the_queue() {
        let turns = taken(1);
        let mut wait = turns.queue(1000, 10).expect("room in the queue");
        turns.give_back();
        assert!(!turns.take(1), "the turn is the waiting one's, even before it has noticed");
        assert_eq!(poll(&mut wait), Poll::Ready(Ok(())));
    }

    #[test]
    fn who_waits_too_long_gets_no_turn_and_costs_none() {
        let turns = taken(1);
        let mut wait = turns.queue(1000, 10).expect("room in the queue");
        turns.expire(999);
        assert!(poll(&mut wait).is_pending());
        turns.expire(1000);
        assert_eq!(poll(&mut wait), Poll::Ready(Err(NoTurn::TooLong)));
        drop(wait);
        turns.give_back();
        assert_eq!(turns.taken(), 0);
    }

    #[test]
    fn who_leaves_is_forgotten_and_a_turn_it_had_goes_on() {
        let turns = taken(1);
        let leaves = turns.queue(1000, 10).expect("room in the queue");
        let leaves_late = turns.queue(1000, 10).expect("room in the queue");
        let mut stays = turns.queue(1000, 10).expect("room in the queue");
        drop(leaves);
        turns.give_back();
        drop(leaves_late);
        assert_eq!(poll(&mut stays), Poll::Ready(Ok(())));
        turns.give_back();
        assert_eq!(turns.taken(), 0);
    }

    #[test]
    fn the_queue_is_bounded() {
        let turns = taken(1);
        let first = turns.queue(1000, 1).expect("room in the queue");
        assert_eq!(turns.queue(1000, 1).err(), Some(NoTurn::QueueFull));
        drop(first);
        assert!(turns.queue(1000, 1).is_ok());
    }
}

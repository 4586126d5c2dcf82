//! Idle connections to an instance: last in, first out, bounded, and looked at before they are trusted.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;

use super::Instance;
use super::board::Key;
use super::multiplexed::Multiplexed;
use crate::net::guard::CatchPanic;
use crate::net::stream::Stream;
use crate::net::turn::Turns;
use crate::net::{Blocks, Clock, Tasks, Watches};
use crate::observe::counters::{Counters, VpcAccessCells};
use crate::observe::series::Place;
use crate::sys::Peeked;

/// A connection unused for longer than this is looked at before it is used: its backend may have closed it, or sent a
/// second answer meanwhile that the next client would get. A look is a system call, which costs as much as a twentieth
/// of a request: a worker with as much to do as it can, which uses its warmest connections again at once, is spared it.
const TRUSTED_FOR_US: u64 = 1000;

/// What is known of a connection whose last exchange has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    Clean,
    /// Bytes may be on their way that nobody asked for, or the answer may have come before its request (where
    /// [`crate::net::order`] does not tell): it is looked at before it is used, however soon. So one answer too many is found
    /// out at the next request.
    Look,
}

pub(super) struct Idle {
    stream: Stream,
    trust: Trust,
    since_us: u64,
}

/// A worker's connections to one instance, from one generation to the next.
pub(super) struct Pool {
    pub(super) idle: RefCell<Vec<Idle>>,
    /// Connections of HTTP/2, in use or not.
    pub(super) multiplexed: RefCell<Vec<Rc<Multiplexed>>>,
    /// One of them is being made, and others wait for it.
    pub(super) making: Cell<bool>,
    pub(super) waiting: RefCell<Vec<Waker>>,
    /// Turns to use a connection: as many as there may be connections.
    pub(super) turns: Turns,
    counters: Arc<Counters>,
    /// The cells of its VPC access among them.
    place: Place,
    /// Idle connections that are counted there.
    counted: Cell<u64>,
}

/// A worker's pools by what their instances are, so that a reload leaves them warm. A pool lives as long as a generation
/// that knows its instance, or a call to it.
#[derive(Default)]
pub struct Pools {
    pools: RefCell<HashMap<Key, Weak<Pool>>>,
    /// Deadlines of active checks.
    pub(super) checks: Rc<Watches>,
    /// Deadlines of connections of HTTP/2, and what they live on.
    pub(super) multiplexed: Rc<Watches>,
    pub(super) clock: Clock,
    pub blocks: Rc<Blocks>,
    /// The worker's.
    pub tasks: Rc<Tasks>,
    pub(super) counters: Arc<Counters>,
}

impl Pools {
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { counters, ..Self::default() }
    }

    /// Runs a task of this worker; a panic ends it alone, and is counted.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let counters = self.counters.clone();
        self.tasks.spawn(CatchPanic::new(task, move || counters.panics.add(1)));
    }

    /// The pool of an instance: the one there is, or a new one.
    pub(super) fn of(&self, key: Key) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        let known = pools.get(&key).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let pool = Rc::new(Pool::new(&self.counters, key.access()));
            pools.insert(key, Rc::downgrade(&pool));
            pool
        })
    }

    /// Forgets pools that nothing can use any more; their connections are closed already.
    pub(super) fn tidy(&self) {
        self.pools.borrow_mut().retain(|_, pool| pool.strong_count() > 0);
    }

    /// Ends what has waited too long: idle connections, requests that queue for one, and active checks. `now_ms` counts
    /// as the deadlines do.
    pub fn sweep(&self, now_ms: u64, idle_timeout_ms: u64) {
        for pool in self.pools.borrow().values().filter_map(Weak::upgrade) {
            pool.end_idle(now_ms, idle_timeout_ms);
            pool.count_idle(pool.idle.borrow().len() as u64);
            pool.turns.expire(now_ms);
            pool.multiplexed.borrow_mut().retain(|connection| {
                connection.leave_if_idle(now_ms, idle_timeout_ms);
                !connection.is_over()
            });
        }
        self.clock.renew();
        self.checks.sweep(now_ms);
        self.multiplexed.sweep(now_ms);
    }

    /// Closes the idle connection that was used longest ago; false: there is none.
    pub fn end_longest_idle(&self) -> bool {
        let pools = self.pools.borrow();
        let since_us = |pool: &Rc<Pool>| pool.idle.borrow().first().map(|idle| idle.since_us);
        let waiting = pools.values().filter_map(Weak::upgrade).filter(|pool| since_us(pool).is_some());
        let oldest = waiting.min_by_key(since_us);
        oldest.is_some_and(|pool| pool.idle.borrow_mut().drain(..1).next().is_some())
    }
}

impl Pool {
    fn new(counters: &Arc<Counters>, access: &str) -> Self {
        Self {
            idle: RefCell::default(),
            multiplexed: RefCell::default(),
            making: Cell::new(false),
            waiting: RefCell::default(),
            turns: Turns::default(),
            counters: counters.clone(),
            place: counters.vpc_accesses.place([access]),
            counted: Cell::default(),
        }
    }

    pub(super) fn cells(&self) -> &VpcAccessCells {
        self.counters.vpc_accesses.cells(self.place)
    }

    /// Several pools may share their cells: each changes what it has put there.
    fn count_idle(&self, idle: u64) {
        let sum = &self.cells().idle;
        sum.set(sum.get() - self.counted.replace(idle) + idle);
    }

    /// Closes connections that have waited longer than `timeout_ms`: the oldest are at the front.
    fn end_idle(&self, now_ms: u64, timeout_ms: u64) {
        let mut idle = self.idle.borrow_mut();
        let old = idle.iter().take_while(|i| now_ms.saturating_sub(i.since_us / 1000) > timeout_ms).count();
        idle.drain(..old);
    }
}

impl Instance {
    /// The warmest idle connection. `careful`: the request could not be sent again, so even a connection used a moment
    /// ago is looked at first.
    pub fn take_idle(&self, now_us: u64, careful: bool) -> Option<Stream> {
        loop {
            let idle = self.pool.idle.borrow_mut().pop()?;
            let trusted = !careful && idle.trust == Trust::Clean && now_us.saturating_sub(idle.since_us) <= TRUSTED_FOR_US;
            // Bytes that nobody asked for are as bad as the end: they would be read as the next answer.
            if trusted || idle.stream.peek() == Peeked::Nothing {
                return Some(idle.stream);
            }
        }
    }

    /// Keeps a connection whose last exchange ended cleanly.
    pub fn keep(&self, stream: Stream, trust: Trust, now_us: u64, at_most: usize) {
        // Its connection is in the pool already.
        if stream.is_lane() {
            return;
        }
        let mut idle = self.pool.idle.borrow_mut();
        if idle.len() < at_most {
            idle.push(Idle { stream, trust, since_us: now_us });
        }
    }

    /// Closes idle connections, the oldest first, so that those in use and idle are together no more than may be.
    pub(super) fn make_room(&self) {
        let mut idle = self.pool.idle.borrow_mut();
        let surplus = (idle.len() + self.pool.turns.taken()).saturating_sub(self.settings.connections).min(idle.len());
        idle.drain(..surplus);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.count_idle(0);
        self.multiplexed.get_mut().iter().for_each(|connection| connection.leave());
    }
}

//! One instance of a VPC access as a worker sees it, and a call in flight to it.

use std::cell::Cell;
use std::rc::Rc;

use ahash::RandomState;

use super::Settings;
use super::balance::{Load, Standing, weight};
use super::board::Entry;
use super::health::{Fault, State};
use super::pool::Pool;
use crate::catalog::{BackendInstance, VpcAccess};
use crate::net::turn::{NoTurn, Turn};
use crate::observe::counters::VpcAccessCells;
use crate::tls::client::Client;

pub struct Instance {
    pub backend: BackendInstance,
    /// How it is spoken to over HTTPS; `None`: by HTTP.
    pub tls: Option<Client>,
    /// It is spoken to by HTTP/2.
    pub http2: bool,
    pub(super) entry: Entry,
    pub(super) standing: Standing,
    pub(super) pool: Rc<Pool>,
    pub(super) settings: Rc<Settings>,
    slow_start_ms: u64,
    /// What calls find is noted.
    watched: bool,
    chance: RandomState,
}

/// What a call in flight means for its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Call,
    /// It finds out whether the instance is back.
    Trial,
    /// It went out because every instance stood aside.
    LastResort,
}

/// A call in flight to an instance; dropping it is its end.
pub struct Pick {
    pub instance: Rc<Instance>,
    /// Of the instance in its VPC access.
    pub(super) place: u32,
    role: Role,
    has_turn: Cell<bool>,
    told: Cell<bool>,
}

impl Instance {
    pub(super) fn new(
        access: &VpcAccess,
        backend: &BackendInstance,
        entry: Entry,
        pool: Rc<Pool>,
        standing: Standing,
        watched: bool,
        settings: Rc<Settings>,
    ) -> Self {
        Self {
            backend: backend.clone(),
            tls: access.tls.clone(),
            http2: access.http2,
            entry,
            standing,
            pool,
            settings,
            slow_start_ms: access.balance.slow_start.as_millis() as u64,
            watched,
            chance: RandomState::new(),
        }
    }

    /// What its worker counts of its VPC access.
    pub fn cells(&self) -> &VpcAccessCells {
        self.pool.cells()
    }

    pub(super) fn load(&self, now_ms: u64) -> Load {
        let weight = weight(self.backend.weight, self.entry.health().since_ms(), now_ms, self.slow_start_ms);
        Load::new(self.entry.calls(), weight)
    }
}

impl Pick {
    pub(super) fn new(instance: Rc<Instance>, place: u32, role: Role) -> Self {
        instance.entry.begin();
        Self { instance, place, role, has_turn: Cell::new(false), told: Cell::new(false) }
    }

    /// Takes a turn to use a connection, if one is free and nobody waits for it.
    pub fn take_turn(&self) -> bool {
        let taken = self.instance.pool.turns.take(self.instance.settings.connections);
        if taken {
            self.has_turn.set(true);
        }
        taken
    }

    /// Queues for a turn; [`Pick::has_turn`] once it has come.
    pub fn queue(&self, now_ms: u64) -> Result<Turn<'_>, NoTurn> {
        let Settings { queue, wait, .. } = *self.instance.settings;
        self.instance.pool.turns.queue(now_ms.saturating_add(wait.as_millis() as u64), queue)
    }

    /// The turn waited for is this call's.
    pub fn has_turn(&self) {
        self.has_turn.set(true);
    }

    /// The instance has begun to answer. Told as often as one likes, noted once.
    pub fn answered(&self, now_ms: u64) {
        if self.is_news() {
            self.instance.entry.change(|health| Some(health.answered(now_ms, self.role != Role::Call)));
        }
    }

    /// The instance failed the call before any answer.
    pub fn failed(&self, fault: Fault, now_ms: u64) {
        if self.is_news() {
            let (policy, chance) = (&self.instance.settings.policy, self.instance.chance.hash_one(now_ms));
            let mut stands_aside = false;
            self.instance.entry.change(|health| {
                let after = health.failed(fault, self.role == Role::Trial, now_ms, policy, chance);
                stands_aside = health.state(now_ms) != State::Aside && after.state(now_ms) == State::Aside;
                Some(after)
            });
            if stands_aside {
                self.instance.cells().stood_aside.add(1);
            }
        }
    }

    fn is_news(&self) -> bool {
        self.instance.watched && !self.told.replace(true)
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.instance.entry.end();
        if self.has_turn.get() {
            self.instance.pool.turns.give_back();
        }
        if self.role == Role::Trial && !self.told.get() {
            self.instance.entry.change(|health| Some(health.undecided()));
        }
    }
}

//! The backends of a worker: for each VPC access, its instances with their warm connections.
//!
//! Start at [`Upstreams::pick`]: of the instances that are well, the one with the fewest calls in flight for its weight,
//! over all workers ([`board`]). [`health`] says which are well, from what calls find and from active checks ([`check`]);
//! [`budget`] how many requests may be sent again. [`pool`] keeps idle connections, last in, first out; [`turn`](crate::net::turn) is the
//! queue for a connection when all are in use; [`connect`] makes new ones; over HTTP/2 many calls share one ([`multiplexed`]).

mod balance;
pub mod board;
mod budget;
pub mod check;
pub mod connect;
pub mod health;
mod instance;
pub mod multiplexed;
pub mod pool;

use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{Catalog, HealthCheck, Limits, VpcAccess, VpcAccessId, WhenAllDown};
pub use crate::net::turn::{NoTurn, Turn};
use balance::{Standing, choose};
use board::{Key, Seat, Seating};
use budget::{Allowance, Budget};
use check::Checker;
use health::{Admits, Policy};
use instance::Role;
pub use instance::{Instance, Pick};
use multiplexed::Terms;
pub use pool::Pools;

/// Instances that one request tries to reach.
const INSTANCES_TRIED: usize = 3;

/// The limits that backends are kept to.
#[derive(PartialEq, Eq)]
struct Settings {
    policy: Policy,
    allowance: Allowance,
    connections: usize,
    queue: usize,
    wait: Duration,
    terms: Terms,
}

struct Access {
    /// As the catalog has it.
    written: Arc<VpcAccess>,
    instances: Vec<Rc<Instance>>,
    budget: Rc<Budget>,
    fail_fast: bool,
}

/// The backends of one generation, as a worker sees them. What has not changed is shared with the generation before.
pub struct Upstreams {
    accesses: Vec<Rc<Access>>,
    settings: Rc<Settings>,
    pools: Rc<Pools>,
    egress_addresses: Vec<IpAddr>,
    next_egress: Cell<usize>,
}

/// The instances of one VPC access that a request has been to, or tried to reach.
#[derive(Debug, Default)]
pub struct Tries {
    begun: bool,
    count: usize,
    failed: u64,
}

impl Tries {
    /// Not that one again. The places that a bit can be kept for: of more instances, some may be met again.
    pub fn avoid(&mut self, pick: &Pick) {
        self.count += 1;
        self.failed |= 1u64.checked_shl(pick.place).unwrap_or(0);
    }
    fn avoids(&self, place: usize) -> bool {
        place < 64 && self.failed & 1 << place != 0
    }
}

/// Why no instance was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPick {
    /// The access has no instance.
    None,
    /// Every one of them stands aside, is down, or has failed this request.
    AllDown,
}

impl Upstreams {
    /// Those of a worker, with the seats of their instances on the board.
    pub fn build(catalog: &Catalog, seating: &Seating, worker: usize, pools: &Rc<Pools>, before: Option<&Self>) -> Self {
        let settings = Settings::of(&catalog.limits);
        let settings = match before.filter(|before| *before.settings == settings) {
            Some(before) => before.settings.clone(),
            None => Rc::new(settings),
        };
        let known: HashMap<&str, &Rc<Access>> =
            before.iter().flat_map(|before| &before.accesses).map(|access| (access.written.name.as_str(), access)).collect();
        let accesses = catalog.vpc_accesses.iter().zip(seating).map(|(written, seats)| {
            let before = known.get(written.name.as_str()).copied();
            match before.filter(|before| before.written == *written && before.has(&settings)) {
                Some(same) => same.clone(),
                None => Rc::new(Access::build(written, seats, &settings, worker, pools, before)),
            }
        });
        let built = Self {
            accesses: accesses.collect(),
            settings,
            pools: pools.clone(),
            egress_addresses: catalog.instance.egress_addresses.clone(),
            next_egress: Cell::new(0),
        };
        pools.tidy();
        built
    }

    /// The instance with the fewest calls in flight for its weight, of those that are well; one whose trial is due is
    /// picked for it. When none is left, the access says whether to take one all the same.
    pub fn pick(&self, access: VpcAccessId, now_ms: u64, tries: &mut Tries) -> Result<Pick, NoPick> {
        let access = self.accesses.get(access.index()).ok_or(NoPick::None)?;
        if !std::mem::replace(&mut tries.begun, true) {
            access.budget.request(now_ms);
        }
        let (place, role) = access.pick(now_ms, tries)?;
        let instance = access.instances.get(place).ok_or(NoPick::None)?;
        Ok(Pick::new(instance.clone(), place as u32, role))
    }

    /// Takes from the budget for sending a request again; false: it is used up.
    pub fn may_retry(&self, access: VpcAccessId, now_ms: u64) -> bool {
        self.accesses.get(access.index()).is_some_and(|access| access.budget.retry(now_ms, self.settings.allowance))
    }

    /// As [`Upstreams::may_retry`], for a request that needs another instance: false, too, where there is none.
    pub fn may_try_another(&self, access: VpcAccessId, now_ms: u64, tries: &Tries) -> bool {
        let instances = self.accesses.get(access.index()).map_or(0, |access| access.instances.len());
        tries.count < instances.min(INSTANCES_TRIED) && self.may_retry(access, now_ms)
    }

    /// The active checks of all instances; they are for one worker to run.
    pub fn checkers(&self) -> Vec<(Key, Checker)> {
        let of_access = |access: &Rc<Access>| {
            let plan = access.written.health.clone().map(Rc::new);
            let access = access.clone();
            plan.into_iter().flat_map(move |plan| access.checkers(&plan))
        };
        self.accesses.iter().flat_map(of_access).collect()
    }

    /// The source address for the next connection to an address of `to`'s family; `None`: the kernel chooses.
    fn egress(&self, to: IpAddr) -> Option<IpAddr> {
        let n = self.egress_addresses.len();
        (0..n)
            .map(|i| self.egress_addresses[(self.next_egress.get() + i) % n])
            .find(|a| a.is_ipv4() == to.is_ipv4())
            .inspect(|_| self.next_egress.set((self.next_egress.get() + 1) % n))
    }
}

impl Settings {
    fn of(limits: &Limits) -> Self {
        Self {
            policy: Policy {
                first: limits.stand_aside,
                longest: limits.stand_aside_max,
                failures: u8::try_from(limits.stand_aside_failures).unwrap_or(u8::MAX),
            },
            allowance: Allowance { percent: limits.retry_percent, always: limits.retry_minimum },
            connections: limits.pool_connections,
            queue: limits.pool_queue,
            wait: limits.pool_wait,
            terms: Terms::of(limits),
        }
    }
}

impl Access {
    /// `before`: the same access in the generation before.
    fn build(
        written: &Arc<VpcAccess>,
        seats: &[Arc<Seat>],
        settings: &Rc<Settings>,
        worker: usize,
        pools: &Pools,
        before: Option<&Rc<Access>>,
    ) -> Self {
        let fail_fast = written.balance.when_all_down == WhenAllDown::FailFast;
        // How an only instance is does not matter, if it is called all the same.
        let watched = fail_fast || written.instances.len() > 1;
        // Workers begin at different instances, so that they do not all turn to the same one at once.
        let first = worker % written.instances.len().max(1);
        let instances = written.instances.iter().zip(seats).enumerate().map(|(place, (backend, seat))| {
            let standing = if place == first { Standing::ahead() } else { Standing::default() };
            let pool = pools.of(Key::of(written, backend));
            Rc::new(Instance::new(written, backend, seat.entry(worker), pool, standing, watched, settings.clone()))
        });
        let budget = before.map_or_else(Rc::default, |before| before.budget.clone());
        Self { written: written.clone(), instances: instances.collect(), budget, fail_fast }
    }

    /// Its instances are kept to these limits.
    fn has(&self, settings: &Rc<Settings>) -> bool {
        self.instances.first().is_none_or(|instance| Rc::ptr_eq(&instance.settings, settings))
    }

    fn checkers(&self, plan: &Rc<HealthCheck>) -> Vec<(Key, Checker)> {
        let checker =
            |instance: &Rc<Instance>| (Key::of(&self.written, &instance.backend), Checker::new(plan, &self.written, instance));
        self.instances.iter().map(checker).collect()
    }

    fn pick(&self, now_ms: u64, tries: &Tries) -> Result<(usize, Role), NoPick> {
        let n = self.instances.len();
        if n == 1 && !self.fail_fast {
            return if tries.avoids(0) { Err(NoPick::AllDown) } else { Ok((0, Role::Call)) };
        }
        for (place, instance) in self.instances.iter().enumerate() {
            let admits = if tries.avoids(place) { Admits::Nothing } else { instance.entry.health().admits(now_ms) };
            if admits == Admits::Trial && instance.entry.change(|health| health.trial(now_ms)) {
                return Ok((place, Role::Trial));
            }
            instance.standing.set((admits == Admits::Calls).then(|| instance.load(now_ms)));
        }
        let standings = || self.instances.iter().map(|instance| &instance.standing);
        if let Some(place) = choose(standings()) {
            return Ok((place, Role::Call));
        }
        match n {
            0 => return Err(NoPick::None),
            _ if self.fail_fast => return Err(NoPick::AllDown),
            _ => {}
        }
        for (place, instance) in self.instances.iter().enumerate() {
            instance.standing.set((!tries.avoids(place)).then(|| instance.load(now_ms)));
        }
        choose(standings()).map(|place| (place, Role::LastResort)).ok_or(NoPick::AllDown)
    }
}

#[cfg(test)]
mod tests;

//! The backends of a worker: for each VPC access, its instances with their warm connections.
//!
//! Start at [`Upstreams::pick`]: the instance with the fewest calls in flight for its weight. [`pool`] keeps idle
//! connections, last in, first out; [`connect`] makes new ones. Everything here belongs to one worker.

pub mod connect;
pub mod pool;

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use crate::catalog::{BackendInstance, Catalog, VpcAccess, VpcAccessId};
use pool::Idle;

/// A worker's view of one instance of a VPC access.
pub struct Instance {
    pub backend: BackendInstance,
    idle: RefCell<Vec<Idle>>,
    in_flight: Cell<u32>,
    /// Not picked before this time while another instance can be.
    aside_until_ms: Cell<u64>,
}

struct Access {
    instances: Vec<Rc<Instance>>,
    /// Where the next search starts, so that equals take turns.
    next: Cell<usize>,
}

pub struct Upstreams {
    accesses: Vec<Access>,
    egress_addresses: Vec<IpAddr>,
    next_egress: Cell<usize>,
}

/// A call in flight to an instance; dropping it is its end.
pub struct Pick {
    pub instance: Rc<Instance>,
}

impl Upstreams {
    pub fn build(catalog: &Catalog) -> Self {
        Self {
            accesses: catalog.vpc_accesses.iter().map(Access::build).collect(),
            egress_addresses: catalog.instance.egress_addresses.clone(),
            next_egress: Cell::new(0),
        }
    }

    /// The instance with the fewest calls in flight for its weight. One that stands aside is taken only when all do.
    /// `None` where the access has no instance.
    pub fn pick(&self, access: VpcAccessId, now_ms: u64) -> Option<Pick> {
        self.accesses.get(access.index())?.pick(now_ms).map(Pick::new)
    }

    /// Whether an instance of the access does not stand aside.
    pub fn has_another(&self, access: VpcAccessId, now_ms: u64) -> bool {
        let instances = self.accesses.get(access.index()).map_or(&[][..], |a| &a.instances);
        instances.iter().any(|i| i.aside_until_ms.get() <= now_ms)
    }

    /// Closes idle connections that have waited longer than `timeout_ms`.
    pub fn end_idle(&self, now_ms: u64, timeout_ms: u64) {
        for instance in self.accesses.iter().flat_map(|a| &a.instances) {
            instance.end_idle(now_ms, timeout_ms);
        }
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

impl Access {
    fn build(access: &VpcAccess) -> Self {
        let instances = access.instances.iter().map(|backend| {
            Rc::new(Instance {
                backend: BackendInstance { id: backend.id.clone(), ..*backend },
                idle: RefCell::default(),
                in_flight: Cell::new(0),
                aside_until_ms: Cell::new(0),
            })
        });
        Self { instances: instances.collect(), next: Cell::new(0) }
    }

    fn pick(&self, now_ms: u64) -> Option<Rc<Instance>> {
        if let [only] = &self.instances[..] {
            return Some(only.clone());
        }
        let n = self.instances.len();
        let first = self.next.get();
        let best = (0..n)
            .map(|i| (first + i) % n)
            .min_by(|&a, &b| self.instances[a].load(now_ms).cmp(&self.instances[b].load(now_ms)))?;
        self.next.set((best + 1) % n);
        Some(self.instances[best].clone())
    }
}

/// How much an instance has to do; the least is picked.
#[derive(PartialEq, Eq)]
struct Load {
    aside: bool,
    calls: u64,
    weight: u64,
}

impl Load {
    /// Those that stand aside come last; then calls per weight, compared without dividing.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.aside.cmp(&other.aside).then((self.calls * other.weight).cmp(&(other.calls * self.weight)))
    }
}

impl Instance {
    fn load(&self, now_ms: u64) -> Load {
        Load {
            aside: self.aside_until_ms.get() > now_ms,
            calls: u64::from(self.in_flight.get()) + 1,
            weight: u64::from(self.backend.weight),
        }
    }

    /// The instance refused a connection or did not answer one: others are picked for a while.
    pub fn stand_aside(&self, until_ms: u64) {
        self.aside_until_ms.set(until_ms);
    }

    /// The instance answered.
    pub fn is_well(&self) {
        self.aside_until_ms.set(0);
    }
}

impl Pick {
    fn new(instance: Rc<Instance>) -> Self {
        instance.in_flight.set(instance.in_flight.get() + 1);
        Self { instance }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.instance.in_flight.set(self.instance.in_flight.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Scheme;

    fn upstreams(weights: &[u32]) -> Upstreams {
        let instance = |weight: &u32| BackendInstance {
            id: format!("i-{weight}"),
            address: "127.0.0.1:1".parse().unwrap(),
            weight: *weight,
        };
        let access = VpcAccess {
            name: "a".into(),
            vpc_id: "v".into(),
            host: None,
            scheme: Scheme::Http,
            instances: weights.iter().map(instance).collect(),
        };
        Upstreams { accesses: vec![Access::build(&access)], egress_addresses: vec![], next_egress: Cell::new(0) }
    }

    fn spread(upstreams: &Upstreams, calls: usize) -> Vec<u32> {
        let held: Vec<Pick> = (0..calls).map(|_| upstreams.pick(VpcAccessId(0), 0).unwrap()).collect();
        let spread = upstreams.accesses[0].instances.iter().map(|i| i.in_flight.get()).collect();
        drop(held);
        assert!(upstreams.accesses[0].instances.iter().all(|i| i.in_flight.get() == 0));
        spread
    }

    #[test]
    fn equal_weights_share_equally() {
        assert_eq!(spread(&upstreams(&[100, 100, 100]), 30), [10, 10, 10]);
    }

    #[test]
    fn weights_set_the_shares() {
        assert_eq!(spread(&upstreams(&[100, 300]), 40), [10, 30]);
    }

    #[test]
    fn equals_take_turns() {
        let upstreams = upstreams(&[100, 100]);
        let ids: Vec<_> = (0..4).map(|_| Rc::as_ptr(&upstreams.pick(VpcAccessId(0), 0).unwrap().instance)).collect();
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[0], ids[2]);
    }

    #[test]
    fn an_instance_that_stands_aside_is_the_last_resort() {
        let upstreams = upstreams(&[100, 100]);
        upstreams.accesses[0].instances[0].stand_aside(1000);
        assert_eq!(spread(&upstreams, 6), [0, 6]);
        upstreams.accesses[0].instances[1].stand_aside(1000);
        assert_eq!(spread(&upstreams, 6), [3, 3]);
    }

    #[test]
    fn an_unknown_access_has_no_instance() {
        assert!(upstreams(&[1]).pick(VpcAccessId(9), 0).is_none());
    }
}

//! Who may be connected: so many clients in all, and so many from one address. One for the process, shared by all
//! workers without a lock, and asked once for each connection.
//!
//! Connections of an address are counted in two tables of cells, at a place in each that a keyed hash chooses; an
//! address has no more of them than the smaller of its two counts. So nothing grows, nothing is remembered of those that
//! have left, and no address ever has more than its share. An address that shares both of its cells with others may be
//! refused early; nobody can aim for that, because the key is random.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use ahash::RandomState;

/// Cells of a table: a power of two. Two tables take 1 MiB.
const CELLS: usize = 128 * 1024;
/// Descriptors kept for connections to backends and for files: an eighth of those allowed, at most this many.
const MOST_DESCRIPTORS_KEPT: u64 = 512;

/// Why a client may not be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    InAll,
    Address,
}

/// What is allowed: the limits in force.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    pub in_all: usize,
    pub per_address: usize,
}

pub struct Admission {
    in_all: AtomicUsize,
    cells: [Box<[AtomicU32]>; 2],
    random: RandomState,
    /// Descriptors that the process may open.
    descriptors: u64,
    /// How often one of the workers found that there are none left.
    shortages: AtomicU64,
}

/// A place among the connected; given up when dropped.
pub struct Ticket {
    admission: Arc<Admission>,
    places: Option<[usize; 2]>,
}

impl Admission {
    pub fn new(descriptors: u64) -> Arc<Self> {
        let table = || (0..CELLS).map(|_| AtomicU32::new(0)).collect();
        let (in_all, shortages) = (AtomicUsize::new(0), AtomicU64::new(0));
        Arc::new(Self { in_all, cells: [table(), table()], random: RandomState::new(), descriptors, shortages })
    }

    /// A place for a client; `peer` is `None` where its address stands for many.
    pub fn admit(self: &Arc<Self>, peer: Option<IpAddr>, allowed: Allowed) -> Result<Ticket, Full> {
        let mut ticket = Ticket { admission: self.clone(), places: None };
        // From here on the ticket takes back what it has added.
        if self.in_all.fetch_add(1, Ordering::Relaxed) >= allowed.in_all {
            return Err(Full::InAll);
        }
        let Some(peer) = peer else { return Ok(ticket) };
        let places = self.places(peer);
        ticket.places = Some(places);
        let before = self.of(places).map(|cell| cell.fetch_add(1, Ordering::Relaxed) as usize);
        if before[0].min(before[1]) >= allowed.per_address { Err(Full::Address) } else { Ok(ticket) }
    }

    /// Clients connected.
    pub fn count(&self) -> usize {
        self.in_all.load(Ordering::Relaxed)
    }

    /// This descriptor is one of the last. The kernel gives out the lowest that is free, so that all below are in use.
    pub fn is_one_of_the_last(&self, descriptor: i32) -> bool {
        let kept = (self.descriptors / 8).min(MOST_DESCRIPTORS_KEPT);
        u64::try_from(descriptor).is_ok_and(|descriptor| descriptor >= self.descriptors.saturating_sub(kept))
    }

    /// Tells all workers that descriptors have run out.
    pub fn run_short(&self) {
        self.shortages.fetch_add(1, Ordering::Relaxed);
    }

    /// How often they have.
    pub fn shortages(&self) -> u64 {
        self.shortages.load(Ordering::Relaxed)
    }

    fn of(&self, places: [usize; 2]) -> [&AtomicU32; 2] {
        [&self.cells[0][places[0] % CELLS], &self.cells[1][places[1] % CELLS]]
    }

    /// Of IPv6, whoever has one address has the whole network of 64 bits.
    fn places(&self, peer: IpAddr) -> [usize; 2] {
        let hash = match peer.to_canonical() {
            IpAddr::V4(address) => self.random.hash_one(u64::from(address.to_bits())),
            IpAddr::V6(address) => self.random.hash_one((address.to_bits() >> 64) as u64 | 1 << 63),
        };
        [hash as usize, (hash >> 32) as usize]
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.in_all.fetch_sub(1, Ordering::Relaxed);
        if let Some(places) = self.places {
            for cell in self.admission.of(places) {
                cell.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Allowed = Allowed { in_all: 1000, per_address: 3 };

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_has_its_share_and_no_more() {
        let admission = Admission::new(1024);
        let mut tickets: Vec<_> = (0..3).map(|_| admission.admit(address("192.0.2.1"), ALLOWED).unwrap()).collect();
        assert_eq!(admission.admit(address("192.0.2.1"), ALLOWED).err(), Some(Full::Address));
        assert_eq!(admission.admit(address("::ffff:192.0.2.1"), ALLOWED).err(), Some(Full::Address));
        assert!(admission.admit(address("192.0.2.2"), ALLOWED).is_ok());
        assert!(admission.admit(None, ALLOWED).is_ok(), "an address that stands for many");
        tickets.pop();
        assert!(admission.admit(address("192.0.2.1"), ALLOWED).is_ok(), "a place given up is free");
        tickets.clear();
        assert_eq!(admission.count(), 0);
        assert!(admission.cells.iter().flatten().all(|cell| cell.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let admission = Admission::new(1024);
        let held: Vec<_> = (1..=3).map(|n| admission.admit(address(&format!("2001:db8::{n}")), ALLOWED).unwrap()).collect();
        assert_eq!(admission.admit(address("2001:db8::ffff:1"), ALLOWED).err(), Some(Full::Address));
        assert!(admission.admit(address("2001:db8:0:1::1"), ALLOWED).is_ok());
        drop(held);
    }

    #[test]
    fn in_all_there_are_so_many() {
        let admission = Admission::new(1024);
        let allowed = Allowed { in_all: 2, per_address: 10 };
        let held = [admission.admit(None, allowed).unwrap(), admission.admit(address("192.0.2.1"), allowed).unwrap()];
        assert_eq!(admission.admit(None, allowed).err(), Some(Full::InAll));
        assert_eq!(admission.count(), 2, "a refusal leaves nothing");
        drop(held);
        assert_eq!(admission.count(), 0);
    }

    #[test]
    fn threads_that_race_are_given_as_many_as_there_are() {
        let admission = Admission::new(1024);
        let allowed = Allowed { in_all: 10_000, per_address: 100 };
        let most = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..200).filter_map(|_| admission.admit(address("192.0.2.1"), allowed).ok()).collect()))
                .collect();
            let tickets: Vec<Vec<Ticket>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            tickets.iter().flatten().count()
        });
        // Who comes while another is being refused may be refused, too.
        assert!((90..=100).contains(&most), "{most} of 100");
        assert_eq!(admission.count(), 0);
    }

    #[test]
    fn the_last_descriptors_are_kept() {
        assert!([56, 63].iter().all(|&fd| Admission::new(64).is_one_of_the_last(fd)));
        assert!(!Admission::new(64).is_one_of_the_last(55));
        assert!(!Admission::new(1 << 20).is_one_of_the_last((1 << 20) - 513));
        assert!(!Admission::new(1024).is_one_of_the_last(-1));
    }
}

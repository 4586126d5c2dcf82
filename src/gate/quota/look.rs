//! Counters as they are seen from outside, while workers count.

use super::lease::{moves, seats};
use super::map::Map;
use super::memory::Memory;
use super::table::{self, UNTIL};
use super::window::Window;
use super::word::{DEAD, Pool, lease_tag, leased};

/// A counter, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: u64,
    pub rule: u64,
    /// The first bytes of its name.
    pub subject: Vec<u8>,
    pub level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Calls that were admitted in this window, which may be over.
    Window { window: Window, used: u64 },
    /// A bucket's word, for [`super::bucket::left`].
    Bucket(u64),
}

impl Level {
    /// `None`: it is a bucket.
    pub fn window(self) -> Option<Window> {
        match self {
            Self::Window { window, .. } => Some(window),
            Self::Bucket(_) => None,
        }
    }
}

/// What became of the order to begin a counter anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    Done,
    /// There is no such counter: nothing has been counted.
    NotThere,
    /// Workers have units of it in their hands: order it again in a moment.
    InDoubt,
}

/// Every counter of the table. What workers have leased and not used is not used.
pub fn counters<M: Memory + ?Sized>(memory: &M, map: Map) -> impl Iterator<Item = Seen> + use<'_, M> {
    (0..map.slots()).filter_map(move |slot| {
        let found = table::at(memory, &map, slot)?;
        let level = level(memory, map, found.id, found.at)?;
        Some(Seen { id: found.id, rule: found.rule, subject: found.subject, level })
    })
}

/// How far one counter has come.
pub fn level_of<M: Memory + ?Sized>(memory: &M, map: Map, id: u64) -> Option<Level> {
    level(memory, map, id, table::place(memory, &map, id)?)
}

fn level<M: Memory + ?Sized>(memory: &M, map: Map, id: u64, at: usize) -> Option<Level> {
    let word = memory.load(at);
    if memory.load(at + UNTIL) != 0 {
        return (word != DEAD).then_some(Level::Bucket(word));
    }
    let window = Pool::window(word)?;
    let tag = lease_tag(id, window);
    let unused: u64 = seats(map, memory).map(|seat| leased(memory.load(map.lease(seat, id)), tag)).sum();
    Some(Level::Window { window, used: Pool::read(word, window).granted.saturating_sub(unused) })
}

/// Empties the leases, then the pool; done when nothing moved meanwhile. Calls that are under way at that moment may count to
/// before or after it, and every later one to after it: of the limit, all is there, and no more.
pub fn reset<M: Memory + ?Sized>(memory: &M, map: Map, id: u64) -> Reset {
    let Some(at) = table::place(memory, &map, id) else { return Reset::NotThere };
    let before = moves(map, memory, None);
    let word = memory.load(at);
    if memory.load(at + UNTIL) != 0 {
        return if memory.exchange(at, word, 0).is_ok() { Reset::Done } else { Reset::InDoubt };
    }
    let (Some(before), Some(window)) = (before, Pool::window(word)) else { return Reset::InDoubt };
    let tag = lease_tag(id, window);
    for seat in seats(map, memory) {
        let lease = map.lease(seat, id);
        let mut units = memory.load(lease);
        while leased(units, tag) > 0 {
            match memory.exchange(lease, units, tag) {
                Ok(()) => break,
                Err(other) => units = other,
            }
        }
    }
    let word = memory.load(at);
    let is_same = Pool::window(word) == Some(window) && memory.load(map.key_of(at)) == id;
    if !is_same || memory.exchange(at, word, Pool::fresh(window).word()).is_err() {
        return Reset::InDoubt;
    }
    if moves(map, memory, None) == Some(before) { Reset::Done } else { Reset::InDoubt }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::window::Period;
    use super::super::{Budget, Lessee, Quotas, Want, Wants};
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn passes(quotas: &Quotas, lessee: &mut Lessee, budget: Budget, limit: u64, now_ms: u64) -> bool {
        let mut wants = Wants::default();
        let want = Want { id: 77, budget, limit, rule: 5, subject: b"demo-app", ..Want::default() };
        assert!(wants.push(want));
        quotas.take(lessee, &mut wants, now_ms, false).is_ok()
    }

    #[test]
    fn what_is_leased_and_not_used_is_not_used() {
        let quotas = Quotas::own(100, 2, [7; 16]);
        let (mut one, mut other) = (quotas.lessee(0), quotas.lessee(1));
        let window = Window::at(Period::Day, NOW_MS, 0);
        for n in 1..=1500 {
            let lessee = if n % 3 == 0 { &mut one } else { &mut other };
            assert!(passes(&quotas, lessee, Budget::Window(window), 100_000, NOW_MS));
            let seen: Vec<Seen> = quotas.counters().collect();
            let level = Level::Window { window, used: n };
            assert_eq!(seen, [Seen { id: 77, rule: 5, subject: b"demo-app".to_vec(), level }]);
        }
    }

    #[test]
    fn a_counter_that_is_reset_has_all_of_its_limit_and_no_more() {
        let quotas = Quotas::own(100, 4, [7; 16]);
        assert_eq!(quotas.reset(77), Reset::NotThere);
        let window = Budget::window(Period::Day, NOW_MS, 0);
        let (ends, limit) = (AtomicBool::new(false), 5_000);
        let resets = 20;
        let passed: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|n| {
                    let (quotas, ends) = (&quotas, &ends);
                    scope.spawn(move || {
                        let (mut lessee, mut passed) = (quotas.lessee(n), 0);
                        while !ends.load(Ordering::Relaxed) {
                            passed += u64::from(passes(quotas, &mut lessee, window, limit, NOW_MS));
                        }
                        passed
                    })
                })
                .collect();
            for _ in 0..resets {
                while quotas.reset(77) != Reset::Done {
                    std::thread::yield_now();
                }
            }
            ends.store(true, Ordering::Relaxed);
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(passed <= limit * (resets + 1), "{passed}");
        assert_eq!(quotas.reset(77), Reset::Done);
        let mut lessee = quotas.lessee(3);
        assert_eq!((0..limit + 100).filter(|_| passes(&quotas, &mut lessee, window, limit, NOW_MS)).count() as u64, limit);
    }

    #[test]
    fn a_bucket_that_is_reset_is_full() {
        let quotas = Quotas::own(100, 1, [7; 16]);
        let mut lessee = quotas.lessee(0);
        let bucket = Budget::Bucket { queue: 0 };
        for _ in 0..3 {
            assert_eq!((0..20).filter(|_| passes(&quotas, &mut lessee, bucket, 10, NOW_MS)).count(), 10);
            assert!(matches!(quotas.counters().next(), Some(Seen { level: Level::Bucket(_), .. })));
            assert_eq!(quotas.reset(77), Reset::Done);
        }
    }
}

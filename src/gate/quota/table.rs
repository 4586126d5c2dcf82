//! The table of counters: from a counter's id to its place in the shared memory.
//!
//! A counter lies in its home bucket or one of the few that follow. To look for it takes no lock: the home says how far to
//! look, and a bucket's keys are one cache line. To make one takes the lock of its home, so that no counter is made twice;
//! who finds it taken asks again in a moment. A counter whose window is over gives its place to a new one.

use super::map::{BUCKET, ENTRY, Map};
use super::memory::Memory;
use super::want::{Budget, Want};
use super::word::{DEAD, Pool};

/// Buckets in which a counter may lie: with two thirds of the places taken, none of millions finds them all full.
pub const REACH: usize = 16;

/// The key of a place that nothing is in, and of one that is being written.
const EMPTY: u64 = 0;
const RESERVED: u64 = 1;
/// The smallest id of a counter.
pub const FIRST_ID: u64 = 2;

/// A home's word: how many further buckets hold counters of it, and who has the lock.
const REACH_MASK: u64 = 0xFF;
const OWNER_SHIFT: u32 = 8;

/// The words of an entry: the pool's or bucket's, when a bucket is full again, the rule, the subject, and what a cluster
/// allows ([`super::allowance`]).
pub const UNTIL: usize = 1;
const RULE: usize = 2;
const SUBJECT: usize = 3;
pub const ALLOWANCE: usize = ENTRY - 1;
/// Bytes of a subject that are kept, for those who look at counters.
pub const SUBJECT_BYTES: usize = (ALLOWANCE - SUBJECT) * 8 - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// Where the counter's word is.
    At(usize),
    /// There is no room for another counter.
    Full,
    /// Someone else is making one.
    Busy,
}

/// Finds a counter, or makes it.
pub fn find(memory: &(impl Memory + ?Sized), map: &Map, seat: usize, want: &Want<'_>, now_ms: u64) -> Find {
    let home = home(map, want.id);
    let word = memory.load(map.home(home));
    if let Some(slot) = look(memory, map, home, word, want.id) {
        return Find::At(map.entry(slot));
    }
    if word >> OWNER_SHIFT != 0 {
        return Find::Busy;
    }
    let locked = word | (seat as u64 + 1) << OWNER_SHIFT;
    if memory.exchange(map.home(home), word, locked).is_err() {
        return Find::Busy;
    }
    let (found, reach) = match look(memory, map, home, word, want.id) {
        Some(slot) => (Find::At(map.entry(slot)), 0),
        None => make(memory, map, home, want, now_ms),
    };
    // Nobody else writes a home that is locked, but for one who finds that its owner has died.
    let _ = memory.exchange(map.home(home), locked, word & REACH_MASK | reach.max(word & REACH_MASK));
    found
}

fn home(map: &Map, id: u64) -> usize {
    ((u128::from(id) * map.buckets as u128) >> 64) as usize
}

fn look(memory: &(impl Memory + ?Sized), map: &Map, home: usize, word: u64, id: u64) -> Option<usize> {
    let reach = (word & REACH_MASK) as usize;
    let at = slots(map, home, reach).find(|&slot| memory.load(map.key(slot)) == id)?;
    (memory.load(map.entry(at)) != DEAD).then_some(at)
}

fn slots(map: &Map, home: usize, reach: usize) -> impl Iterator<Item = usize> + use<> {
    let buckets = map.buckets;
    (0..=reach.min(REACH - 1)).flat_map(move |n| {
        let first = (home + n) % buckets * BUCKET;
        first..first + BUCKET
    })
}

/// The home is locked, and the counter is not there. Returns where it is now, and how far from its home.
fn make(memory: &(impl Memory + ?Sized), map: &Map, home: usize, want: &Want<'_>, now_ms: u64) -> (Find, u64) {
    let take = [take_empty, take_over];
    for take in take {
        for (n, slot) in slots(map, home, REACH).enumerate() {
            if take(memory, map, slot, now_ms) {
                write(memory, map.entry(slot), want);
                let _ = memory.exchange(map.key(slot), RESERVED, want.id);
                return (Find::At(map.entry(slot)), (n / BUCKET) as u64);
            }
        }
    }
    (Find::Full, 0)
}

fn take_empty<M: Memory + ?Sized>(memory: &M, map: &Map, slot: usize, _: u64) -> bool {
    memory.load(map.key(slot)) == EMPTY && memory.exchange(map.key(slot), EMPTY, RESERVED).is_ok()
}

/// A counter that no clock is in any more. Its word is killed first: whoever found it and counts to it meanwhile wins.
fn take_over<M: Memory + ?Sized>(memory: &M, map: &Map, slot: usize, now_ms: u64) -> bool {
    let key = memory.load(map.key(slot));
    if key < FIRST_ID {
        return false;
    }
    let at = map.entry(slot);
    let word = memory.load(at);
    is_over(word, memory.load(at + UNTIL), now_ms)
        && memory.exchange(at, word, DEAD).is_ok()
        && memory.exchange(map.key(slot), key, RESERVED).is_ok()
}

fn is_over(word: u64, until_ms: u64, now_ms: u64) -> bool {
    match until_ms {
        0 => Pool::is_over(word, now_ms),
        until_ms => word != DEAD && until_ms <= now_ms,
    }
}

fn write(memory: &(impl Memory + ?Sized), at: usize, want: &Want<'_>) {
    let until_ms = match want.budget {
        Budget::Window(_) => 0,
        // Set by its first call.
        Budget::Bucket { .. } => u64::MAX,
    };
    let mut text = [0; SUBJECT_BYTES + 1];
    let len = want.subject.len().min(SUBJECT_BYTES);
    text[0] = len as u8;
    text[1..=len].copy_from_slice(&want.subject[..len]);
    let subject = text.chunks_exact(8).map(|bytes| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)));
    memory.store(at + UNTIL, until_ms);
    memory.store(at + RULE, want.rule);
    (at + SUBJECT..).zip(subject).for_each(|(at, word)| memory.store(at, word));
    memory.store(at + ALLOWANCE, 0);
    let first = match want.budget {
        Budget::Window(window) => Pool::fresh(window).word(),
        Budget::Bucket { .. } => 0,
    };
    memory.store(at, first);
}

/// A counter as it is found in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub id: u64,
    pub rule: u64,
    pub subject: Vec<u8>,
    /// Where its word is.
    pub at: usize,
}

/// Where a counter is, if it is there.
pub fn place(memory: &(impl Memory + ?Sized), map: &Map, id: u64) -> Option<usize> {
    let home = home(map, id);
    look(memory, map, home, memory.load(map.home(home)), id).map(|slot| map.entry(slot))
}

/// The counter of a slot.
pub fn at<M: Memory + ?Sized>(memory: &M, map: &Map, slot: usize) -> Option<Found> {
    let (id, at) = (memory.load(map.key(slot)), map.entry(slot));
    if id < FIRST_ID || memory.load(at) == DEAD {
        return None;
    }
    let rule = memory.load(at + RULE);
    let text: Vec<u8> = (SUBJECT..ALLOWANCE).flat_map(|n| memory.load(at + n).to_le_bytes()).collect();
    let (&len, text) = text.split_first()?;
    let found = Found { id, rule, subject: text.get(..usize::from(len).min(SUBJECT_BYTES))?.to_vec(), at };
    // It may have been written over meanwhile.
    (memory.load(map.key(slot)) == id).then_some(found)
}

/// Every counter of the table.
fn counters<'a, M: Memory + ?Sized>(memory: &'a M, map: &'a Map) -> impl Iterator<Item = Found> + use<'a, M> {
    (0..map.slots()).filter_map(|slot| at(memory, map, slot))
}

/// Ends the locks that workers of a process left which is no more.
pub fn unlock(memory: &(impl Memory + ?Sized), map: &Map, process: usize) {
    let owners = map.seat(process, 0) as u64 + 1..=map.seat(process, map.workers - 1) as u64 + 1;
    for home in 0..map.buckets {
        let word = memory.load(map.home(home));
        if owners.contains(&(word >> OWNER_SHIFT)) {
            // It may have made a counter further away than it came to write.
            let _ = memory.exchange(map.home(home), word, REACH as u64 - 1);
        }
    }
}

/// Frees the places that were being written when a process ended. Nobody else uses the memory.
pub fn mend(memory: &(impl Memory + ?Sized), map: &Map) {
    for slot in 0..map.slots() {
        let key = memory.load(map.key(slot));
        if key == RESERVED || (key != EMPTY && memory.load(map.entry(slot)) == DEAD) {
            memory.store(map.key(slot), EMPTY);
        }
    }
}

/// Brings the counters, and what workers had leased of them, into another table that has the same seats. Nobody uses either.
/// How many found no room.
pub fn carry_over<A: Memory + ?Sized, B: Memory + ?Sized>(from: &A, old: &Map, to: &B, new: &Map, now_ms: u64) -> usize {
    (0..old.home(0)).for_each(|at| to.store(at, from.load(at)));
    let mut lost = 0;
    for found in counters(from, old).filter(|found| !is_over(from.load(found.at), from.load(found.at + UNTIL), now_ms)) {
        let want = Want { id: found.id, ..Want::default() };
        match find(to, new, 0, &want, now_ms) {
            Find::At(at) => (0..ENTRY).for_each(|n| to.store(at + n, from.load(found.at + n))),
            Find::Full | Find::Busy => lost += 1,
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::super::window::{Period, Window};
    use super::super::word::mix;
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn memory(map: &Map) -> Vec<AtomicU64> {
        (0..map.words()).map(|_| AtomicU64::new(0)).collect()
    }

    fn want(id: u64, now_ms: u64) -> Want<'static> {
        Want {
            id,
            budget: Budget::Window(Window::at(Period::Minute, now_ms, 0)),
            subject: b"demo-app",
            rule: 9,
            ..Want::default()
        }
    }

    fn spread(n: u64) -> u64 {
        n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn a_counter_is_made_once_and_found_again() {
        let map = Map::new(1000);
        let memory = &memory(&map)[..];
        let made: Vec<Find> = (0..1000).map(|n| find(memory, &map, 0, &want(spread(n), NOW_MS), NOW_MS)).collect();
        assert!(made.iter().all(|find| matches!(find, Find::At(_))), "{made:?}");
        for (n, made) in (0..).zip(&made) {
            assert_eq!(find(memory, &map, 1, &want(spread(n), NOW_MS), NOW_MS), *made);
        }
        let mut all: Vec<u64> = counters(memory, &map).map(|found| found.id).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1000);
        assert_eq!(counters(memory, &map).next().map(|found| (found.rule, found.subject)), Some((9, b"demo-app".to_vec())));
    }

    #[test]
    fn as_many_counters_as_there_is_to_be_room_for_find_it() {
        for counters in [1, 10, 1000, 200_000] {
            let map = Map::new(counters);
            let memory = &memory(&map)[..];
            let finds = |n: &u64| matches!(find(memory, &map, 0, &want(mix(*n, 7), NOW_MS), NOW_MS), Find::At(_));
            let found = (0..counters as u64).filter(finds).count();
            assert_eq!(found, counters);
        }
    }

    #[test]
    fn a_full_table_says_so_until_windows_are_over() {
        let map = Map::new(100);
        let memory = &memory(&map)[..];
        let fill = |from: u64, now_ms: u64| {
            (from..from + 1000)
                .filter(|&n| matches!(find(memory, &map, 0, &want(spread(n), now_ms), now_ms), Find::At(_)))
                .count()
        };
        let first = fill(0, NOW_MS);
        assert!((100..=160).contains(&first), "{first}");
        assert_eq!(fill(0, NOW_MS), first, "those that are there are found");
        assert_eq!(fill(1000, NOW_MS), 0);
        assert_eq!(fill(1000, NOW_MS + 600_000), first, "their places are taken by others");
        assert_eq!(counters(memory, &map).count(), first);
    }

    #[test]
    fn what_a_process_left_half_made_is_mended() {
        let map = Map::new(100);
        let memory = &memory(&map)[..];
        let id = spread(5);
        let Find::At(at) = find(memory, &map, 0, &want(id, NOW_MS), NOW_MS) else { panic!("there is room") };
        memory.store(at, DEAD);
        let seat = map.seat(1, 3);
        let home = map.home(home(&map, id));
        memory.store(home, (seat as u64 + 1) << OWNER_SHIFT);
        assert_eq!(find(memory, &map, 0, &want(id, NOW_MS), NOW_MS), Find::Busy);
        unlock(memory, &map, 0);
        assert_eq!(find(memory, &map, 0, &want(id, NOW_MS), NOW_MS), Find::Busy);
        unlock(memory, &map, 1);
        mend(memory, &map);
        assert_eq!(find(memory, &map, 0, &want(id, NOW_MS), NOW_MS), Find::At(at));
    }

    #[test]
    fn threads_that_make_the_same_counters_make_each_once() {
        let map = Map::new(4000);
        let words = memory(&map);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (map, memory) = (&map, &words[..]);
                scope.spawn(move || {
                    for n in 0..2000 {
                        let n = if thread % 2 == 0 { n } else { 1999 - n };
                        while find(memory, map, thread, &want(spread(n), NOW_MS), NOW_MS) == Find::Busy {}
                    }
                });
            }
        });
        assert_eq!(counters(&words[..], &map).count(), 2000);
    }
}

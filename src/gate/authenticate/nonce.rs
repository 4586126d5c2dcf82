//! Nonces pass once: over all workers, within the window.
//!
//! A lock-free set of keyed 64-bit fingerprints, in slices of time. One slice is current; only [`NonceSet::advance`] moves
//! it on. A caller reads which slice `s` is current, looks for the nonce in the older slices, and then inserts it into the
//! slices `s - 1` and `s`. It passes only if both inserts were fresh and the current slice has since moved on by one at most.
//!
//! Why a nonce cannot pass twice. Take two callers with the same nonce, at slices `s <= t`.
//! - `t` is `s` or `s + 1`: both insert into slice `s`, and the compare-and-swap there lets one of them win.
//! - `t` is `s + 2` or later: the first caller passes only if it saw the current slice below `t` after its inserts. All
//!   accesses are sequentially consistent, so they come before the second caller's look at the older slices, which finds them.
//!
//! How long a nonce is remembered. A request may be stamped a whole window ahead and stays valid until a whole window
//! behind, so a nonce is kept for two windows: it is in the slice that was current and is looked for until
//! [`LOOK_BACK`] more have begun, each of half a window.
//!
//! The words may be those of a file that several processes have mapped: then a nonce passes once over all of them, and a
//! process that is killed takes nothing with it. One of them moves the window on.
//!
//! What it costs: 77 bytes for each nonce of `capacity`, for good. Capacity is spread over time: a slice (half a window)
//! has room for half of it, and slots to spare. When an insert meets only taken slots the set is full for that nonce.
//!
//! How the slots lie: in bins, one beside the other. A bin has a line of a cache for each slice, so that all that a call
//! looks at is in six lines of one page: a set is far larger than what a processor has addresses of at hand. A few bins are
//! near: they are looked at before the far ones. As long as they have room, the pages that are used of a large set are few:
//! they are touched for the first time soon, and a processor has their addresses at hand, and most of them in its caches.

use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

use crate::gate::fingerprint::fingerprint;
use crate::gate::quota::memory::Words;
use crate::sys::cache::prefetch;

/// Slices behind the current one in which a nonce is looked for.
const LOOK_BACK: u64 = 4;
/// Slices kept: the current one, those behind it, and the next, which is cleared while callers may still look at the last.
const SLICES: u64 = LOOK_BACK + 2;
/// Slots of a slice in a bin: a line of a cache.
const LINE: usize = 8;
/// Slots of all slices in a bin.
const BIN: usize = LINE * SLICES as usize;
/// The most far bins that are looked at for one fingerprint. With two thirds of the slots taken, a run of this length comes up
/// once in some ten million inserts.
const PROBES: usize = 32;
/// Far bins for each near one.
const FAR: usize = 16;
/// The mark of a slot never written in its slice.
const EMPTY: u64 = 0;
/// Which slice of time is current, counted so that the first has `SLICES` before it; 0: the words are new.
const CURRENT: usize = 0;
/// Where slots begin: a line of its own is read by every call.
const SLOTS: usize = 8;

pub struct NonceSet {
    fingerprint_key: [u8; 16],
    /// In a cluster: what all of its gateways have.
    shared_key: Option<[u8; 16]>,
    slice_ms: u64,
    advancing: AtomicBool,
    /// Near bins have been found full: far ones are needed.
    overflows: AtomicBool,
    /// Which slice is current; then the near bins; then the far ones.
    words: Words,
    near: usize,
    far: usize,
}

/// Words of a set with room for `capacity` nonces.
pub fn words(capacity: usize) -> usize {
    (near_bins(capacity) + far_bins(capacity)) * BIN + SLOTS
}

/// Half the capacity in a slice, each nonce also in the slice before it, two thirds of the slots taken.
fn far_bins(capacity: usize) -> usize {
    (capacity + capacity / 2).div_ceil(LINE).max(PROBES)
}

fn near_bins(capacity: usize) -> usize {
    far_bins(capacity).div_ceil(FAR)
}

/// What makes a nonce unique: the product counts a nonce by app key and API, whatever the stage.
#[derive(Clone, Copy, Debug)]
pub struct NonceKey<'a> {
    pub app_key: &'a [u8],
    pub group: &'a [u8],
    pub api: &'a [u8],
    pub nonce: &'a [u8],
}

/// A nonce whose slots are on their way from memory.
#[derive(Clone, Copy, Debug)]
pub struct Sought {
    fingerprint: u64,
    /// What all gateways of the cluster know it by.
    pub shared: Option<u128>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insert {
    Fresh,
    Seen,
    Full,
}

impl NonceSet {
    /// Room for `capacity` nonces in each window of `window_ms`. `fingerprint_key` is random, so that nobody outside can
    /// make two nonces with one fingerprint.
    pub fn new(capacity: usize, window_ms: u64, now_ms: u64, fingerprint_key: [u8; 16]) -> Self {
        Self::over(Words::own(words(capacity)), capacity, window_ms, now_ms, fingerprint_key)
    }

    /// The same over words that may hold such a set already: [`words`] of them.
    pub fn over(words: Words, capacity: usize, window_ms: u64, now_ms: u64, fingerprint_key: [u8; 16]) -> Self {
        let slice_ms = window_ms.div_ceil(LOOK_BACK / 2).max(1);
        // Whoever is first says what the time is.
        let _ = words[CURRENT].compare_exchange(0, now_ms / slice_ms + SLICES, SeqCst, SeqCst);
        Self {
            fingerprint_key,
            shared_key: None,
            slice_ms,
            advancing: AtomicBool::new(false),
            overflows: AtomicBool::new(false),
            words,
            near: near_bins(capacity),
            far: far_bins(capacity),
        }
    }

    /// As a node of a cluster, in which all have the key `shared`.
    pub fn of_node(self, shared: [u8; 16]) -> Self {
        Self { shared_key: Some(shared), ..self }
    }

    /// Remembers what another set of the same key remembers, for a whole window at least. How many found no room.
    pub fn carry_over(&self, old: &Self) -> usize {
        let (from, to) = (old.current(), self.current());
        let slices = (0..=LOOK_BACK).map(|age| old.all_of(from - age));
        let nonces = slices.flatten().map(|slot| slot.load(SeqCst)).filter(|&fingerprint| fingerprint != EMPTY);
        nonces.filter(|&fingerprint| self.insert_at(to, fingerprint) == Insert::Full).count()
    }

    fn current(&self) -> u64 {
        self.words[CURRENT].load(SeqCst)
    }

    /// Records a nonce. `Fresh` is answered once for each, whoever asks and however many at once.
    pub fn insert(&self, key: &NonceKey<'_>) -> Insert {
        self.record(self.seek(key))
    }

    /// Has the slots of a nonce fetched, which are hardly ever in a cache. Changes nothing.
    #[inline]
    pub fn seek(&self, key: &NonceKey<'_>) -> Sought {
        let fingerprint = self.fingerprint(key);
        let fetch = |bin: usize| self.bin(bin).as_chunks::<LINE>().0.iter().for_each(|line| prefetch(&line[0]));
        fetch(place(fingerprint, self.near));
        // A hint: it may be late.
        if self.overflows.load(Relaxed) {
            fetch(self.near + place(fingerprint, self.far));
        }
        Sought { fingerprint, shared: self.shared_key.map(|shared| shared_name(&shared, key)) }
    }

    /// Records a nonce that was sought before.
    #[inline]
    pub fn record(&self, sought: Sought) -> Insert {
        self.insert_at(self.current(), sought.fingerprint)
    }

    /// Moves the window on to `now_ms`. Called about once a second, off the workers, by one process of those that share the
    /// words: clearing a slice takes milliseconds, and what is cleared must not be current.
    /// A clock that steps back moves nothing: nonces are then remembered longer.
    pub fn advance(&self, now_ms: u64) {
        if self.advancing.swap(true, SeqCst) {
            return;
        }
        let target = now_ms / self.slice_ms + SLICES;
        let mut current = self.current();
        if target > current.saturating_add(SLICES) {
            // All that is remembered is older than the window.
            current = target - SLICES;
        }
        while current < target {
            current += 1;
            // The slice that is cleared fell out of the window one slice ago: callers of the current slice do not look at
            // it, and those one behind look only for what need not be remembered any more.
            for slot in self.all_of(current) {
                if slot.load(SeqCst) != EMPTY {
                    slot.store(EMPTY, SeqCst);
                }
            }
            self.words[CURRENT].store(current, SeqCst);
            self.overflows.store(false, Relaxed);
        }
        self.advancing.store(false, SeqCst);
    }

    fn insert_at(&self, current: u64, fingerprint: u64) -> Insert {
        for age in 2..=LOOK_BACK {
            if self.contains(current - age, fingerprint) {
                return Insert::Seen;
            }
        }
        for age in [1, 0] {
            match self.insert_into(current - age, fingerprint) {
                Insert::Fresh => {}
                other => return other,
            }
        }
        if self.current() > current + 1 {
            return Insert::Seen;
        }
        Insert::Fresh
    }

    fn contains(&self, slice: u64, fingerprint: u64) -> bool {
        let found =
            self.probes(slice, fingerprint).map(|slot| slot.load(SeqCst)).find(|&found| found == fingerprint || found == EMPTY);
        found == Some(fingerprint)
    }

    fn insert_into(&self, slice: u64, fingerprint: u64) -> Insert {
        for (looked_at, slot) in self.probes(slice, fingerprint).enumerate() {
            if looked_at == LINE && !self.overflows.load(Relaxed) {
                self.overflows.store(true, Relaxed);
            }
            let mut found = slot.load(SeqCst);
            if found == EMPTY {
                match slot.compare_exchange(EMPTY, fingerprint, SeqCst, SeqCst) {
                    Ok(_) => return Insert::Fresh,
                    Err(winner) => found = winner,
                }
            }
            if found == fingerprint {
                return Insert::Seen;
            }
        }
        Insert::Full
    }

    /// The slots in which a fingerprint may stand, in order.
    fn probes(&self, slice: u64, fingerprint: u64) -> impl Iterator<Item = &AtomicU64> {
        let (near, first) = (place(fingerprint, self.near), place(fingerprint, self.far));
        let far = (first..self.far).chain(0..first).take(PROBES).map(|bin| self.near + bin);
        std::iter::once(near).chain(far).flat_map(move |bin| self.line(bin, slice))
    }

    /// All slots of a slice.
    fn all_of(&self, slice: u64) -> impl Iterator<Item = &AtomicU64> {
        (0..self.near + self.far).flat_map(move |bin| self.line(bin, slice))
    }

    fn line(&self, bin: usize, slice: u64) -> &[AtomicU64] {
        let start = (slice % SLICES) as usize * LINE;
        &self.bin(bin)[start..start + LINE]
    }

    fn bin(&self, bin: usize) -> &[AtomicU64] {
        &self.words[SLOTS + bin * BIN..][..BIN]
    }

    fn fingerprint(&self, key: &NonceKey<'_>) -> u64 {
        fingerprint(&self.fingerprint_key, &[key.app_key, key.group, key.api, key.nonce]).max(EMPTY + 1)
    }
}

/// Which of so many bins a fingerprint belongs to.
fn place(fingerprint: u64, bins: usize) -> usize {
    ((u128::from(fingerprint) * bins as u128) >> 64) as usize
}

/// Of 128 bits, because all nonces of all gateways are told apart by it.
fn shared_name(shared: &[u8; 16], key: &NonceKey<'_>) -> u128 {
    let half = |which: &[u8]| u128::from(fingerprint(shared, &[which, key.app_key, key.group, key.api, key.nonce]));
    half(b"nonce") << 64 | half(b"nonce again")
}

#[cfg(test)]
mod tests;

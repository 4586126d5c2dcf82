//! The memory that workers share, as the protocols of this module see it: 64-bit words that change one at a time.

use std::sync::atomic::{AtomicU64, Ordering};

/// Each access is atomic, and is seen by all in one order. The model of the tests implements it, too: it stops between any
/// two accesses.
pub trait Memory {
    fn load(&self, at: usize) -> u64;
    /// Writes `new` if the word is `current`; otherwise says what it is.
    fn exchange(&self, at: usize, current: u64, new: u64) -> Result<(), u64>;
    fn store(&self, at: usize, new: u64);
}

impl Memory for [AtomicU64] {
    #[inline]
    fn load(&self, at: usize) -> u64 {
        self[at].load(Ordering::SeqCst)
    }
    #[inline]
    fn exchange(&self, at: usize, current: u64, new: u64) -> Result<(), u64> {
        self[at].compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst).map(|_| ())
    }
    /// Only a worker's own mark is stored so, and what it announces follows by [`Memory::exchange`]: whoever sees that
    /// sees the mark. What it ends went before, so that whoever sees the end sees it all.
    #[inline]
    fn store(&self, at: usize, new: u64) {
        self[at].store(new, Ordering::Release);
    }
}

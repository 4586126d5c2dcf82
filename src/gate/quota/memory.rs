//! The memory that workers share, as the protocols of this module see it: 64-bit words that change one at a time.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words that may belong to several processes, or to this one alone.
pub enum Words {
    /// Of a file, for as long as the process lives.
    Mapped(&'static [AtomicU64]),
    Own(Box<[AtomicU64]>),
}

impl Words {
    /// Zero, all of them.
    pub fn own(n: usize) -> Self {
        Self::Own((0..n).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Deref for Words {
    type Target = [AtomicU64];
    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        match self {
            Self::Mapped(words) => words,
            Self::Own(words) => words,
        }
    }
}

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

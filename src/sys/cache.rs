//! Memory asked for before it is needed: a hint to the processor, which costs nothing when it is wrong.

use std::sync::atomic::AtomicU64;

/// Has the line of this word fetched, while other work goes on.
#[inline]
pub fn prefetch(word: &AtomicU64) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of every x86_64 processor; a prefetch reads nothing, and the place is that of a word that is.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(word).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
}

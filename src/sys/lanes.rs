//! Bytes looked at sixteen at a time: which of a block belong to a class, as the bits of a mask. Bit `i` is byte `i`.
//!
//! Heads are read by these masks ([`crate::http::head`]). They are here because the processor's own instructions for it
//! are `unsafe` to call; what each mask means is said, and tested against the bytes, once for all processors.

#[cfg(not(target_arch = "x86_64"))]
use portable as processor;
#[cfg(target_arch = "x86_64")]
use x86_64 as processor;

/// Control bytes: below 0x20, and 0x7f. A tab is one; what lies beyond ASCII is none.
#[inline]
pub fn controls(block: &[u8; 64]) -> u64 {
    let (lanes, _) = block.as_chunks::<16>();
    let [a, b, c, d] = lanes else { return u64::MAX };
    let mask = |lane: &[u8; 16]| u64::from(processor::controls(lane));
    mask(a) | mask(b) << 16 | mask(c) << 32 | mask(d) << 48
}

/// Neither a letter, nor a digit, nor `A`, nor `B`.
#[inline]
pub fn words_end<const A: u8, const B: u8>(lane: &[u8; 16]) -> u16 {
    !processor::words::<A, B>(lane)
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };

    #[inline]
    pub fn controls(lane: &[u8; 16]) -> u16 {
        // SAFETY: SSE2 is part of every x86_64 processor; the pointer is to 16 bytes, and the load asks for no alignment.
        unsafe {
            let bytes = _mm_loadu_si128(lane.as_ptr().cast());
            mask(_mm_or_si128(at_most(bytes, 0x1f), _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f))))
        }
    }

    #[inline]
    pub fn words<const A: u8, const B: u8>(lane: &[u8; 16]) -> u16 {
        // SAFETY: as above.
        unsafe {
            let bytes = _mm_loadu_si128(lane.as_ptr().cast());
            // 0x20 makes a capital letter small, and nothing else a letter.
            let small = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
            let letters = at_most(_mm_add_epi8(small, _mm_set1_epi8(b'a'.wrapping_neg() as i8)), 25);
            let digits = at_most(_mm_add_epi8(bytes, _mm_set1_epi8(b'0'.wrapping_neg() as i8)), 9);
            let a = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(A as i8));
            let b = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(B as i8));
            mask(_mm_or_si128(_mm_or_si128(letters, digits), _mm_or_si128(a, b)))
        }
    }

    /// # Safety
    /// The processor has SSE2.
    #[inline]
    unsafe fn at_most(bytes: __m128i, most: i8) -> __m128i {
        // SAFETY: the caller's promise.
        unsafe { _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(most)), bytes) }
    }

    /// # Safety
    /// The processor has SSE2.
    #[inline]
    unsafe fn mask(bytes: __m128i) -> u16 {
        // SAFETY: the caller's promise.
        unsafe { _mm_movemask_epi8(bytes) as u16 }
    }
}

/// The same in the words of the language, for every other processor; on x86_64 it is what the tests compare with.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    pub fn controls(lane: &[u8; 16]) -> u16 {
        mask(lane, |byte| byte < 0x20 || byte == 0x7f)
    }

    pub fn words<const A: u8, const B: u8>(lane: &[u8; 16]) -> u16 {
        mask(lane, |byte| byte.is_ascii_alphanumeric() || byte == A || byte == B)
    }

    #[inline]
    fn mask(lane: &[u8; 16], is_one: impl Fn(u8) -> bool) -> u16 {
        lane.iter().rev().fold(0, |mask, &byte| mask << 1 | u16::from(is_one(byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_in_every_place_is_in_its_class() {
        for byte in 0..=255 {
            for place in 0..64 {
                let mut block = [b'x'; 64];
                block[place] = byte;
                let control = byte < 0x20 || byte == 0x7f;
                assert_eq!(controls(&block), u64::from(control) << place, "{byte:#x}");
            }
            for place in 0..16 {
                let mut lane = [b'x'; 16];
                lane[place] = byte;
                let word = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'/';
                assert_eq!(words_end::<b'-', b'/'>(&lane), u16::from(!word) << place, "{byte:#x}");
                assert_eq!(processor::controls(&lane), portable::controls(&lane));
                assert_eq!(processor::words::<b'_', b'_'>(&lane), portable::words::<b'_', b'_'>(&lane));
            }
        }
    }

    #[test]
    fn places_do_not_mix() {
        let mut block = [b' '; 64];
        for place in [0, 15, 16, 31, 40, 63] {
            block[place] = b'\r';
        }
        assert_eq!(controls(&block), 1 | 1 << 15 | 1 << 16 | 1 << 31 | 1 << 40 | 1 << 63);
    }
}

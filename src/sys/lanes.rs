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
pub fn controls(lane: &[u8; 16]) -> u16 {
    processor::controls(lane)
}

/// Bytes that are, with 0x20 added to their bits, those of `small`: of letters, digits and hyphens the same in any case.
#[inline]
pub fn same_in_lower_case(lane: &[u8; 16], small: &[u8; 16]) -> u16 {
    processor::same_in_lower_case(lane, small)
}

/// Neither a letter, nor a digit, nor `A`, `B` or `C`.
#[inline]
pub fn words_end<const A: u8, const B: u8, const C: u8>(lane: &[u8; 16]) -> u16 {
    !processor::words::<A, B, C>(lane)
}

/// How many bytes stand at the start that are letters, digits, `A`, `B` or `C`. None of these may be a zero.
#[inline]
pub fn words_len<const A: u8, const B: u8, const C: u8>(bytes: &[u8]) -> usize {
    const { assert!(A != 0 && B != 0 && C != 0, "the last lane is filled up with zeros, which end it") };
    let (lanes, rest) = bytes.as_chunks();
    for (place, lane) in lanes.iter().enumerate() {
        match words_end::<A, B, C>(lane) {
            0 => {}
            end => return place * 16 + end.trailing_zeros() as usize,
        }
    }
    let mut lane = [0; 16];
    lane[..rest.len()].copy_from_slice(rest);
    lanes.len() * 16 + words_end::<A, B, C>(&lane).trailing_zeros() as usize
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
    pub fn same_in_lower_case(lane: &[u8; 16], small: &[u8; 16]) -> u16 {
        // SAFETY: as above.
        unsafe {
            let bytes = _mm_or_si128(_mm_loadu_si128(lane.as_ptr().cast()), _mm_set1_epi8(0x20));
            mask(_mm_cmpeq_epi8(bytes, _mm_loadu_si128(small.as_ptr().cast())))
        }
    }

    #[inline]
    pub fn words<const A: u8, const B: u8, const C: u8>(lane: &[u8; 16]) -> u16 {
        // SAFETY: as above.
        unsafe {
            let bytes = _mm_loadu_si128(lane.as_ptr().cast());
            // 0x20 makes a capital letter small, and nothing else a letter.
            let small = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
            let letters = at_most(_mm_add_epi8(small, _mm_set1_epi8(b'a'.wrapping_neg() as i8)), 25);
            let digits = at_most(_mm_add_epi8(bytes, _mm_set1_epi8(b'0'.wrapping_neg() as i8)), 9);
            let a = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(A as i8));
            let b = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(B as i8));
            let c = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(C as i8));
            mask(_mm_or_si128(_mm_or_si128(_mm_or_si128(letters, digits), a), _mm_or_si128(b, c)))
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

    pub fn words<const A: u8, const B: u8, const C: u8>(lane: &[u8; 16]) -> u16 {
        mask(lane, |byte| byte.is_ascii_alphanumeric() || [A, B, C].contains(&byte))
    }

    pub fn same_in_lower_case(lane: &[u8; 16], small: &[u8; 16]) -> u16 {
        let mut small = small.iter().rev();
        mask(lane, |byte| small.next().is_some_and(|small| byte | 0x20 == *small))
    }

    #[inline]
    fn mask(lane: &[u8; 16], mut is_one: impl FnMut(u8) -> bool) -> u16 {
        lane.iter().rev().fold(0, |mask, &byte| mask << 1 | u16::from(is_one(byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_in_every_place_is_in_its_class() {
        for byte in 0..=255 {
            for place in 0..16 {
                let mut lane = [b'x'; 16];
                lane[place] = byte;
                let word = byte.is_ascii_alphanumeric() || b"-/_".contains(&byte);
                assert_eq!(words_end::<b'-', b'/', b'_'>(&lane), u16::from(!word) << place, "{byte:#x}");
                let control = byte < 0x20 || byte == 0x7f;
                assert_eq!(controls(&lane), u16::from(control) << place, "{byte:#x}");
                assert_eq!(processor::controls(&lane), portable::controls(&lane));
                let small = [b'-', b'x', b'1', byte].map(|byte| [byte; 16]);
                for small in &small {
                    assert_eq!(same_in_lower_case(&lane, small), portable::same_in_lower_case(&lane, small));
                }
                assert_eq!(processor::words::<b'.', b'~', b'.'>(&lane), portable::words::<b'.', b'~', b'.'>(&lane));
            }
        }
    }

    #[test]
    fn places_do_not_mix() {
        let mut lane = [b' '; 16];
        for place in [0, 7, 8, 15] {
            lane[place] = b'\r';
        }
        assert_eq!(controls(&lane), 1 | 1 << 7 | 1 << 8 | 1 << 15);
        assert_eq!(same_in_lower_case(b"X-Ca-Key: 000000", b"x-ca-key\0\0\0\0\0\0\0\0"), 0xff);
    }

    #[test]
    fn words_end_at_the_first_byte_that_is_none() {
        for len in 0..50 {
            for end in 0..=len {
                let mut bytes = vec![b'w'; len];
                if let Some(byte) = bytes.get_mut(end) {
                    *byte = b'?';
                }
                assert_eq!(words_len::<b'-', b'-', b'-'>(&bytes), end, "{len}");
            }
        }
    }
}

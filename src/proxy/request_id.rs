//! Request ids: random UUIDs (version 4) in upper case, made without a system call.

use std::cell::Cell;

/// A worker's source of ids. Ids are hard to guess, not secret.
pub struct RequestIds {
    state: Cell<[u64; 2]>,
}

pub type RequestId = [u8; 36];

impl RequestIds {
    /// Seeded by the system's random source.
    pub fn new() -> Self {
        let mut seed = [0u8; 16];
        // Without a random source, ids of two workers must differ all the same.
        if getrandom::fill(&mut seed).is_err() {
            let place = &raw const seed as u64;
            seed[..8].copy_from_slice(&place.to_ne_bytes());
            seed[8..].copy_from_slice(&crate::net::clock::unix_ms().to_ne_bytes());
        }
        let (low, high) = seed.split_at(8);
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, b| word << 8 | u64::from(*b));
        Self { state: Cell::new([word(low) | 1, word(high)]) }
    }

    pub fn next(&self) -> RequestId {
        format(u128::from(self.next_word()) << 64 | u128::from(self.next_word()))
    }

    /// xoroshiro128++ (Blackman and Vigna, 2019).
    fn next_word(&self) -> u64 {
        let [a, mut b] = self.state.get();
        let word = a.wrapping_add(b).rotate_left(17).wrapping_add(a);
        b ^= a;
        self.state.set([a.rotate_left(49) ^ b ^ (b << 21), b.rotate_left(28)]);
        word
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

fn format(random: u128) -> RequestId {
    /// Where each byte's two digits stand.
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    // Version 4, variant 10 (RFC 9562, section 5.4).
    let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let mut text = [b'-'; 36];
    for (byte, place) in bits.to_be_bytes().into_iter().zip(PLACES) {
        [text[place], text[place + 1]] = PAIRS[usize::from(byte)];
    }
    text
}

/// The two digits of each byte.
const PAIRS: &[[u8; 2]; 256] = &pairs();

const fn pairs() -> [[u8; 2]; 256] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let (mut pairs, mut byte) = ([[0; 2]; 256], 0);
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_upper_case_version_4_uuids_and_differ() {
        let ids = RequestIds::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let id = ids.next();
            let text = std::str::from_utf8(&id).unwrap().to_owned();
            let parts: Vec<_> = text.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12]);
            assert!(text.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'A'..=b'F').contains(&b)));
            assert_eq!(text.as_bytes()[14], b'4');
            assert!(b"89AB".contains(&text.as_bytes()[19]));
            assert!(seen.insert(text));
        }
        assert_ne!(RequestIds::new().next(), RequestIds::new().next());
    }
}

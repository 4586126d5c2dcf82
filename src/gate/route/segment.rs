//! Segments of a request path, read percent-decoded without being copied.

use crate::http::percent;

/// One segment of a path, as received: `path[start..end]`, without its slashes. `%2F` is data, it ends no segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub start: usize,
    pub end: usize,
    /// Of the bytes as received.
    hash: u32,
    escaped: bool,
}

impl Segment {
    /// The segment that begins at `start`: its end is looked for, and its hash made, eight bytes at a time.
    #[inline]
    pub fn at(path: &[u8], start: usize) -> Self {
        let (mut state, mut at) = (0, start);
        loop {
            let (word, len) = word_at(path, at);
            let ends = first_of::<b'/', b'%'>(word);
            if ends >= 8 && len == 8 {
                state = mix(state, word);
                at += 8;
                continue;
            }
            let (end, word) = match ends < len {
                true => (at + ends, word & !(u64::MAX << (8 * ends))),
                false => (at + len, word),
            };
            return match path.get(end) {
                Some(b'%') => Self::escaped(path, start),
                _ => Self { start, end, hash: fold(mix(state, word), end - start), escaped: false },
            };
        }
    }

    #[cold]
    fn escaped(path: &[u8], start: usize) -> Self {
        let rest = path.get(start..).unwrap_or_default();
        let end = start + memchr::memchr(b'/', rest).unwrap_or(rest.len());
        Self { start, end, hash: 0, escaped: true }
    }

    /// [`hash`] of the decoded segment.
    #[inline]
    pub fn hash(&self, path: &[u8]) -> u32 {
        if self.escaped { hash_bytes(decoded(&path[self.start..self.end])) } else { self.hash }
    }

    /// The decoded segment is `text`.
    #[inline]
    pub fn is(&self, path: &[u8], text: &[u8]) -> bool {
        let raw = &path[self.start..self.end];
        if self.escaped { decoded(raw).eq(text.iter().copied()) } else { same(raw, text) }
    }

    /// May be the value of a parameter: not empty, and not `.` or `..` in any spelling, which would climb the path of
    /// the backend request.
    #[inline]
    pub fn is_value(&self, path: &[u8]) -> bool {
        match self.end - self.start {
            0 => false,
            1..=6 => !self.is(path, b".") && !self.is(path, b".."),
            _ => true,
        }
    }
}

/// Bytes with their percent-escapes resolved. What only looks like an escape stands for itself.
pub(in crate::gate) fn decoded(raw: &[u8]) -> impl Iterator<Item = u8> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = raw.get(at..).filter(|rest| !rest.is_empty())?;
        let (byte, len) = unescape(rest);
        at += len;
        Some(byte)
    })
}

/// Hash of a literal. It has no key: its tables hold what the operator published, and a caller adds nothing to them.
#[inline]
pub(super) fn hash(text: &[u8]) -> u32 {
    let (words, last) = text.as_chunks::<8>();
    let state = words.iter().fold(0, |state, word| mix(state, u64::from_le_bytes(*word)));
    fold(mix(state, word_at(text, text.len() - last.len()).0), text.len())
}

/// Up to eight bytes from `at` on, filled up with zeros, and how many they are.
#[inline]
pub(super) fn word_at(bytes: &[u8], at: usize) -> (u64, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let word = match (rest.first_chunk(), bytes.last_chunk()) {
        (Some(word), _) => return (u64::from_le_bytes(*word), 8),
        (None, _) if rest.is_empty() => 0,
        // One load, less what stands before.
        (None, Some(word)) => u64::from_le_bytes(*word) >> (64 - 8 * rest.len()),
        (None, None) => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    (word, rest.len())
}

/// Which byte of a word is the first that is `A` or `B`; 8: none.
#[inline]
fn first_of<const A: u8, const B: u8>(word: u64) -> usize {
    const LOW: u64 = u64::MAX / 255;
    const HIGH: u64 = LOW << 7;
    // The high bit of each byte that is zero; above the first of them, perhaps of others.
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let found = zeros(word ^ (LOW * A as u64)) | zeros(word ^ (LOW * B as u64));
    found.trailing_zeros() as usize / 8
}

/// Equal, of short texts: not worth a call.
#[inline]
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let last = |bytes: &[u8]| word_at(bytes, bytes.len() & !7).0;
    words.fold(true, |same, (one, other)| same & (one == other)) && last(one) == last(other)
}

/// The same of bytes that come one by one.
fn hash_bytes(bytes: impl Iterator<Item = u8>) -> u32 {
    let (mut state, mut word, mut len) = (0, 0, 0);
    for byte in bytes {
        word |= u64::from(byte) << (len % 8 * 8);
        len += 1;
        if len % 8 == 0 {
            (state, word) = (mix(state, word), 0);
        }
    }
    fold(mix(state, word), len)
}

#[inline]
pub(super) fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93;
    (product as u64) ^ (product >> 64) as u64
}

#[inline]
pub(super) fn fold(state: u64, len: usize) -> u32 {
    let state = mix(state, len as u64);
    (state ^ (state >> 32)) as u32
}

/// The first byte, decoded, and how many bytes of the input it took.
#[inline]
fn unescape(bytes: &[u8]) -> (u8, usize) {
    match bytes {
        [b'%', digits @ ..] => match digits.first_chunk().and_then(|digits| percent::escaped(*digits)) {
            Some(byte) => (byte, 3),
            None => (b'%', 1),
        },
        [byte, ..] => (*byte, 1),
        [] => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_is_the_byte_it_stands_for() {
        let plain = Segment::at(b"/nginx/x", 1);
        let escaped = Segment::at(b"/%6E%67inx/x", 1);
        assert_eq!((plain.start, plain.end), (1, 6));
        assert_eq!((escaped.start, escaped.end), (1, 10));
        assert_eq!(plain.hash(b"/nginx/x"), hash(b"nginx"));
        assert_eq!(escaped.hash(b"/%6E%67inx/x"), hash(b"nginx"));
        assert!(escaped.is(b"/%6E%67inx/x", b"nginx"));
        assert!(!escaped.is(b"/%6E%67inx/x", b"nginy"));
    }

    #[test]
    fn an_escaped_slash_does_not_end_a_segment() {
        let path = b"/a%2Fb/c";
        let segment = Segment::at(path, 1);
        assert_eq!(segment.end, 6);
        assert!(segment.is(path, b"a/b"));
    }

    #[test]
    fn a_hash_is_the_same_however_the_bytes_come() {
        let text: Vec<u8> = (0..=40).collect();
        for len in 0..text.len() {
            assert_eq!(hash(&text[..len]), hash_bytes(text[..len].iter().copied()), "{len}");
        }
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }

    #[test]
    fn a_segment_ends_at_its_slash_wherever_it_stands_and_has_the_hash_of_its_text() {
        for before in 0..9 {
            for len in 0..20 {
                for after in ["", "/", "/x", "/longer/than/a/word"] {
                    let text = "0123456789.-~_abcdefghij".get(..len).unwrap();
                    let path = format!("{}{text}{after}", "/".repeat(before));
                    let segment = Segment::at(path.as_bytes(), before);
                    assert_eq!((segment.start, segment.end), (before, before + len), "{path}");
                    assert_eq!(segment.hash(path.as_bytes()), hash(text.as_bytes()), "{path}");
                    assert!(segment.is(path.as_bytes(), text.as_bytes()), "{path}");
                    let other = text.replace('0', "1") + if len == 0 { "x" } else { "" };
                    assert!(!segment.is(path.as_bytes(), other.as_bytes()), "{path}");
                }
            }
        }
    }

    #[test]
    fn the_first_of_two_bytes_is_found_in_every_place() {
        for byte in 0..=255 {
            for place in 0..8 {
                let mut word = [b'.'; 8];
                word[place] = byte;
                let expected = if byte == b'/' || byte == b'%' { place } else { 8 };
                assert_eq!(first_of::<b'/', b'%'>(u64::from_le_bytes(word)), expected, "{byte:#x}");
            }
        }
        assert_eq!(first_of::<b'/', b'%'>(u64::from_le_bytes(*b"abc/0%//")), 3);
        assert_eq!(first_of::<b'/', b'%'>(u64::from_le_bytes(*b"ab%/0%//")), 2);
    }

    #[test]
    fn dot_segments_are_no_values() {
        for (raw, value) in [
            ("", false),
            (".", false),
            ("..", false),
            ("%2e", false),
            ("%2E%2e", false),
            (".%2e", false),
            ("...", true),
            (".a", true),
        ] {
            assert_eq!(Segment::at(raw.as_bytes(), 0).is_value(raw.as_bytes()), value, "{raw}");
        }
    }

    #[test]
    fn what_only_looks_like_an_escape_stands_for_itself() {
        let text = |raw: &[u8]| decoded(raw).collect::<Vec<_>>();
        assert_eq!(text(b"%4"), b"%4");
        assert_eq!(text(b"%zz%"), b"%zz%");
        assert_eq!(text(b"%+1"), b"%+1");
        assert_eq!(text(b"%41%"), b"A%");
    }
}

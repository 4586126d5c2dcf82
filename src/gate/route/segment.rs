//! Segments of a request path, read percent-decoded without being copied.

use crate::http::percent;

/// One segment of a path, as received: `path[start..end]`, without its slashes. `%2F` is data, it ends no segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub start: usize,
    pub end: usize,
    escaped: bool,
}

impl Segment {
    /// The segment that begins at `start`.
    #[inline]
    pub fn at(path: &[u8], start: usize) -> Self {
        let mut escaped = false;
        let mut end = start;
        while let Some(&byte) = path.get(end)
            && byte != b'/'
        {
            escaped |= byte == b'%';
            end += 1;
        }
        Self { start, end, escaped }
    }

    /// [`hash`] of the decoded segment.
    #[inline]
    pub fn hash(&self, path: &[u8]) -> u32 {
        let raw = &path[self.start..self.end];
        if self.escaped { hash_bytes(decoded(raw)) } else { hash(raw) }
    }

    /// The decoded segment is `text`.
    #[inline]
    pub fn is(&self, path: &[u8], text: &[u8]) -> bool {
        let raw = &path[self.start..self.end];
        if self.escaped { decoded(raw).eq(text.iter().copied()) } else { raw == text }
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
    let last = match text.last_chunk::<8>() {
        _ if last.is_empty() => 0,
        // One load, less what the words before have taken.
        Some(chunk) => u64::from_le_bytes(*chunk) >> (64 - 8 * last.len()),
        None => last.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    fold(mix(state, last), text.len())
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
fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93;
    (product as u64) ^ (product >> 64) as u64
}

#[inline]
fn fold(state: u64, len: usize) -> u32 {
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

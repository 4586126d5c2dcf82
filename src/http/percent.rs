//! Percent-encoding (RFC 3986, section 2.1) and the form encoding of queries and bodies.

use super::serialise::HeadWriter;

/// An escape that is not `%` and two hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEscape;

/// Appends `source` with its escapes decoded to `out`. Nothing else is special: `+` is a plus, as in a path.
pub fn decode_path_segment(source: &[u8], out: &mut Vec<u8>) -> Result<(), BadEscape> {
    decode(source, out, |byte| byte)
}

/// Appends a name or value of a query or form, decoded, to `out`: like [`decode_path_segment`], and `+` is a space
/// (`application/x-www-form-urlencoded`).
pub fn decode_form(source: &[u8], out: &mut Vec<u8>) -> Result<(), BadEscape> {
    decode(source, out, |byte| if byte == b'+' { b' ' } else { byte })
}

fn decode(source: &[u8], out: &mut Vec<u8>, plain: impl Fn(u8) -> u8) -> Result<(), BadEscape> {
    out.reserve(source.len());
    let mut rest = source;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let (digits, after) = after.split_first_chunk().ok_or(BadEscape)?;
            out.push(escaped(*digits).ok_or(BadEscape)?);
            rest = after;
        } else {
            out.push(plain(byte));
            rest = after;
        }
    }
    Ok(())
}

/// The byte that two hexadecimal digits stand for.
pub fn escaped(digits: [u8; 2]) -> Option<u8> {
    Some(hex(digits[0])? << 4 | hex(digits[1])?)
}

/// The value of one hexadecimal digit.
#[inline]
pub fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Every `%` starts a well-formed escape.
pub fn is_well_formed(source: &[u8]) -> bool {
    memchr::memchr_iter(b'%', source).all(|at| {
        let digits = source.get(at + 1..).and_then(|rest| rest.first_chunk::<2>());
        digits.is_some_and(|digits| escaped(*digits).is_some())
    })
}

/// Writes `bytes` as one path segment or one name or value of a query: all but `unreserved` is escaped, so that the
/// result means the same wherever it stands (RFC 3986, section 2.3).
pub fn encode_segment(bytes: &[u8], writer: &mut HeadWriter<'_>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = bytes;
    while !rest.is_empty() {
        let plain = rest.iter().position(|&b| !is_unreserved(b)).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(plain);
        writer.bytes(head);
        rest = tail;
        if let Some((&byte, after)) = rest.split_first() {
            writer.bytes(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0x0f)]]);
            rest = after;
        }
    }
}

/// `unreserved` (RFC 3986, section 2.3).
pub fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The pairs of `k=v&k=v`, as written: still encoded. A pair without `=` has no value, which is not the same as an empty
/// one. Empty pairs (`&&`) are skipped. Only `&` separates.
pub fn pairs(source: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    source.split(|&b| b == b'&').filter(|pair| !pair.is_empty()).map(|pair| match memchr::memchr(b'=', pair) {
        Some(at) => (&pair[..at], Some(&pair[at + 1..])),
        None => (pair, None),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(decode: fn(&[u8], &mut Vec<u8>) -> Result<(), BadEscape>, source: &[u8]) -> Result<Vec<u8>, BadEscape> {
        let mut out = b"kept ".to_vec();
        decode(source, &mut out).map(|()| out.split_off(5))
    }

    #[test]
    fn paths_keep_their_plus_and_forms_do_not() {
        assert_eq!(decoded(decode_path_segment, b"a+b%20%2B%e4%B8%ad"), Ok("a+b +中".into()));
        assert_eq!(decoded(decode_form, b"a+b%20%2B%e4%B8%ad"), Ok("a b +中".into()));
        for bad in [&b"%"[..], b"%4", b"a%4g", b"%+1", b"%%41"] {
            assert_eq!(decoded(decode_form, bad), Err(BadEscape));
            assert!(!is_well_formed(bad));
        }
        assert!(is_well_formed(b"") && is_well_formed(b"a%41%5a"));
    }

    #[test]
    fn decoding_into_a_warm_buffer_does_not_grow_it() {
        let mut out = Vec::with_capacity(64);
        let capacity = out.capacity();
        for _ in 0..3 {
            out.clear();
            decode_form(&[b'a'; 64], &mut out).unwrap();
            assert_eq!(out.capacity(), capacity);
        }
    }

    #[test]
    fn pairs_are_raw() {
        let list: Vec<_> = pairs(b"a=1&b&&c=&=d&e=f=g;h&").collect();
        let expected: [(&[u8], Option<&[u8]>); 5] =
            [(b"a", Some(b"1")), (b"b", None), (b"c", Some(b"")), (b"", Some(b"d")), (b"e", Some(b"f=g;h"))];
        assert_eq!(list, expected);
        assert_eq!(pairs(b"").count(), 0);
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let mut buffer = [0; 150];
            let mut writer = HeadWriter::new(&mut buffer);
            encode_segment(&bytes, &mut writer);
            let len = writer.finish().unwrap();
            prop_assert!(buffer[..len].iter().all(|&b| is_unreserved(b) || b == b'%'));
            prop_assert_eq!(decoded(decode_path_segment, &buffer[..len]), Ok(bytes.clone()));
            prop_assert_eq!(decoded(decode_form, &buffer[..len]), Ok(bytes));
        }
    }
}

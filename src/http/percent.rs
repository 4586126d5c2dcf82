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

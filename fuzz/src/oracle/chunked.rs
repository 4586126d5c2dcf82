//! The chunked transfer coding (RFC 9112, section 7.1).

use super::grammar::{blank, field_vchar, tchar};
use super::{Field, Parse, Stop, field_section};

/// A chunked body that has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunked {
    pub content: Vec<u8>,
    pub trailers: Vec<Field>,
    /// Bytes of chunk extensions, and of the trailer section without its empty line.
    pub extension_bytes: usize,
    pub trailer_bytes: usize,
    /// Most digits of a chunk size.
    pub digits: usize,
    /// An extension has white space around `;` or `=`.
    pub bad_white_space: bool,
}

/// `chunked-body = *chunk last-chunk trailer-section CRLF`
pub fn chunked_body(bytes: &[u8], mut at: usize) -> Parse<Chunked> {
    let mut body = Chunked::default();
    loop {
        let (size, after) = chunk_size(bytes, at)?;
        body.digits = body.digits.max(after - at);
        at = chunk_ext(bytes, after, &mut body)?;
        at = crlf(bytes, at)?;
        if size == 0 {
            break;
        }
        let end = usize::try_from(size).ok().and_then(|size| at.checked_add(size)).ok_or(Stop::More)?;
        body.content.extend_from_slice(bytes.get(at..end).ok_or(Stop::More)?);
        at = crlf(bytes, end)?;
    }
    let (trailers, end) = field_section(bytes, at)?;
    body.trailers = trailers;
    body.trailer_bytes = end - at - 2;
    Ok((body, end))
}

/// `chunk-size = 1*HEXDIG`
fn chunk_size(bytes: &[u8], start: usize) -> Parse<u128> {
    let digits = bytes[start..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
    match (digits, bytes.get(start + digits)) {
        (_, None) => Err(Stop::More),
        (0, _) => Err(Stop::Bad("chunk-size")),
        _ => {
            let value = |b: &u8| char::from(*b).to_digit(16).unwrap_or_default();
            let digits = &bytes[start..start + digits];
            let size = digits.iter().fold(0u128, |n, b| n.saturating_mul(16).saturating_add(u128::from(value(b))));
            Ok((size, start + digits.len()))
        }
    }
}

/// `chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`
fn chunk_ext(bytes: &[u8], start: usize, body: &mut Chunked) -> Result<usize, Stop> {
    let mut at = start;
    loop {
        let semicolon = bws(bytes, at, body);
        match bytes.get(semicolon) {
            None => return Err(Stop::More),
            Some(b';') => {}
            Some(_) if semicolon == at => break,
            Some(_) => return Err(Stop::Bad("white space after a chunk size")),
        }
        at = token(bytes, bws(bytes, semicolon + 1, body))?;
        let equals = bws(bytes, at, body);
        match bytes.get(equals) {
            None => return Err(Stop::More),
            Some(b'=') => {
                let value = bws(bytes, equals + 1, body);
                at = match bytes.get(value) {
                    Some(b'"') => quoted_string(bytes, value)?,
                    _ => token(bytes, value)?,
                };
            }
            Some(_) => {}
        }
    }
    body.extension_bytes += at - start;
    Ok(at)
}

fn bws(bytes: &[u8], start: usize, body: &mut Chunked) -> usize {
    let len = bytes[start..].iter().take_while(|b| blank(**b)).count();
    body.bad_white_space |= len > 0;
    start + len
}

fn token(bytes: &[u8], start: usize) -> Result<usize, Stop> {
    let len = bytes[start..].iter().take_while(|b| tchar(**b)).count();
    match bytes.get(start + len) {
        None => Err(Stop::More),
        Some(_) if len == 0 => Err(Stop::Bad("token")),
        Some(_) => Ok(start + len),
    }
}

/// `quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE` (RFC 9110, section 5.6.4).
fn quoted_string(bytes: &[u8], start: usize) -> Result<usize, Stop> {
    let text = |b: u8| blank(b) || field_vchar(b);
    let mut at = start + 1;
    loop {
        at += match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'"'), _) => return Ok(at + 1),
            (Some(b'\\'), Some(&b)) if text(b) => 2,
            (None, _) | (Some(b'\\'), None) => return Err(Stop::More),
            (Some(&b), _) if b != b'\\' && text(b) => 1,
            _ => return Err(Stop::Bad("quoted-string")),
        }
    }
}

fn crlf(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    match bytes.get(at..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Ok(at + 2),
        [] | [b'\r'] => Err(Stop::More),
        _ => Err(Stop::Bad("CRLF")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let (body, end) = chunked_body(b"3;a=\"\\\"\";b\r\nabc\r\n00\r\nx: y\r\n\r\nrest", 0).unwrap();
        assert_eq!((&body.content[..], end, body.trailers.len(), body.extension_bytes), (&b"abc"[..], 29, 1, 9));
        for bad in [
            &b"3 \r\nabc\r\n0\r\n\r\n"[..],
            b"+3\r\nabc",
            b"0x3\r\n",
            b"3\nabc\r\n",
            b"3\r\nabcd\r\n0\r\n\r\n",
            b"0\r\n x\r\n\r\n",
        ] {
            assert!(matches!(chunked_body(bad, 0), Err(Stop::Bad(_))), "{}", bad.escape_ascii());
        }
        assert_eq!(chunked_body(b"3\r\nab", 0), Err(Stop::More));
    }
}

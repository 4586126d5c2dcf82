//! Percent-decoding as the signature reads it (RFC 3986, section 2.1; forms: HTML, `application/x-www-form-urlencoded`).

use memchr::memchr2;

use super::sink::Sink;
pub(super) use crate::http::percent::BadEscape;
use crate::http::percent::escaped;

/// Decodes a path: `%XX` only, `+` is itself.
pub(super) fn decode_path(path: &[u8], out: &mut impl Sink) -> Result<(), BadEscape> {
    decode(path, false, out)
}

/// Decodes a name or value of a query or form: `%XX`, and `+` for a blank.
pub(super) fn decode_parameter(text: &[u8], out: &mut impl Sink) -> Result<(), BadEscape> {
    decode(text, true, out)
}

fn decode(mut text: &[u8], plus_is_blank: bool, out: &mut impl Sink) -> Result<(), BadEscape> {
    let plus = if plus_is_blank { b'+' } else { b'%' };
    while let Some(at) = memchr2(b'%', plus, text) {
        let (plain, rest) = text.split_at(at);
        out.put(plain);
        text = match *rest {
            [b'%', high, low, ref after @ ..] => {
                out.put(&[escaped([high, low]).ok_or(BadEscape)?]);
                after
            }
            [b'+', ref after @ ..] => {
                out.put(b" ");
                after
            }
            _ => return Err(BadEscape),
        };
    }
    out.put(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(text: &[u8]) -> Result<Vec<u8>, BadEscape> {
        let mut out = Vec::new();
        decode_parameter(text, &mut out).map(|()| out)
    }

    #[test]
    fn plus_is_a_blank_in_parameters_only() {
        assert_eq!(parameter(b"a+b%2Bc%20"), Ok(b"a b+c ".to_vec()));
        let mut path = Vec::new();
        decode_path(b"/a+b%2B/%e5%8C%97", &mut path).unwrap();
        assert_eq!(path, "/a+b+/北".as_bytes());
    }

    #[test]
    fn a_broken_escape_is_refused() {
        for broken in [&b"%"[..], b"%2", b"a%zz", b"%%41", b"%g0", b"%0g", b"ok%4"] {
            assert_eq!(parameter(broken), Err(BadEscape), "{}", broken.escape_ascii());
        }
    }
}

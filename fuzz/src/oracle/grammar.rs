//! Productions of RFC 9110, section 5, and RFC 9112, sections 2 to 5. Each says whether the whole of its bytes is one.

/// `tchar` (RFC 9110, section 5.6.2).
pub fn tchar(b: u8) -> bool {
    b"!#$%&'*+-.^_`|~".contains(&b) || b.is_ascii_digit() || b.is_ascii_alphabetic()
}

/// `token = 1*tchar`
pub fn token(s: &[u8]) -> bool {
    !s.is_empty() && s.iter().all(|&b| tchar(b))
}

/// `VCHAR` (RFC 5234).
pub fn vchar(b: u8) -> bool {
    (0x21..=0x7e).contains(&b)
}

/// `obs-text = %x80-FF`
pub fn obs_text(b: u8) -> bool {
    b >= 0x80
}

/// `field-vchar = VCHAR / obs-text`
pub fn field_vchar(b: u8) -> bool {
    vchar(b) || obs_text(b)
}

/// SP or HTAB, of which `OWS` and `BWS` are made.
pub fn blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// What is between `OWS` on both sides.
pub fn without_ows(mut s: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = s {
        s = rest;
    }
    s
}

/// `field-value = *field-content`, each of which starts and ends with a `field-vchar` (RFC 9110, section 5.5).
pub fn field_value(s: &[u8]) -> bool {
    match (s.first(), s.last()) {
        (Some(&first), Some(&last)) => field_vchar(first) && field_vchar(last) && s.iter().all(|&b| field_vchar(b) || blank(b)),
        _ => true,
    }
}

/// `field-line = field-name ":" OWS field-value OWS` (RFC 9112, section 5).
pub fn field_line(s: &[u8]) -> Option<super::Field> {
    let colon = s.iter().position(|&b| b == b':')?;
    let (name, value) = (&s[..colon], without_ows(&s[colon + 1..]));
    (token(name) && field_value(value)).then(|| (name.to_vec(), value.to_vec()))
}

/// Major and minor.
pub type Version = (u8, u8);

/// `HTTP-version = HTTP-name "/" DIGIT "." DIGIT` (RFC 9112, section 2.3).
pub fn http_version(s: &[u8]) -> Option<Version> {
    match s {
        [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => Some((major - b'0', minor - b'0')),
        _ => None,
    }
}

/// `request-line = method SP request-target SP HTTP-version` (RFC 9112, section 3); the target is judged elsewhere.
pub fn request_line(s: &[u8]) -> Option<(&[u8], &[u8], Version)> {
    let parts: Vec<&[u8]> = s.split(|&b| b == b' ').collect();
    let [method, target, version] = parts[..] else { return None };
    (token(method) && !target.is_empty()).then_some(())?;
    Some((method, target, http_version(version)?))
}

/// `status-line = HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112, section 4); a line that ends after the code
/// passes too.
pub fn status_line(s: &[u8]) -> Option<(Version, u16, &[u8])> {
    let version = http_version(s.get(..8)?)?;
    let [b' ', a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', ref rest @ ..] = s[8..] else { return None };
    let status = [a, b, c].iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
    let reason = match rest {
        [] => rest,
        [b' ', reason @ ..] => reason,
        _ => return None,
    };
    // reason-phrase = 1*( HTAB / SP / VCHAR / obs-text )
    reason.iter().all(|&b| blank(b) || field_vchar(b)).then_some((version, status, reason))
}

/// `#element` as a recipient must take it: empty elements are skipped (RFC 9110, section 5.6.1.2).
pub fn list(s: &[u8]) -> Vec<&[u8]> {
    s.split(|&b| b == b',').map(without_ows).filter(|element| !element.is_empty()).collect()
}

/// `Content-Length = 1*DIGIT` (RFC 9110, section 8.6), of any size.
pub fn content_length(s: &[u8]) -> Option<u128> {
    let digits = !s.is_empty() && s.iter().all(u8::is_ascii_digit);
    digits.then(|| s.iter().fold(0u128, |n, d| n.saturating_mul(10).saturating_add(u128::from(d - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        assert_eq!(field_line(b"a: b c \t"), Some((b"a".to_vec(), b"b c".to_vec())));
        assert_eq!(field_line(b"a:"), Some((b"a".to_vec(), Vec::new())));
        for bad in [&b"a : b"[..], b"a b", b": b", b"a: b\rc", b"a: b\nc", b"a: \0", b" a: b", b"a:\x7f"] {
            assert_eq!(field_line(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn start_lines() {
        assert_eq!(request_line(b"GET / HTTP/1.1"), Some((&b"GET"[..], &b"/"[..], (1, 1))));
        for bad in [&b"GET  / HTTP/1.1"[..], b"GET /", b"GET / HTTP/1.1 ", b"GET / http/1.1", b"G@T / HTTP/1.1", b" / HTTP/1.1"] {
            assert_eq!(request_line(bad), None, "{}", bad.escape_ascii());
        }
        assert_eq!(status_line(b"HTTP/1.1 200 OK"), Some(((1, 1), 200, &b"OK"[..])));
        assert_eq!(status_line(b"HTTP/1.0 404"), Some(((1, 0), 404, &b""[..])));
        for bad in [&b"HTTP/1.1  200 OK"[..], b"HTTP/1.1 20 OK", b"HTTP/1.1 2000", b"HTTP/1.1 600 X", b"HTTP/1.1 200 \0"] {
            assert_eq!(status_line(bad), None, "{}", bad.escape_ascii());
        }
    }
}

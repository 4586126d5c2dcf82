//! Request targets (RFC 9112, section 3.2; RFC 3986) and the host that a request calls.

use super::field::FieldId;
use super::head::{HeadError, RequestView, Version};
use super::percent;
use crate::sys::lanes;

/// A request target taken apart. Slices are as received: still percent-encoded, every escape well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The authority of an absolute-form target; it takes the place of `Host` (RFC 9112, section 3.2.2).
    pub authority: Option<&'a [u8]>,
    /// Starts with `/`; `*` for `OPTIONS *`. Holds no dot segment, however spelled.
    pub path: &'a [u8],
    /// What follows the first `?`.
    pub query: Option<&'a [u8]>,
}

/// Takes a target apart. Refused are targets that are no URI, forms that only a tunnel or a forward proxy answers, and
/// paths that a backend may resolve to another path than the one that was routed.
pub fn parse_target<'a>(method: &[u8], target: &'a [u8]) -> Result<Target<'a>, HeadError> {
    // RFC 9112, sections 3.2.3 and 3.2.4: a form of its own for each of these.
    if method == b"CONNECT" {
        return Err(HeadError::UnsupportedMethod);
    }
    if target == b"*" {
        return match method {
            b"OPTIONS" => Ok(Target { authority: None, path: target, query: None }),
            _ => Err(HeadError::BadTarget("`*` is for OPTIONS only")),
        };
    }
    if let Some(target) = plain_target(target) {
        return Ok(target);
    }
    let (authority, rest) = if target.first() == Some(&b'/') {
        (None, target)
    } else {
        let after = after_scheme(target).ok_or(HeadError::BadTarget("neither a path nor an http URI"))?;
        let end = memchr::memchr2(b'/', b'?', after).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        (Some(authority), rest)
    };
    let (path, query) = match memchr::memchr(b'?', rest) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    // RFC 9110, section 4.2.3: an empty path of an http URI is `/`.
    let path = if path.is_empty() { b"/" } else { path };
    if !percent::is_well_formed(rest) {
        return Err(HeadError::BadTarget("a percent sign without two hexadecimal digits"));
    }
    check_path(path)?;
    Ok(Target { authority, path, query })
}

/// A target as nearly everyone writes it: a path of letters, digits, `/`, `-` and `_`, in which nothing is escaped and no
/// segment is of dots, and perhaps a query.
#[inline]
fn plain_target(target: &[u8]) -> Option<Target<'_>> {
    let end = lanes::words_len::<b'/', b'-', b'_'>(target);
    let (path, rest) = target.split_at_checked(end)?;
    if path.first() != Some(&b'/') {
        return None;
    }
    match rest {
        [] => Some(Target { authority: None, path, query: None }),
        [b'?', query @ ..] if percent::is_well_formed(query) => Some(Target { authority: None, path, query: Some(query) }),
        _ => None,
    }
}

/// What follows `http://` or `https://`, in any case (RFC 3986, section 3.1).
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    let strip = |scheme: &[u8]| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    strip(b"http://").or_else(|| strip(b"https://"))
}

/// The target is an `https` URI.
pub fn is_https(target: &[u8]) -> bool {
    target.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https:"))
}

/// A well-formed path that no backend resolves to another one: without dot segments (RFC 3986, section 5.2.4), which many
/// servers also find behind an escaped slash or dot, a backslash, or before path parameters (`/..;x/`), and without NUL.
fn check_path(path: &[u8]) -> Result<(), HeadError> {
    let mut rest = path;
    // Dots since the start of the segment, as long as it has nothing else.
    let mut dots = Some(0);
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after.split_first_chunk()) {
            (b'%', Some((digits, after))) => (percent::escaped(*digits).unwrap_or(b'%'), after),
            (b'\\', _) => return Err(HeadError::BadTarget("a backslash in the path")),
            _ => (byte, after),
        };
        rest = after;
        dots = match (byte, dots) {
            (b'/' | b'\\' | b';', Some(1 | 2)) => return Err(DOT_SEGMENT),
            (b'/' | b'\\', _) => Some(0),
            (b'.', Some(n)) => Some(n + 1),
            (0, _) => return Err(HeadError::BadTarget("a NUL in the path")),
            _ => None,
        };
    }
    match dots {
        Some(1 | 2) => Err(DOT_SEGMENT),
        _ => Ok(()),
    }
}

const DOT_SEGMENT: HeadError = HeadError::BadTarget("a dot segment in the path");

/// The host that a request calls, without its port, as received (an IPv6 literal keeps its brackets): of the target's
/// authority when it has one, else of `Host` (RFC 9112, section 3.2.2). Empty when an HTTP/1.0 request names none.
///
/// `Host` must be there exactly once in HTTP/1.1, at most once in HTTP/1.0, and valid in any case (section 3.2).
pub fn host_of<'a>(request: &RequestView<'a>, target: &Target<'a>) -> Result<&'a [u8], HeadError> {
    let host = match request.field(FieldId::Host) {
        Some(_) if request.head.fields.is_repeated(FieldId::Host) => return Err(HeadError::BadHost("stands more than once")),
        Some(value) => authority(value)?,
        None if request.head.version == Version::Http11 => return Err(HeadError::BadHost("is missing")),
        None => b"",
    };
    match target.authority {
        Some(called) => authority(called),
        None => Ok(host),
    }
}

/// The host of `uri-host [ ":" port ]` (RFC 9110, section 7.2). Of the names that RFC 3986 allows, only those pass that
/// can be domains or addresses: letters, digits, `-`, `.`, `_` and `~`. An empty host is no http URI (section 4.2.1), and
/// userinfo before the host is a way to mislead (section 4.2.4).
pub fn authority(value: &[u8]) -> Result<&[u8], HeadError> {
    let host_len = match value.first() {
        Some(b'[') => memchr::memchr(b']', value).ok_or(HeadError::BadHost("has an address literal without its end"))? + 1,
        _ => memchr::memchr(b':', value).unwrap_or(value.len()),
    };
    let (host, port) = value.split_at(host_len);
    match host {
        [] => return Err(HeadError::BadHost("is empty")),
        [b'[', literal @ .., b']'] => {
            let address = std::str::from_utf8(literal).ok().and_then(|text| text.parse::<std::net::Ipv6Addr>().ok());
            if address.is_none() {
                return Err(HeadError::BadHost("has no IPv6 address in its brackets"));
            }
        }
        name if lanes::words_len::<b'.', b'-', b'_'>(name) == name.len() => {}
        name if name.iter().all(|&b| percent::is_unreserved(b)) => {}
        _ => return Err(HeadError::BadHost("has a byte that no host name may hold")),
    }
    match port {
        [] => Ok(host),
        [b':', digits @ ..] if is_port(digits) => Ok(host),
        _ => Err(HeadError::BadHost("has no number for a port")),
    }
}

/// `port = *DIGIT` (RFC 3986, section 3.2.3), and one that exists.
fn is_port(digits: &[u8]) -> bool {
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0')) <= u32::from(u16::MAX)
}

#[cfg(test)]
mod tests;

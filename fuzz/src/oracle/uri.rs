//! Productions of RFC 3986 and RFC 9112, section 3.2: request targets and the hosts they name.

/// `unreserved` (RFC 3986, section 2.3).
fn unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~".contains(&b)
}

/// `sub-delims` (RFC 3986, section 2.2).
fn sub_delims(b: u8) -> bool {
    b"!$&'()*+,;=".contains(&b)
}

/// No part of any production, and yet on the wire (see the module above).
fn excluded(b: u8) -> bool {
    b"\"<>[]\\^`{|}".contains(&b)
}

/// `*( plain / pct-encoded )`
fn made_of(mut s: &[u8], plain: impl Fn(u8) -> bool) -> bool {
    while let Some((&b, rest)) = s.split_first() {
        s = match (b, rest) {
            (b'%', [high, low, rest @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            (b'%', _) => return false,
            _ if plain(b) => rest,
            _ => return false,
        };
    }
    true
}

/// `pchar = unreserved / pct-encoded / sub-delims / ":" / "@"` (RFC 3986, section 3.3), less the escapes.
fn pchar(b: u8) -> bool {
    unreserved(b) || sub_delims(b) || b == b':' || b == b'@' || excluded(b)
}

/// `absolute-path = 1*( "/" segment )` (RFC 9110, section 4.1).
fn absolute_path(s: &[u8]) -> bool {
    s.first() == Some(&b'/') && made_of(s, |b| pchar(b) || b == b'/')
}

/// `query = *( pchar / "/" / "?" )` (RFC 3986, section 3.4).
fn query(s: &[u8]) -> bool {
    made_of(s, |b| pchar(b) || b == b'/' || b == b'?')
}

/// `port = *DIGIT` (RFC 3986, section 3.2.3).
fn port(s: &[u8]) -> bool {
    s.iter().all(u8::is_ascii_digit)
}

/// `1*DIGIT`
fn number(s: &[u8]) -> Option<u64> {
    let digits = !s.is_empty() && s.iter().all(u8::is_ascii_digit);
    digits.then(|| s.iter().fold(0u64, |n, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0'))))
}

/// `dec-octet`
fn dec_octet(s: &[u8]) -> bool {
    (s == b"0" || s.first() != Some(&b'0')) && number(s).is_some_and(|value| value <= 255)
}

/// `IPv4address`
fn ipv4_address(s: &[u8]) -> bool {
    let octets: Vec<&[u8]> = s.split(|&b| b == b'.').collect();
    octets.len() == 4 && octets.iter().all(|octet| dec_octet(octet))
}

/// Units of 16 bits in `h16 *( ":" h16 ) [ ":" IPv4address ]`; `None` when it is none. `v4`: an address may end it.
fn h16_units(s: &[u8], v4: bool) -> Option<usize> {
    if s.is_empty() {
        return Some(0);
    }
    let pieces: Vec<&[u8]> = s.split(|&b| b == b':').collect();
    let h16 = |piece: &[u8]| (1..=4).contains(&piece.len()) && piece.iter().all(u8::is_ascii_hexdigit);
    let (last, before) = pieces.split_last()?;
    before.iter().all(|piece| h16(piece)).then_some(())?;
    match () {
        () if h16(last) => Some(pieces.len()),
        () if v4 && ipv4_address(last) => Some(pieces.len() + 1),
        () => None,
    }
}

/// `IPv6address` (RFC 3986, section 3.2.2): eight units, or fewer around one `::`.
fn ipv6_address(s: &[u8]) -> bool {
    match s.windows(2).position(|pair| pair == b"::") {
        None => h16_units(s, true) == Some(8),
        Some(at) => match (h16_units(&s[..at], false), h16_units(&s[at + 2..], true)) {
            (Some(before), Some(after)) => before + after <= 7,
            _ => false,
        },
    }
}

/// A host taken out of `uri-host [ ":" port ]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: Vec<u8>,
    pub port: Vec<u8>,
    /// RFC 3986 has it, but it is no domain and no address: empty, with escapes or sub-delimiters, `IPvFuture`, or a port
    /// that no host has.
    pub unusual: bool,
}

/// `Host = uri-host [ ":" port ]` (RFC 9110, section 7.2).
pub fn host_and_port(s: &[u8]) -> Option<Host> {
    let (name, rest) = match s.iter().position(|&b| b == b']') {
        Some(end) if s.first() == Some(&b'[') => s.split_at(end + 1),
        _ => s.split_at(s.iter().position(|&b| b == b':').unwrap_or(s.len())),
    };
    let digits = match rest {
        [] => rest,
        [b':', digits @ ..] => digits,
        _ => return None,
    };
    let plain = match name {
        [b'[', literal @ .., b']'] if ipv6_address(literal) => true,
        [b'[', b'v' | b'V', future @ .., b']'] if ipv_future(future) => false,
        _ if name.iter().all(|&b| unreserved(b)) => !name.is_empty(),
        // reg-name = *( unreserved / pct-encoded / sub-delims )
        _ if made_of(name, |b| unreserved(b) || sub_delims(b)) => false,
        _ => return None,
    };
    let no_port = digits.len() > 5 || number(digits).is_some_and(|port| port > 65_535);
    port(digits).then(|| Host { name: name.to_vec(), port: digits.to_vec(), unusual: !plain || no_port })
}

/// What follows the `v` of `IPvFuture`.
fn ipv_future(s: &[u8]) -> bool {
    let Some(dot) = s.iter().position(|&b| b == b'.') else { return false };
    let (version, rest) = (&s[..dot], &s[dot + 1..]);
    let allowed = |&b: &u8| unreserved(b) || sub_delims(b) || b == b':';
    !version.is_empty() && version.iter().all(u8::is_ascii_hexdigit) && !rest.is_empty() && rest.iter().all(allowed)
}

/// A request target (RFC 9112, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Origin {
        path: Vec<u8>,
        query: Option<Vec<u8>>,
    },
    /// With an `http` or `https` scheme.
    Absolute {
        authority: Vec<u8>,
        host: Option<Host>,
        path: Vec<u8>,
        query: Option<Vec<u8>>,
    },
    /// With another scheme.
    OtherScheme,
    Authority,
    Asterisk,
}

/// `request-target = origin-form / absolute-form / authority-form / asterisk-form`, each where it belongs.
pub fn request_target(method: &[u8], s: &[u8]) -> Option<Target> {
    match (method, s) {
        (b"CONNECT", _) => host_and_port(s).filter(|host| !host.port.is_empty()).map(|_| Target::Authority),
        (b"OPTIONS", b"*") => Some(Target::Asterisk),
        (_, [b'/', ..]) => {
            let (path, query) = path_and_query(s)?;
            Some(Target::Origin { path, query })
        }
        _ => absolute_form(s),
    }
}

fn path_and_query(s: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let mark = s.iter().position(|&b| b == b'?');
    let (path, asked) = (&s[..mark.unwrap_or(s.len())], mark.map(|at| &s[at + 1..]));
    let good = (path.is_empty() || absolute_path(path)) && asked.is_none_or(query);
    good.then(|| (path.to_vec(), asked.map(<[u8]>::to_vec)))
}

/// `absolute-form = absolute-URI`, of which `http-URI = "http" "://" authority path-abempty [ "?" query ]`.
fn absolute_form(s: &[u8]) -> Option<Target> {
    let colon = s.iter().position(|&b| b == b':')?;
    let scheme = s[..colon].to_ascii_lowercase();
    let well_formed = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|&b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !well_formed {
        return None;
    }
    let rest = &s[colon + 1..];
    if scheme != b"http" && scheme != b"https" {
        return made_of(rest, |b| pchar(b) || b"/?".contains(&b)).then_some(Target::OtherScheme);
    }
    let rest = rest.strip_prefix(b"//")?;
    let (authority, rest) = rest.split_at(rest.iter().position(|b| b"/?".contains(b)).unwrap_or(rest.len()));
    let (path, query) = path_and_query(rest)?;
    // RFC 9110, section 4.2.3: an empty path is `/`.
    let path = if path.is_empty() { b"/".to_vec() } else { path };
    Some(Target::Absolute { authority: authority.to_vec(), host: host_and_port(authority), path, query })
}

/// `%XX` decoded, and `+` as a blank where `form`; `None` when an escape is not well-formed.
pub fn decoded(s: &[u8], form: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < s.len() {
        if s[at] == b'%' {
            let digits = std::str::from_utf8(s.get(at + 1..at + 3)?).ok()?;
            digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(if form && s[at] == b'+' { b' ' } else { s[at] });
            at += 1;
        }
    }
    Some(out)
}

/// Whether some server resolves this path to another one, or ends it early: a dot segment in any spelling, behind an
/// escaped separator or before parameters, a backslash, or a NUL.
pub fn misleads(path: &[u8]) -> bool {
    let Some(plain) = decoded(path, false) else { return true };
    let segment_is_dots = |segment: &[u8]| matches!(segment.split(|&b| b == b';').next(), Some(b"." | b".."));
    path.contains(&b'\\') || plain.contains(&0) || plain.split(|&b| b == b'/' || b == b'\\').any(segment_is_dots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["::", "::1", "1::", "2001:db8::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4"] {
            assert!(ipv6_address(good.as_bytes()), "{good}");
        }
        for bad in ["", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "::1.2.3", "::01.2.3.4"] {
            assert!(!ipv6_address(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn hosts() {
        assert!(!host_and_port(b"a.b:80").unwrap().unusual && !host_and_port(b"[::1]:").unwrap().unusual);
        assert!(host_and_port(b"").unwrap().unusual && host_and_port(b"a%41").unwrap().unusual);
        for bad in ["a b", "a/b", "u@a", "a:b", "[::1", "[]", "::1", "[::1]x"] {
            assert_eq!(host_and_port(bad.as_bytes()), None, "{bad}");
        }
    }
}

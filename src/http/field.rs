//! Field names the gateway acts on, recognised by length and two letters; and what a field line may be made of.

use crate::sys::lanes;

/// A known field name; `Other` is every name the gateway only passes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FieldId {
    #[default]
    Other,
    Accept,
    Authorization,
    Connection,
    ContentLength,
    ContentMd5,
    ContentType,
    Date,
    Expect,
    Host,
    KeepAlive,
    MaxForwards,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Server,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    Via,
    XCaErrorCode,
    XCaErrorMessage,
    XCaKey,
    XCaNonce,
    /// Any `X-Ca-Proxy-*` name: the gateway's own word to a backend; a client's never passes.
    XCaProxy,
    XCaRequestId,
    XCaRequestMode,
    XCaSignature,
    XCaSignatureHeaders,
    XCaSignatureMethod,
    XCaStage,
    XCaTimestamp,
    XClientSDn,
    XForwardedFor,
    XForwardedProto,
}

impl FieldId {
    pub const COUNT: usize = FieldId::XForwardedProto as usize + 1;

    /// The known name that `name` spells, in any case.
    #[inline]
    pub fn of(name: &[u8]) -> FieldId {
        let [first, .., before_last, _] = *name else { return Self::of_short(name) };
        let (id, spelling) = PLACES[place(name.len(), first, before_last, FACTORS)];
        if name.len() == spelling.len() && spells(name, spelling) {
            return id;
        }
        if first | 0x20 == b'x' && Self::is_proxy(name) { FieldId::XCaProxy } else { FieldId::Other }
    }

    /// The known name that the first `len` bytes of `line` spell, which are letters, digits and hyphens.
    #[inline]
    pub(super) fn of_plain(line: &[u8; LANES_BYTES], len: usize) -> FieldId {
        let 3..LANES_BYTES = len else { return Self::of(line.get(..len).unwrap_or_default()) };
        let plain = &PLAIN_PLACES[place(len, line[0], line[len - 2], FACTORS)];
        if usize::from(plain.len) == len && plain.begins(line) {
            return plain.id;
        }
        let is_proxy = line[0] | 0x20 == b'x' && len >= PROXY.len() && PLAIN_PROXY.begins(line);
        if is_proxy { FieldId::XCaProxy } else { FieldId::Other }
    }

    fn is_proxy(name: &[u8]) -> bool {
        name.split_at_checked(PROXY.len()).is_some_and(|(start, _)| spells(start, PROXY))
    }

    /// Names of one or two letters.
    fn of_short(name: &[u8]) -> FieldId {
        if name.eq_ignore_ascii_case(b"te") { FieldId::Te } else { FieldId::Other }
    }

    /// Fields that mean something to one connection only, and never pass (RFC 9110, section 7.6.1). Fields named by
    /// `Connection` are dropped too: [`super::connection::HopByHop`].
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            FieldId::Connection
                | FieldId::KeepAlive
                | FieldId::ProxyAuthenticate
                | FieldId::ProxyAuthorization
                | FieldId::ProxyConnection
                | FieldId::Te
                | FieldId::Trailer
                | FieldId::TransferEncoding
                | FieldId::Upgrade
        )
    }
}

/// Known names of three letters and more, in lower case.
const SPELLINGS: &[(FieldId, &[u8])] = &[
    (FieldId::Accept, b"accept"),
    (FieldId::Authorization, b"authorization"),
    (FieldId::Connection, b"connection"),
    (FieldId::ContentLength, b"content-length"),
    (FieldId::ContentMd5, b"content-md5"),
    (FieldId::ContentType, b"content-type"),
    (FieldId::Date, b"date"),
    (FieldId::Expect, b"expect"),
    (FieldId::Host, b"host"),
    (FieldId::KeepAlive, b"keep-alive"),
    (FieldId::MaxForwards, b"max-forwards"),
    (FieldId::ProxyAuthenticate, b"proxy-authenticate"),
    (FieldId::ProxyAuthorization, b"proxy-authorization"),
    (FieldId::ProxyConnection, b"proxy-connection"),
    (FieldId::Server, b"server"),
    (FieldId::Trailer, b"trailer"),
    (FieldId::TransferEncoding, b"transfer-encoding"),
    (FieldId::Upgrade, b"upgrade"),
    (FieldId::UserAgent, b"user-agent"),
    (FieldId::Via, b"via"),
    (FieldId::XCaErrorCode, b"x-ca-error-code"),
    (FieldId::XCaErrorMessage, b"x-ca-error-message"),
    (FieldId::XCaKey, b"x-ca-key"),
    (FieldId::XCaNonce, b"x-ca-nonce"),
    (FieldId::XCaRequestId, b"x-ca-request-id"),
    (FieldId::XCaRequestMode, b"x-ca-request-mode"),
    (FieldId::XCaSignature, b"x-ca-signature"),
    (FieldId::XCaSignatureHeaders, b"x-ca-signature-headers"),
    (FieldId::XCaSignatureMethod, b"x-ca-signature-method"),
    (FieldId::XCaStage, b"x-ca-stage"),
    (FieldId::XCaTimestamp, b"x-ca-timestamp"),
    (FieldId::XClientSDn, b"x-client-s-dn"),
    (FieldId::XForwardedFor, b"x-forwarded-for"),
    (FieldId::XForwardedProto, b"x-forwarded-proto"),
];

/// What every [`FieldId::XCaProxy`] begins with.
const PROXY: &[u8] = b"x-ca-proxy-";

/// The known names, each at its [`place`]: a name is compared with one of them at most. The compiler finds factors under
/// which no two names have the same place.
const PLACES: &[(FieldId, &[u8]); PLACES_COUNT] = &places();
const PLACES_COUNT: usize = 128;
const FACTORS: [usize; 2] = factors();

#[inline]
const fn place(len: usize, first: u8, before_last: u8, factors: [usize; 2]) -> usize {
    // 0x20 makes a capital letter small.
    (len + (first | 0x20) as usize * factors[0] + (before_last | 0x20) as usize * factors[1]) % PLACES_COUNT
}

const fn place_of(name: &[u8], factors: [usize; 2]) -> usize {
    place(name.len(), name[0], name[name.len() - 2], factors)
}

const fn factors() -> [usize; 2] {
    let mut n = 0;
    loop {
        assert!(n < 64 * 64, "two known names agree in length, first letter and last but one: `place` must look at another");
        let factors = [n / 64, n % 64];
        let (mut taken, mut i, mut apart) = (0u128, 0, true);
        while i < SPELLINGS.len() && apart {
            let bit = 1 << place_of(SPELLINGS[i].1, factors);
            (apart, taken, i) = (taken & bit == 0, taken | bit, i + 1);
        }
        if apart {
            return factors;
        }
        n += 1;
    }
}

const fn places() -> [(FieldId, &'static [u8]); PLACES_COUNT] {
    let mut places: [(FieldId, &[u8]); PLACES_COUNT] = [(FieldId::Other, b""); PLACES_COUNT];
    let mut i = 0;
    while i < SPELLINGS.len() {
        places[place_of(SPELLINGS[i].1, FACTORS)] = SPELLINGS[i];
        i += 1;
    }
    places
}

/// A known name for [`FieldId::of_plain`], filled up with zeros.
#[derive(Clone, Copy)]
struct Plain {
    spelling: [u8; LANES_BYTES],
    len: u8,
    id: FieldId,
}

/// Every known name is shorter.
const LANES_BYTES: usize = 32;

/// [`PLACES`], for names that are plain.
const PLAIN_PLACES: &[Plain; PLACES_COUNT] = &plain_places();
const PLAIN_PROXY: Plain = Plain::new(FieldId::XCaProxy, PROXY);

impl Plain {
    const fn new(id: FieldId, name: &[u8]) -> Self {
        assert!(name.len() < LANES_BYTES, "every known name fits");
        let (mut spelling, mut i) = ([0; LANES_BYTES], 0);
        while i < name.len() {
            spelling[i] = name[i];
            i += 1;
        }
        Self { spelling, len: name.len() as u8, id }
    }

    /// The line, of which as many bytes are letters, digits and hyphens, begins with this name, in any case.
    #[inline(always)]
    fn begins(&self, line: &[u8; LANES_BYTES]) -> bool {
        let (([one, two], _), ([first, second], _)) = (line.as_chunks(), self.spelling.as_chunks()) else { return false };
        // In these bytes 0x20 makes a capital letter small, and changes nothing else.
        let mut same = u32::from(lanes::same_in_lower_case(one, first));
        if usize::from(self.len) > first.len() {
            same |= u32::from(lanes::same_in_lower_case(two, second)) << first.len();
        }
        same.trailing_ones() >= u32::from(self.len)
    }
}

const fn plain_places() -> [Plain; PLACES_COUNT] {
    let (mut places, mut i) = ([Plain::new(FieldId::Other, b""); PLACES_COUNT], 0);
    while i < SPELLINGS.len() {
        places[place_of(SPELLINGS[i].1, FACTORS)] = Plain::new(SPELLINGS[i].0, SPELLINGS[i].1);
        i += 1;
    }
    places
}

/// `text` is `spelling` (in lower case) in any case.
#[inline]
pub(super) fn is(text: &[u8], spelling: &[u8]) -> bool {
    text.len() == spelling.len() && spells(text, spelling)
}

/// `name` is `spelling` (of the same length, in lower case) in any case. Eight or four bytes at a time, the last of them
/// perhaps again.
#[inline]
fn spells(name: &[u8], spelling: &[u8]) -> bool {
    let mut differs = match (last_word(name), last_word(spelling)) {
        (Some(name), Some(spelling)) => lower(name) ^ spelling,
        _ => return name.eq_ignore_ascii_case(spelling),
    };
    let (mut name, mut spelling) = (name, spelling);
    while let (Some((a, name_rest)), Some((b, spelling_rest))) = (name.split_first_chunk(), spelling.split_first_chunk()) {
        differs |= lower(u64::from_le_bytes(*a)) ^ u64::from_le_bytes(*b);
        (name, spelling) = (name_rest, spelling_rest);
    }
    differs == 0
}

/// The last eight bytes; of a shorter name the first four and the last four.
#[inline]
fn last_word(name: &[u8]) -> Option<u64> {
    let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    match name.last_chunk() {
        Some(word) => Some(u64::from_le_bytes(*word)),
        None => Some(half(name.first_chunk()?) | half(name.last_chunk()?) << 32),
    }
}

/// Eight bytes with their ASCII upper-case letters in lower case.
#[inline]
const fn lower(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = ONES << 7;
    // With the high bits clear no sum carries into the next byte.
    let low = word & !HIGH;
    let from_a = low + (0x80 - b'A' as u64) * ONES;
    let beyond_z = low + (0x80 - b'Z' as u64 - 1) * ONES;
    word | ((from_a & !beyond_z & !word & HIGH) >> 2)
}

const fn token_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
}

static TOKEN: [bool; 256] = token_table();

/// `tchar` (RFC 9110, section 5.6.2).
#[inline]
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// `token` (RFC 9110, section 5.6.2).
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_token_byte(b))
}

/// What may stand in a field value: visible bytes, `obs-text`, space and tab (RFC 9110, section 5.5).
#[inline]
pub fn is_value_byte(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7f || byte == b'\t'
}

/// `bytes` without the optional white space (space, tab) around it.
pub fn trim(bytes: &[u8]) -> &[u8] {
    let is_space = |b: &u8| matches!(b, b' ' | b'\t');
    let Some(start) = bytes.iter().position(|b| !is_space(b)) else { return &[] };
    let end = bytes.iter().rposition(|b| !is_space(b)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[(&str, FieldId)] = &[
        ("Accept", FieldId::Accept),
        ("Authorization", FieldId::Authorization),
        ("Connection", FieldId::Connection),
        ("Content-Length", FieldId::ContentLength),
        ("Content-MD5", FieldId::ContentMd5),
        ("Content-Type", FieldId::ContentType),
        ("Date", FieldId::Date),
        ("Expect", FieldId::Expect),
        ("Host", FieldId::Host),
        ("Keep-Alive", FieldId::KeepAlive),
        ("Max-Forwards", FieldId::MaxForwards),
        ("Proxy-Authenticate", FieldId::ProxyAuthenticate),
        ("Proxy-Authorization", FieldId::ProxyAuthorization),
        ("Proxy-Connection", FieldId::ProxyConnection),
        ("Server", FieldId::Server),
        ("TE", FieldId::Te),
        ("Trailer", FieldId::Trailer),
        ("Transfer-Encoding", FieldId::TransferEncoding),
        ("Upgrade", FieldId::Upgrade),
        ("User-Agent", FieldId::UserAgent),
        ("Via", FieldId::Via),
        ("X-Ca-Error-Code", FieldId::XCaErrorCode),
        ("X-Ca-Error-Message", FieldId::XCaErrorMessage),
        ("X-Ca-Key", FieldId::XCaKey),
        ("X-Ca-Nonce", FieldId::XCaNonce),
        ("X-Ca-Proxy-Signature", FieldId::XCaProxy),
        ("X-Ca-Proxy-", FieldId::XCaProxy),
        ("X-Ca-Request-Id", FieldId::XCaRequestId),
        ("X-Ca-Request-Mode", FieldId::XCaRequestMode),
        ("X-Ca-Signature", FieldId::XCaSignature),
        ("X-Ca-Signature-Headers", FieldId::XCaSignatureHeaders),
        ("X-Ca-Signature-Method", FieldId::XCaSignatureMethod),
        ("X-Ca-Stage", FieldId::XCaStage),
        ("X-Ca-Timestamp", FieldId::XCaTimestamp),
        ("X-Forwarded-For", FieldId::XForwardedFor),
        ("X-Client-S-Dn", FieldId::XClientSDn),
        ("X-Forwarded-Proto", FieldId::XForwardedProto),
    ];

    #[test]
    fn known_names_are_recognised_in_any_case_and_nothing_near_them() {
        let mut seen = [false; FieldId::COUNT];
        for &(name, id) in KNOWN {
            seen[id as usize] = true;
            assert_eq!(FieldId::of(name.as_bytes()), id, "{name}");
            assert_eq!(FieldId::of(name.to_ascii_uppercase().as_bytes()), id, "{name}");
            assert_eq!(FieldId::of(name.to_ascii_lowercase().as_bytes()), id, "{name}");
            for name in [name.to_owned(), name.to_ascii_uppercase(), name.to_ascii_lowercase()] {
                for after in [": v", ": a value"] {
                    let line = format!("{name}{after:\0<32}");
                    assert_eq!(FieldId::of_plain(line.as_bytes().first_chunk().unwrap(), name.len()), id, "{line}");
                }
            }
            if id != FieldId::XCaProxy {
                assert_eq!(FieldId::of(format!("{name}x").as_bytes()), FieldId::Other, "{name}x");
                assert_eq!(FieldId::of(format!("{name} ").as_bytes()), FieldId::Other);
                for at in 0..name.len() {
                    let mut near = name.as_bytes().to_vec();
                    near[at] = b'_';
                    assert_eq!(FieldId::of(&near), FieldId::Other, "{}", String::from_utf8_lossy(&near));
                    for (letter, len) in [(b'q', near.len()), (b'-', near.len()), (near[at], at), (b'q', near.len() + 1)] {
                        near[at] = letter;
                        let line = [&near[..], b"qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"].concat();
                        let found = FieldId::of_plain(line.first_chunk().unwrap(), len);
                        assert_eq!(found, FieldId::of(&line[..len]), "{}", line.escape_ascii());
                    }
                }
            }
        }
        assert!(seen.iter().skip(1).all(|&s| s), "every id has a name in this test");
    }

    #[test]
    fn other_names_are_other() {
        for name in ["", "x", "X-", "X-Ca", "X-Ca-", "X-Ca-Proxy", "X-Cb-Key", "Cookie", "Content-Lengt\u{212a}"] {
            assert_eq!(FieldId::of(name.as_bytes()), FieldId::Other, "{name}");
        }
    }

    #[test]
    fn trim_takes_spaces_and_tabs_only() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t"), b"");
        assert_eq!(trim(b""), b"");
        assert_eq!(trim(b"\x0ba\xa0"), b"\x0ba\xa0");
    }

    #[test]
    fn tokens_are_the_bytes_of_the_rfc() {
        let bytes: Vec<u8> = (0..=255).filter(|&b| is_token_byte(b)).collect();
        assert_eq!(bytes, b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~");
        assert!(!is_token(b"") && is_token(b"a") && !is_token(b"a b"));
    }
}

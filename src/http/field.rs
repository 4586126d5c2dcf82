//! Field names the gateway acts on, recognised by length and first bytes; and what a field line may be made of.

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
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Server,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
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
        let Some(&first) = name.first() else { return FieldId::Other };
        let (id, spelling): (FieldId, &[u8]) = match (name.len(), first | 0x20) {
            (2, b't') => (FieldId::Te, b"te"),
            (4, b'h') => (FieldId::Host, b"host"),
            (4, b'd') => (FieldId::Date, b"date"),
            (6, b'a') => (FieldId::Accept, b"accept"),
            (6, b'e') => (FieldId::Expect, b"expect"),
            (6, b's') => (FieldId::Server, b"server"),
            (7, b't') => (FieldId::Trailer, b"trailer"),
            (7, b'u') => (FieldId::Upgrade, b"upgrade"),
            (10, b'c') => (FieldId::Connection, b"connection"),
            (10, b'k') => (FieldId::KeepAlive, b"keep-alive"),
            (10, b'u') => (FieldId::UserAgent, b"user-agent"),
            (11, b'c') => (FieldId::ContentMd5, b"content-md5"),
            (12, b'c') => (FieldId::ContentType, b"content-type"),
            (13, b'a') => (FieldId::Authorization, b"authorization"),
            (14, b'c') => (FieldId::ContentLength, b"content-length"),
            (16, b'p') => (FieldId::ProxyConnection, b"proxy-connection"),
            (17, b't') => (FieldId::TransferEncoding, b"transfer-encoding"),
            (18, b'p') => (FieldId::ProxyAuthenticate, b"proxy-authenticate"),
            (19, b'p') => (FieldId::ProxyAuthorization, b"proxy-authorization"),
            (_, b'x') => return Self::of_x(name),
            _ => return FieldId::Other,
        };
        if spells(name, spelling) { id } else { FieldId::Other }
    }

    /// Names that start with `x`.
    fn of_x(name: &[u8]) -> FieldId {
        let Some((prefix, rest)) = name.split_at_checked(5) else { return FieldId::Other };
        if !spells(prefix, b"x-ca-") {
            return match name.len() {
                13 if name.eq_ignore_ascii_case(b"x-client-s-dn") => FieldId::XClientSDn,
                15 if name.eq_ignore_ascii_case(b"x-forwarded-for") => FieldId::XForwardedFor,
                17 if name.eq_ignore_ascii_case(b"x-forwarded-proto") => FieldId::XForwardedProto,
                _ => FieldId::Other,
            };
        }
        let (id, spelling): (FieldId, &[u8]) = match (rest.len(), rest.first().map(|b| b | 0x20)) {
            (3, Some(b'k')) => (FieldId::XCaKey, b"key"),
            (5, Some(b'n')) => (FieldId::XCaNonce, b"nonce"),
            (5, Some(b's')) => (FieldId::XCaStage, b"stage"),
            (9, Some(b's')) => (FieldId::XCaSignature, b"signature"),
            (9, Some(b't')) => (FieldId::XCaTimestamp, b"timestamp"),
            (10, Some(b'r')) => (FieldId::XCaRequestId, b"request-id"),
            (10, Some(b'e')) => (FieldId::XCaErrorCode, b"error-code"),
            (12, Some(b'r')) => (FieldId::XCaRequestMode, b"request-mode"),
            (13, Some(b'e')) => (FieldId::XCaErrorMessage, b"error-message"),
            (16, Some(b's')) => (FieldId::XCaSignatureMethod, b"signature-method"),
            (17, Some(b's')) => (FieldId::XCaSignatureHeaders, b"signature-headers"),
            (6.., Some(b'p')) if rest[..6].eq_ignore_ascii_case(b"proxy-") => return FieldId::XCaProxy,
            _ => return FieldId::Other,
        };
        if spells(rest, spelling) { id } else { FieldId::Other }
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

/// `name` is `spelling` (of the same length, in lower case) in any case. Eight bytes at a time, the last eight perhaps
/// again.
#[inline]
fn spells(name: &[u8], spelling: &[u8]) -> bool {
    if name.len() != spelling.len() {
        return false;
    }
    let (Some(name_end), Some(spelling_end)) = (name.last_chunk(), spelling.last_chunk()) else {
        return name.eq_ignore_ascii_case(spelling);
    };
    let (blocks, _) = name.as_chunks();
    let (spelling_blocks, _) = spelling.as_chunks();
    let differs = |(a, b): (&[u8; 8], &[u8; 8])| lower(u64::from_le_bytes(*a)) ^ u64::from_le_bytes(*b);
    blocks.iter().zip(spelling_blocks).map(differs).fold(differs((name_end, spelling_end)), |all, one| all | one) == 0
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
        ("Proxy-Authenticate", FieldId::ProxyAuthenticate),
        ("Proxy-Authorization", FieldId::ProxyAuthorization),
        ("Proxy-Connection", FieldId::ProxyConnection),
        ("Server", FieldId::Server),
        ("TE", FieldId::Te),
        ("Trailer", FieldId::Trailer),
        ("Transfer-Encoding", FieldId::TransferEncoding),
        ("Upgrade", FieldId::Upgrade),
        ("User-Agent", FieldId::UserAgent),
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
            if id != FieldId::XCaProxy {
                assert_eq!(FieldId::of(format!("{name}x").as_bytes()), FieldId::Other, "{name}x");
                assert_eq!(FieldId::of(format!("{name} ").as_bytes()), FieldId::Other);
                for at in 0..name.len() {
                    let mut near = name.as_bytes().to_vec();
                    near[at] = b'_';
                    assert_eq!(FieldId::of(&near), FieldId::Other, "{}", String::from_utf8_lossy(&near));
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

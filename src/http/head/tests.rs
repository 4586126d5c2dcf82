use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { start_line_bytes: 256, head_bytes: 1024, fields: 16 };

fn request(bytes: &[u8]) -> Result<Parsed, HeadError> {
    parse_request(bytes, 0, &LIMITS, &mut RequestHead::default())
}

fn response(bytes: &[u8]) -> Result<Parsed, HeadError> {
    parse_response(bytes, 0, &LIMITS, &mut ResponseHead::default())
}

/// A request with these bytes as its one field line after `Host`.
fn with_line(line: &[u8]) -> Result<Parsed, HeadError> {
    request(&[b"GET / HTTP/1.1\r\nHost: a\r\n", line, b"\r\n\r\n"].concat())
}

fn field_error(line: &[u8]) -> &'static str {
    match with_line(line) {
        Err(HeadError::BadField(reason)) => reason,
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(line)),
    }
}

fn line_error(bytes: &[u8]) -> &'static str {
    match request(bytes) {
        Err(HeadError::BadRequestLine(reason)) => reason,
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

#[test]
fn a_request_is_read_into_ranges() {
    let bytes = b"POST /p?q=1 HTTP/1.1\r\nHost:a\r\nX-Ca-Key: \t 1 2\t \r\nx-a:\r\nX-CA-KEY: second\r\n\r\nbody";
    let mut head = RequestHead::default();
    assert_eq!(parse_request(bytes, 0, &LIMITS, &mut head), Ok(Parsed::Complete));
    assert_eq!(&bytes[head.len..], b"body");
    let view = RequestView { buffer: bytes, head: &head };
    assert_eq!((view.method(), view.target(), head.version), (&b"POST"[..], &b"/p?q=1"[..], Version::Http11));
    assert_eq!(view.field(FieldId::XCaKey), Some(&b"1 2"[..]), "the first line, without the white space around its value");
    assert!(head.fields.is_repeated(FieldId::XCaKey) && !head.fields.is_repeated(FieldId::Host));
    assert_eq!(view.named(b"X-A"), Some(&b""[..]));
    assert_eq!(head.fields.len(), 4);
}

#[test]
fn a_head_table_is_reused_without_traces() {
    let mut head = RequestHead::default();
    parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nX: y\r\n\r\n", 0, &LIMITS, &mut head).unwrap();
    let bytes = b"GET / HTTP/1.0\r\n\r\n";
    parse_request(bytes, 0, &LIMITS, &mut head).unwrap();
    assert!(head.fields.is_empty() && head.fields.first(FieldId::Host).is_none() && !head.fields.is_repeated(FieldId::Host));
}

/// RFC 9112, section 2.2: one empty line before a request is skipped; more are no mistake of a client.
#[test]
fn one_empty_line_before_a_request() {
    let mut head = RequestHead::default();
    let bytes = b"\r\nGET / HTTP/1.1\r\n\r\n";
    assert_eq!(parse_request(bytes, 0, &LIMITS, &mut head), Ok(Parsed::Complete));
    assert_eq!((head.len, head.method.of(bytes)), (bytes.len(), &b"GET"[..]));
    for len in 0..=2 {
        assert_eq!(request(&bytes[..len]), Ok(Parsed::Partial));
    }
    assert_eq!(line_error(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), "the method is not a token");
    assert_eq!(line_error(b"\nGET / HTTP/1.1\r\n\r\n"), "the method is not a token");
    assert!(matches!(response(b"\r\nHTTP/1.1 200 OK\r\n\r\n"), Err(HeadError::BadStatusLine(_))));
}

/// RFC 9112, section 3: `method SP request-target SP HTTP-version CRLF`.
#[test]
fn request_lines() {
    let spaces = "not exactly one space between method, target and version";
    for (line, reason) in [
        (&b"GET  / HTTP/1.1\r\n"[..], spaces),
        (b"GET\t/ HTTP/1.1\r\n", "the method is not a token"),
        (b"GET /\tHTTP/1.1\r\n", spaces),
        (b"GET /  HTTP/1.1\r\n", "the version is not HTTP/1.1"),
        (b"GET / HTTP/1.1 \r\n", "the line does not end after its version with CRLF"),
        (b"GET / HTTP/1.10\r\n", "the line does not end after its version with CRLF"),
        (b"GET / HTTP/1.1\n", "the line does not end after its version with CRLF"),
        (b"GET / HTTP/1.1\rX", "the line does not end after its version with CRLF"),
        (b"GET / http/1.1\r\n", "the version is not HTTP/1.1"),
        (b"GET / HTTP/1,1\r\n", "the version is not HTTP/1.1"),
        (b"GET / HTTP/\r\n\r\n", "the version is not HTTP/1.1"),
        (b"GET /\r\n", "the version is missing"),
        (b"GET /\n", "the version is missing"),
        (b"GET\r\n", "the method is not a token"),
        (b" GET / HTTP/1.1\r\n", "the method is not a token"),
        (b"G(T / HTTP/1.1\r\n", "the method is not a token"),
        (b"GET /a b HTTP/1.1\r\n", "the version is not HTTP/1.1"),
        (b"GET /a\x7f HTTP/1.1\r\n", "a byte that no target may hold"),
        (b"GET /\xc3\xa0 HTTP/1.1\r\n", "a byte that no target may hold"),
        (b"GET /#f HTTP/1.1\r\n", "a byte that no target may hold"),
        (b"GET /a\x00 HTTP/1.1\r\n", "a byte that no target may hold"),
    ] {
        assert_eq!(line_error(line), reason, "{:?}", String::from_utf8_lossy(line));
    }
}

/// RFC 9112, section 2.3.
#[test]
fn versions() {
    for (version, expected) in [("HTTP/1.1", Version::Http11), ("HTTP/1.0", Version::Http10)] {
        let mut head = RequestHead::default();
        let bytes = format!("GET / {version}\r\n\r\n");
        assert_eq!(parse_request(bytes.as_bytes(), 0, &LIMITS, &mut head), Ok(Parsed::Complete));
        assert_eq!(head.version, expected);
    }
    for version in ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/9.9"] {
        assert_eq!(request(format!("GET / {version}\r\n\r\n").as_bytes()), Err(HeadError::UnsupportedVersion));
        assert_eq!(response(format!("{version} 200 OK\r\n\r\n").as_bytes()), Err(HeadError::UnsupportedVersion));
    }
}

/// What is no HTTP/1.1 is refused as soon as its bytes say so, without waiting for the end of a head.
#[test]
fn garbage_is_refused_early() {
    assert!(request(b"\x16").is_err(), "TLS");
    assert!(request(b"\x00").is_err());
    assert!(request(b"GET /\r").is_err());
    assert_eq!(request(b"PRI * HTTP/2.0"), Err(HeadError::UnsupportedVersion));
    assert!(request(b"GET / HTTQ").is_err());
    assert!(request(b"GET / HTTP/1.1\nHost").is_err());
    assert!(request(b"GET / HTTP/1.1\r\nHost: a\n").is_err());
    assert!(request(b"GET / HTTP/1.1\r\nHost: a\r\n folded").is_err());
    assert!(response(b"ICY").is_err());
    assert!(response(b"\0\0\0\x04\0\0\0\0\0").is_err());
    // Also when an earlier call has seen the bytes before.
    let parse = |bytes: &[u8], scanned| parse_request(bytes, scanned, &LIMITS, &mut RequestHead::default());
    assert!(parse(b"GET /\x01", 5).is_err());
    assert_eq!(parse(b"GET / HTTP/1.1\r\nHost: a\r\nX", 20), Ok(Parsed::Partial));
    assert!(parse(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\nY", 25).is_err());
}

/// RFC 9112, sections 5, 5.1, 5.2; RFC 9110, section 5.5.
#[test]
fn field_lines() {
    for (line, reason) in [
        (&b"X : y"[..], "white space between a name and its colon"),
        (b"X\t: y", "white space between a name and its colon"),
        (b" X: y", "a folded line"),
        (b"\tX: y", "a folded line"),
        (b": y", "a field without a name"),
        (b"X", "a line without a colon"),
        (b"X\x00: y", "a field name is not a token"),
        (b"X\xe9: y", "a field name is not a token"),
        (b"X\"y\": z", "a field name is not a token"),
        (b"\rX: y", "a bare CR"),
        (b"X: a\rb", "a bare CR"),
        (b"X: a\nb", "a bare LF"),
        (b"X: a\n", "a bare LF"),
        (b"X: a\x00b", "a control byte in a value"),
        (b"X: a\x07b", "a control byte in a value"),
        (b"X: a\x7fb", "a control byte in a value"),
        (b"X:\x0ba", "a control byte in a value"),
        (b"X: a\r\n b", "a folded line"),
    ] {
        assert_eq!(field_error(line), reason, "{:?}", String::from_utf8_lossy(line));
    }
    for line in [&b"X:y"[..], b"X:", b"X: \t ", b"X: \xe9\xff\x80", b"X: a\tb", b"!#$%&'*+-.^_`|~09aZ: y", b"X: a:b\"c\""] {
        assert_eq!(with_line(line), Ok(Parsed::Complete), "{:?}", String::from_utf8_lossy(line));
    }
}

/// Every byte of a value is judged alike wherever it stands in the eight that are looked at together.
#[test]
fn value_bytes_at_every_place() {
    for byte in 0..=255u8 {
        for before in 0..17 {
            let mut line = b"X: ".to_vec();
            line.extend(std::iter::repeat_n(b'v', before));
            line.push(byte);
            line.extend_from_slice(b"\xffvvvvvvvvv");
            let allowed = byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
            assert_eq!(with_line(&line).is_ok(), allowed, "{byte:#04x} after {before}");
        }
    }
}

/// RFC 9112, section 4.
#[test]
fn status_lines() {
    let mut head = ResponseHead::default();
    let bytes = b"HTTP/1.1 404 Not \xe9 Found\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(parse_response(bytes, 0, &LIMITS, &mut head), Ok(Parsed::Complete));
    let view = ResponseView { buffer: bytes, head: &head };
    assert_eq!((head.status, view.reason(), head.len), (404, &b"Not \xe9 Found"[..], bytes.len()));
    assert_eq!(view.field(FieldId::ContentLength), Some(&b"0"[..]));
    for good in ["HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 200\r\n\r\n", "HTTP/1.0 599 x\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        assert_eq!(response(good.as_bytes()), Ok(Parsed::Complete), "{good}");
    }
    for bad in [
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1\t200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\n\r\n",
        "HTTP/1.1 200 OK\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        "HTP/1.1 200 OK\r\n\r\n",
    ] {
        assert!(matches!(response(bad.as_bytes()), Err(HeadError::BadStatusLine(_))), "{bad}");
    }
}

#[test]
fn limits_are_kept_to_the_byte() {
    let line = |target: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(target));
    let overhead = line(0).len() - 2;
    let longest = line(LIMITS.start_line_bytes - overhead);
    assert_eq!(request(longest.as_bytes()), Ok(Parsed::Partial));
    let longer = line(LIMITS.start_line_bytes - overhead + 1);
    assert_eq!(request(longer.as_bytes()), Err(HeadError::StartLineTooLong));
    assert_eq!(request("A".repeat(LIMITS.start_line_bytes + 2).as_bytes()), Err(HeadError::StartLineTooLong));

    let head = |value: usize| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "v".repeat(value));
    let overhead = head(0).len();
    let largest = head(LIMITS.head_bytes - overhead);
    assert_eq!(request(largest.as_bytes()), Ok(Parsed::Complete));
    assert_eq!(request(&largest.as_bytes()[..LIMITS.head_bytes - 1]), Ok(Parsed::Partial));
    let larger = head(LIMITS.head_bytes - overhead + 1);
    assert_eq!(request(larger.as_bytes()), Err(HeadError::HeadTooLarge));
    // A full buffer without an end is refused, not waited on; a body behind a whole head does not count.
    let mut table = RequestHead::default();
    let cut = &larger.as_bytes()[..LIMITS.head_bytes];
    assert_eq!(parse_request(cut, LIMITS.head_bytes - 1, &LIMITS, &mut table), Err(HeadError::HeadTooLarge));
    assert_eq!(request(&[largest.as_bytes(), &[b'b'; 2000]].concat()), Ok(Parsed::Complete));

    let fields = |n: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: v\r\n".repeat(n));
    assert_eq!(request(fields(LIMITS.fields).as_bytes()), Ok(Parsed::Complete));
    assert_eq!(request(fields(LIMITS.fields + 1).as_bytes()), Err(HeadError::TooManyFields));
}

#[test]
fn limits_beyond_the_tables_are_refused_and_harmless() {
    let good = HeadLimits { start_line_bytes: 8192, head_bytes: 65_535, fields: MAX_FIELDS };
    assert_eq!(good.check(), Ok(()));
    assert!(HeadLimits { head_bytes: 65_536, ..good }.check().is_err());
    assert!(HeadLimits { start_line_bytes: 65_535, ..good }.check().is_err());
    assert!(HeadLimits { fields: MAX_FIELDS + 1, ..good }.check().is_err());
    assert!(HeadLimits { fields: 0, ..good }.check().is_err());

    let boundless = HeadLimits { start_line_bytes: usize::MAX, head_bytes: usize::MAX, fields: usize::MAX };
    let mut head = RequestHead::default();
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: v\r\n".repeat(MAX_FIELDS + 1));
    assert_eq!(parse_request(many.as_bytes(), 0, &boundless, &mut head), Err(HeadError::TooManyFields));
    let large = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "v".repeat(70_000));
    assert_eq!(parse_request(large.as_bytes(), 0, &boundless, &mut head), Err(HeadError::HeadTooLarge));
    let long = format!("GET /{}", "a".repeat(70_000));
    assert!(parse_request(long.as_bytes(), 0, &boundless, &mut head).is_err());
}

/// Bytes that look like heads, mostly: pieces of well-formed and odd ones.
fn headlike() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "\r\nPOST /a?b=c%20d HTTP/1.0\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 404 Not Found\r\n",
    ]);
    let line = prop::sample::select(vec![
        "Host: a\r\n",
        "X-A:\t b c \r\n",
        "X:\r\n",
        "x-ca-key:1\r\n",
        "Content-Length: 5\r\n",
        "X: \u{e9}\r\n",
        "\r\n",
    ]);
    let noise = (any::<prop::sample::Index>(), prop::sample::select(b"\r\n\t :\0\x7f\x80#aZ/1.".to_vec()), any::<bool>());
    (start, prop::collection::vec(line, 0..8), prop::collection::vec(noise, 0..3), any::<bool>()).prop_map(
        |(start, lines, noise, ended)| {
            let mut bytes = start.as_bytes().to_vec();
            lines.iter().for_each(|line| bytes.extend_from_slice(line.as_bytes()));
            if ended {
                bytes.extend_from_slice(b"\r\nGET");
            }
            for (index, byte, replace) in noise {
                let at = index.index(bytes.len());
                if replace {
                    bytes[at] = byte;
                } else {
                    bytes.insert(at, byte);
                }
            }
            bytes
        },
    )
}

/// The outcome for each length of a prefix, from the start and as a continuation of the one before.
fn outcomes(bytes: &[u8], parse: impl Fn(&[u8], usize) -> Result<Option<usize>, HeadError>) -> Result<(), TestCaseError> {
    let mut refused = false;
    let mut complete = None;
    let mut continued = Ok(None);
    for len in 0..=bytes.len() {
        let fresh = parse(&bytes[..len], 0);
        if let Some(head_len) = complete {
            prop_assert_eq!(fresh, Ok(Some(head_len)), "what follows a head does not change it");
            continue;
        }
        prop_assert!(!refused || fresh.is_err(), "more bytes mend nothing");
        refused = fresh.is_err();
        if continued == Ok(None) {
            continued = parse(&bytes[..len], len.saturating_sub(1));
            prop_assert!(!(continued.is_err() && fresh.is_ok()), "{:?} {:?}", continued, fresh);
        }
        if let Ok(Some(head_len)) = fresh {
            prop_assert_eq!(head_len, len, "a head is whole with its last byte");
            prop_assert_eq!(continued, fresh);
            complete = Some(head_len);
        }
    }
    Ok(())
}

fn request_len(bytes: &[u8], scanned: usize) -> Result<Option<usize>, HeadError> {
    let mut head = RequestHead::default();
    parse_request(bytes, scanned, &LIMITS, &mut head).map(|parsed| (parsed == Parsed::Complete).then_some(head.len))
}

fn response_len(bytes: &[u8], scanned: usize) -> Result<Option<usize>, HeadError> {
    let mut head = ResponseHead::default();
    parse_response(bytes, scanned, &LIMITS, &mut head).map(|parsed| (parsed == Parsed::Complete).then_some(head.len))
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), scanned in 0usize..700) {
        let tight = HeadLimits { start_line_bytes: 40, head_bytes: 100, fields: 3 };
        for limits in [LIMITS, tight] {
            let _ = parse_request(&bytes, scanned, &limits, &mut RequestHead::default());
            let _ = parse_response(&bytes, scanned, &limits, &mut ResponseHead::default());
        }
    }

    #[test]
    fn a_growing_head_is_partial_then_whole_or_refused_for_good(bytes in headlike()) {
        outcomes(&bytes, request_len)?;
        outcomes(&bytes, response_len)?;
    }

    /// Whatever passes here, a parser that many peers use reads the same.
    #[test]
    fn accepted_heads_read_the_same_to_httparse(bytes in headlike()) {
        let mut head = RequestHead::default();
        if parse_request(&bytes, 0, &LIMITS, &mut head) == Ok(Parsed::Complete) {
            let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
            let mut theirs = httparse::Request::new(&mut fields);
            prop_assert_eq!(theirs.parse(&bytes), Ok(httparse::Status::Complete(head.len)));
            let ours = RequestView { buffer: &bytes, head: &head };
            prop_assert_eq!(theirs.method.map(str::as_bytes), Some(ours.method()));
            prop_assert_eq!(theirs.path.map(str::as_bytes), Some(ours.target()));
            prop_assert_eq!(theirs.version, Some(u8::from(head.version == Version::Http11)));
            let theirs: Vec<_> = theirs.headers.iter().map(|h| (h.name.as_bytes(), h.value)).collect();
            prop_assert_eq!(theirs, ours.fields().map(|(_, name, value)| (name, value)).collect::<Vec<_>>());
        }
        let mut head = ResponseHead::default();
        if parse_response(&bytes, 0, &LIMITS, &mut head) == Ok(Parsed::Complete) {
            let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
            let mut theirs = httparse::Response::new(&mut fields);
            prop_assert_eq!(theirs.parse(&bytes), Ok(httparse::Status::Complete(head.len)));
            let ours = ResponseView { buffer: &bytes, head: &head };
            prop_assert_eq!(theirs.code, Some(head.status));
            let theirs: Vec<_> = theirs.headers.iter().map(|h| (h.name.as_bytes(), h.value)).collect();
            prop_assert_eq!(theirs, ours.fields().map(|(_, name, value)| (name, value)).collect::<Vec<_>>());
        }
    }
}

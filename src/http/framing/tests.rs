use super::*;
use crate::http::connection::HopByHop;
use crate::http::head::{HeadLimits, Parsed, RequestHead, ResponseHead, parse_request, parse_response};

const LIMITS: HeadLimits = HeadLimits { start_line_bytes: 256, head_bytes: 2048, fields: 32 };

fn request_with(line: &str, fields: &str) -> Result<RequestFraming, HeadError> {
    let bytes = format!("{line}\r\n{fields}\r\n");
    let mut head = RequestHead::default();
    assert_eq!(parse_request(bytes.as_bytes(), 0, &LIMITS, &mut head), Ok(Parsed::Complete), "{bytes:?}");
    request_framing(&RequestView { buffer: bytes.as_bytes(), head: &head })
}

fn request(fields: &str) -> Result<RequestFraming, HeadError> {
    request_with("POST / HTTP/1.1", fields)
}

fn response_with(line: &str, fields: &str, to_head: bool) -> Result<ResponseFraming, HeadError> {
    let bytes = format!("{line}\r\n{fields}\r\n");
    let mut head = ResponseHead::default();
    assert_eq!(parse_response(bytes.as_bytes(), 0, &LIMITS, &mut head), Ok(Parsed::Complete), "{bytes:?}");
    response_framing(&ResponseView { buffer: bytes.as_bytes(), head: &head }, to_head)
}

fn response(status: u16, fields: &str) -> Result<ResponseFraming, HeadError> {
    response_with(&format!("HTTP/1.1 {status} x"), fields, false)
}

fn body(fields: &str) -> Result<BodyLength, HeadError> {
    request(fields).map(|framing| framing.body)
}

/// RFC 9112, section 6.2; RFC 9110, section 8.6.
#[test]
fn content_length_is_one_decimal_number() {
    assert_eq!(body(""), Ok(BodyLength::None));
    assert_eq!(body("Content-Length: 0\r\n"), Ok(BodyLength::None));
    assert_eq!(body("content-length: 5\r\n"), Ok(BodyLength::Exact(5)));
    assert_eq!(body("Content-Length: 00042\r\n"), Ok(BodyLength::Exact(42)));
    assert_eq!(body("Content-Length: 9223372036854775807\r\n"), Ok(BodyLength::Exact(i64::MAX as u64)));
    for bad in [
        "",
        "+5",
        "-5",
        "5,5",
        "5, 5",
        "5 5",
        "0x5",
        "5e0",
        "5.0",
        "\"5\"",
        "five",
        "5;",
        ",5",
        "5\u{ff15}",
        "9223372036854775808",
        "18446744073709551616",
        "18446744073709551621",
        "99999999999999999999999999",
    ] {
        let refused = body(&format!("Content-Length: {bad}\r\n"));
        assert!(matches!(refused, Err(HeadError::BadContentLength(_))), "{bad}: {refused:?}");
    }
    for twice in ["Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5\r\nX: y\r\ncontent-length: 5\r\n"] {
        assert!(matches!(body(twice), Err(HeadError::BadContentLength(_))));
    }
}

/// RFC 9112, sections 6.1 and 6.3.
#[test]
fn transfer_encoding_is_a_lone_chunked() {
    assert_eq!(body("Transfer-Encoding: chunked\r\n"), Ok(BodyLength::Chunked));
    assert_eq!(body("transfer-encoding: \tCHUNKED \r\n"), Ok(BodyLength::Chunked));
    for other in ["gzip, chunked", "identity, chunked", "x,chunked"] {
        assert_eq!(body(&format!("Transfer-Encoding: {other}\r\n")), Err(HeadError::UnsupportedTransferEncoding), "{other}");
    }
    for bad in [
        "",
        "identity",
        "gzip",
        "chunked, gzip",
        "chunked, chunked",
        "xchunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunked,",
        ",chunked",
        "chun ked",
        "chunked identity",
        "chunked\u{a0}",
        "chunkedchunked",
    ] {
        let refused = body(&format!("Transfer-Encoding: {bad}\r\n"));
        assert!(matches!(refused, Err(HeadError::BadTransferEncoding(_))), "{bad}: {refused:?}");
    }
    for disputed in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert!(matches!(body(disputed), Err(HeadError::BadTransferEncoding(_))), "{disputed}");
    }
    let old = request_with("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n");
    assert!(matches!(old, Err(HeadError::BadTransferEncoding(_))));
    let old = response_with("HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n", false);
    assert!(matches!(old, Err(HeadError::BadTransferEncoding(_))));
}

#[test]
fn any_method_may_have_a_body_but_tunnels_and_echoes_are_refused() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PURGE"] {
        let framing = request_with(&format!("{method} / HTTP/1.1"), "Content-Length: 5\r\n").unwrap();
        assert_eq!(framing.body, BodyLength::Exact(5));
    }
    for method in ["CONNECT", "TRACE"] {
        assert_eq!(request_with(&format!("{method} / HTTP/1.1"), ""), Err(HeadError::UnsupportedMethod));
    }
}

/// RFC 9112, section 9.3.
#[test]
fn connections_go_on_as_agreed() {
    for (version, fields, goes_on) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Keep-Alive\r\n", true),
        ("1.1", "Connection: keep-alive, CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: ,close ,\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Proxy-Connection: keep-alive\r\n", false),
    ] {
        let framing = request_with(&format!("GET / HTTP/{version}"), fields).unwrap();
        assert_eq!(framing.keep_alive, goes_on, "{version} {fields:?}");
        let fields = format!("{fields}Content-Length: 1\r\n");
        let framing = response_with(&format!("HTTP/{version} 200 OK"), &fields, false).unwrap();
        assert_eq!(framing.keep_alive, goes_on, "{version} {fields:?}");
    }
}

/// RFC 9110, section 7.6.1: what `Connection` names is dropped by the next hop, so it may name nothing that matters there.
#[test]
fn connection_names_no_field_that_must_pass() {
    for name in [
        "content-length",
        "Transfer-Encoding",
        "host, close",
        "close, Authorization",
        "X-Ca-Key",
        "x-ca-anything",
        "x-ca-",
        "Content-MD5",
        "Content-Type",
        "date",
        "expect",
        "X-Forwarded-For",
    ] {
        let fields = format!("Connection: {name}\r\nContent-Length: 5\r\n");
        assert!(matches!(request(&fields), Err(HeadError::BadConnection(_))), "{name}");
        assert!(matches!(response(200, &fields), Err(HeadError::BadConnection(_))), "{name}");
    }
    assert!(matches!(request("Connection: a b\r\n"), Err(HeadError::BadConnection(_))));
    for name in ["Upgrade, HTTP2-Settings", "TE", "close, token, upgrade, token, keep-alive", "X-Cache", ""] {
        assert!(request(&format!("Connection: {name}\r\n")).is_ok(), "{name}");
    }
}

/// RFC 9110, section 10.1.1.
#[test]
fn expectations() {
    let expects = |line: &str, fields: &str| request_with(line, fields).map(|framing| framing.expects_continue);
    let expect = "Content-Length: 5\r\nExpect: 100-Continue\r\n";
    assert_eq!(expects("POST / HTTP/1.1", expect), Ok(true));
    assert_eq!(expects("POST / HTTP/1.0", expect), Ok(false));
    assert_eq!(expects("POST / HTTP/1.1", "Expect: 100-continue\r\n"), Ok(false), "there is no body to wait for");
    assert_eq!(expects("POST / HTTP/1.0", "Expect: other\r\n"), Ok(false));
    for bad in ["", "other", "100-continue, other", "100-continue\r\nExpect: 100-continue"] {
        assert_eq!(expects("POST / HTTP/1.1", &format!("Expect: {bad}\r\n")), Err(HeadError::BadExpect), "{bad}");
    }
}

/// RFC 9112, section 6.3, rule 1.
#[test]
fn some_answers_have_no_body_whatever_their_fields_say() {
    for status in [100, 103, 199, 204, 304] {
        for (fields, in_order) in [
            ("", true),
            ("Content-Length: 0\r\n", true),
            ("Content-Length: 5\r\n", false),
            ("Transfer-Encoding: chunked\r\n", false),
        ] {
            let framing = response(status, fields).unwrap();
            assert_eq!(
                framing,
                ResponseFraming { body: BodyLength::None, keep_alive: in_order || status == 304 },
                "{status} {fields}"
            );
        }
    }
    for fields in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let framing = response_with("HTTP/1.1 200 OK", fields, true).unwrap();
        assert_eq!(framing, ResponseFraming { body: BodyLength::None, keep_alive: true }, "{fields}");
    }
    assert!(matches!(response(101, "Upgrade: h2c\r\nConnection: upgrade\r\n"), Err(HeadError::BadStatusLine(_))));
}

#[test]
fn other_answers_say_where_they_end() {
    assert_eq!(response(200, "Content-Length: 5\r\n"), Ok(ResponseFraming { body: BodyLength::Exact(5), keep_alive: true }));
    assert_eq!(response(200, "Content-Length: 0\r\n"), Ok(ResponseFraming { body: BodyLength::None, keep_alive: true }));
    assert_eq!(
        response(200, "Transfer-Encoding: chunked\r\n"),
        Ok(ResponseFraming { body: BodyLength::Chunked, keep_alive: true })
    );
    assert_eq!(response(200, ""), Ok(ResponseFraming { body: BodyLength::UntilClose, keep_alive: false }));
    assert_eq!(response(205, "Content-Length: 0\r\n"), Ok(ResponseFraming { body: BodyLength::None, keep_alive: true }));
    assert!(matches!(response(205, "Content-Length: 5\r\n"), Err(HeadError::BadContentLength(_))));
    for bad in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
    ] {
        assert!(response(200, bad).is_err(), "{bad}");
        assert!(response(304, bad).is_err(), "{bad}: also where no body follows");
    }
}

/// RFC 9110, section 7.6.1.
#[test]
fn hop_by_hop_fields_stay_behind() {
    let dropped = |fields: &str| {
        let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        let mut head = ResponseHead::default();
        parse_response(bytes.as_bytes(), 0, &LIMITS, &mut head).unwrap();
        let response = ResponseView { buffer: bytes.as_bytes(), head: &head };
        let hop_by_hop = HopByHop::of_response(&response);
        let dropped = head.fields.iter().filter(|field| hop_by_hop.drops(field));
        dropped.map(|field| String::from_utf8_lossy(field.name.of(bytes.as_bytes()))).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        dropped(
            "Keep-Alive: a\r\nProxy-Connection: a\r\nProxy-Authenticate: a\r\nProxy-Authorization: a\r\nTE: a\r\nTrailer: a\r\nTransfer-Encoding: a\r\nUpgrade: a\r\nServer: a\r\n"
        ),
        "Keep-Alive Proxy-Connection Proxy-Authenticate Proxy-Authorization TE Trailer Transfer-Encoding Upgrade"
    );
    assert_eq!(dropped("Connection: close\r\nX-A: 1\r\n"), "Connection");
    assert_eq!(
        dropped("X-B: 0\r\nConnection: keep-alive, x-a\r\nX-A: 1\r\nX-B: 2\r\nConnection: X-B\r\nX-C: 3\r\n"),
        "X-B Connection X-A X-B Connection"
    );
    assert_eq!(
        dropped("Connection: server\r\nServer: a\r\nDate: b\r\n"),
        "Connection Server",
        "names that the gateway knows, too"
    );
}

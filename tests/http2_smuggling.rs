//! Heads of HTTP/2 that could come to mean something else in HTTP/1.1: each reaches the backend as one request that means what it
//! said, or does not reach it.

use lockgate_test_support::{Backend, Config, Frame, FrameClient, Gateway, eventually, fields_block};

const ENDS: u8 = Frame::END_HEADERS | Frame::END_STREAM;

/// A request of these fields, and the usual ones that `but` does not name.
fn head<'a>(but: &[&str], extra: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "api.test")];
    usual.into_iter().filter(|(name, _)| !but.contains(name)).chain(extra.iter().copied()).collect()
}

/// Sends them, and then a request whose answer tells that they have been dealt with.
fn deal_with(gateway: &Gateway, backend: &Backend, fields: &[(&str, &str)]) {
    let mut client = FrameClient::connect(gateway.address);
    client.frame(&Frame::new(Frame::HEADERS, ENDS, 1, fields_block(fields)));
    let answer = client.wait_for(&[Frame::HEADERS, Frame::RST_STREAM, Frame::GOAWAY]);
    let before = backend.count();
    let mut client = FrameClient::connect(gateway.address);
    client.frame(&Frame::get(1, "/after")).wait_for(&[Frame::HEADERS]);
    eventually("the next request is there", || (backend.count() > before).then_some(()));
    assert!(answer.kind != Frame::HEADERS || answer.stream == 1);
}

#[test]
fn what_could_mean_something_else_does_not_pass() {
    let pseudo = |name, value| head(&[name], &[(name, value)]);
    let with = |name, value| head(&[], &[(name, value)]);
    let cases = [
        ("a method with a line of its own", pseudo(":method", "GET / HTTP/1.1\r\nHost: evil\r\n\r\nGET")),
        ("a method with a blank", pseudo(":method", "GET /evil")),
        ("no method", pseudo(":method", "")),
        ("a method that is no token", pseudo(":method", "G(T")),
        ("a path with a line of its own", pseudo(":path", "/ HTTP/1.1\r\nX: y\r\n\r\nGET /evil")),
        ("a path with a blank", pseudo(":path", "/a b")),
        ("a path with a zero", pseudo(":path", "/a\0b")),
        ("a path without a slash", pseudo(":path", "evil")),
        ("a path that goes up", pseudo(":path", "/a/../../evil")),
        ("a star that is not for OPTIONS", pseudo(":path", "*")),
        ("no path", pseudo(":path", "")),
        ("two paths", with(":path", "/evil")),
        ("an authority with a user", pseudo(":authority", "api.test@evil.test")),
        ("an authority with a path", pseudo(":authority", "api.test/evil")),
        ("an authority with a line of its own", pseudo(":authority", "api.test\r\nX: y")),
        ("an authority with a blank", pseudo(":authority", "api.test evil.test")),
        ("two authorities", with(":authority", "evil.test")),
        ("a host that differs", with("host", "evil.test")),
        ("two hosts without an authority", head(&[":authority"], &[("host", "api.test"), ("host", "evil.test")])),
        ("neither host nor authority", head(&[":authority"], &[])),
        ("a scheme with a blank", pseudo(":scheme", "http x")),
        ("a pseudo-field behind a field", head(&[":path"], &[("x", "1"), (":path", "/evil")])),
        ("a pseudo-field that is not known", with(":evil", "1")),
        ("another protocol without CONNECT", with(":protocol", "websocket")),
        ("extended CONNECT", head(&[":method"], &[(":method", "CONNECT"), (":protocol", "websocket")])),
        ("CONNECT", head(&[":method", ":scheme", ":path", ":authority"], &[(":method", "CONNECT"), (":authority", "evil:443")])),
        ("an upper-case name", with("X-Up", "1")),
        ("a name of no length", with("", "1")),
        ("a name with a colon", with("x: y\r\nz", "1")),
        ("a name that ends with a colon", with("transfer-encoding:", "chunked")),
        ("a name with a blank", with("transfer-encoding ", "chunked")),
        ("a value with a line of its own", with("x", "1\r\nTransfer-Encoding: chunked")),
        ("a value with a line feed", with("x", "1\nTransfer-Encoding: chunked")),
        ("a value with a zero", with("x", "a\0b")),
        ("a transfer coding", with("transfer-encoding", "chunked")),
        ("a transfer coding of none", with("transfer-encoding", "identity")),
        ("a field of the connection", with("connection", "content-length")),
        ("another field of the connection", with("proxy-connection", "keep-alive")),
        ("one more", with("keep-alive", "timeout=5")),
        ("a switch", with("upgrade", "websocket")),
        ("codings of transfer that are taken", with("te", "gzip")),
        ("a length where nothing comes", with("content-length", "5")),
        ("a length with a sign", with("content-length", "+0")),
        ("a list of lengths", with("content-length", "0, 0")),
        ("two lengths", head(&[], &[("content-length", "0"), ("content-length", "5")])),
        ("no number for a length", with("content-length", "0x0")),
        ("an empty length", with("content-length", "")),
    ];
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).http2().start();
    for (name, fields) in cases {
        let before = backend.requests().len();
        deal_with(&gateway, &backend, &fields);
        let got: Vec<_> = backend.requests()[before..].iter().map(|request| request.target().to_owned()).collect();
        assert_eq!(got, ["/after"], "{name}");
    }
}

#[test]
fn what_passes_means_what_it_said() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).http2().start();
    let cases = [
        // `http::Uri` leaves a fragment out before anybody hears of it.
        ("a path with a fragment", head(&[":path"], &[(":path", "/a#b")]), "GET /a HTTP/1.1"),
        ("a host in the place of an authority", head(&[":authority"], &[("host", "api.test")]), "GET / HTTP/1.1"),
        ("a host that says the same", head(&[], &[("host", "API.test")]), "GET / HTTP/1.1"),
        ("te: trailers", head(&[], &[("te", "trailers")]), "GET / HTTP/1.1"),
        ("a query of anything", head(&[":path"], &[(":path", "/?a=%0d%0aX:%20y")]), "GET /?a=%0d%0aX:%20y HTTP/1.1"),
        ("a method of its own", head(&[":method"], &[(":method", "PURGE")]), "PURGE / HTTP/1.1"),
        ("blanks around a value", head(&[], &[("x-a", "  1 ")]), "GET / HTTP/1.1"),
        ("a length of nothing", head(&[], &[("content-length", "0")]), "GET / HTTP/1.1"),
    ];
    for (name, fields, line) in cases {
        let before = backend.requests().len();
        deal_with(&gateway, &backend, &fields);
        let requests = &backend.requests()[before..];
        assert_eq!(requests.len(), 2, "{name}");
        let first = &requests[0];
        assert_eq!(first.start_line, line, "{name}");
        // A value has no blanks around it, whoever has sent them.
        assert!(first.field("x-a").is_none_or(|value| value == "1"), "{name}");
        assert!(first.field("te").is_none() && first.field("transfer-encoding").is_none() && first.body.is_empty(), "{name}");
    }
}

use proptest::prelude::*;

use super::*;
use crate::http::head::{HeadLimits, Parsed, RequestHead, parse_request};

const LIMITS: HeadLimits = HeadLimits { start_line_bytes: 256, head_bytes: 1024, fields: 16 };

fn refused(method: &str, target: &str) -> &'static str {
    match parse_target(method.as_bytes(), target.as_bytes()) {
        Err(HeadError::BadTarget(reason)) => reason,
        other => panic!("{target}: {other:?}"),
    }
}

type Parts<'a> = (Option<&'a str>, &'a str, Option<&'a str>);

fn parts<'a>(method: &str, target: &'a str) -> Parts<'a> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    let target = parse_target(method.as_bytes(), target.as_bytes()).unwrap_or_else(|error| panic!("{target}: {error:?}"));
    (target.authority.map(text), text(target.path), target.query.map(text))
}

/// RFC 9112, section 3.2.
#[test]
fn the_forms_of_a_target() {
    assert_eq!(parts("GET", "/"), (None, "/", None));
    assert_eq!(parts("GET", "/a/b?c=d?e"), (None, "/a/b", Some("c=d?e")), "the first `?` starts the query");
    assert_eq!(parts("GET", "/?"), (None, "/", Some("")));
    assert_eq!(parts("GET", "//a"), (None, "//a", None));
    assert_eq!(parts("GET", "http://localhost/x?y"), (Some("localhost"), "/x", Some("y")));
    assert_eq!(parts("GET", "HttPs://a:80"), (Some("a:80"), "/", None));
    assert_eq!(parts("GET", "http://a?q"), (Some("a"), "/", Some("q")));
    assert_eq!(parts("GET", "http://a?q/../"), (Some("a"), "/", Some("q/../")));
    assert_eq!(parts("OPTIONS", "*"), (None, "*", None));

    assert_eq!(refused("GET", "*"), "`*` is for OPTIONS only");
    for other in ["localhost:80", "foo/bar", "ftp://a/", "http:/a", "http:a", "https:", "*/", "?q", "%2f"] {
        assert_eq!(refused("GET", other), "neither a path nor an http URI", "{other}");
    }
    assert_eq!(parse_target(b"CONNECT", b"a:443"), Err(HeadError::UnsupportedMethod));
    assert_eq!(parse_target(b"CONNECT", b"/"), Err(HeadError::UnsupportedMethod));
}

/// RFC 3986, section 2.1.
#[test]
fn every_escape_is_well_formed() {
    for bad in ["/%", "/%2", "/%zz", "/a%2", "/a?b=%", "/a?%0g", "http://a/%x0"] {
        assert_eq!(refused("GET", bad), "a percent sign without two hexadecimal digits", "{bad}");
    }
    assert_eq!(parts("GET", "/%2F%7e%25?%00"), (None, "/%2F%7e%25", Some("%00")));
}

/// No path passes that a backend may resolve to another one.
#[test]
fn dot_segments_are_refused_however_spelled() {
    for bad in [
        "/.",
        "/..",
        "/./a",
        "/../a",
        "/a/..",
        "/a/.",
        "/a/../b",
        "/a/./b",
        "/%2e",
        "/%2E%2e/a",
        "/.%2e/a",
        "/a/%2e./b",
        "/a/..%2fb",
        "/a%2f..%2fb",
        "/a%2f..",
        "/a/..%5cb",
        "/a%5C../b",
        "/..;/a",
        "/a/..;x=1/b",
        "/.;/a",
        "/..%3b/a",
        "http://h/../a",
        "/..?q",
    ] {
        assert_eq!(refused("GET", bad), "a dot segment in the path", "{bad}");
    }
    for good in [
        "/...",
        "/.a",
        "/a.",
        "/..a",
        "/a..",
        "/a..b/c.d",
        "/%2e%2e%2e",
        "/a;..",
        "/a;/x",
        "/.well-known/x",
        "/a?../..",
        "/a..%2f",
    ] {
        parts("GET", good);
    }
    assert_eq!(refused("GET", "/a\\b"), "a backslash in the path");
    assert_eq!(refused("GET", "/a%00"), "a NUL in the path");
}

/// RFC 9110, section 7.2; RFC 3986, section 3.2.
#[test]
fn authorities() {
    for (value, host) in [
        ("a", "a"),
        ("A.example.com", "A.example.com"),
        ("a:80", "a"),
        ("a:", "a"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[2001:db8::1]:65535", "[2001:db8::1]"),
        ("a_b.c-d~", "a_b.c-d~"),
        ("a.", "a."),
        ("a:00080", "a"),
    ] {
        assert_eq!(authority(value.as_bytes()), Ok(host.as_bytes()), "{value}");
    }
    for bad in [
        "",
        ":80",
        "a b",
        "a,b",
        "a/b",
        "a?b",
        "a#b",
        "u@a",
        "u:p@a",
        "a:b",
        "a:8 0",
        "a:+80",
        "a:65536",
        "a:000080",
        "a:80:80",
        "[::1",
        "[]",
        "[::1]a",
        "[::1]:x",
        "[1.2.3.4]",
        "[v1.a]",
        "[fe80::1%25eth0]",
        "::1",
        "a<b",
        "a%41",
        "\u{e9}",
        "a\\b",
        "]",
        "a[b]",
    ] {
        assert!(matches!(authority(bad.as_bytes()), Err(HeadError::BadHost(_))), "{bad}");
    }
}

fn host(line: &str, fields: &str) -> Result<String, HeadError> {
    let bytes = format!("{line}\r\n{fields}\r\n");
    let mut head = RequestHead::default();
    assert_eq!(parse_request(bytes.as_bytes(), 0, &LIMITS, &mut head), Ok(Parsed::Complete));
    let request = RequestView { buffer: bytes.as_bytes(), head: &head };
    let target = parse_target(request.method(), request.target())?;
    host_of(&request, &target).map(|host| String::from_utf8_lossy(host).into_owned())
}

/// RFC 9112, sections 3.2 and 3.2.2.
#[test]
fn the_host_that_is_called() {
    assert_eq!(host("GET / HTTP/1.1", "Host: a:80\r\n").as_deref(), Ok("a"));
    assert_eq!(host("GET / HTTP/1.0", "Host: a\r\n").as_deref(), Ok("a"));
    assert_eq!(host("GET / HTTP/1.0", "").as_deref(), Ok(""));
    assert_eq!(host("GET http://b:81/ HTTP/1.1", "Host: a\r\n").as_deref(), Ok("b"), "the target's authority wins");
    assert_eq!(host("GET http://b HTTP/1.0", "").as_deref(), Ok("b"));
    for (line, fields) in [
        ("GET / HTTP/1.1", ""),
        ("GET http://a/ HTTP/1.1", ""),
        ("GET / HTTP/1.1", "Host:\r\n"),
        ("GET / HTTP/1.0", "Host:\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nHost: a\r\n"),
        ("GET / HTTP/1.0", "Host: a\r\nhost: b\r\n"),
        ("GET http://a/ HTTP/1.1", "Host: a b\r\n"),
        ("GET http://u@a/ HTTP/1.1", "Host: a\r\n"),
        ("GET http:///x HTTP/1.1", "Host: a\r\n"),
    ] {
        assert!(matches!(host(line, fields), Err(HeadError::BadHost(_))), "{line} {fields:?}");
    }
}

proptest! {
    /// The judgement of paths agrees with a slow one: decode, split, look.
    #[test]
    fn paths_are_judged_like_a_decoded_path(pieces in prop::collection::vec(prop::sample::select(vec!["/", ".", "..", "a", "%2e", "%2F", "%5c", ";", "%3B", "%00", "%41"]), 0..10)) {
        let path = format!("/{}", pieces.concat());
        let mut decoded = Vec::new();
        percent::decode_path_segment(path.as_bytes(), &mut decoded).unwrap();
        let bad = decoded.contains(&0)
            || decoded.split(|b| matches!(b, b'/' | b'\\')).any(|segment| {
                matches!(segment.split(|&b| b == b';').next(), Some(b"." | b".."))
            });
        prop_assert_eq!(parse_target(b"GET", path.as_bytes()).is_err(), bad, "{}", path);
    }
}

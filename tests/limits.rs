//! Limits of a head and of connections: what is over them is refused with its code, and the connection ends.

use lockgate::document::limits::Limit;
use lockgate_test_support::{Backend, Config, Gateway, Request, repository};

fn start(backend: &Backend, limits: &str) -> Gateway {
    Config::open(backend.address).instance("workers = 1").table("limits", limits).start()
}

/// Refused, and closed: nothing that follows is read as another request.
#[track_caller]
fn assert_ends(gateway: &Gateway, request: &[u8], code: &str) {
    let mut client = gateway.client();
    client.send([request, &Request::get("/smuggled").bytes()].concat());
    client.response("GET").assert_refused(code);
    client.assert_closed();
}

/// `lockgate limits` has a row for each, with value, unit and range; and each is set by a test that reaches it.
#[test]
fn every_limit_is_shown_and_reached_by_a_test() {
    let backend = Backend::ok();
    let gateway = start(&backend, "retry_percent = 7");
    let shown = gateway.ok(&["limits"]);
    let tests: String = std::fs::read_dir(repository().join("tests"))
        .expect("the tests can be listed")
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().extension().is_some_and(|end| end == "rs")))
        .map(|entry| std::fs::read_to_string(entry.path()).expect("a test can be read"))
        .collect();
    for limit in Limit::ALL {
        let (key, unit) = (limit.key(), limit.unit().name());
        let row =
            shown.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap_or_else(|| panic!("{key}: {shown}"));
        let words: Vec<_> = row.split_whitespace().collect();
        let value = if key == "retry_percent" { "7" } else { words[1] };
        let with_unit = if unit.is_empty() { vec![value] } else { vec![value, unit] };
        assert!(words[1..].starts_with(&with_unit), "{row}");
        assert!(row.contains(&format!(" {} to {} ", limit.range().start(), limit.range().end())), "{row}");
        assert!(row.ends_with(limit.about()), "{row}");
        let is_set = |form: String| tests.contains(&form);
        assert!(is_set(format!("{key} = ")) || is_set(format!("{key}\"")), "no test sets {key}");
    }
}

#[test]
fn the_request_line() {
    let backend = Backend::ok();
    let gateway = start(&backend, "start_line_bytes = 300");
    // `GET `, ` HTTP/1.1`: 13 bytes.
    gateway.get(&format!("/{}", "x".repeat(286))).assert_passed();
    assert_ends(&gateway, &Request::get(&format!("/{}", "x".repeat(300))).bytes(), "I413UL");
    assert_eq!(backend.count(), 1);
}

#[test]
fn the_number_of_fields() {
    let backend = Backend::ok();
    let gateway = start(&backend, "head_fields = 10");
    let with = |n: usize| (0..n).fold(Request::get("/"), |request, i| request.field(&format!("X-{i}"), "1"));
    // `Host` is one of them.
    gateway.call(&with(9)).assert_passed();
    assert_ends(&gateway, &with(10).bytes(), "I400HD");
    assert_eq!(backend.count(), 1);
}

#[test]
fn the_size_of_a_head() {
    let backend = Backend::ok();
    let gateway = start(&backend, "start_line_bytes = 1000\nhead_bytes = 2000");
    let with = |n: usize| Request::get("/").field("X-Long", "x".repeat(n));
    gateway.call(&with(1900)).assert_passed();
    assert_ends(&gateway, &with(2000).bytes(), "I400HD");
    // A head without an end is refused as soon as it is too large, not at its time-out.
    let mut client = gateway.client();
    client.send(format!("GET / HTTP/1.1\r\nX-Endless: {}", "x".repeat(3000)));
    client.response("GET").assert_refused("I400HD");
    assert_eq!(backend.count(), 1);
}

#[test]
fn the_largest_head_that_may_be_set_passes() {
    let backend = Backend::ok();
    let gateway = start(&backend, "head_bytes = 65535");
    gateway.call(&Request::get("/").field("X-Long", "x".repeat(60_000))).assert_passed();
    assert_eq!(backend.next().field("X-Long").map(str::len), Some(60_000));
}

#[test]
fn trailers_and_chunk_extensions() {
    let backend = Backend::ok();
    let gateway = start(&backend, "trailer_bytes = 100\nchunk_extension_bytes = 100");
    let post = |body: String| Request::new("POST", "/").field("Transfer-Encoding", "chunked").body(body);
    gateway.call(&post(format!("1;x={}\r\na\r\n0\r\nX-T: {}\r\n\r\n", "x".repeat(50), "x".repeat(50)))).assert_passed();
    gateway.call(&post(format!("1;x={}\r\na\r\n0\r\n\r\n", "x".repeat(150)))).assert_refused("I400BD");
    gateway.call(&post(format!("1\r\na\r\n0\r\nX-T: {}\r\n\r\n", "x".repeat(150)))).assert_refused("I400BD");
    assert_eq!(backend.count(), 1, "nothing that was refused became whole");
}

#[test]
fn methods_and_versions_that_are_not_served() {
    let backend = Backend::ok();
    let gateway = start(&backend, "");
    assert_ends(&gateway, b"GET / HTTP/2.0\r\nHost: api.test\r\n\r\n", "I400RU");
    assert_ends(&gateway, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "I400RU");
    assert_ends(&gateway, b"GET / HTTP/1.1\r\nHost: api.test\r\nExpect: 200-maybe\r\n\r\n", "I400HD");
    assert_ends(&gateway, b"GET / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "I400HD");
    gateway.call(&Request::new("CONNECT", "api.test:443")).assert_refused("I405UM");
    gateway.call(&Request::new("TRACE", "/")).assert_refused("I405UM");
    assert_eq!(backend.count(), 0);
}

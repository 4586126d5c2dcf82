//! What an intermediary says of itself and must watch for: `Via` and loops, `Max-Forwards`, `https` URIs without TLS.

use lockgate_test_support::{Api, Backend, Config, Request};

#[test]
fn backends_are_told_through_what_they_are_called() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.call(&Request::get("/").field("Via", "1.1 first").field("via", "2 b (c, d), HTTP/1.1 e")).assert_passed();
    let received = backend.next();
    assert_eq!(received.all("Via").collect::<Vec<_>>(), ["1.1 first", "2 b (c, d), HTTP/1.1 e", "1.1 test"]);
    // The version is that of the message received, not of the one sent.
    client.send("GET / HTTP/1.0\r\nHost: api.test\r\n\r\n");
    client.response("GET").assert_passed();
    assert_eq!(backend.next().field("Via"), Some("1.0 test"));
}

#[test]
fn a_call_that_has_been_here_is_refused() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    for via in ["1.1 test", "1.0 a, 1.1\tTEST (x)", "HTTP/1.1 test", ", ,1.1  test ,1.1 b"] {
        gateway.call(&Request::get("/").field("Via", "1.1 other").field("Via", via)).assert_refused("I508LD");
    }
    for via in ["1.1 tests", "test 1.1", "1.1 other (test)", "test", "", "1.1 a-test"] {
        gateway.call(&Request::get("/").field("Via", via)).assert_passed();
    }
}

/// A gateway whose backend is itself would be called for ever.
#[test]
fn a_gateway_does_not_call_itself() {
    let config = Config::new();
    let itself = config.address();
    let gateway = config.vpc_access("backend", itself, "").group("g", &["*"], "").published(&Api::open("all", "/*")).start();
    // The code is the word of the gateway that was called by itself: a backend's passes for nobody's.
    assert_eq!(gateway.get("/").status(), 508);
}

#[test]
fn via_can_be_left_out() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).instance("via = false").start();
    gateway.call(&Request::get("/").field("Via", "1.1 test")).assert_passed();
    assert_eq!(backend.next().all("Via").collect::<Vec<_>>(), ["1.1 test"], "the client's own word passes");
}

/// Of `OPTIONS` alone, each hop counts one down, and the last answers (RFC 9110, section 7.6.2).
#[test]
fn options_go_as_far_as_they_may() {
    let backend = Backend::ok();
    let gateway = Config::with_backend(backend.address)
        .published(&Api::open("open", "/open"))
        .published(&Api::open("some", "/some").methods(&["GET", "OPTIONS"]))
        .published(&Api::app("closed", "/closed"))
        .start();
    let options = |path: &str, hops: &str| gateway.call(&Request::new("OPTIONS", path).field("Max-Forwards", hops));
    for (hops, left) in [("1", "0"), ("10", "9"), ("007", "6"), ("99999999999999999999999", "18446744073709551614")] {
        options("/open", hops).assert_passed();
        assert_eq!(backend.next().all("Max-Forwards").collect::<Vec<_>>(), [left], "{hops}");
    }
    for odd in ["", "-1", "1, 2", "x"] {
        options("/open", odd).assert_passed();
        assert_eq!(backend.next().field("Max-Forwards"), Some(odd));
    }
    let passed = backend.count();
    let answer = options("/some", "0");
    answer.assert_passed();
    assert_eq!((answer.field("Allow"), answer.text().as_str()), (Some("GET, OPTIONS"), ""));
    options("/open", "000").assert_passed();
    // Who may not call learns nothing.
    options("/closed", "0").assert_refused("A400MA");
    options("/none", "0").assert_refused("I404NF");
    assert_eq!(backend.count(), passed);
    for method in ["GET", "POST"] {
        gateway.call(&Request::new(method, "/open").field("Max-Forwards", "0")).assert_passed();
        assert_eq!(backend.next().field("Max-Forwards"), Some("0"), "{method}");
    }
}

/// What is to be had over TLS alone is not asked for without it (RFC 9110, section 7.4).
#[test]
fn an_https_uri_needs_tls_or_a_proxy_that_had_it() {
    let backend = Backend::ok();
    let uri = |scheme: &str| Request::get(&format!("{scheme}://api.test/x"));
    let gateway = Config::open(backend.address).start();
    gateway.call(&uri("https")).assert_refused("I403PT");
    gateway.call(&uri("HTTPS")).assert_refused("I403PT");
    gateway.call(&uri("http")).assert_passed();
    let gateway = Config::open(backend.address).table("security", "trusted_proxies = [\"127.0.0.1\"]").start();
    gateway.call(&uri("https")).assert_passed();
}

//! Clients that send large, early, late, in pieces, or nothing more at all.

use lockgate_test_support::{Api, Backend, Config, Request};

#[test]
fn a_head_up_to_its_limit_passes() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    for kib in [1, 15, 16, 17, 24, 31] {
        let mut request = Request::new("POST", "/").field("Transfer-Encoding", "chunked").body("3\r\nabc\r\n0\r\n\r\n");
        for i in 0..kib {
            request = request.field(&format!("X-{i}"), "v".repeat(1010));
        }
        client.call(&request).assert_passed();
        let received = backend.next();
        assert_eq!((received.fields.iter().filter(|(_, v)| v.len() == 1010).count(), received.text()), (kib, "abc".into()));
    }
}

/// Every size around the room of a buffer: what goes before a body in the same send must fit, too.
#[test]
fn heads_around_the_size_of_a_buffer_pass() {
    let backend = Backend::answering(|request| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", request.body.len(), request.text()).into_bytes()
    });
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    for extra in 0..80 {
        let request = Request::new("POST", "/").field("X-A", "a".repeat(8000)).field("X-B", "b".repeat(8430 + 2 * extra));
        let answer = client.call(&request.body("hello"));
        answer.assert_passed();
        assert_eq!(answer.text(), "hello");
    }
}

#[test]
fn a_connection_that_goes_quiet_after_a_split_request_still_has_a_deadline() {
    let (backend, answer) = Backend::held();
    let gateway = Config::with_backend(backend.address)
        .table("limits", "idle_timeout_ms = 200")
        .published(&Api::open("one", "/one"))
        .start();
    let mut client = gateway.client();
    let second = Request::get("/nothing").bytes();
    let (half, rest) = second.split_at(20);
    client.send([&Request::get("/one").bytes(), half].concat());
    backend.next();
    client.send(rest);
    answer.send(()).expect("the backend waits");
    client.response("GET").assert_passed();
    client.response("GET").assert_refused("I404NF");
    client.assert_closed();
}

/// The end of a connection must not cost a client the answer before it, whatever it has sent behind its last request.
#[test]
fn what_follows_the_last_request_does_not_reset_its_answer() {
    let (backend, answer) = Backend::held();
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send(Request::get("/").field("Connection", "close").bytes());
    backend.next();
    client.send([b'x'; 1000]);
    answer.send(()).expect("the backend waits");
    client.response("GET").assert_passed();
    for _ in 0..100 {
        client.send([b'x'; 1000]);
    }
    client.half_close();
    client.assert_closed();
}

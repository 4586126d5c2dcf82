//! Waits have an end, each of its own name: for a head, a body, the next request, a client that takes its answer, and
//! a backend that goes on with one.

use lockgate_test_support::{Api, Backend, Config, Gateway, Request};

/// One worker, and limits that a test need not wait for.
fn start(backend: &Backend, limits: &str) -> Gateway {
    Config::open(backend.address).instance("workers = 1").table("limits", limits).access_log().start()
}

fn ended(gateway: &Gateway) -> String {
    let line = &gateway.access_log(1)[0];
    line["ended"].as_str().unwrap_or_else(|| panic!("no end: {line}")).to_owned()
}

#[test]
fn a_head_that_does_not_end() {
    let backend = Backend::ok();
    let gateway = start(&backend, "head_timeout_ms = 150\nidle_timeout_ms = 60000");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: api.test\r\nX-Slow: ");
    let answer = client.response("GET");
    answer.assert_refused("I400HD");
    assert!(answer.error_message().contains("took too long"), "{answer:?}");
    client.assert_closed();
}

#[test]
fn a_head_that_drips_has_one_deadline_in_all() {
    let backend = Backend::ok();
    let gateway = start(&backend, "head_timeout_ms = 300");
    let mut client = gateway.client();
    client.stream.set_read_timeout(Some(std::time::Duration::from_millis(20))).expect("a socket option");
    client.send("GET / HTTP/1.1\r\nHost: api.test\r\nX-Slow: ");
    let mut drops = 0;
    // Each drop comes well within the deadline of the one before.
    let answer = loop {
        match client.reader.response("GET") {
            Ok(answer) => break answer,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => drops += 1,
            Err(e) => panic!("no answer after {drops} drops: {e}"),
        }
        assert!(drops < 500, "dripping holds the connection");
        let _ = std::io::Write::write_all(&mut client.stream, b"x");
    };
    answer.assert_refused("I400HD");
}

#[test]
fn a_body_that_stalls() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        peer.wait_for_close()
    });
    let gateway = start(&backend, "body_timeout_ms = 150");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100\r\n\r\nsome");
    let answer = client.response("POST");
    answer.assert_refused("I400BD");
    assert!(answer.error_message().contains("took too long"), "{answer:?}");
    client.assert_closed();
    backend.wait_for_open_connections(0);
}

#[test]
fn a_connection_between_two_requests() {
    let backend = Backend::ok();
    let gateway = start(&backend, "idle_timeout_ms = 150");
    let mut silent = gateway.client();
    let mut client = gateway.client();
    client.call(&Request::get("/")).assert_passed();
    client.assert_closed();
    silent.assert_closed();
}

#[test]
fn a_backend_that_stalls_within_its_answer() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")?;
        peer.wait_for_close()
    });
    let gateway = start(&backend, "answer_timeout_ms = 150");
    let mut client = gateway.client();
    client.send(Request::get("/").bytes());
    let answer = client.reader.response("GET");
    assert!(answer.is_err(), "{answer:?}");
    backend.wait_for_open_connections(0);
    assert_eq!(ended(&gateway), "backend-timeout");
}

#[test]
fn a_client_that_does_not_take_its_answer() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
        loop {
            peer.send([7; 64 * 1024])?;
        }
    });
    let gateway = start(&backend, "send_timeout_ms = 150");
    let mut client = gateway.client();
    client.send(Request::get("/").bytes());
    backend.next();
    backend.wait_for_open_connections(0);
    assert_eq!(ended(&gateway), "client-timeout");
}

#[test]
fn a_backend_that_breaks_off_and_a_client_that_leaves_are_told_apart() {
    let backend = Backend::scripted(|peer| {
        let request = peer.request()?;
        if request.is_some_and(|r| r.target() == "/breaks") {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")?;
            return peer.close();
        }
        peer.wait_for_close()
    });
    let gateway = start(&backend, "");
    let mut client = gateway.client();
    client.send(Request::get("/breaks").bytes());
    assert!(client.reader.response("GET").is_err());
    assert_eq!(gateway.access_log(1)[0]["ended"], "backend-broke");
    let mut client = gateway.client();
    client.send(Request::get("/leaves").bytes());
    backend.next();
    backend.next();
    drop(client);
    assert_eq!(gateway.access_log(2)[1]["ended"], "client-gone");
}

#[test]
fn a_form_that_stalls_while_its_signature_waits_for_it() {
    let app = lockgate_test_support::App::alpha();
    let backend = Backend::ok();
    let gateway = Config::with_backend(backend.address)
        .table("limits", "body_timeout_ms = 150")
        .published(&Api::app("a", "/a"))
        .app(&app.clone().may_call("g/a", &["RELEASE"]))
        .start();
    let form = Request::post("/a", "application/x-www-form-urlencoded", "a=1&b=2");
    let bytes = lockgate_test_support::Signer::new(&app.key, &app.secret).sign(form).bytes();
    let mut client = gateway.client();
    client.send(&bytes[..bytes.len() - 3]);
    client.response("POST").assert_refused("I400BD");
    assert_eq!(backend.connections(), 0);
}

//! The operator's listener: who asks may know whether the gateway is well and wants connections, and nobody can hold it up.

use std::io::{Read, Write};
use std::net::TcpStream;

use lockgate_test_support::{Backend, Client, Config, Gateway, Request, eventually};

fn start() -> (Backend, Gateway) {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).admin().start();
    (backend, gateway)
}

#[test]
fn a_gateway_that_is_well_says_so() {
    let (_backend, gateway) = start();
    for (path, text) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = gateway.admin(path);
        assert_eq!((answer.status(), answer.text().as_str()), (200, text), "{path}");
        assert_eq!(answer.field("Connection"), Some("close"));
    }
    assert_eq!(gateway.admin("/healthz?full=1").status(), 200, "a query is not looked at");
    assert_eq!(gateway.admin("/nothing").status(), 404);
    assert!(gateway.output().contains(&format!("http://{}", gateway.admin_address())));
}

#[test]
fn readiness_goes_first_and_connections_are_still_taken_for_a_while() {
    let backend = Backend::ok();
    let mut gateway = Config::open(backend.address).table("limits", "drain_delay_ms = 1500").admin().start();
    gateway.signal("TERM");
    let answer = eventually("readiness goes", || Some(gateway.admin("/readyz")).filter(|answer| answer.status() == 503));
    assert_eq!(answer.text(), "draining\n");
    assert_eq!(gateway.admin("/healthz").status(), 200, "a gateway that drains is well");
    gateway.get("/x").assert_passed();
    eventually("the listener closes", || Client::try_connect(gateway.address).is_err().then_some(()));
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_delay() {
    let backend = Backend::ok();
    let mut gateway = Config::open(backend.address).table("limits", "drain_delay_ms = 3600000").admin().start();
    gateway.signal("TERM");
    eventually("readiness goes", || (gateway.admin("/readyz").status() == 503).then_some(()));
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(1));
}

#[test]
fn only_questions_without_a_body_are_answered() {
    let (_backend, gateway) = start();
    let ask = |request: &Request| Client::connect(gateway.admin_address()).call(request);
    let own = |method: &str, path: &str| Request::new(method, path).host("localhost");
    let head = ask(&own("HEAD", "/metrics"));
    assert!(head.status() == 200 && head.field("Content-Length").is_some_and(|n| n != "0") && head.body.is_empty());
    let refused = ask(&own("POST", "/healthz"));
    assert_eq!((refused.status(), refused.field("Allow")), (405, Some("GET, HEAD")));
    assert_eq!(ask(&own("GET", "/healthz").body("x")).status(), 413);
    assert_eq!(ask(&own("GET", "/healthz").field("Content-Length", "1").field("Transfer-Encoding", "chunked")).status(), 400);
    assert_eq!(ask(&Request::get("/healthz").field("Host", "a").field("Host", "b")).status(), 400);
    assert_eq!(ask(&own("GET", "/healthz").field("X-Long", "x".repeat(9000))).status(), 400);
}

#[test]
fn a_name_that_was_made_to_point_here_is_not_answered() {
    let (_backend, gateway) = start();
    let ask = |host: &str| Client::connect(gateway.admin_address()).call(&Request::get("/metrics").host(host));
    assert_eq!(ask("rebound.example:9090").status(), 403);
    assert_eq!(ask("localhost:9090").status(), 200);
}

#[test]
fn silent_peers_do_not_hold_it_up() {
    let (_backend, gateway) = start();
    // Fewer than there may be: a probe still gets its answer at once.
    let silent: Vec<_> = (0..15).map(|_| TcpStream::connect(gateway.admin_address()).expect("a connection")).collect();
    eventually("a probe is answered", || (gateway.admin("/healthz").status() == 200).then_some(()));
    // All of them: further ones are closed, not kept.
    let mut last = TcpStream::connect(gateway.admin_address()).expect("a connection");
    eventually("further connections are closed", || {
        let mut further = TcpStream::connect(gateway.admin_address()).ok()?;
        _ = further.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        matches!(further.read(&mut [0; 16]), Ok(0) | Err(_)).then_some(())
    });
    gateway.get("/x").assert_passed();
    // Their time is over before long.
    _ = last.read(&mut [0; 16]);
    drop(silent);
    eventually("there is room again", || {
        let mut probe = Client::try_connect(gateway.admin_address()).ok()?;
        probe.stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        probe.reader.response("GET").ok().filter(|answer| answer.status() == 200).map(drop)
    });
}

#[test]
fn a_port_alone_is_one_of_this_machine() {
    let backend = Backend::ok();
    let port = lockgate_test_support::reserve();
    let gateway = Config::open(backend.address).table("admin", &format!("address = \"{}\"", port.address.port())).start();
    let answer = Client::connect(port.address).call(&Request::get("/healthz").host("localhost"));
    assert_eq!(answer.status(), 200);
    drop(gateway);
}

#[test]
fn an_address_in_use_is_named() {
    let backend = Backend::ok();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has an address").to_string();
    let (code, errors) = Config::open(backend.address).table("admin", &format!("address = \"{address}\"")).start_and_fail();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains(&format!("cannot listen on {address}")), "{errors}");
}

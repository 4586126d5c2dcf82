//! Where calls to backends come from: the egress addresses, which a backend's security group must let in.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use lockgate_test_support::{Backend, Config, succeeds};

type Sources = Arc<Mutex<Vec<IpAddr>>>;

/// A backend that keeps the source address of each connection, and closes it after one answer.
fn noting() -> (Backend, Sources) {
    let sources = Sources::default();
    let noted = Arc::clone(&sources);
    let backend = Backend::scripted(move |peer| {
        noted.lock().expect("no script panicked").push(peer.stream.peer_addr()?.ip());
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    });
    (backend, sources)
}

fn loopback(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

#[test]
fn calls_come_from_the_egress_addresses_in_turn() {
    let (backend, sources) = noting();
    let gateway =
        Config::open(backend.address).instance("workers = 1\negress_addresses = [\"127.0.0.2\", \"127.0.0.3\"]").start();
    for _ in 0..4 {
        gateway.get("/").assert_passed();
    }
    let sources = sources.lock().expect("no script panicked").clone();
    assert_eq!(sources, [2, 3, 2, 3].map(loopback));
    let printed = succeeds(gateway.command().arg("egress"));
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.contains("127.0.0.2") && printed.contains("127.0.0.3"), "{printed}");
}

#[test]
fn without_egress_addresses_the_kernel_chooses() {
    let (backend, sources) = noting();
    let gateway = Config::open(backend.address).start();
    gateway.get("/").assert_passed();
    assert_eq!(*sources.lock().expect("no script panicked"), [loopback(1)]);
}

#[test]
fn an_egress_address_that_the_machine_has_not_is_told() {
    let backend = Backend::ok();
    // TEST-NET-1 (RFC 5737): no machine has it.
    let gateway = Config::open(backend.address).instance("workers = 1\negress_addresses = [\"192.0.2.1\"]").start();
    let answer = gateway.get("/");
    answer.assert_refused("D504CO");
    assert!(answer.error_message().contains("source address"), "{answer:?}");
}

//! Workers: one thread each, pinned to a core, with a listening socket of its own on every listener.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

use lockgate_test_support::{Backend, Config, Gateway, Request, eventually, reserve};

/// The cores that each worker may run on, as the kernel says it.
fn cores(gateway: &Gateway) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", gateway.id())).expect("the process runs");
    let mut cores = Vec::new();
    for task in tasks.flatten() {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").starts_with("worker-") {
            let status = read("status");
            let allowed = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
            cores.push(allowed.trim().to_owned());
        }
    }
    cores
}

/// Listening sockets on an address, over all processes (proc_pid_net(5): state 0A is LISTEN).
fn listeners(address: SocketAddr) -> usize {
    let wanted = format!("0100007F:{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux lists its sockets");
    let is_listener = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some(&wanted) && words.nth(1) == Some("0A")
    };
    table.lines().filter(is_listener).count()
}

#[test]
fn each_has_a_core_and_a_listening_socket() {
    let backend = Backend::ok();
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    for workers in [1, 3] {
        let gateway = Config::open(backend.address).instance(&format!("workers = {workers}")).start();
        // It listens, and one worker may answer, before all of them are in their places.
        gateway.get("/").assert_passed();
        let cores = eventually("each worker has one core", || {
            let cores = cores(&gateway);
            (cores.len() == workers && cores.iter().all(|core| core.parse::<usize>().is_ok())).then_some(cores)
        });
        assert_eq!(cores.iter().collect::<BTreeSet<_>>().len(), workers.min(allowed), "{cores:?}");
        assert_eq!(listeners(gateway.address), workers);
    }
    // Without a setting, one for every core the process may use.
    let gateway = Config::open(backend.address).instance("").start();
    gateway.get("/").assert_passed();
    eventually("one worker for every core", || (cores(&gateway).len() == allowed).then_some(()));
}

#[test]
fn a_gateway_may_have_several_listeners() {
    let backend = Backend::ok();
    let second = reserve();
    let listener = format!("address = \"{}\"\nprotocol = \"http\"", second.address);
    let mut gateway = Config::open(backend.address).table("[listener]", &listener).start();
    gateway.get("/1").assert_passed();
    let mut client = lockgate_test_support::Client::connect(second.address);
    client.call(&Request::get("/2")).assert_passed();
    for address in [gateway.address, second.address] {
        gateway.wait_for_output(&format!("http://{address}"));
    }
    gateway.signal("TERM");
    client.assert_closed();
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(lockgate_test_support::Client::try_connect(second.address).is_err());
}

#[test]
fn calls_on_many_connections_reach_every_worker() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).instance("workers = 2").start();
    let mut clients: Vec<_> = (0..64).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.call(&Request::get("/")).assert_passed();
    }
    // Each worker keeps connections of its own.
    assert!(backend.connections() >= 2, "{} connections", backend.connections());
}

//! How many clients may be connected, and who leaves when there are more: idle connections go first, those with
//! something to say stay, and nothing spins when descriptors have run out.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use lockgate_test_support::{Backend, Client, Config, DEADLINE, Gateway, Request, connect_from, eventually, now_ms};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A backend that answers `/held` when it is told to, and everything else at once.
struct Holding {
    backend: Backend,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Holding {
    fn start() -> Self {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let at_gate = Arc::clone(&gate);
        let backend = Backend::scripted(move |peer| {
            while let Some(request) = peer.request()? {
                if request.target() == "/held" {
                    let (open, opens) = &*at_gate;
                    let mut open = open.lock().expect("no script panicked");
                    while !*open {
                        open = opens.wait(open).expect("no script panicked");
                    }
                }
                peer.send(OK)?;
            }
            Ok(())
        });
        Self { backend, gate }
    }

    fn let_go(&self) {
        *self.gate.0.lock().expect("no script panicked") = true;
        self.gate.1.notify_all();
    }
}

/// So that scripts end, also when the test fails.
impl Drop for Holding {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn from(address: &str, to: SocketAddr) -> std::io::Result<Client> {
    let stream = connect_from(address.parse().expect("an address"), to)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    Client::on(stream)
}

/// A client whose call is under way at the backend.
fn busy(holding: &Holding, mut client: Client) -> Client {
    client.send(Request::get("/held").bytes());
    assert_eq!(holding.backend.next().target(), "/held");
    client
}

/// Whether a call on this connection is answered; otherwise it was closed.
fn is_served(mut client: Client) -> Option<Client> {
    let _ = client.stream.write_all(&Request::get("/").bytes());
    client.reader.response("GET").ok().map(|_| client)
}

/// With as many busy connections as may be, a further one is closed at once, and taken when one of them has gone.
fn assert_full(gateway: &Gateway, holding: &Holding, held: Vec<Client>, connect: impl Fn() -> Client) {
    assert!(is_served(connect()).is_none(), "one more than may be");
    holding.let_go();
    for mut client in held {
        client.response("GET").assert_passed();
    }
    eventually("a place is free", || is_served(connect()));
    assert!(!gateway.output().contains("panicked"));
}

#[test]
fn an_address_has_its_share() {
    let holding = Holding::start();
    let gateway = Config::open(holding.backend.address)
        .table("limits", "connections_per_address = 3")
        .table("security", "trusted_proxies = [\"127.0.0.3\"]")
        .start();
    let connect = |address: &str| from(address, gateway.address).expect("the gateway listens");
    // Which looked whether the gateway listens comes from 127.0.0.1.
    let held = (0..3).map(|_| busy(&holding, connect("127.0.0.2"))).collect();
    let proxied: Vec<_> = (0..6).map(|_| busy(&holding, connect("127.0.0.3"))).collect();
    assert!(is_served(connect("127.0.0.4")).is_some(), "another address");
    assert_full(&gateway, &holding, held, || connect("127.0.0.2"));
    for mut client in proxied {
        client.response("GET").assert_passed();
    }
}

#[test]
fn the_process_has_so_many_and_so_has_a_worker() {
    for (workers, limit) in [(2, "connections = 4"), (1, "connections_per_worker = 4")] {
        so_many(workers, limit);
    }
}

/// Four busy connections, and no more.
fn so_many(workers: usize, limit: &str) {
    let holding = Holding::start();
    let instance = format!("workers = {workers}");
    let gateway = Config::open(holding.backend.address).instance(&instance).table("limits", limit).start();
    // The one that looked whether the gateway listens may not have left.
    let held = (0..4).map(|_| busy(&holding, gateway.client())).collect();
    assert_full(&gateway, &holding, held, || gateway.client());
}

#[test]
fn an_idle_connection_makes_room() {
    let backend = Backend::ok();
    let limits = "connections_per_worker = 3";
    let gateway = Config::open(backend.address).instance("workers = 1").table("limits", limits).start();
    let mut served = gateway.client();
    served.call(&Request::get("/")).assert_passed();
    let mut silent = gateway.client();
    // One after the other they are taken, and the one that has said nothing so far makes room, then the older of those
    // that have.
    let mut second = gateway.client();
    second.call(&Request::get("/")).assert_passed();
    let mut third = gateway.client();
    third.call(&Request::get("/")).assert_passed();
    silent.assert_closed();
    let mut fourth = gateway.client();
    fourth.call(&Request::get("/")).assert_passed();
    served.assert_closed();
    for client in [&mut second, &mut third, &mut fourth] {
        client.call(&Request::get("/")).assert_passed();
    }
}

#[test]
fn a_flood_of_idle_connections_keeps_nobody_out() {
    let backend = Backend::ok();
    let limits = "connections_per_worker = 20\nconnections = 40";
    let gateway = Config::open(backend.address).table("limits", limits).start();
    let flood: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(gateway.address).expect("the backlog is long")).collect();
    for _ in 0..20 {
        gateway.get("/").assert_passed();
    }
    assert!(gateway.sockets() < 60, "{} sockets", gateway.sockets());
    drop(flood);
}

/// Clients that come before everyone is ready must not take what the others need to start.
#[test]
fn a_gateway_starts_with_few_descriptors_while_clients_connect() {
    let backend = Backend::ok();
    let many_workers = || Config::open(backend.address).instance("workers = 8").admin();
    let gateway = many_workers().start();
    gateway.wait_for_output("8 workers on");
    // The last eighth is not for clients.
    let needed = (gateway.descriptors() + 10) * 8 / 7;
    drop(gateway);
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(format!("--nofile={needed}:{needed}"));
    let config = many_workers().through(&prlimit);
    let (address, over) = (config.address(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut held = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    match TcpStream::connect(address) {
                        Ok(stream) if held.len() < 100 => held.push(stream),
                        _ => std::thread::yield_now(),
                    }
                }
            });
        }
        // Also when the test fails.
        let _end = End(&over);
        let gateway = config.start();
        gateway.wait_for_output("8 workers on");
        eventually("a call is answered", || is_served(gateway.client()));
        assert_eq!(gateway.metric("lockgate_ready"), Some(1.0), "the operator is answered, too");
    });
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// 64 descriptors, of which the gateway needs about 20 for itself.
fn few_descriptors(backend: &Backend, limits: &str) -> Gateway {
    let mut prlimit = Command::new("prlimit");
    prlimit.arg("--nofile=64:64");
    let gateway = Config::open(backend.address).through(&prlimit).table("limits", limits).start();
    // Its workers need some to start with.
    gateway.wait_for_output(&format!("http://{}", gateway.address));
    gateway
}

#[test]
fn idle_connections_go_first_when_descriptors_run_out() {
    let holding = Holding::start();
    let gateway = few_descriptors(&holding.backend, "");
    let mut early = busy(&holding, gateway.client());
    let flood: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(gateway.address).expect("the backlog is long")).collect();
    for _ in 0..20 {
        gateway.get("/").assert_passed();
    }
    holding.let_go();
    early.response("GET").assert_passed();
    drop(flood);
    gateway.get("/").assert_passed();
}

#[test]
fn accepting_pauses_when_descriptors_have_run_out() {
    let holding = Holding::start();
    let gateway = few_descriptors(&holding.backend, "");
    // More than there are descriptors for: each of them wants two.
    let mut clients: Vec<Client> = (0..60).map(|_| gateway.client()).collect();
    for client in &mut clients {
        let _ = client.stream.write_all(&Request::get("/held").bytes());
    }
    // Some calls are with the backend, others are refused or wait: it must not cost the time of a spin.
    eventually("the last descriptors are in use", || (gateway.descriptors() >= 55).then_some(()));
    let (began_ms, before_ms) = (now_ms(), gateway.processor_ms());
    eventually("a second has gone by", || (now_ms() - began_ms > 1000).then_some(()));
    let used_ms = gateway.processor_ms() - before_ms;
    assert!(used_ms < 300, "{used_ms} ms of processor time in a second of waiting");
    holding.let_go();
    let mut answers = [0; 2];
    'clients: for mut client in clients {
        // Of those that were closed at once, the end or a reset is seen. One that was taken for idle may have been asked
        // whether it is there.
        let answer = loop {
            match client.reader.response("GET") {
                Ok(answer) if answer.status() < 200 => {}
                Ok(answer) => break answer,
                Err(_) => continue 'clients,
            }
        };
        answers[usize::from(answer.status() == 200)] += 1;
        assert!(answer.status() == 200 || answer.code() == "X503BZ", "{answer:?}");
    }
    // An eighth of them is kept from clients, for backends; how many more of those come by one is theirs to race for.
    assert!(answers[1] >= 6, "{answers:?}: those that had descriptors are answered");
    eventually("all goes on as before", || is_served(gateway.client()));
    assert!(!gateway.output().contains("panicked"), "{}", gateway.output());
}

/// In user space; the kernel's part of a socket is its own.
#[test]
fn an_idle_connection_is_cheap() {
    const CONNECTIONS: u64 = 1000;
    // A build for development holds more at once than it has to.
    const MOST_BYTES: u64 = if cfg!(debug_assertions) { 1536 } else { 1024 };
    let backend = Backend::ok();
    let limits = "connections_per_worker = 4096\nconnections_per_address = 4096";
    let config = Config::open(backend.address).instance("workers = 1").without_huge_pages();
    let gateway = config.table("limits", limits).start();
    let connect = |n: u64| -> Vec<TcpStream> {
        let mut clients: Vec<_> = (0..n).map(|_| TcpStream::connect(gateway.address).expect("the gateway listens")).collect();
        // Each has been served once, one after the other, so that buffers are needed for one.
        for client in &mut clients {
            client.write_all(&Request::get("/").bytes()).expect("the gateway takes the request");
            let n = client.read(&mut [0; 1024]).expect("an answer");
            assert!(n > 0);
        }
        clients
    };
    let warm = connect(100);
    let before = gateway.memory_kib("RssAnon");
    let idle = connect(CONNECTIONS);
    let each = (gateway.memory_kib("RssAnon") - before) * 1024 / CONNECTIONS;
    println!("{each} bytes for an idle connection");
    assert!(each <= MOST_BYTES, "{each} bytes for an idle connection");
    drop((warm, idle));
}

#[test]
fn requests_in_a_row_are_bounded() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).table("limits", "pipelined_requests = 3").start();
    let mut client = gateway.client();
    client.send(Request::get("/").bytes().repeat(10));
    for n in 0..4 {
        let answer = client.response("GET");
        answer.assert_passed();
        assert_eq!(answer.field("Connection"), (n == 3).then_some("close"), "{n}");
    }
    client.assert_closed();
    assert_eq!(backend.count(), 4);
    // One after the other, they may be as many as one likes.
    let mut client = gateway.client();
    for _ in 0..10 {
        client.call(&Request::get("/")).assert_passed();
    }
}

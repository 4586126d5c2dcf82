//! Instances that fail and come back: who is called meanwhile, what callers are told, and what may be tried again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lockgate_test_support::{Api, Backend, Client, Config, Gateway, Message, Nginx, Peer, Request, eventually, now_ms, reserve};

const ONE_WORKER: &str = "workers = 1";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CLIENTS: usize = 8;

fn config(addresses: &[SocketAddr], extra: &str) -> Config {
    Config::new().vpc_access_of("backend", addresses, extra).group("g", &["*"], "")
}

/// Clients that call again and again until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    passed: Arc<AtomicUsize>,
    /// Error codes; `broken` for an answer that broke off.
    failed: Arc<Mutex<Vec<String>>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(gateway: SocketAddr) -> Self {
        let (stop, passed, failed) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default(), Arc::default());
        let mut load = Self { stop, passed, failed, threads: Vec::new() };
        for _ in 0..CLIENTS {
            let (stop, passed, failed) = (load.stop.clone(), load.passed.clone(), Arc::clone(&load.failed));
            load.threads.push(thread::spawn(move || {
                let mut client = Client::connect(gateway);
                while !stop.load(Ordering::SeqCst) {
                    client.send(Request::get("/").bytes());
                    let code = match client.reader.response("GET") {
                        Ok(answer) if answer.status() == 200 => {
                            passed.fetch_add(1, Ordering::SeqCst);
                            continue;
                        }
                        Ok(answer) => answer.code().to_owned(),
                        Err(_) => "broken".to_owned(),
                    };
                    failed.lock().expect("no client panicked").push(code);
                    client = Client::connect(gateway);
                }
            }));
        }
        load
    }

    /// Waits until so many more calls have passed.
    fn pass(&self, calls: usize) {
        let goal = self.passed.load(Ordering::SeqCst) + calls;
        eventually("calls pass", || (self.passed.load(Ordering::SeqCst) >= goal).then_some(()));
    }

    fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().for_each(|client| client.join().expect("no client panicked"));
        Arc::into_inner(self.failed).expect("all clients have ended").into_inner().expect("no client panicked")
    }
}

fn two_nginx(timeout_ms: u64) -> (Nginx, Nginx, Gateway) {
    let (one, other) = (Nginx::start(), Nginx::start());
    let gateway = config(&[one.address, other.address], "slow_start_ms = 0")
        .table("limits", "stand_aside_ms = 100\nstand_aside_max_ms = 200")
        .published(&Api::open("all", "/*").timeout_ms(timeout_ms))
        .start();
    (one, other, gateway)
}

fn wait_for_calls(nginx: &Nginx) {
    let before = nginx.log().lines().count();
    eventually("it is called again", || (nginx.log().lines().count() > before + 50).then_some(()));
}

#[test]
fn a_killed_nginx_costs_the_calls_it_had_and_is_called_again_once_it_is_back() {
    let (mut one, other, gateway) = two_nginx(10_000);
    let load = Load::start(gateway.address);
    wait_for_calls(&one);
    one.kill();
    load.pass(300);
    one.restart();
    wait_for_calls(&one);
    wait_for_calls(&other);
    let failed = load.stop();
    // A call on a new connection cannot be known not to have been carried out: it is not sent again.
    assert!(failed.len() <= CLIENTS, "{failed:?}");
    assert!(failed.iter().all(|code| ["D504CO", "N502RE", "broken"].contains(&code.as_str())), "{failed:?}");
}

#[test]
fn a_paused_nginx_costs_the_calls_it_had_and_those_that_try_it() {
    let (one, other, gateway) = two_nginx(300);
    let load = Load::start(gateway.address);
    wait_for_calls(&one);
    one.pause();
    eventually("its calls time out", || (load.failed.lock().expect("no client panicked").len() >= 3).then_some(()));
    load.pass(500);
    let while_paused = one.log().lines().count();
    one.resume();
    eventually("it is called again", || (one.log().lines().count() > while_paused + 50).then_some(()));
    wait_for_calls(&other);
    let failed = load.stop();
    assert!(!failed.is_empty() && failed.iter().all(|code| code == "D504TO"), "{failed:?}");
    // Every client once, then one trial after another: each takes 300 ms, and 150 ms until the next.
    assert!(failed.len() <= 2 * CLIENTS + 40, "{failed:?}");
}

#[test]
fn a_restarted_nginx_is_not_noticed() {
    let (mut one, _other, gateway) = two_nginx(10_000);
    let mut client = gateway.client();
    for _ in 0..10 {
        client.call(&Request::get("/")).assert_passed();
    }
    one.restart();
    for _ in 0..20 {
        client.call(&Request::get("/")).assert_passed();
    }
}

#[test]
fn with_every_instance_down_the_setting_decides() {
    for (setting, second) in [("fail-fast", "no instance available"), ("try-all", "refused")] {
        let closed = [reserve(), reserve()];
        let gateway = config(&closed.each_ref().map(|port| port.address), &format!("when_all_down = \"{setting}\""))
            .published(&Api::open("all", "/*"))
            .start();
        for expected in ["refused", second] {
            let answer = gateway.get("/");
            answer.assert_refused("D504CO");
            assert!(answer.error_message().contains(expected), "{setting}: {}", answer.error_message());
        }
    }
}

/// Answers checks as the switch says, never answers `/held`, and everything else at once.
fn checked(up: &Arc<AtomicBool>) -> Backend {
    let up = up.clone();
    Backend::scripted(move |peer| {
        while let Some(request) = peer.request()? {
            match target(&request) {
                "/healthz" if up.load(Ordering::SeqCst) => peer.send(OK)?,
                "/healthz" => peer.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")?,
                "/held" => peer.wait_for_close()?,
                _ => peer.send(OK)?,
            }
        }
        Ok(())
    })
}

fn target(request: &Message) -> &str {
    let line = request.head.split(|&b| b == b'\r').next().unwrap_or_default();
    std::str::from_utf8(line).ok().and_then(|line| line.split(' ').nth(1)).unwrap_or_default()
}

fn calls(backend: &Backend, wanted: &str) -> usize {
    backend.requests().iter().filter(|request| target(request) == wanted).count()
}

/// Holds so many calls at once, each at its backend before the next is made; how many each backend has.
fn spread(gateway: &Gateway, backends: &[&Backend], n: usize) -> Vec<usize> {
    let count = || backends.iter().map(|backend| calls(backend, "/held")).collect::<Vec<_>>();
    let held: Vec<Client> = (1..=n)
        .map(|i| {
            let mut client = gateway.client();
            client.send(Request::get("/held").bytes());
            eventually("the call arrives", || (count().iter().sum::<usize>() == i).then_some(()));
            client
        })
        .collect();
    let spread = count();
    drop(held);
    spread
}

#[test]
fn weights_hold_over_all_workers() {
    let up = Arc::new(AtomicBool::new(true));
    let backends = [checked(&up), checked(&up)];
    let config = config(&[], "").instance("workers = 4");
    let instances: String = backends
        .iter()
        .zip([100, 300])
        .map(|(b, weight)| format!("[[instance]]\naddress = \"127.0.0.1\"\nport = {}\nweight = {weight}\n", b.address.port()))
        .collect();
    config.write("vpc-access/backend.toml", &format!("name = \"backend\"\nvpc_id = \"v\"\n{instances}"));
    let gateway = config.published(&Api::open("all", "/*")).start();
    assert_eq!(spread(&gateway, &[&backends[0], &backends[1]], 40), [10, 30]);
}

const CHECKS: &str = "when_all_down = \"fail-fast\"\nslow_start_ms = 3600000\n[health]\npath = \"/healthz\"\nhost = \"check.test\"\n\
                      interval_ms = 100\nhealthy_threshold = 2\nunhealthy_threshold = 2\nexpected_status = [200]\n";

#[test]
fn checks_take_an_instance_out_and_bring_it_back_slowly() {
    let (up, always) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let (backend, other) = (checked(&up), checked(&always));
    let gateway = config(&[backend.address, other.address], CHECKS).published(&Api::open("all", "/*")).start();
    let check = backend.next();
    assert!(check.head.starts_with(b"GET /healthz HTTP/1.1\r\nHost: check.test\r\n"), "{check:?}");
    up.store(false, Ordering::SeqCst);
    eventually("no call goes to the instance that is down", || {
        let before = calls(&backend, "/");
        (0..10).for_each(|_| gateway.get("/").assert_passed());
        (calls(&backend, "/") == before).then_some(())
    });
    up.store(true, Ordering::SeqCst);
    eventually("calls go to the instance that is up again", || {
        let before = calls(&backend, "/");
        gateway.get("/").assert_passed();
        (calls(&backend, "/") > before).then_some(())
    });
    // It came back with a tenth of its weight, and needs an hour for the rest.
    assert_eq!(spread(&gateway, &[&backend, &other], 22), [2, 20]);
}

#[test]
fn one_worker_checks_for_all_and_all_know() {
    let up = Arc::new(AtomicBool::new(false));
    let (backend, began_ms) = (checked(&up), now_ms());
    let gateway = config(&[backend.address], CHECKS).instance("workers = 4").published(&Api::open("all", "/*")).start();
    let mut in_a_row = 0;
    eventually("every worker knows", || {
        let answer = gateway.get("/");
        in_a_row = if answer.code() == "D504CO" { in_a_row + 1 } else { 0 };
        (in_a_row == 40).then_some(())
    });
    // One check each 100 ms; four workers that check would make four times as many.
    let (checks, most) = (calls(&backend, "/healthz"), (now_ms() - began_ms) as usize / 100 + 1);
    assert!(checks <= most, "{checks} checks, at most {most}");
    up.store(true, Ordering::SeqCst);
    eventually("calls pass again", || (gateway.get("/").status() == 200).then_some(()));
}

#[test]
fn an_instance_that_does_not_answer_checks_is_down() {
    let silent = Backend::scripted(Peer::wait_for_close);
    let checks = format!("{CHECKS}timeout_ms = 50\n");
    let gateway = config(&[silent.address], &checks).published(&Api::open("all", "/*").timeout_ms(100)).start();
    eventually("it is down", || {
        let answer = gateway.get("/");
        (answer.error_message().contains("no instance available")).then_some(())
    });
    eventually("checks go on", || (silent.connections() > 5).then_some(()));
}

/// The answer that has come already, or comes soon.
fn answer_so_far(client: &mut Client) -> Option<Message> {
    client.stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket option");
    let answer = client.reader.response("GET").ok();
    client.stream.set_read_timeout(Some(lockgate_test_support::DEADLINE)).expect("a socket option");
    answer
}

fn sent(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.send(Request::get("/").bytes());
    client
}

#[test]
fn a_call_waits_for_a_connection_only_so_long() {
    let (backend, release) = Backend::held();
    let gateway =
        Config::open(backend.address).instance(ONE_WORKER).table("limits", "pool_connections = 1\npool_wait_ms = 300").start();
    let mut first = sent(&gateway);
    backend.next();
    let late = gateway.get("/");
    late.assert_refused("D504CO");
    assert!(late.error_message().contains("Connection lease request time out"), "{}", late.error_message());
    release.send(()).expect("the backend waits");
    first.response("GET").assert_passed();
    assert_eq!((backend.count(), backend.connections()), (1, 1));
}

#[test]
fn calls_that_wait_get_the_connection_one_after_the_other() {
    let (backend, release) = Backend::held();
    let gateway =
        Config::open(backend.address).instance(ONE_WORKER).table("limits", "pool_connections = 1\npool_wait_ms = 60000").start();
    let mut clients: Vec<_> = (0..10).map(|_| sent(&gateway)).collect();
    for _ in 0..10 {
        backend.next();
        release.send(()).expect("the backend waits");
    }
    clients.iter_mut().for_each(|client| client.response("GET").assert_passed());
    assert_eq!((backend.count(), backend.connections()), (10, 1));
}

#[test]
fn the_queue_is_bounded_and_who_leaves_makes_room() {
    let (backend, release) = Backend::held();
    let gateway = Config::open(backend.address)
        .instance(ONE_WORKER)
        .table("limits", "pool_connections = 1\npool_queue = 1\npool_wait_ms = 60000")
        .start();
    let mut first = sent(&gateway);
    backend.next();
    // One of the two waits, the other finds the queue full.
    let mut two = [sent(&gateway), sent(&gateway)];
    let refused = eventually("one is refused", || {
        two.iter_mut().position(|client| {
            answer_so_far(client).is_some_and(|answer| {
                answer.assert_refused("X503BZ");
                true
            })
        })
    });
    let [one, other] = two;
    drop(if refused == 0 { other } else { one });
    let mut waits = eventually("there is room again", || {
        let mut client = sent(&gateway);
        if answer_so_far(&mut client).is_some() {
            return None;
        }
        // It waits, or its refusal is late; a refusal of another call comes after that.
        gateway.get("/").assert_refused("X503BZ");
        answer_so_far(&mut client).is_none().then_some(client)
    });
    release.send(()).expect("the backend waits");
    first.response("GET").assert_passed();
    backend.next();
    release.send(()).expect("the backend waits");
    waits.response("GET").assert_passed();
    assert_eq!(backend.count(), 2, "the call whose client left was not made");
}

#[test]
fn requests_are_sent_again_only_within_the_budget() {
    // Closes each connection as the second request arrives on it, before any byte of an answer.
    let backend = Backend::scripted(|peer| {
        if peer.request()?.is_some() {
            peer.send(OK)?;
            peer.request()?;
        }
        peer.close()
    });
    let gateway =
        Config::open(backend.address).instance(ONE_WORKER).table("limits", "retry_percent = 0\nretry_minimum = 2").start();
    for _ in 0..3 {
        gateway.get("/").assert_passed();
    }
    gateway.get("/").assert_refused("D504CO");
    assert_eq!((backend.count(), backend.connections()), (6, 3));
}

/// Connections that end without an answer in a row, and so many of them: one answer between them begins the count anew.
#[test]
fn so_many_failures_in_a_row_make_an_instance_stand_aside() {
    let backend = Backend::scripted(|peer| {
        while let Some(request) = peer.request()? {
            if request.target() == "/reset" {
                return peer.close();
            }
            peer.send(OK)?;
        }
        Ok(())
    });
    let gateway = config(&[backend.address], "when_all_down = \"fail-fast\"")
        .instance(ONE_WORKER)
        .table(
            "limits",
            "stand_aside_failures = 3\nstand_aside_ms = 3600000\nstand_aside_max_ms = 3600000\npool_idle_connections = 0",
        )
        .published(&Api::open("all", "/*"))
        .start();
    for _ in 0..2 {
        for _ in 0..2 {
            gateway.get("/reset").assert_refused("D504CO");
        }
        gateway.get("/").assert_passed();
    }
    for _ in 0..3 {
        gateway.get("/reset").assert_refused("D504CO");
    }
    let called = backend.count();
    let refused = gateway.get("/");
    refused.assert_refused("D504CO");
    assert!(refused.error_message().contains("no instance available"), "{refused:?}");
    assert_eq!(backend.count(), called, "nobody calls it any more");
}

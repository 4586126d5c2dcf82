//! Quotas are exact: over workers, with many connections, and through `kill -9`.
//!
//! The seeded runs here are the short form of two campaigns, which are one command:
//! `LOCKGATE_QUOTA_RUNS=100 LOCKGATE_QUOTA_KILLS=200 tests/run quotas::`; `LOCKGATE_QUOTA_SEED` chooses others.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use lockgate_test_support::{Api, Backend, Client, Config, Gateway, Request, eventually, now_ms};

/// Connections are shared out among these threads.
const THREADS: usize = 8;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn new(n: u64) -> Self {
        Self(setting("LOCKGATE_QUOTA_SEED").unwrap_or(0) << 32 | n)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % n
    }

    fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Every order of magnitude as likely as any other.
    fn magnitude(&mut self, most: u64) -> u64 {
        let digits = self.within(1, u64::from(most.ilog10()));
        self.within(1, 10u64.pow(digits as u32))
    }
}

/// A gateway with a group of each of these limits a day of its default domain.
fn gateway(backend: &Backend, workers: u64, limits: &[u64]) -> Gateway {
    let mut config = Config::new()
        .instance(&format!("workers = {workers}"))
        .table("limits", "pool_connections = 24\npool_queue = 65536\npool_wait_ms = 60000\nconnections_per_address = 65536")
        .vpc_access("backend", backend.address, "")
        // Far from the end of a day, wherever days begin.
        .at(1_800_003_600);
    for (n, limit) in limits.iter().enumerate() {
        let lines = format!("default_domain_calls_per_day = {limit}");
        config =
            config.group(&format!("g{n}"), &[], &lines).published_to(&format!("g{n}"), &Api::open("all", "/*"), &["RELEASE"]);
    }
    config.start()
}

/// How calls arrive.
#[derive(Clone, Copy, Debug)]
struct Arrivals {
    calls: u64,
    connections: usize,
    /// Sent at once on a connection, at most.
    burst: u64,
}

/// Makes the calls; how many passed.
fn storm(gateway: &Gateway, host: &str, arrivals: Arrivals, random: &mut Random) -> u64 {
    let request = Request::get("/x").host(host).bytes();
    let (left, passed) = (AtomicU64::new(arrivals.calls), AtomicU64::new(0));
    let share = arrivals.connections.div_ceil(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (request, left, passed, mut random) = (&request, &left, &passed, Random(random.below(u64::MAX)));
            scope.spawn(move || {
                let mut clients: Vec<Client> = (0..share).map(|_| gateway.client()).collect();
                loop {
                    let mut sent = Vec::new();
                    for (n, client) in clients.iter_mut().enumerate() {
                        let burst = random.within(1, arrivals.burst);
                        let taken =
                            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(burst)));
                        let burst = burst.min(taken.unwrap_or(0));
                        if burst > 0 {
                            client.send(request.repeat(burst as usize));
                            sent.push((n, burst));
                        }
                    }
                    if sent.is_empty() {
                        break;
                    }
                    for (n, burst) in sent {
                        for _ in 0..burst {
                            let answer = clients[n].response("GET");
                            match answer.code() {
                                "" => _ = passed.fetch_add(1, Ordering::Relaxed),
                                code => assert_eq!(code, "T429ID"),
                            }
                        }
                    }
                }
            });
        }
    });
    passed.into_inner()
}

/// A gateway with the policy `p`, bound to the open API `g/all`.
fn limited(backend: &Backend, workers: u64, limits: &str) -> Config {
    let config = Config::open(backend.address).instance(&format!("workers = {workers}")).admin();
    let bind = "[[bind]]\napi = \"g/all\"\nstages = [\"RELEASE\"]\n";
    config.write("policies/p.toml", &format!("name = \"p\"\ntype = \"traffic-control\"\n{limits}\n\n{bind}"));
    config
}

/// Calls without a pause over the edges of windows of a second. The gateway read its clock between the moments when a call
/// was sent and answered: where both are in one second, it was counted there. Of a second in which one was refused, all
/// calls of the limit have passed.
#[test]
fn at_the_edges_of_windows_each_has_exactly_its_limit() {
    let seconds = if setting("LOCKGATE_QUOTA_RUNS").is_some() { 60 } else { 3 };
    for (workers, limit) in [(2, 40), (4, 7)] {
        let backend = Backend::ok();
        let gateway = limited(&backend, workers, &format!("unit = \"second\"\nwindow = \"fixed\"\napi = {limit}")).start();
        let request = Request::get("/x").bytes();
        let first = now_ms() / 1000;
        let calls: Vec<(u64, u64, bool)> = thread::scope(|scope| {
            let callers: Vec<_> = (0..32)
                .map(|_| {
                    scope.spawn(|| {
                        let (mut client, mut calls) = (gateway.client(), Vec::new());
                        // Whole seconds, and the halves before and after them.
                        while now_ms() < (first + seconds) * 1000 + 1500 {
                            let sent = now_ms();
                            let answer = client.send(&request).response("GET");
                            calls.push((sent, now_ms(), answer.code().is_empty()));
                        }
                        calls
                    })
                })
                .collect();
            callers.into_iter().flat_map(|caller| caller.join().expect("a caller ends well")).collect()
        });
        // Clocks of workers are a little apart.
        const APART_MS: u64 = 5;
        let second_of = |sent: u64, answered: u64| ((sent - APART_MS) / 1000, (answered + APART_MS) / 1000);
        let passed = calls.iter().filter(|call| call.2).count() as u64;
        let (begin, end) = (calls.iter().map(|call| call.0).min().unwrap(), calls.iter().map(|call| call.1).max().unwrap());
        let (begin, end) = ((begin - APART_MS) / 1000, (end + APART_MS) / 1000);
        let mut full = 0;
        for second in begin..=end {
            let within = |passes: bool| {
                let of = |call: &&(u64, u64, bool)| call.2 == passes && second_of(call.0, call.1) == (second, second);
                calls.iter().filter(of).count() as u64
            };
            assert!(within(true) <= limit, "{} of {limit} passed in one second", within(true));
            full += u64::from(within(false) > 0);
        }
        // Of a second without a refusal that is surely its own, any number may have passed.
        let least = full * limit;
        let most = (end - begin + 1) * limit;
        assert!((least..=most).contains(&passed), "{workers} workers: {passed} passed, of {least} to {most}");
        assert!(full >= seconds - 1, "limits were reached in {full} seconds");
    }
}

#[test]
fn a_client_that_leaves_the_queue_gives_its_place_up() {
    let backend = Backend::ok();
    let gateway = limited(&backend, 2, "unit = \"second\"\napi = 1\nqueue = 3\nqueue_wait_ms = 60000").start();
    let request = Request::get("/x").bytes();
    gateway.get("/x").assert_passed();
    let queued = || gateway.metric("lockgate_quota_queued_total").unwrap_or(0.0);
    // As many as may wait, and a few more; tokens come meanwhile, so that it takes some.
    let mut waiting = Vec::new();
    eventually("the queue is full", || {
        let mut client = gateway.client();
        client.send(&request);
        waiting.push(client);
        gateway.metric("lockgate_quota_refused_total{quota=\"api\"}").filter(|&refused| refused > 0.0)
    });
    let before = queued();
    assert!(before >= 3.0, "{before}");
    drop(waiting);
    // Three places are free at once, and not one a second.
    let mut later: Vec<Client> = Vec::new();
    eventually("three others wait", || {
        let mut client = gateway.client();
        client.send(&request);
        later.push(client);
        (queued() >= before + 3.0).then_some(())
    });
}

#[test]
fn of_any_arrivals_exactly_as_many_pass_as_may() {
    let (runs, is_campaign) = (setting("LOCKGATE_QUOTA_RUNS"), setting("LOCKGATE_QUOTA_RUNS").is_some());
    let runs = runs.unwrap_or(6);
    let (most_calls, most_connections) = if is_campaign { (20_000, 1000) } else { (3_000, 200) };
    for workers in [2, 4] {
        let mut random = Random::new(workers);
        let limits: Vec<u64> = (0..runs.div_ceil(2)).map(|_| random.magnitude(1_000_000)).collect();
        let backend = Backend::ok();
        let gateway = gateway(&backend, workers, &limits);
        for (n, &limit) in limits.iter().enumerate() {
            let connections = random.within(64, most_connections) as usize;
            let calls = random.within(limit / 2, limit * 2).clamp(connections as u64, most_calls);
            let arrivals = Arrivals { calls, connections, burst: random.within(1, 16) };
            let passed = storm(&gateway, &format!("g{n}.localhost"), arrivals, &mut random);
            assert_eq!(passed, limit.min(calls), "{workers} workers, limit {limit}, {arrivals:?}");
            if is_campaign {
                println!("{workers} workers: limit {limit}, {arrivals:?}: {passed} passed");
            }
        }
    }
}

/// The largest limit of the campaign, used up to its last unit: `LOCKGATE_QUOTA_LIMIT=1000000 tests/run quotas::a_large`, and
/// `LOCKGATE_QUOTA_LIMIT_RUNS=100` times for each number of workers.
#[test]
fn a_large_limit_is_used_up_to_its_last_unit() {
    let limit = setting("LOCKGATE_QUOTA_LIMIT").unwrap_or(10_000);
    let runs = setting("LOCKGATE_QUOTA_LIMIT_RUNS").unwrap_or(1);
    for workers in [2, 4] {
        let mut random = Random::new(100 + workers);
        let backend = Backend::ok();
        let gateway = gateway(&backend, workers, &vec![limit; runs as usize]);
        for run in 0..runs {
            let connections = random.within(64, 256) as usize;
            let calls = limit + random.within(1, limit / 10);
            let arrivals = Arrivals { calls, connections, burst: random.within(1, 64) };
            let passed = storm(&gateway, &format!("g{run}.localhost"), arrivals, &mut random);
            assert_eq!(passed, limit, "{workers} workers, {arrivals:?}");
            println!("{workers} workers: limit {limit}, {arrivals:?}: {passed} passed");
        }
    }
}

/// Every value of a parameter has a counter of its own. Where there is no room for another, the setting decides, and it is
/// counted; those that are there go on.
#[test]
fn without_room_for_a_counter_a_running_gateway_does_what_the_setting_says() {
    const VALUES: usize = 2000;
    let rules = "default_limit = 1000000\ndefault_period = \"day\"\n[parameters]\nClient = \"Query:c\"\n\
        [[rule]]\nname = \"each\"\nby_parameters = [\"Client\"]\nlimit = 2\nperiod = \"day\"\n";
    for (word, refuses) in [("refuse", true), ("accept", false)] {
        let backend = Backend::ok();
        let config = limited(&backend, 2, rules).at(1_800_003_600);
        let gateway = config.table("quota", &format!("counter_capacity = 1024\ncounter_full = \"{word}\"")).start();
        let mut client = gateway.client();
        let mut call = |n: usize| client.call(&Request::get(&format!("/x?c={n}"))).code().to_owned();
        let codes: Vec<String> = (0..VALUES).map(&mut call).collect();
        // Those that have a counter are held to their limit; the others are refused, or not counted.
        let again: Vec<String> = (0..2 * VALUES).map(|n| call(n % VALUES)).collect();
        let of = |codes: &[String], code: &str| codes.iter().filter(|known| *known == code).count();
        let (refused, passed) = (of(&codes, "T429PR"), of(&again, ""));
        let without_room = if refuses { refused } else { passed - VALUES };
        assert!((300..VALUES - 1024).contains(&without_room), "room for 1024 and half as many: {without_room} without");
        assert_eq!(refused, if refuses { without_room } else { 0 }, "{word}");
        assert_eq!(of(&codes, ""), VALUES - refused);
        assert_eq!(passed, VALUES - without_room + if refuses { 0 } else { 2 * without_room }, "{word}");
        let counted = || gateway.metric("lockgate_quota_without_room_total");
        eventually("each of them is counted", || (counted() == Some(3.0 * without_room as f64)).then_some(()));
    }
}

/// The backend counts what was admitted, whether or not its answer was seen.
#[test]
fn kills_under_load_never_add_to_the_day_and_lose_little() {
    const WORKERS: u64 = 2;
    const CONNECTIONS: usize = 16;
    let kills = setting("LOCKGATE_QUOTA_KILLS").unwrap_or(6);
    let limit = 400 * (kills + 1);
    let mut random = Random::new(7);
    let backend = Backend::ok();
    let mut gateway = gateway(&backend, WORKERS, &[limit]);
    let request = Request::get("/x").host("g0.localhost").bytes();
    for kill in 0..kills {
        // Killed when so many more have passed: a moment that nobody chose.
        let until = backend.count() + random.within(1, 350) as usize;
        let (address, killed, dry) = (gateway.address, AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    let Ok(mut client) = Client::try_connect(address) else { return };
                    // The end of the connection is the kill.
                    while !killed.load(Ordering::Relaxed) {
                        let answered =
                            std::io::Write::write_all(&mut client.stream, &request).and_then(|()| client.reader.response("GET"));
                        match answered.as_ref().map(|answer| answer.code()) {
                            Ok("") => {}
                            Ok(_) => _ = dry.fetch_add(1, Ordering::Relaxed),
                            Err(_) => break,
                        }
                    }
                });
            }
            let enough = || (backend.count() >= until || dry.load(Ordering::Relaxed) > 0).then_some(());
            eventually("some calls have passed", enough);
            gateway.restart();
            killed.store(true, Ordering::Relaxed);
        });
        assert!(dry.into_inner() == 0 && backend.count() as u64 <= limit, "kill {kill}: {} of {limit}", backend.count());
    }
    let mut client = gateway.client();
    let rest = (0..limit).take_while(|_| client.send(&request).response("GET").code().is_empty()).count();
    let passed = backend.count() as u64;
    assert!(passed <= limit, "{passed} of {limit} passed");
    // Admitted, and killed before the backend had it; and once, perhaps, what was in hands.
    let most_lost = kills * CONNECTIONS as u64 + limit / (2 * WORKERS);
    let lost = limit - passed;
    println!("{kills} kills: {passed} of {limit} passed, {rest} of them after the last; {lost} lost, at most {most_lost}");
    assert!(lost <= most_lost, "{lost} lost in {kills} kills");
}

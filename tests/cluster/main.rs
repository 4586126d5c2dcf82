//! Gateways that count together through a real Redis: exact over all of them, and what happens without it.

mod change;
mod hostile;
mod seconds;

use std::net::SocketAddr;
use std::thread;

use lockgate_test_support::{
    Api, App, Authority, Backend, Config, DelayedPeer, Gateway, KeyKind, Redis, Request, Signer, eventually, reserve,
};

const SECRET: &str = "of one cluster, and of no other";

/// A gateway of a cluster, not started. `limits`: of the policy `p`, bound to the open API `g/all`.
fn member(backend: &Backend, engine: SocketAddr, cluster: &str, limits: &str) -> Config {
    let lines = format!("addresses = [\"{engine}\"]\nsecret_file = \"secret\"\n{cluster}");
    let config = Config::open(backend.address).admin().access_log().table("cluster", &lines);
    config.write("secret", SECRET);
    let bind = "[[bind]]\napi = \"g/all\"\nstages = [\"RELEASE\"]\n";
    config.write("policies/p.toml", &format!("name = \"p\"\ntype = \"traffic-control\"\n{limits}\n\n{bind}"));
    config
}

fn members(n: usize, backend: &Backend, engine: SocketAddr, cluster: &str, limits: &str) -> Vec<Gateway> {
    // Together, because the first of them waits for the others.
    let configs: Vec<Config> = (0..n).map(|_| member(backend, engine, cluster, limits)).collect();
    let starts: Vec<_> = configs.into_iter().map(|config| thread::spawn(move || config.start())).collect();
    starts.into_iter().map(|start| start.join().expect("a gateway starts")).collect()
}

/// So many calls on each gateway, over so many connections; how many passed.
fn storm(gateways: &[Gateway], connections: usize, each: u64) -> u64 {
    let request = Request::get("/x").bytes();
    thread::scope(|scope| {
        let callers: Vec<_> = gateways
            .iter()
            .flat_map(|gateway| (0..connections).map(move |_| gateway))
            .map(|gateway| {
                let request = &request;
                scope.spawn(move || {
                    let mut client = gateway.client();
                    let answers = (0..each).map(|_| client.send(request).response("GET").code().to_owned());
                    answers
                        .filter(|code| {
                            code.is_empty() || {
                                assert_eq!(code, "T429PA");
                                false
                            }
                        })
                        .count() as u64
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().expect("a caller ends well")).sum()
    })
}

/// `LOCKGATE_CLUSTER_LIMIT=10000` is a further one.
#[test]
fn over_three_gateways_exactly_the_limit_passes() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let further = std::env::var("LOCKGATE_CLUSTER_LIMIT").ok().map(|limit| limit.parse().expect("a limit"));
    for limit in [1u64, 100, 2000].into_iter().chain(further) {
        let prefix = format!("key_prefix = \"l{limit}\"\nwait_ms = 10000");
        let gateways = members(3, &backend, redis.address, &prefix, &format!("unit = \"day\"\napi = {limit}"));
        let each = (limit * 2).div_ceil(12).max(5);
        assert_eq!(storm(&gateways, 4, each), limit, "{}", gateways[0].output());
    }
}

/// Waits until every gateway has found its engine again so many times.
fn wait_for_engine(gateways: &[Gateway], times: usize) {
    for gateway in gateways {
        eventually("the engine is found again", || (gateway.output().matches("is there again").count() >= times).then_some(()));
    }
}

fn wait_for_loss(gateways: &[Gateway]) {
    gateways.iter().for_each(|gateway| gateway.wait_for_output("engine of the cluster cannot be reached"));
}

/// What is given out without an engine that nobody has leased from, and what is left when it is back, empty.
fn without_an_engine(word: &str, lost: u64, left: u64) {
    let (backend, mut redis) = (Backend::ok(), Redis::start());
    let limits = format!("unit = \"day\"\napi = 90\non_engine_loss = \"{word}\"");
    let gateways = members(3, &backend, redis.address, "nodes = 3\nwait_ms = 10000", &limits);
    redis.kill();
    wait_for_loss(&gateways);
    assert_eq!(storm(&gateways, 4, 100), lost, "{word}: without the engine");
    redis.restart();
    wait_for_engine(&gateways, 1);
    assert_eq!(storm(&gateways, 4, 30), left, "{word}: with it again");
    for gateway in &gateways {
        assert_eq!(gateway.output().matches("cannot be reached").count(), 1, "said once: {}", gateway.output());
    }
}

#[test]
fn a_limit_may_refuse_without_an_engine() {
    without_an_engine("refuse", 0, 90);
}

#[test]
fn a_limit_may_give_a_share_out_without_an_engine() {
    without_an_engine("local-share", 90, 0);
}

#[test]
fn a_limit_may_be_given_out_by_each_gateway_without_an_engine() {
    without_an_engine("allow", 270, 0);
}

#[test]
fn an_engine_that_has_forgotten_is_told_what_has_been_counted() {
    let (backend, mut redis) = (Backend::ok(), Redis::start());
    let gateways =
        members(3, &backend, redis.address, "wait_ms = 10000", "unit = \"day\"\napi = 1000\non_engine_loss = \"refuse\"");
    let mut passed = storm(&gateways, 2, 40);
    assert_eq!(passed, 240);
    for times in 1..=2 {
        redis.restart();
        wait_for_engine(&gateways, times);
        passed += storm(&gateways, 2, 40);
        assert_eq!(passed, 240 * (times as u64 + 1));
    }
    passed += storm(&gateways, 2, 100);
    assert_eq!(passed, 1000);
}

#[test]
fn a_paused_engine_holds_no_call_up_for_longer_than_its_setting() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let limits = "unit = \"day\"\napi = 300\non_engine_loss = \"local-share\"";
    let gateways = members(3, &backend, redis.address, "nodes = 3\nwait_ms = 300", limits);
    redis.pause();
    // All are answered while nobody answers the gateways.
    let passed = storm(&gateways, 4, 40);
    assert_eq!(passed, 300, "each gives its share out");
    redis.resume();
    wait_for_engine(&gateways, 1);
    assert_eq!(storm(&gateways, 4, 40), 0, "all of it has been counted");
}

#[test]
fn a_slow_way_to_the_engine_changes_no_sum() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let slow = DelayedPeer::start(redis.address, 50);
    let gateways = members(3, &backend, slow.address, "wait_ms = 15000", "unit = \"day\"\napi = 600");
    assert_eq!(storm(&gateways, 8, 40), 600);
}

fn signing_members(n: usize, backend: &Backend, engine: SocketAddr, cluster: &str) -> Vec<Gateway> {
    let config = || {
        let lines = format!("addresses = [\"{engine}\"]\nsecret_file = \"secret\"\n{cluster}");
        let config = Config::with_backend(backend.address).instance("workers = 4").access_log().table("cluster", &lines);
        config.write("secret", SECRET);
        config.published(&Api::app("a", "/a")).app(&App::alpha().may_call("g/a", &["RELEASE"]))
    };
    let configs: Vec<Config> = (0..n).map(|_| config()).collect();
    configs.into_iter().map(Config::start).collect()
}

fn signed(nonce: &str) -> Request {
    let app = App::alpha();
    Signer::new(&app.key, &app.secret).sign(Request::get("/a").field("X-Ca-Nonce", nonce))
}

/// `LOCKGATE_CLUSTER_COPIES=10000` is the full form.
#[test]
fn a_nonce_passes_once_over_all_gateways() {
    let copies: usize = std::env::var("LOCKGATE_CLUSTER_COPIES").map_or(1000, |n| n.parse().expect("a number of copies"));
    // Of requests that come behind each other on a connection there is a limit.
    let connections = copies.div_ceil(2 * 200).max(10);
    let (backend, redis) = (Backend::ok(), Redis::start());
    let gateways = signing_members(2, &backend, redis.address, "wait_ms = 15000");
    let each = copies.div_ceil(2 * connections);
    for round in 0..3 {
        let burst = signed(&format!("once-{round}")).bytes().repeat(each);
        let codes: Vec<String> = thread::scope(|scope| {
            let callers: Vec<_> = gateways
                .iter()
                .flat_map(|gateway| (0..connections).map(move |_| gateway))
                .map(|gateway| {
                    let burst = &burst;
                    scope.spawn(move || {
                        let mut client = gateway.client();
                        client.send(burst);
                        (0..each).map(|_| client.response("GET").code().to_owned()).collect::<Vec<_>>()
                    })
                })
                .collect();
            callers.into_iter().flat_map(|caller| caller.join().expect("a caller ends well")).collect()
        });
        assert_eq!(codes.iter().filter(|code| code.is_empty()).count(), 1);
        assert_eq!(codes.iter().filter(|code| *code == "S403NU").count(), codes.len() - 1);
        assert_eq!(backend.count(), round + 1);
    }
}

#[test]
fn nonces_without_an_engine_do_what_the_setting_says() {
    for (word, passes) in [("refuse", false), ("allow", true)] {
        let (backend, mut redis) = (Backend::ok(), Redis::start());
        let cluster = format!("wait_ms = 15000\nnonces_on_engine_loss = \"{word}\"");
        let gateways = signing_members(2, &backend, redis.address, &cluster);
        gateways[0].call(&signed("before")).assert_passed();
        redis.kill();
        wait_for_loss(&gateways);
        for gateway in &gateways {
            let code = gateway.call(&signed("without")).code().to_owned();
            assert_eq!(code, if passes { "" } else { "S403NU" }, "{word}");
            gateway.call(&signed("without")).assert_refused("S403NU");
        }
        redis.restart();
        wait_for_engine(&gateways, 1);
        gateways[1].call(&signed("after")).assert_passed();
        gateways[0].call(&signed("after")).assert_refused("S403NU");
    }
}

#[test]
fn what_is_used_at_all_gateways_is_shown_and_begun_anew() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let gateways = members(2, &backend, redis.address, "wait_ms = 15000", "unit = \"day\"\napi = 50");
    assert_eq!(storm(&gateways, 2, 30), 50);
    for gateway in &gateways {
        let rows: serde_json::Value = serde_json::from_str(&gateway.ok(&["quota", "--format", "json"])).expect("JSON");
        assert_eq!((rows[0]["used"].as_u64(), rows[0]["left"].as_u64()), (Some(50), Some(0)), "{rows}");
    }
    gateways[0].ok(&["quota", "reset", "p", "g/all"]);
    // The other one hears of it in a moment.
    eventually("it passes there again", || gateways[1].get("/x").code().is_empty().then_some(()));
    assert_eq!(storm(&gateways, 2, 30), 49);
}

/// The whole way over TLS, with an authority, a user and a password of one's own.
#[test]
fn an_engine_may_be_spoken_to_over_tls_by_a_user_with_a_password() {
    let authority = Authority::new("engines");
    let identity = authority.issue("engine", &["127.0.0.1"], KeyKind::Ecdsa);
    let directory = tempfile::tempdir().expect("a temporary directory");
    identity.write(directory.path(), "engine");
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let port = reserve();
    let secure_port = port.address.port().to_string();
    let (certificate, key) = (path("engine.pem"), path("engine.key"));
    let words = ["--tls-port", &secure_port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let user = [
        "--tls-ca-cert-file",
        &certificate,
        "--tls-auth-clients",
        "no",
        "--user",
        "edge",
        "on",
        ">a-password",
        "~*",
        "&*",
        "+@all",
    ];
    let _redis = Redis::with(&[&words[..], &user[..]].concat());
    let (backend, cluster) = (Backend::ok(), "wait_ms = 15000\nusername = \"edge\"\npassword_file = \"password\"");
    let gateways: Vec<Gateway> = (0..2)
        .map(|_| {
            let tls = format!("{cluster}\n\n[cluster.tls]\nauthorities = \"authorities.pem\"");
            let config = member(&backend, port.address, &tls, "unit = \"day\"\napi = 40");
            config.write("authorities.pem", &authority.pem);
            config.write("password", "a-password\n");
            config.start()
        })
        .collect();
    assert_eq!(storm(&gateways, 2, 20), 40, "{}", gateways[0].output());
    assert!(gateways.iter().all(|gateway| !gateway.output().contains("a-password") && !gateway.output().contains(SECRET)));
}

/// The replica of an engine that is killed is promoted, as Sentinels do it in their own time; what has been counted goes on
/// there.
#[test]
fn an_engine_that_fails_over_goes_on_counting() {
    let (backend, mut first) = (Backend::ok(), Redis::with(&["--repl-diskless-sync-delay", "0"]));
    let port = |address: SocketAddr| address.port().to_string();
    let second = Redis::with(&["--replicaof", "127.0.0.1", &port(first.address)]);
    let sentinel = Redis::sentinel("main", first.address);
    let cluster = "wait_ms = 10000\nform = \"sentinel\"\nsentinel_master = \"main\"";
    let limits = "unit = \"day\"\napi = 400\non_engine_loss = \"refuse\"";
    let gateways = members(2, &backend, sentinel.address, cluster, limits);
    let mut passed = storm(&gateways, 2, 30);
    assert_eq!(passed, 120, "{}", gateways[0].output());
    let copied = || second.ask(&["INFO", "replication"]).contains("master_link_status:up").then_some(());
    eventually("the replica has a copy", copied);
    first.kill();
    wait_for_loss(&gateways);
    second.ask(&["REPLICAOF", "NO", "ONE"]);
    sentinel.ask(&["SENTINEL", "REMOVE", "main"]);
    sentinel.ask(&["SENTINEL", "MONITOR", "main", "127.0.0.1", &port(second.address), "1"]);
    wait_for_engine(&gateways, 1);
    passed += storm(&gateways, 2, 100);
    assert_eq!(passed, 400, "{}", gateways[0].output());
}

/// Sentinels find by themselves that the engine is gone, and make its replica the next one. A gateway that has a lease goes on
/// meanwhile; the others answer by their setting.
#[test]
fn sentinels_fail_over_and_the_gateways_follow() {
    let (backend, mut first) = (Backend::ok(), Redis::with(&["--repl-diskless-sync-delay", "0"]));
    let port = first.address.port().to_string();
    let second = Redis::with(&["--replicaof", "127.0.0.1", &port]);
    let sentinel = Redis::sentinel("main", first.address);
    for setting in ["down-after-milliseconds", "failover-timeout"] {
        let said =
            sentinel.ask(&["SENTINEL", "SET", "main", setting, if setting == "failover-timeout" { "3000" } else { "300" }]);
        assert!(said.starts_with("+OK"), "{said}");
    }
    let copied = || second.ask(&["INFO", "replication"]).contains("master_link_status:up").then_some(());
    eventually("the replica has a copy", copied);
    eventually("the sentinel knows it", || sentinel.ask(&["SENTINEL", "REPLICAS", "main"]).contains("slave").then_some(()));
    let cluster = "wait_ms = 10000\nform = \"sentinel\"\nsentinel_master = \"main\"";
    let gateways = members(2, &backend, sentinel.address, cluster, "unit = \"day\"\napi = 400\non_engine_loss = \"refuse\"");
    let mut passed = storm(&gateways, 2, 30);
    assert_eq!(passed, 120, "{}", gateways[0].output());
    first.kill();
    wait_for_loss(&gateways);
    passed += storm(&gateways, 1, 10);
    wait_for_engine(&gateways, 1);
    assert!(second.ask(&["ROLE"]).contains("master"), "nobody else has made it so");
    passed += storm(&gateways, 2, 100);
    assert_eq!(passed, 400, "{}", gateways[0].output());
}

#[test]
fn gateways_may_count_through_a_redis_cluster() {
    // Without it a bus takes a port of its own choice, which may be anyone's.
    let bus = reserve();
    let bus_port = bus.address.port().to_string();
    let (backend, redis) = (Backend::ok(), Redis::with(&["--cluster-enabled", "yes", "--cluster-port", &bus_port]));
    redis.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    eventually("the slots are served", || redis.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok").then_some(()));
    let gateways = members(2, &backend, redis.address, "wait_ms = 15000\nform = \"cluster\"", "unit = \"day\"\napi = 60");
    assert_eq!(storm(&gateways, 2, 30), 60, "{}", gateways[0].output());
}

/// Where little is left, each call asks for its unit, and hears what the others have.
#[test]
fn answers_say_what_is_left_for_all_gateways() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let gateways = members(2, &backend, redis.address, "wait_ms = 15000", "unit = \"day\"\napi = 8\nfields = \"x-ratelimit\"");
    let mut lefts = Vec::new();
    for n in 0..8 {
        let answer = gateways[n % 2].get("/x");
        answer.assert_passed();
        lefts.push(answer.field("X-RateLimit-Remaining").expect("it is told").parse::<u64>().expect("a number"));
    }
    // A gateway may have a unit in hand that it has not used, or not have heard of the other's last ones.
    assert!(lefts.iter().zip((0..8).rev()).all(|(&left, right): (_, u64)| left.abs_diff(right) <= 3), "{lefts:?}");
    for gateway in &gateways {
        let refused = gateway.get("/x");
        refused.assert_refused("T429PA");
        assert_eq!(refused.field("X-RateLimit-Remaining"), Some("0"));
    }
}

#[test]
fn what_is_known_of_the_engine_is_shown() {
    let (backend, mut redis) = (Backend::ok(), Redis::start());
    let gateways = members(2, &backend, redis.address, "wait_ms = 10000", "unit = \"day\"\napi = 100000");
    assert_eq!(storm(&gateways, 2, 200), 800);
    let metric = |name: &str| gateways[0].metric(name).unwrap_or(-1.0);
    eventually("both are known", || (metric("lockgate_cluster_gateways") == 2.0).then_some(()));
    assert_eq!(metric("lockgate_cluster_engine_up"), 1.0);
    let (leases, units) = (metric("lockgate_cluster_leases_total"), metric("lockgate_cluster_lease_units_total"));
    assert!((1.0..200.0).contains(&leases) && units >= 400.0, "{leases} leases of {units} units for 400 calls");
    assert!(gateways[0].ok(&["status"]).contains("engine reachable, 2 gateways"));
    redis.kill();
    eventually("it is missed", || (metric("lockgate_cluster_engine_up") == 0.0).then_some(()));
    assert!(gateways[0].ok(&["status"]).contains("engine cannot be reached"));
}

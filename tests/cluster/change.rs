//! What changes while gateways count together: policies, clocks, gateways themselves.

use lockgate_test_support::{Backend, Config, Gateway, Redis, eventually, now_ms};

use super::{member, members, storm};

fn policy(name: &str, limits: &str) -> String {
    format!("name = \"{name}\"\ntype = \"traffic-control\"\n{limits}\n\n[[bind]]\napi = \"g/all\"\nstages = [\"RELEASE\"]\n")
}

fn change(gateways: &[Gateway], limits: &str) {
    for gateway in gateways {
        gateway.write("policies/p.toml", &policy("p", limits));
        gateway.ok(&["reload", "--wait"]);
    }
}

#[test]
fn a_limit_that_changes_goes_on_with_its_count_everywhere() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let gateways = members(3, &backend, redis.address, "wait_ms = 15000", "unit = \"day\"\napi = 50");
    assert_eq!(storm(&gateways, 2, 20), 50);
    change(&gateways, "unit = \"day\"\napi = 80");
    assert_eq!(storm(&gateways, 2, 20), 30);
    change(&gateways, "unit = \"day\"\napi = 20");
    assert_eq!(storm(&gateways, 2, 10), 0);
    change(&gateways, "unit = \"day\"\napi = 81");
    assert_eq!(storm(&gateways, 2, 10), 1);
    // Under another unit it is another rule, and under another name another policy: both begin anew.
    change(&gateways, "unit = \"hour\"\napi = 12");
    let passed = storm(&gateways, 2, 10);
    assert!(passed == 12 || passed == 24, "{passed}: the hour may have ended");
    for gateway in &gateways {
        std::fs::remove_file(gateway.path().join("policies/p.toml")).expect("it is there");
        gateway.write("policies/q.toml", &policy("q", "unit = \"day\"\napi = 7"));
        gateway.ok(&["reload", "--wait"]);
    }
    assert_eq!(storm(&gateways, 2, 10), 7);
}

/// Limit and unit change again and again while calls come: never an error, and of each limit no more than it says.
#[test]
fn a_policy_may_change_under_load() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let gateways = members(2, &backend, redis.address, "wait_ms = 15000", "unit = \"day\"\napi = 100");
    let passed = std::thread::scope(|scope| {
        let calls = scope.spawn(|| storm(&gateways, 4, 250));
        for round in 0..6 {
            let limits = [
                "unit = \"second\"\napi = 40\nqueue = 20",
                "unit = \"day\"\napi = 120",
                "unit = \"second\"\napi = 10\nqueue = 5",
            ];
            change(&gateways, limits[round % 3]);
        }
        change(&gateways, "unit = \"day\"\napi = 150");
        calls.join().expect("callers end well")
    });
    assert!(passed > 0);
    let before = storm(&gateways, 2, 100);
    assert!(before <= 150 && storm(&gateways, 2, 10) == 0, "{before}");
}

/// Windows are those of the engine's clock, whatever those of the gateways say.
#[test]
fn clocks_that_differ_count_in_one_window() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let now_s = now_ms() / 1000;
    for limits in ["unit = \"day\"\napi = 60", "unit = \"second\"\napi = 60\nqueue = 1"] {
        let prefix = if limits.contains("day") { "d" } else { "s" };
        let at = |offset_s: i64| {
            let cluster = format!("wait_ms = 15000\nkey_prefix = \"{prefix}\"");
            member(&backend, redis.address, &cluster, limits).at(now_s.saturating_add_signed(offset_s)).start()
        };
        let gateways = [at(-3 * 86_400), at(0), at(7200)];
        let began_ms = now_ms();
        let passed = storm(&gateways, 2, 50);
        let more = if prefix == "d" { 0 } else { 62 * (now_ms() - began_ms) / 1000 + 2 };
        assert!((60..=60 + more).contains(&passed), "{passed}: {limits}");
    }
}

/// Windows begin while gateways start and end, and calls come all the time.
#[test]
fn gateways_come_and_go_over_the_edges_of_windows() {
    const LIMIT: u64 = 20;
    let (backend, redis) = (Backend::ok(), Redis::start());
    let limits = format!("unit = \"second\"\nwindow = \"fixed\"\napi = {LIMIT}");
    let gateways = members(2, &backend, redis.address, "wait_ms = 10000", &limits);
    let mut third: Gateway = member(&backend, redis.address, "wait_ms = 10000", &limits).start();
    let first = now_ms() / 1000;
    let passed = std::thread::scope(|scope| {
        let calls = scope.spawn(|| storm(&gateways, 6, 400));
        for _ in 0..2 {
            storm(std::slice::from_ref(&third), 2, 20);
            third.restart();
        }
        calls.join().expect("callers end well")
    });
    let windows = now_ms() / 1000 - first + 1;
    let all = backend.count() as u64;
    assert!(passed <= all && all <= windows * LIMIT, "{all} of {windows} seconds");
}

/// Two clusters on one engine: what tells them apart is their prefix, or their secret.
#[test]
fn clusters_on_one_engine_do_not_count_together() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let limits = "unit = \"day\"\napi = 10";
    let of = |prefix: &str, secret: &str| {
        let config: Config = member(&backend, redis.address, &format!("wait_ms = 15000\nkey_prefix = \"{prefix}\""), limits);
        config.write("secret", secret);
        config.start()
    };
    let odd = "a\\\"b'*?[x]:%s|~";
    let prefix = odd.replace('\\', "\\\\").replace('"', "\\\"");
    for gateway in
        [of("one", "a secret of one cluster"), of("two", "a secret of one cluster"), of("one", "another secret, of another")]
    {
        assert_eq!(storm(std::slice::from_ref(&gateway), 2, 10), 10);
    }
    let together = [of(&prefix, "a secret of one cluster"), of(&prefix, "a secret of one cluster")];
    eventually("both are known", || together[0].ok(&["status"]).contains("2 gateways").then_some(()));
    assert_eq!(storm(&together, 2, 10), 10);
    assert!(redis.ask(&["KEYS", "*"]).contains(odd));
}

//! `/metrics`: what is counted, that it can be read, and that names are bounded.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Stdio;

use lockgate_test_support::{
    Api, App, Backend, Client, Config, Frame, FrameClient, Gateway, Redis, Request, Signer, TlsClient, client_config, eventually,
    lockgate, promtool, repository, reserve, secured, succeeds,
};

fn requests(gateway: &Gateway, api: &str, status: &str) -> Option<f64> {
    gateway.metric(&format!("lockgate_requests_total{{group=\"g\",api=\"{api}\",stage=\"RELEASE\",status=\"{status}\"}}"))
}

#[test]
fn requests_are_counted_by_api_stage_and_outcome() {
    let backend = Backend::answering(|request| {
        let status = if request.target().ends_with("/bad") { "500 No" } else { "200 OK" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\ngood").into_bytes()
    });
    let gateway = Config::with_backend(backend.address)
        .published(&Api::open("open", "/open/*").backend_path("/*"))
        .published(&Api::app("app", "/app"))
        .app(&App::alpha().may_call("g/app", &["RELEASE"]))
        .admin()
        .start();
    for _ in 0..3 {
        gateway.get("/open/good").assert_passed();
    }
    gateway.get("/open/bad").status();
    gateway.call(&Request::get("/app").app_code("wrong")).assert_refused("A401AC");
    gateway.get("/nothing").assert_refused("I404NF");
    eventually("the refusal is counted", || gateway.metric("lockgate_refused_total{code=\"I404NF\"}"));
    assert_eq!((requests(&gateway, "open", "2xx"), requests(&gateway, "open", "5xx")), (Some(3.0), Some(1.0)));
    assert_eq!((requests(&gateway, "app", "4xx"), requests(&gateway, "app", "2xx")), (Some(1.0), None));
    for (sample, value) in [
        ("lockgate_requests_total{group=\"(none)\",api=\"(none)\",stage=\"(none)\",status=\"4xx\"}", 1.0),
        ("lockgate_api_refused_total{group=\"g\",api=\"app\",stage=\"RELEASE\",code=\"A401AC\"}", 1.0),
        ("lockgate_authentication_failures_total{reason=\"app-code\"}", 1.0),
        ("lockgate_authentication_failures_total{reason=\"signature\"}", 0.0),
        ("lockgate_request_duration_seconds_count{group=\"g\",api=\"open\",stage=\"RELEASE\"}", 4.0),
        ("lockgate_backend_duration_seconds_bucket{group=\"g\",api=\"open\",stage=\"RELEASE\",le=\"+Inf\"}", 4.0),
        ("lockgate_requests_ended_total{ended=\"answered\"}", 6.0),
        ("lockgate_upstream_connect_failures_total{vpc_access=\"backend\"}", 0.0),
        ("lockgate_ready", 1.0),
    ] {
        assert_eq!(gateway.metric(sample), Some(value), "{sample}\n{}", gateway.admin("/metrics").text());
    }
    assert!(gateway.metric("lockgate_sent_bytes_total") > Some(500.0));
}

#[test]
fn prometheus_finds_nothing_wrong() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).admin().start();
    gateway.get("/x").assert_passed();
    gateway.call(&Request::get("/x").host("{evil=\"\\\"}")).status();
    let page = gateway.admin("/metrics");
    assert_eq!(page.field("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut check = promtool()
        .args(["check", "metrics", "--extended"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    check.stdin.take().expect("it is piped").write_all(page.text().as_bytes()).expect("promtool reads the page");
    let output = check.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}\n{}", page.text());
}

/// Metrics that the test below cannot move, and why.
const STILL: &[(&str, &str)] = &[
    ("lockgate_panics_total", "no bug is known that a client can reach; counted by proxy/core.rs::spawn"),
    ("lockgate_accept_errors_total", "connections are closed before descriptors run out"),
    ("lockgate_upgraded_connections_open", "no API of it switches; tests/upgrades.rs reads it"),
    ("lockgate_quota_queued_total", "tests/quotas.rs looks at it"),
    ("lockgate_quota_without_room_total", "its counters have room; src/gate/tests.rs fills them"),
    ("lockgate_workers_behind", "only for the moment in which workers switch"),
];

/// The metrics that have a sample other than 0.
fn moved(gateway: &Gateway) -> BTreeSet<String> {
    let page = gateway.admin("/metrics").text();
    let samples = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let moved = samples.filter(|(_, value)| value.parse::<f64>().is_ok_and(|value| value > 0.0));
    let name = |sample: &str| sample.split('{').next().unwrap_or_default().to_owned();
    moved.map(|(sample, _)| name(sample).trim_end_matches("_count").to_owned()).collect()
}

#[test]
fn every_metric_moves() {
    // Answers one request on each connection; a held one waits for the test, and a second one gets no answer.
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let backend = Backend::scripted(move |peer| {
        if peer.request()?.is_some_and(|request| request.target() == "/held") {
            _ = released.lock().expect("no script panicked").recv();
        }
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")?;
        peer.request()?;
        peer.close()
    });
    let gone = [reserve(), reserve()];
    let config = Config::new()
        .vpc_access("backend", backend.address, "")
        .vpc_access_of("pair", &[gone[0].address, gone[1].address], "")
        .group("g", &["*"], "default_domain_calls_per_day = 1")
        .instance("workers = 1")
        .http2()
        .table("limits", "pool_connections = 1\nidle_timeout_ms = 300\nconnections_per_worker = 4\nhttp2_idle_frames = 8")
        .access_log()
        .published(&Api::open("all", "/*").backend_path("/*"))
        .published(&Api::open("nowhere", "/nowhere").vpc_access("pair"))
        .published(&Api::app("app", "/app"));
    config.write("policies/one.toml", &traffic_control("one", "api = 1", "nowhere"));
    let gateway = config.admin().start();
    let mut seen = BTreeSet::new();
    let mut client = gateway.client();
    // The second call finds its connection closed, and is sent again.
    client.call(&Request::get("/1")).assert_passed();
    client.call(&Request::get("/2")).assert_passed();
    // One that speaks HTTP/2, then nonsense, and then too much.
    let mut chatty = FrameClient::connect(gateway.address);
    let mut nonsense = Frame::get(3, "/3");
    nonsense.payload.extend_from_slice(b"\x00\x02te\x04gzip");
    chatty.frame(&nonsense).wait_for(&[Frame::RST_STREAM]);
    let reset = Frame::new(Frame::RST_STREAM, 0, 5, [0, 0, 0, 8]);
    chatty.send(&[Frame::get(5, "/3").bytes(), reset.bytes()].concat()).assert_alive();
    chatty.frame(&Frame::get(7, "/3")).wait_for(&[Frame::HEADERS]);
    chatty.send(&Frame::new(Frame::PING, 0, 0, [0; 8]).bytes().repeat(9)).wait_for(&[Frame::GOAWAY]);
    drop(chatty);
    seen.extend(moved(&gateway));
    gateway.call(&Request::get("/app")).assert_refused("A400MA");
    gateway.get("/nowhere").assert_refused("D504CO");
    let quota = Request::get("/x").host("g.localhost");
    gateway.call(&quota).assert_passed();
    gateway.call(&quota).assert_refused("T429ID");
    assert_eq!(gateway.metric("lockgate_default_domain_calls{group=\"g\"}"), Some(1.0));
    // One call holds the only connection, others wait for it.
    let mut held = gateway.client();
    held.send(Request::get("/held").bytes());
    eventually("a call is held", || {
        (gateway.metric("lockgate_upstream_calls_in_flight{vpc_access=\"backend\"}")? > 0.0).then_some(())
    });
    let waiting: Vec<_> = (1..=3)
        .map(|n| {
            let mut waits = gateway.client();
            waits.send(Request::get("/3").bytes());
            let queued = || gateway.metric("lockgate_upstream_queued_total{vpc_access=\"backend\"}");
            eventually("a call waits", || (queued()? >= f64::from(n)).then_some(()));
            waits
        })
        .collect();
    seen.extend(moved(&gateway));
    // As many connections as there may be, and none of them idle.
    eventually("a connection is shed", || {
        _ = Client::try_connect(gateway.address);
        (gateway.metric("lockgate_connections_shed_total")? > 0.0).then_some(())
    });
    release.send(()).expect("the backend waits");
    held.response("GET").assert_passed();
    for mut waits in waiting {
        waits.response("GET").assert_passed();
    }
    let mut idle = Vec::new();
    eventually("an idle connection makes room", || {
        idle.push(Client::try_connect(gateway.address));
        (gateway.metric("lockgate_connections_ended_total")? > 0.0).then_some(())
    });
    eventually("idle connections end", || (gateway.metric("lockgate_timeouts_total{wait=\"idle\"}")? > 0.0).then_some(()));
    eventually("lines are written", || (gateway.metric("lockgate_access_log_lines_written_total")? > 0.0).then_some(()));
    seen.extend(moved(&gateway));

    // Files with an error.
    gateway.write("apps/bad.toml", "name = 1\n");
    gateway.fails(&["reload", "--wait"]);
    seen.extend(moved(&gateway));

    // Handshakes: one of a client that is known, one that fails, one too many. More nonces than there is room for.
    let tables = "tls_handshakes = 1\ntls_handshake_timeout_ms = 1000";
    let (config, authority) = secured(backend.address, "", "");
    let config = config.instance("workers = 1").table("limits", tables).table("security", "nonce_capacity = 1024");
    let app = App::alpha().may_call("g/app", &["RELEASE"]);
    let sealed = config.published(&Api::app("app", "/app")).app(&app).admin().start();
    let client = client_config(&authority, &[], None);
    for _ in 0..2 {
        TlsClient::connect(sealed.https(), "api.test", &client).call(&Request::get("/")).status();
    }
    assert!(TlsClient::try_connect(sealed.https(), "other.example", &client).is_err());
    let silent = Client::connect(sealed.https());
    eventually("a handshake is shed", || {
        _ = TlsClient::try_connect(sealed.https(), "api.test", &client);
        (sealed.metric("lockgate_tls_handshakes_shed_total")? > 0.0).then_some(())
    });
    drop(silent);
    let signer = Signer::new(&app.key, &app.secret);
    let mut many = sealed.client();
    let mut n = 0;
    eventually("there is no room for a nonce", || {
        for _ in 0..500 {
            n += 1;
            many.call(&signer.sign(Request::get("/app").host("api.test").field("X-Ca-Nonce", format!("nonce-{n}")))).status();
        }
        (sealed.metric("lockgate_nonces_without_room_total")? > 0.0).then_some(())
    });
    seen.extend(moved(&sealed));

    // A gateway of a cluster, whose engine goes away.
    let mut redis = Redis::start();
    let engine = format!("addresses = [\"{}\"]\nsecret_file = \"secret\"\nwait_ms = 10000", redis.address);
    let config = Config::with_backend(backend.address).published(&Api::app("app", "/app")).app(&app).table("cluster", &engine);
    config.write("secret", "a secret of these gateways");
    let node = config.admin().start();
    node.call(&signer.sign(Request::get("/app").host("g.localhost").field("X-Ca-Nonce", "one"))).assert_passed();
    seen.extend(moved(&node));
    redis.kill();
    eventually("the engine is missed", || (node.metric("lockgate_cluster_failures_total")? > 0.0).then_some(()));
    seen.extend(moved(&node));

    // A log that takes nothing.
    let unlogged = Config::open(backend.address).table("access_log", "path = \"/dev/full\"").admin().start();
    unlogged.get("/1").status();
    eventually("lines are lost", || (unlogged.metric("lockgate_access_log_lines_dropped_total")? > 0.0).then_some(()));
    seen.extend(moved(&unlogged));

    let listed = succeeds(lockgate(repository()).arg("metrics")).stdout;
    let listed = String::from_utf8(listed).expect("text");
    let listed: BTreeSet<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let still: Vec<_> = listed.iter().filter(|name| !seen.contains(**name) && STILL.iter().all(|(s, _)| s != *name)).collect();
    assert!(listed.len() > 30 && still.is_empty(), "nothing moved {still:?}");
    let unlisted: Vec<_> = seen
        .iter()
        .filter(|name| !listed.contains(name.as_str()))
        .filter(|n| !n.ends_with("_sum") && !n.ends_with("_bucket"))
        .collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");
}

/// A policy by the day, bound to an API of `g`.
fn traffic_control(name: &str, limits: &str, api: &str) -> String {
    let head = format!("name = \"{name}\"\ntype = \"traffic-control\"\nunit = \"day\"\n{limits}\n");
    format!("{head}\n[[bind]]\napi = \"g/{api}\"\nstages = [\"RELEASE\"]\n")
}

#[test]
fn what_policies_have_given_out_is_shown_by_rule() {
    let backend = Backend::ok();
    let mut config =
        Config::with_backend(backend.address).published(&Api::app("one", "/one")).published(&Api::open("two", "/two"));
    for name in ["a", "b"] {
        let app = App::new(name, &format!("key-of-{name}"), &format!("secret-of-{name}"), &format!("code-of-{name}"));
        config = config.app(&app.may_call("g/one", &["RELEASE"]));
    }
    let special = "api = 100\napp = 40\n\n[[special]]\napp = \"b\"\nlimit = 7";
    config.write("policies/gold.toml", &traffic_control("gold", special, "one"));
    config.write("policies/two.toml", &traffic_control("two", "api = 1000", "two"));
    let gateway = config.admin().start();
    let metric = |metric: &str, policy: &str, rule: &str| {
        gateway.metric(&format!("lockgate_quota_{metric}{{policy=\"{policy}\",rule=\"{rule}\"}}"))
    };
    assert_eq!(metric("calls", "gold", "api"), None, "nothing is used");
    let call = |app: &str| gateway.call(&Request::get("/one").app_code(&format!("code-of-{app}")));
    (0..25).for_each(|_| call("a").assert_passed());
    (0..7).for_each(|_| call("b").assert_passed());
    call("b").assert_refused("T429PA");
    gateway.get("/two").assert_passed();
    for (rule, calls, subjects, exhausted) in [("api", 32.0, 1.0, 0.0), ("app", 32.0, 2.0, 1.0)] {
        assert_eq!(metric("calls", "gold", rule), Some(calls), "{rule}");
        assert_eq!(metric("subjects", "gold", rule), Some(subjects), "{rule}");
        assert_eq!(metric("exhausted_subjects", "gold", rule), Some(exhausted), "{rule}");
    }
    assert_eq!((metric("calls", "two", "api"), metric("calls", "two", "app")), (Some(1.0), None));
    // By the policies in force.
    gateway.write("policies/gold.toml", &traffic_control("gold", "api = 100\napp = 25", "one"));
    gateway.ok(&["reload", "--wait"]);
    assert_eq!(metric("exhausted_subjects", "gold", "app"), Some(1.0), "it is the other app by now");
    std::fs::remove_file(gateway.path().join("policies/gold.toml")).unwrap();
    gateway.ok(&["reload", "--wait"]);
    assert_eq!((metric("calls", "gold", "api"), metric("calls", "two", "api")), (None, Some(1.0)));
}

#[test]
fn the_reference_is_what_the_program_prints() {
    let printed = succeeds(lockgate(repository()).args(["metrics", "--format", "markdown"])).stdout;
    let page = fs::read_to_string(repository().join("METRICS.md")).expect("METRICS.md can be read");
    assert!(page.as_bytes() == printed, "write it anew: target/debug/lockgate metrics --format markdown > METRICS.md");
}

#[test]
fn names_beyond_the_limit_are_counted_together() {
    let backend = Backend::ok();
    let limits = "metrics_apis = 2\nmetrics_vpc_accesses = 1";
    let mut config = Config::with_backend(backend.address).vpc_access("second", backend.address, "");
    config = config.table("limits", limits).instance("workers = 1").published(&Api::open("e", "/e").vpc_access("second"));
    for name in ["a", "b", "c", "d"] {
        config = config.published(&Api::open(name, &format!("/{name}")));
    }
    let gateway = config.admin().start();
    for path in ["/d", "/c", "/b", "/a", "/a"] {
        gateway.get(path).assert_passed();
    }
    let other = "lockgate_requests_total{group=\"(other)\",api=\"(other)\",stage=\"(other)\",status=\"2xx\"}";
    eventually("all are counted", || (gateway.metric(other) == Some(3.0)).then_some(()));
    gateway.get("/e").assert_passed();
    let connections = |name: &str| gateway.metric(&format!("lockgate_upstream_connections_total{{vpc_access=\"{name}\"}}"));
    eventually("the second is counted with others", || (connections("(other)") == Some(1.0)).then_some(()));
    assert_eq!((connections("backend"), connections("second")), (Some(1.0), None));
    assert_eq!((requests(&gateway, "d", "2xx"), requests(&gateway, "a", "2xx")), (Some(1.0), None));
}

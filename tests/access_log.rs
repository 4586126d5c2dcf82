//! The access log: one JSON line a request, written off the workers, reopened on SIGUSR1.

use std::fs;
use std::process::Command;

use lockgate_test_support::{Api, App, Backend, Config, Gateway, Request, Signer, eventually, read_log, reserve, succeeds};

/// One worker, so that lines stand in the order of the calls.
fn start(backend: &Backend) -> Gateway {
    Config::with_backend(backend.address)
        .instance("workers = 1")
        .access_log()
        .published(&Api::app("signed", "/signed/*"))
        .published(&Api::open("open", "/open/*"))
        .app(&App::alpha().may_call("g/signed", &["RELEASE"]))
        .start()
}

#[test]
fn a_line_says_who_called_what_and_how_it_went() {
    let app = App::alpha();
    let backend = Backend::ok();
    let gateway = start(&backend);
    let request = Request::post("/signed/x?q=1", "application/json", "{}").host("api.example.com").field("X-Ca-Nonce", "n-7");
    let answer = gateway.call(&Signer::new(&app.key, &app.secret).sign(request));
    answer.assert_passed();
    let lines = gateway.access_log(1);
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    for (key, value) in [
        ("apiGroupName", "g"),
        ("apiName", "signed"),
        ("apiStageName", "RELEASE"),
        ("httpMethod", "POST"),
        ("path", "/signed/x"),
        ("domain", "api.example.com"),
        ("appName", "alpha"),
        ("appCredential", "HmacSHA256"),
        ("consumerAppKey", "24601001"),
        ("clientIp", "127.0.0.1"),
        ("clientNonce", "n-7"),
        ("requestProtocol", "HTTP"),
        ("instanceId", "test"),
        ("requestId", answer.field("X-Ca-Request-Id").unwrap_or_default()),
    ] {
        assert_eq!(line[key], value, "{key}: {line}");
    }
    assert_eq!(line["statusCode"], 200, "{line}");
    for number in ["requestSize", "responseSize", "serviceLatency", "totalLatency"] {
        assert!(line[number].is_u64() || line[number].is_f64(), "{number}: {line}");
    }
    let timers = ["decidedUs", "forwardedUs", "firstByteUs", "totalUs"];
    let timers = timers.map(|key| line[key].as_u64().unwrap_or_else(|| panic!("{key}: {line}")));
    assert!(timers.is_sorted() && timers[3] > 0, "phases follow each other: {line}");
    assert_eq!((&line["ended"], &line["backend"]), (&"answered".into(), &backend.address.to_string().into()), "{line}");
    assert!(!line.to_string().contains(&app.secret));
}

#[test]
fn a_refused_call_is_logged_with_its_code() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    let secret = App::alpha().code;
    gateway.call(&Request::get("/signed/x").app_code("ACwrong")).assert_refused("A401AC");
    gateway.get("/nothing").assert_refused("I404NF");
    gateway.call(&Request::get(&format!("/signed/x?AppCode={secret}"))).assert_passed();
    gateway
        .call(&Request::get("http://other.example/signed/x").app_code(&secret).field("X-Ca-Stage", "test"))
        .assert_refused("I404NF");
    let lines = gateway.access_log(4);
    assert_eq!((&lines[0]["errorCode"], &lines[0]["statusCode"]), (&"A401AC".into(), &401.into()), "{}", lines[0]);
    assert_eq!(lines[0]["apiName"], "signed", "{}", lines[0]);
    assert_eq!((&lines[1]["errorCode"], &lines[1]["statusCode"]), (&"I404NF".into(), &404.into()), "{}", lines[1]);
    assert_eq!((&lines[2]["appName"], &lines[2]["appCredential"]), (&"alpha".into(), &"AppCode-query".into()), "{}", lines[2]);
    // What was asked for, where it was not found.
    assert_eq!((&lines[3]["domain"], &lines[3]["apiStageName"]), (&"other.example".into(), &"test".into()), "{}", lines[3]);
    let text = fs::read_to_string(gateway.path().join("access.log")).expect("the log can be read");
    assert!(!text.contains(&secret) && !text.contains("ACwrong"), "an AppCode stands in the log: {text}");
}

#[test]
fn a_backend_that_fails_is_named() {
    let closed = reserve();
    let gateway = Config::open(closed.address).access_log().start();
    gateway.get("/").assert_refused("D504CO");
    let line = &gateway.access_log(1)[0];
    assert_eq!(line["errorCode"], "D504CO", "{line}");
    assert!(line["errorMessage"].as_str().is_some_and(|m| m.contains("refused")), "{line}");
}

#[test]
fn behind_a_trusted_proxy_the_client_is_whom_the_proxy_saw() {
    let backend = Backend::ok();
    let gateway = Config::with_backend(backend.address)
        .table("security", "trusted_proxies = [\"127.0.0.0/8\"]")
        .instance("workers = 1")
        .access_log()
        .published(&Api::open("open", "/open/*"))
        .start();
    gateway.call(&Request::get("/open/x").field("X-Forwarded-For", "1.1.1.1, 203.0.113.7")).assert_passed();
    assert_eq!(gateway.access_log(1)[0]["clientIp"], "203.0.113.7");
}

#[test]
fn bytes_of_a_client_cannot_forge_a_line() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    gateway.call(&Request::get("/open/%22%0a%7b?a=\"b\\").host("x\"y").field("User-Agent", "\"},\u{540d}\u{7}")).status();
    gateway.call(&Request::get("/open/2").field("User-Agent", [0xff, 0xfe])).assert_passed();
    // Every line is JSON: reading them fails otherwise.
    let lines = gateway.access_log(1);
    assert!(lines.len() <= 2, "{lines:?}");
}

#[test]
fn the_log_is_reopened_on_a_signal() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    gateway.get("/open/1").assert_passed();
    assert_eq!(gateway.access_log(1)[0]["path"], "/open/1");
    let (log, old) = (gateway.path().join("access.log"), gateway.path().join("access.log.1"));
    fs::rename(&log, &old).expect("the log can be moved");
    gateway.signal("USR1");
    eventually("the log is made anew", || log.exists().then_some(()));
    gateway.get("/open/2").assert_passed();
    assert_eq!(read_log(&log, 1)[0]["path"], "/open/2");
    assert_eq!(read_log(&old, 1).len(), 1, "nothing more goes to the old file");
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
    let gateway = Config::open(backend.address).instance("workers = 1").access_log().start();
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
fn a_log_that_nobody_reads_costs_lines_not_calls() {
    let backend = Backend::ok();
    let config = Config::open(backend.address).instance("workers = 1").table("limits", "drain_timeout_ms = 100").access_log();
    let pipe = config.path().join("access.log");
    succeeds(Command::new("mkfifo").arg(&pipe));
    // Open at both ends, so that the gateway can open it; never read.
    let _reader = fs::File::options().read(true).write(true).open(&pipe).expect("a pipe can be opened");
    let mut gateway = config.start();
    // The pipe, 64 batches on their way, and a batch that is being filled: some 2.5 MB.
    let request = Request::get(&format!("/{}", "x".repeat(7000))).bytes();
    let mut client = gateway.client();
    const CALLS: usize = 600;
    for _ in 0..CALLS / 10 {
        client.send(request.repeat(10));
        for _ in 0..10 {
            client.response("GET").assert_passed();
        }
    }
    gateway.signal("TERM");
    gateway.wait();
    let output = gateway.output();
    let summary = output.lines().find_map(|line| line.strip_prefix("stopped after ")).unwrap_or_else(|| panic!("{output}"));
    let dropped: usize =
        summary.split([' ', ',']).rev().nth(3).and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{summary}"));
    assert!(summary.starts_with(&format!("{CALLS} requests (0 panics, ")), "{summary}");
    // All but what stands in the pipe.
    assert!((CALLS - 20..=CALLS).contains(&dropped), "{summary}");
}

#[test]
fn no_line_is_lost_at_a_drain() {
    let backend = Backend::ok();
    let mut gateway = start(&backend);
    let mut client = gateway.client();
    let requests: Vec<u8> = (0..500).flat_map(|i| Request::get(&format!("/open/{i}")).bytes()).collect();
    client.send(&requests);
    for _ in 0..500 {
        client.response("GET").assert_passed();
    }
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    let output = gateway.output();
    assert!(output.contains("stopped after 500 requests (0 panics, 0 log lines dropped)"), "{output}");
    let lines = gateway.access_log(500);
    assert_eq!(lines.len(), 500);
    assert_eq!(lines[499]["path"], "/open/499");
}

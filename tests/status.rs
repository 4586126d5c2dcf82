//! What the gateway says of itself: its status for programs and for people, its words as it goes, and to whoever manages it.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use lockgate_test_support::{Backend, Config, DEADLINE, Gateway, Request, eventually, reserve, succeeds};
use serde_json::Value;

fn status(gateway: &Gateway) -> Value {
    let answer = gateway.admin("/status");
    assert_eq!((answer.status(), answer.field("Content-Type")), (200, Some("application/json")));
    serde_json::from_str(&answer.text()).expect("the status is JSON")
}

#[test]
fn a_program_is_told_how_the_gateway_is() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).admin().start();
    let mut client = gateway.client();
    client.call(&Request::get("/x")).assert_passed();
    client.call(&Request::get("/..")).assert_refused("I400RU");
    let page = eventually("the connection is counted", || Some(status(&gateway)).filter(|page| page["requests"]["refused"] == 1));
    assert_eq!((&page["phase"], &page["ready"], &page["instance"]), (&"serving".into(), &true.into(), &"test".into()), "{page}");
    assert_eq!(page["listeners"][0], format!("http://{}", gateway.address), "{page}");
    assert_eq!(page["requests"]["begun"], 2, "{page}");
    let workers = page["workers"].as_array().expect("a list of workers");
    assert!(workers.len() == 2 && workers.iter().all(|w| (0.0..=1.0).contains(&w["busy"].as_f64().unwrap_or(-1.0))), "{page}");
    let instance = &page["backends"][0];
    assert_eq!((&instance["vpc_access"], &instance["state"]), (&"backend".into(), &"well".into()), "{page}");
    assert_eq!(instance["address"], backend.address.to_string(), "{page}");
}

#[test]
fn a_person_is_told_how_the_gateway_is() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).admin().start();
    gateway.get("/x").assert_passed();
    let shown = || String::from_utf8(succeeds(gateway.command().arg("status")).stdout).expect("text");
    let text = eventually("the request is shown", || Some(shown()).filter(|text| text.contains("requests     1 begun")));
    for part in ["test: serving, ready", "generation", "workers      0:", "backends     1 instances, 0 not well"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let json = succeeds(gateway.command().args(["status", "--format", "json"])).stdout;
    assert_eq!(serde_json::from_slice::<Value>(&json).expect("JSON")["phase"], "serving");
}

#[test]
fn a_gateway_that_does_not_answer_is_an_error_that_says_what_to_do() {
    let backend = Backend::ok();
    let fails = |gateway: &Gateway, arguments: &[&str]| {
        let output = gateway.command().arg("status").args(arguments).output().expect("the command runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).expect("text")
    };
    let without = Config::open(backend.address).start();
    let error = fails(&without, &[]);
    assert!(error.contains("gateway.toml names no operator's listener") && error.contains("[admin]"), "{error}");
    let error = fails(&without, &["--address", &reserve().address.to_string()]);
    assert!(error.contains("does not answer") && error.contains("lockgate run"), "{error}");
    let error = fails(&without, &["--address", &without.address.to_string()]);
    assert!(error.contains("no operator's listener"), "{error}");
}

#[test]
fn what_happens_to_instances_is_said_and_shown() {
    let (backend, gone) = (Backend::ok(), reserve());
    let config = Config::new()
        .vpc_access_of("pair", &[backend.address, gone.address], "")
        .group("g", &["*"], "")
        .table("limits", "stand_aside_ms = 3600000\nstand_aside_max_ms = 3600000")
        .table("log", "format = \"json\"");
    let gateway = config.published(&lockgate_test_support::Api::open("all", "/*").vpc_access("pair")).admin().start();
    eventually("an instance stands aside", || {
        gateway.get("/x").assert_passed();
        (gateway.metric("lockgate_upstream_instances{vpc_access=\"pair\",state=\"aside\"}") == Some(1.0)).then_some(())
    });
    assert_eq!(gateway.metric("lockgate_upstream_stood_aside_total{vpc_access=\"pair\"}"), Some(1.0));
    let text = String::from_utf8(succeeds(gateway.command().arg("status")).stdout).expect("text");
    assert!(text.contains(&format!("pair {} stands aside", gone.address)), "{text}");
    gateway.wait_for_output("instance-aside");
    let lines: Vec<Value> = gateway.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said = |event: &str| lines.iter().find(|line| line["event"] == event).unwrap_or_else(|| panic!("{event}: {lines:#?}"));
    assert_eq!(said("listening")["url"], format!("http://{}", gateway.address));
    assert_eq!(said("admin-listening")["address"], gateway.admin_address().to_string());
    assert_eq!((&said("started")["workers"], &said("started")["level"]), (&2.into(), &"INFO".into()));
    let aside = said("instance-aside");
    assert_eq!((&aside["vpc_access"], &aside["address"]), (&"pair".into(), &gone.address.to_string().into()));
    assert!(aside["message"].as_str().is_some_and(|text| text.contains("stands aside")) && aside["timestamp"].is_string());
}

#[test]
fn the_service_manager_is_told_when_it_may_rely_on_the_gateway() {
    let backend = Backend::ok();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    let mut gateway = Config::open(backend.address)
        .environment("NOTIFY_SOCKET", path.to_string_lossy())
        .environment("WATCHDOG_USEC", "3000000")
        .start();
    let told = |what: &str| {
        eventually(what, || {
            let mut message = [0; 1024];
            let len = manager.recv(&mut message).ok()?;
            let text = String::from_utf8_lossy(&message[..len]).into_owned();
            text.lines().any(|line| line == what).then_some(text)
        })
    };
    assert!(told("READY=1").contains("STATUS=2 workers"));
    told("WATCHDOG=1");
    gateway.signal("TERM");
    told("STOPPING=1");
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn words_that_nobody_reads_hold_nothing_up() {
    let backend = Backend::ok();
    let config = Config::open(backend.address).admin();
    let pipe = config.path().join("stuck");
    succeeds(Command::new("mkfifo").arg(&pipe));
    // Open at both ends, so that nobody waits for the other; full, and never read.
    let mut full = File::options().read(true).write(true).open(&pipe).expect("a pipe can be opened");
    full.write_all(&[b'x'; 65_536]).expect("a pipe takes so much");
    let mut launcher = Command::new("sh");
    launcher.args(["-c", &format!("exec \"$@\" 2>{}", pipe.display()), "sh"]);
    let mut gateway = config.through(&launcher).start();
    for _ in 0..3 {
        gateway.get("/x").assert_passed();
    }
    assert_eq!(gateway.admin("/healthz").status(), 200);
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
}

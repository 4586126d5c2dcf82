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
fn a_bad_file_shows_everywhere_until_it_is_mended() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).table("log", "format = \"json\"").admin().start();
    let loads = |outcome: &str| gateway.metric(&format!("lockgate_loads_total{{outcome=\"{outcome}\"}}"));
    let metrics = || (gateway.metric("lockgate_generation"), gateway.metric("lockgate_load_failing"), loads("refused"));
    assert_eq!(metrics(), (Some(1.0), Some(0.0), Some(0.0)));
    let file = gateway.path().join("vpc-access/backend.toml");
    let good = std::fs::read_to_string(&file).expect("a document");
    // By itself, without a command that asks.
    std::fs::write(&file, good.replace("vpc_id", "vpcid")).expect("written");
    let page = eventually("the error is shown", || Some(status(&gateway)).filter(|page| page["error"].is_object()));
    let error = &page["error"];
    let place = format!("{}:2:1", file.display());
    assert_eq!((&error["place"], &error["message"]), (&place.as_str().into(), &"unknown key `vpcid`".into()), "{page}");
    assert_eq!((&page["generation"]["number"], &page["phase"]), (&1.into(), &"serving".into()), "{page}");
    assert!(error["report"].as_str().is_some_and(|report| report.contains("did you mean `vpc_id`?")), "{page}");
    let text = String::from_utf8(succeeds(gateway.command().arg("status")).stdout).expect("text");
    assert!(text.contains(&place) && text.contains("unknown key `vpcid`"), "{text}");
    gateway.wait_for_output("load-refused");
    let lines: Vec<Value> = gateway.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let refused: Vec<_> = lines.iter().filter(|line| line["event"] == "load-refused").collect();
    assert!(matches!(refused[..], [line] if line["place"] == place.as_str() && line["level"] == "ERROR"), "{lines:#?}");
    let failing = metrics();
    assert!(failing.0 == Some(1.0) && failing.1 == Some(1.0) && failing.2 >= Some(1.0), "{failing:?}");
    gateway.get("/x").assert_passed();

    // What is mended is no news but to those who were told: a new generation is said.
    std::fs::write(&file, &good).expect("written");
    eventually("the error is gone", || status(&gateway)["error"].is_null().then_some(()));
    assert_eq!(gateway.metric("lockgate_load_failing"), Some(0.0));
    let (accepted, loaded) = (loads("accepted"), gateway.metric("lockgate_generation_loaded_time_seconds"));
    gateway.write("groups/g/group.toml", "name = \"g\"\ndomains = [\"*\", \"more.test\"]\n");
    gateway.ok(&["reload", "--wait"]);
    assert_eq!(loads("accepted"), accepted.map(|loads| loads + 1.0));
    assert!(gateway.metric("lockgate_generation_loaded_time_seconds") > loaded && loaded > Some(1.7e9));
    gateway.wait_for_output("generation-in-force");
    let said = gateway.output();
    let line = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["event"] == "generation-in-force");
    let line = line.expect("the event");
    assert_eq!((&line["generation"], &line["workers"], &line["of"]), (&1.into(), &2.into(), &2.into()), "{line}");
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

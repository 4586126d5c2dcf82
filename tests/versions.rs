//! What was published can be seen, compared, and undone: history, show, diff, rollback, offline.

mod sample;

use std::fs;

use lockgate::catalog::{self, Backend, Catalog};
use sample::Sample;
use serde_json::Value;

const API: &str = "groups/nginx-demo/apis/nginx-test.toml";
const NAME: &str = "nginx-demo/nginx-test";
const FIRST: &str = "20261122210633310";

fn load(sample: &Sample) -> std::sync::Arc<Catalog> {
    catalog::load(&sample.path("")).unwrap_or_else(|report| panic!("{report}"))
}

/// The timeout of the API as it is current in RELEASE; `None`: it is offline.
fn timeout(sample: &Sample) -> Option<u128> {
    let catalog = load(sample);
    catalog.apis.first().map(|api| match &api.backend {
        Backend::Vpc { timeout, .. } => timeout.as_millis(),
    })
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Publishes another timeout; the version.
fn publish(sample: &Sample, from: u32, to: u32) -> String {
    sample.edit(API, &format!("timeout_ms = {from}"), &format!("timeout_ms = {to}"));
    let said = sample.ok(&["publish", NAME, "--remarks", &format!("now {to}"), "--by", "tester"]);
    said.split("RELEASE as ").nth(1).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn a_rollback_makes_the_version_before_current_and_any_that_is_kept() {
    let sample = Sample::new();
    let second = publish(&sample, 10_000, 500);
    let third = publish(&sample, 500, 400);
    assert_eq!(timeout(&sample), Some(400));
    let said = sample.ok(&["rollback", NAME, "--stage", "RELEASE", "--remarks", "too fast"]);
    assert!(said.contains(&format!("{NAME} in RELEASE: {third} -> {second}\ngeneration 4")), "{said}");
    assert_eq!(timeout(&sample), Some(500));
    sample.ok(&["rollback", NAME]);
    assert_eq!(timeout(&sample), Some(10_000));
    let said = sample.fails(&["rollback", NAME]);
    assert!(said.contains(&format!("before the current one; kept are: {FIRST}, {second}, {third}")), "{said}");
    sample.ok(&["rollback", NAME, "--to", &third]);
    assert_eq!(timeout(&sample), Some(400));
    let said = sample.ok(&["rollback", NAME, "--to", &third]);
    assert!(said.contains(&format!("{third} already: nothing changed\ngeneration 6")), "{said}");
    assert!(sample.fails(&["rollback", NAME, "--to", "20200101000000000"]).contains("there is no version 20200101000000000"));
    assert!(sample.fails(&["rollback", "nginx-demo/nginx-tst"]).contains("did you mean `nginx-test`?"));
    sample.ok(&["check"]);
}

#[test]
fn a_rollback_is_checked_as_a_publication_is() {
    let sample = Sample::new();
    sample.edit(API, "\"nginx-microservice\"", "\"other\"");
    let vpc = sample.read("vpc-access/nginx-microservice.toml");
    fs::write(sample.path("vpc-access/other.toml"), vpc.replace("name = \"nginx-microservice\"", "name = \"other\"")).unwrap();
    sample.ok(&["publish", NAME]);
    fs::remove_file(sample.path("vpc-access/nginx-microservice.toml")).unwrap();
    sample.ok(&["check"]);
    let said = sample.fails(&["rollback", NAME]);
    assert!(said.contains("there is no VPC access `nginx-microservice`") && said.contains(FIRST), "{said}");
    sample.ok(&["check"]);
}

#[test]
fn an_api_goes_offline_and_comes_back() {
    let sample = Sample::new();
    let said = sample.ok(&["offline", NAME, "--stage", "RELEASE"]);
    assert!(said.contains(&format!("{NAME} in RELEASE: {FIRST} -> offline\ngeneration 2")), "{said}");
    assert_eq!(timeout(&sample), None);
    assert!(sample.ok(&["offline", NAME]).contains("offline already: nothing changed\ngeneration 2"));
    // Without its draft: the app that may call it is not wrong for that.
    let draft = sample.read(API);
    fs::remove_file(sample.path(API)).unwrap();
    sample.ok(&["check"]);
    sample.ok(&["rollback", NAME]);
    assert_eq!(timeout(&sample), Some(10_000));
    fs::write(sample.path(API), draft).unwrap();
    sample.ok(&["offline", NAME]);
    // What was published before is another version all the same.
    assert!(sample.ok(&["publish", NAME]).contains("published to RELEASE as"));
    assert!(sample.fails(&["offline", NAME, "--stage", "PRE"]).contains("there is no group `nginx-demo`"));
}

#[test]
fn the_history_says_who_when_and_why() {
    let sample = Sample::new();
    let second = publish(&sample, 10_000, 500);
    sample.ok(&["rollback", NAME, "--by", "undoer", "--remarks", "line one\nline two"]);
    let history = json(&sample.ok(&["history", NAME, "--format", "json"]));
    let versions: Vec<_> = history.as_array().unwrap().iter().map(|v| (v["version"].as_str().unwrap(), &v["current"])).collect();
    assert_eq!(versions, [(second.as_str(), &Value::Bool(false)), (FIRST, &Value::Bool(true))]);
    assert_eq!((&history[0]["by"], &history[0]["remarks"]), (&"tester".into(), &"now 500".into()));
    let said = sample.ok(&["history", NAME]);
    assert!(said.contains(&format!("  {FIRST}  current  2026-11-22T21:06:33.310Z  sample: first version")), "{said}");
    let said = sample.ok(&["history"]);
    assert!(said.contains("generation 3  current  ") && said.contains("  undoer\n"), "{said}");
    assert!(said.contains(&format!("roll {NAME} back to {FIRST} in RELEASE: line one\\nline two\n")), "{said}");
    let generations = json(&sample.ok(&["history", "--format", "json"]));
    assert_eq!(generations.as_array().unwrap().len(), 3);
    assert!(sample.ok(&["show", FIRST]).contains("remarks = \"first version of the walk-through\""));
    let shown = json(&sample.ok(&["show", &second, NAME, "--format", "json"]));
    assert_eq!(shown[0]["definition"]["backend"]["timeout_ms"], 500);
    assert!(sample.fails(&["show", "20200101000000000"]).contains("there is no version 20200101000000000"));
    assert!(sample.fails(&["show", "1"]).contains("17 digits"));
}

#[test]
fn drafts_stages_and_versions_are_compared_by_meaning() {
    let sample = Sample::new();
    assert_eq!(sample.ok(&["diff"]), "no difference\n");
    sample.edit(API, "timeout_ms = 10000", "timeout_ms = 500");
    let said = sample.ok(&["diff", NAME]);
    assert_eq!(said, format!("{NAME}: RELEASE {FIRST} -> draft\n  backend timeout: 10000 ms -> 500 ms\n"));
    let second = sample.ok(&["publish", NAME, "--stage", "TEST"]);
    let second = second.split("TEST as ").nth(1).unwrap().lines().next().unwrap();
    let said = sample.ok(&["diff", "--from", "TEST", "--to", "RELEASE"]);
    assert_eq!(said, format!("{NAME}: TEST {second} -> RELEASE {FIRST}\n  backend timeout: 500 ms -> 10000 ms\n"));
    let said = json(&sample.ok(&["diff", "nginx-demo", "--from", FIRST, "--to", second, "--format", "json"]));
    assert_eq!(said[0]["difference"], "changed");
    assert_eq!(said[0]["changes"][0]["key"], "backend.timeout_ms");
    assert_eq!((&said[0]["changes"][0]["from"], &said[0]["changes"][0]["to"]), (&10_000.into(), &500.into()));
    let said = sample.ok(&["diff", "--from", "PRE"]);
    assert_eq!(said, format!("{NAME}: nothing -> draft\n"));
    assert!(
        sample
            .fails(&["diff", "--from", "PRD"])
            .contains("there is no stage `PRD`: there are RELEASE, PRE, TEST; did you mean `PRE`?; or a version")
    );
}

#[test]
fn old_versions_and_generations_go_and_what_is_named_stays() {
    let sample = Sample::new();
    sample.edit("gateway.toml", "[access_log]", "[publish]\nversions_kept = 3\ngenerations_kept = 2\n\n[access_log]");
    let mut versions = vec![FIRST.to_owned()];
    for timeout in 1..6 {
        let before = if timeout == 1 { 10_000 } else { timeout - 1 };
        versions.push(publish(&sample, before, timeout));
    }
    let files = |directory: &str| {
        let entries =
            fs::read_dir(sample.path(directory)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.filter_map(|name| name.strip_suffix(".toml").map(str::to_owned)).collect();
        names.sort();
        names
    };
    let api = "published/RELEASE/nginx-demo/nginx-test";
    assert_eq!(files(api), versions[3..]);
    assert_eq!(files("published/generations"), ["5", "6"]);
    assert_eq!(files("published/RELEASE/nginx-demo"), ["5", "6"]);
    // The oldest that is left is made current: it stays while a kept generation names it.
    sample.ok(&["rollback", NAME, "--to", &versions[3]]);
    publish(&sample, 5, 6);
    assert!(files(api).contains(&versions[3]), "{:?}", files(api));
    publish(&sample, 6, 7);
    assert!(!files(api).contains(&versions[3]), "{:?}", files(api));
    assert_eq!(files(api).len(), 3);
    // While somebody reads, nothing goes; the next publication makes up for it.
    let reading = lockgate::document::Layout::new(sample.path("")).reading();
    publish(&sample, 7, 8);
    assert_eq!(files(api).len(), 4);
    drop(reading);
    publish(&sample, 8, 9);
    assert_eq!(files(api).len(), 3);
    sample.ok(&["check"]);
}

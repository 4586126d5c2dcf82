//! A clock that jumps back: versions grow all the same, nonces stay used, and the files are followed as before.

use std::fs;
use std::path::Path;
use std::process::Command;

use lockgate_test_support::{Api, App, Backend, Config, Request, Signer, eventually, faketime, lockgate, now_ms, succeeds};

const HOUR_S: u64 = 3600;

/// The environment of a process whose wall clock is the real one plus the seconds that a file says, whenever it is asked.
fn clock(file: &Path) -> Vec<(&'static str, String)> {
    let text = |path: &Path| path.to_str().expect("tests lie below paths of UTF-8").to_owned();
    vec![
        ("LD_PRELOAD", text(&faketime())),
        ("FAKETIME_TIMESTAMP_FILE", text(file)),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

/// Sets it, whole at once.
fn set(file: &Path, offset: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, format!("{offset}\n")).unwrap();
    fs::rename(beside, file).unwrap();
}

#[test]
fn versions_grow_when_the_clock_jumps_back() {
    let config = Config::open(([127, 0, 0, 1], 9).into());
    let time = config.path().join("time");
    let version = |said: &str| said.split("RELEASE as ").nth(1).and_then(|rest| rest.lines().next()).unwrap().to_owned();
    let mut versions = Vec::new();
    for (offset, path) in [("+0", "/one/*"), ("-86400", "/two/*"), ("-172800", "/three/*"), ("+0", "/four/*")] {
        set(&time, offset);
        config.write("groups/g/apis/all.toml", &Api::open("all", "/*").backend_path(path).document());
        let mut command: Command = lockgate(config.path());
        command.args(["publish", "g/all"]).envs(clock(&time));
        versions.push(version(&String::from_utf8_lossy(&succeeds(&mut command).stdout)));
    }
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
    // The newest first, as they were made.
    let history = String::from_utf8(succeeds(lockgate(config.path()).args(["history", "g/all"])).stdout).unwrap();
    let places: Vec<_> = versions.iter().map(|version| history.find(version).unwrap()).collect();
    assert!(places.is_sorted_by(|one, next| one > next), "{history}");
    let said = succeeds(lockgate(config.path()).args(["rollback", "g/all"])).stdout;
    assert!(String::from_utf8(said).unwrap().contains(&format!("{} -> {}", versions[3], versions[2])));
}

#[test]
fn a_gateway_whose_clock_jumps_back_forgets_no_nonce_and_follows_its_files() {
    let backend = Backend::ok();
    let config = Config::with_backend(backend.address).published(&Api::app("all", "/*"));
    let config = config.app(&App::alpha().may_call("g/all", &["RELEASE"]));
    let time = config.path().join("time");
    set(&time, "+0");
    let mut gateway = clock(&time).into_iter().fold(config, |config, (name, value)| config.environment(name, value)).start();
    let app = App::alpha();
    let call = |nonce: &str, ago_s: u64| {
        let signer = Signer::new(&app.key, &app.secret).at(Some(now_ms() - ago_s * 1000));
        signer.sign(Request::get("/x").field("X-Ca-Nonce", nonce))
    };
    let used = call("once", 0);
    gateway.call(&used).assert_passed();
    // Five minutes: the call is stamped ahead of the clock now, and within its window still.
    set(&time, "-300");
    gateway.call(&used).assert_refused("S403NU");
    let fresh = call("twice", 300);
    gateway.call(&fresh).assert_passed();
    gateway.call(&fresh).assert_refused("S403NU");
    // So it is for one that starts with such a clock.
    gateway.restart();
    gateway.call(&used).assert_refused("S403NU");
    gateway.call(&fresh).assert_refused("S403NU");
    gateway.call(&call("three times", 300)).assert_passed();
    // An hour: the clock is believed, as far as the window goes.
    set(&time, &format!("-{HOUR_S}"));
    // Workers look at the clock at every sweep.
    eventually("the call is from the future", || (gateway.call(&used).code() == "S403TE").then_some(()));
    let mut calls = 0;
    eventually("calls of the new time pass on every worker", || {
        calls = if gateway.call(&call(&format!("later {}", now_ms()), HOUR_S)).status() == 200 { calls + 1 } else { 0 };
        (calls == 4).then_some(())
    });
    gateway.write("groups/g/apis/all.toml", &Api::app("all", "/new").document());
    gateway.ok(&["publish", "g/all", "--wait"]);
    assert_eq!(gateway.get("/x").code(), "I404NF");
    gateway.write("groups/g/apis/all.toml", &Api::open("all", "/*").document());
    gateway.ok(&["publish", "g/all"]);
    eventually("the change is seen", || (gateway.get("/x").status() == 200).then_some(()));
}

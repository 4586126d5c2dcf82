//! A gateway that comes to harm while it makes the files of its state: the next start finds them whole, or makes them anew.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use lockgate_test_support::{
    Api, App, Backend, Call, Config, Fault, Request, Signer, counted, eventually, lockgate, read_trace, with_fault,
};

use crate::sample::{Chance, sample};
use crate::scene::copy_into;

const FEW: usize = 4;
/// What a gateway says when it has all that it needs.
const STARTED: &str = " workers on ";
/// Error numbers of Linux: no room, read-only, failing, not allowed.
const ERRORS: [i32; 4] = [28, 30, 5, 13];

fn config(backend: &Backend) -> Config {
    // As small as they may be: each start makes them anew.
    let config = Config::with_backend(backend.address)
        .table("security", "nonce_capacity = 1024")
        .table("quota", "counter_capacity = 1024");
    let config = config.app(&App::alpha().may_call("g/a", &["RELEASE"]));
    config.published(&Api::app("a", "/a"))
}

/// What a gateway that starts calls to make its state.
fn calls(backend: &Backend) -> Vec<Call> {
    let config = config(backend);
    let (state, trace) = (config.path().join("state"), config.path().join("trace"));
    let gateway = config.traced(&state, &trace).start();
    gateway.wait_for_output(STARTED);
    let all = read_trace(&gateway.path().join("trace"));
    counted(&all, false).into_iter().map(|at| all[at].clone()).collect()
}

/// Runs a gateway that comes to harm until it ends, or has started (`None`); and what it says.
fn run(config: &Config, at: usize, fault: Fault) -> (Option<ExitStatus>, String) {
    let said = config.path().join("said");
    let mut command = lockgate(config.path());
    command.arg("run").stderr(File::create(&said).unwrap());
    let mut child = with_fault(command, &config.path().join("state"), at, fault).spawn().expect("the gateway runs");
    let text = || std::fs::read_to_string(&said).unwrap();
    let ended = eventually("it ends or has started", || match child.try_wait().expect("a child can be waited for") {
        Some(status) => Some(Some(status)),
        None => text().contains(STARTED).then_some(None),
    });
    // One that has started has come through.
    let _ = child.kill();
    let _ = child.wait();
    (ended, text())
}

/// A gateway started on what is left remembers nonces, and has found nothing damaged.
fn starts(left: &Config, backend: &Backend, what: &str) {
    let next = config(backend);
    std::fs::create_dir_all(next.path().join("state")).unwrap();
    let state = left.path().join("state");
    // A socket is no file to copy: one that died has left it, and it is taken away by name.
    let _ = std::fs::remove_file(state.join("control.sock"));
    let _ = std::fs::remove_file(state.join(".control.sock.new"));
    copy_into(&state, &next.path().join("state"));
    let gateway = next.start();
    let app = App::alpha();
    let call = Signer::new(&app.key, &app.secret).sign(Request::get("/a").field("X-Ca-Nonce", "once"));
    gateway.call(&call).assert_passed();
    gateway.call(&call).assert_refused("S403NU");
    assert!(!gateway.output().contains("set aside"), "{what}: {}", gateway.output());
}

#[test]
fn a_gateway_killed_at_any_call_leaves_its_state_of_use() {
    let backend = Backend::ok();
    let calls = calls(&backend);
    assert!(calls.iter().any(|call| matches!(call, Call::Rename(..))), "{calls:?}");
    let mut points = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        points.extend([Fault::KilledBefore, Fault::KilledAfter].map(|fault| (at + 1, fault)));
        if matches!(call, Call::Write(..)) {
            points.push((at + 1, Fault::Torn));
        }
    }
    let count = points.len();
    let points = sample(points, FEW, &mut Chance::new("state"));
    for (at, fault) in &points {
        let what = format!("call {at}, {:?}, {fault:?}", calls[at - 1]);
        let config = config(&backend);
        let (ended, said) = run(&config, *at, *fault);
        assert_eq!(ended.and_then(|status| status.signal()), Some(9), "{what}: {said}");
        starts(&config, &backend, &what);
    }
    println!("state: {} of {count} points", points.len());
}

#[test]
fn a_gateway_refused_by_the_disk_says_where_and_does_not_crash() {
    let backend = Backend::ok();
    let calls = calls(&backend);
    let points: Vec<_> = (1..=calls.len()).flat_map(|at| ERRORS.map(|error| (at, error))).collect();
    let count = points.len();
    let points = sample(points, FEW, &mut Chance::new("refused"));
    for (at, error) in &points {
        let what = format!("call {at}, {:?}, error {error}", calls[at - 1]);
        let config = config(&backend);
        let (ended, said) = run(&config, *at, Fault::FailsFromThenOn(*error));
        // What it can do without, it does without.
        if let Some(status) = ended {
            assert_eq!(status.code(), Some(1), "{what}: {said}");
            let state = config.path().join("state").display().to_string();
            assert!(said.contains(&state) && said.contains(&format!("(os error {error})")), "{what}: {said}");
        }
        starts(&config, &backend, &what);
    }
    println!("state: {} of {count} points", points.len());
}

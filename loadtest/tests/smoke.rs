//! The parts together: a backend, the relay before it, and the generator, as processes, over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_loadtest");
const REQUESTS: u64 = 1000;

/// A server that said where it listens. Ends with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening ").expect(&line).to_owned();
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn backend() -> Server {
    Server::start(&["backend", "--listen", "127.0.0.1:0"])
}

fn relay(backend: &Server, how: &[&str]) -> Server {
    Server::start(&[&["relay", "--listen", "127.0.0.1:0", "--backend", &backend.address], how].concat())
}

/// 8 connections, 1,000 requests after 100 that do not count.
fn load(target: &Server, arguments: &[&str]) -> Output {
    load_of(REQUESTS, target, arguments)
}

fn load_of(requests: u64, target: &Server, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["load", "--json", "--connections", "8", "--seconds", "20", "--warm-up", &(requests / 10).to_string()]);
    command.args(["--target", &target.address, "--requests", &requests.to_string()]).args(arguments);
    command.output().unwrap()
}

fn outcome(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_answer_through_the_relay_is_good() {
    is_good_through(&[]);
}

#[test]
fn every_answer_through_the_relay_on_epoll_is_good() {
    is_good_through(&["--epoll"]);
}

fn is_good_through(how: &[&str]) {
    let backend = backend();
    let relay = relay(&backend, how);
    for arguments in [
        &["--path", "/plain/128"][..],
        &["--path", "/plain/0", "--answer-bytes", "0"],
        &["--path", "/plain/100000", "--answer-bytes", "100000"],
        &["--path", "/plain/128", "--connection", "new"],
        &["--method", "POST", "--path", "/upload/128", "--request-bytes", "200000"],
        &["--path", "/app-code/128", "--credential", "app-code", "--app-code", "code"],
        &["--path", "/signature/128", "--credential", "signature", "--app-secret", "secret"],
    ] {
        let output = load(&relay, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let outcome = outcome(&output);
        assert_eq!(outcome["requests"], REQUESTS, "{arguments:?}");
        assert_eq!(outcome["faults"], 0, "{arguments:?}");
        assert!(outcome["latency_us"]["p50"].as_f64().unwrap() > 0.0);
    }
    // More than the sockets between them hold.
    let output = load_of(20, &relay, &["--path", "/plain/8000000", "--answer-bytes", "8000000"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// 1,000 a second for a second are as many as they are, however late a connection is there for them.
#[test]
fn in_an_open_loop_requests_come_at_their_own_times() {
    let backend = backend();
    for arrivals in ["constant", "poisson"] {
        let mut command = Command::new(PROGRAM);
        command.args(["load", "--json", "--connections", "4", "--warm-up", "10", "--seconds", "1", "--requests", "1000000"]);
        command.args(["--rate", "1000", "--arrivals", arrivals, "--target", &backend.address]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let outcome = outcome(&output);
        let requests = outcome["requests"].as_u64().unwrap();
        assert!((850..1150).contains(&requests), "{arrivals}: {requests} of 1,000");
        assert!(arrivals == "poisson" || requests == 999, "{requests}");
    }
}

#[test]
fn a_wrong_answer_is_a_fault_and_fails_the_run() {
    let backend = backend();
    let output = load(&backend, &["--path", "/plain/127"]);
    assert!(!output.status.success());
    let outcome = outcome(&output);
    assert_eq!(outcome["faults"], 8, "one for each connection");
    assert_eq!(outcome["told"][0], "Content-Length 127");
}

#[test]
fn a_refusal_is_told_with_its_status() {
    let backend = backend();
    let output = load(&backend, &["--path", "/plain/of-no-size"]);
    assert!(!output.status.success());
    assert_eq!(outcome(&output)["told"][0], "status 400  ");
}

/// A launched process does not outlive the one that launched it, however that one ends.
#[test]
fn a_launched_process_ends_with_its_parent() {
    // The shell launches the backend in the background, says its own id to it, and is killed.
    let script = r#""$0" launch --core 0 --parent $$ -- "$0" backend --listen 127.0.0.1:0 & wait"#;
    let mut shell = Command::new("sh").args(["-c", script, PROGRAM]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("listening "));
    shell.kill().unwrap();
    shell.wait().unwrap();
    // The pipe ends when the last process that holds it does.
    assert!(lines.next().is_none());
}

#[test]
fn a_comparison_of_the_relay_with_itself_prints_figures_and_writes_them() {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["compare", "--peers", "relay", "--scenario", "plain-128", "--rounds", "2"]);
    command.args(["--requests", "1000", "--warm-up", "100", "--connections", "4", "--out"]).arg(out.path());
    if !has_two_cores() {
        return;
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(out.path().join("compare.json")).unwrap()).unwrap();
    let samples = json["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    assert!(samples.iter().all(|sample| sample["requests"] == 1000 && sample["faults"] == 0));
    let markdown = std::fs::read_to_string(out.path().join("compare.md")).unwrap();
    assert!(markdown.contains("| relay | - | **1.00** (1.00..1.00) |"), "{markdown}");
    // And a page of it.
    let page = out.path().join("report.html");
    let mut report = Command::new(PROGRAM);
    let output = report.arg("report").arg(out.path().join("compare.json")).arg("--out").arg(&page).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("`loadtest/scenarios/plain-128.toml` |"));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.matches("<svg ").count() == 2 && !page.contains("NaN"), "{page}");
}

/// One round of a peer's, and of a relay, over four connections where a scenario does not say.
fn comparison(peer: &str, scenarios: &[&str]) -> (Vec<serde_json::Value>, String, String) {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args([
        "compare",
        "--peers",
        &format!("{peer},relay-epoll"),
        "--rounds",
        "1",
        "--requests",
        "100",
        "--connections",
        "4",
        "--gateway",
    ]);
    command.arg(std::path::Path::new(PROGRAM).with_file_name("lockgate")).arg("--out").arg(out.path());
    let output = command.arg("--scenario").args(scenarios).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(out.path().join("compare.json")).unwrap()).unwrap();
    let mut samples = json["samples"].as_array().unwrap().clone();
    samples.retain(|sample| sample["peer"] == peer);
    assert_eq!(samples.len(), scenarios.len());
    assert!(samples.iter().all(|sample| sample["faults"] == 0), "{samples:#?}");
    (samples, std::fs::read_to_string(out.path().join("compare.md")).unwrap(), said)
}

fn has_two_cores() -> bool {
    std::thread::available_parallelism().unwrap().get() >= 2
}

/// Over TLS, with connections that are kept, begun anew and resumed, and with many that wait.
#[test]
fn a_comparison_of_the_gateway_over_tls_is_without_faults() {
    if !has_two_cores() {
        return;
    }
    let (samples, markdown, _) =
        comparison("lockgate", &["h2-128", "tls-16k", "tls-post-10k", "tls-full", "tls-resumed", "tls-1000"]);
    let waiting = samples.iter().find(|sample| sample["scenario"] == "tls-1000").unwrap();
    assert!(waiting["kib_per_connection"].as_f64().unwrap() > 0.1, "{waiting:#}");
    assert!(markdown.contains("`loadtest/scenarios/tls-resumed.toml` |"), "{markdown}");
}

/// Limits, log and metrics on; refused and throttled; while documents change; and among other APIs.
#[test]
fn a_comparison_of_what_the_gateway_does_beside_is_without_faults() {
    if !has_two_cores() {
        return;
    }
    let among = tempfile::NamedTempFile::new().unwrap();
    let text = include_str!("../scenarios/apis-100000.toml").replace("100000", "200");
    std::fs::write(among.path(), text).unwrap();
    let among = among.path().to_str().unwrap();
    let (_, markdown, said) = comparison("lockgate", &["plain-0", "everything-128", "refused", "throttled", "reload-128", among]);
    let loads = said.lines().find_map(|line| line.strip_prefix("documents loaded ")?.strip_suffix(" times meanwhile"));
    assert!(loads.is_some_and(|loads| loads != "0"), "{said}");
    // A relay has no part in refusals.
    assert!(markdown.contains("| relay-epoll | - | - | - |"), "{markdown}");
}

/// nginx that checks in Lua lets through what the gateway lets through, and refuses what it refuses.
#[test]
fn a_comparison_of_nginx_with_lua_is_without_faults() {
    if has_two_cores() {
        comparison("nginx-lua", &["plain-128", "appcode-128", "signature-128", "everything-128", "refused", "throttled"]);
    }
}

/// A refusal is only what it was to be with its status and its code.
#[test]
fn another_answer_than_the_refusal_that_was_expected_is_a_fault() {
    let backend = backend();
    let output = load(&backend, &["--refusal", "403:A403IS"]);
    assert!(!output.status.success());
    assert_eq!(outcome(&output)["told"][0], "status 200  ");
}

#[test]
fn connections_come_from_several_addresses() {
    let backend = backend();
    let output = load(&backend, &["--sources", "3"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(outcome(&output)["requests"], REQUESTS);
}

/// Between two clients and the backend, it gives each of them what was for the other; both answers are good ones.
#[test]
fn answers_that_are_swapped_are_found() {
    for bytes in ["0", "128", "100000"] {
        let backend = backend();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let to = backend.address.clone();
        let swap = std::thread::spawn(move || {
            let mut clients = [listener.accept().unwrap().0, listener.accept().unwrap().0];
            let answers: Vec<Vec<u8>> = clients.iter_mut().map(|client| answered(client, &to)).collect();
            for (client, answer) in clients.iter_mut().rev().zip(&answers) {
                // Whoever has found the first one out may be gone.
                let _ = client.write_all(answer);
            }
        });
        let mut command = Command::new(PROGRAM);
        command.args(["load", "--json", "--connections", "2", "--warm-up", "2", "--seconds", "20", "--target", &target]);
        let output = command.args(["--path", &format!("/plain/{bytes}"), "--answer-bytes", bytes]).output().unwrap();
        swap.join().unwrap();
        assert!(!output.status.success(), "{bytes} B");
        let outcome = outcome(&output);
        assert_eq!(outcome["faults"], 2, "{outcome:#}");
        assert!(outcome["told"][0].as_str().unwrap().starts_with("somebody else's answer: its mark is "), "{outcome:#}");
    }
}

/// The backend's answer to the request that a client has sent.
fn answered(client: &mut TcpStream, backend: &str) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().replace("Connection: keep-alive", "Connection: close");
    let mut backend = TcpStream::connect(backend).unwrap();
    backend.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    backend.read_to_end(&mut answer).unwrap();
    answer
}

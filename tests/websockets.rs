//! Real WebSocket clients and servers on either side of the gateway: Python's `websockets` and Node's `ws`, over HTTP and
//! HTTPS, with the cases of an echo test (fragments, control frames between them, large frames, compression, close codes).

use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{ChildStdout, Command, Stdio};

use lockgate_test_support::{
    Api, App, Authority, CERTIFICATE, Config, DOMAINS, KeyKind, Process, node, python_client, repository, succeeds,
};

/// A server of one of the scripts.
struct Server {
    address: SocketAddr,
    _process: Process,
    said: Lines<BufReader<ChildStdout>>,
}

impl Server {
    fn start(mut interpreter: Command, script: &str) -> Self {
        let script = repository().join("tests/clients").join(script);
        interpreter.arg(script).stdout(Stdio::piped());
        let mut process = Process::start(interpreter);
        let mut said = BufReader::new(process.stdout()).lines();
        let port = said.next().expect("the server says its port").expect("a line").parse::<u16>().expect("a number");
        Self { address: ([127, 0, 0, 1], port).into(), _process: process, said }
    }
}

/// Runs the cases of a client against a server, and looks at how the server saw its connections closed.
fn echo_cases(server: Server, client: impl Fn() -> Command, script: &str, cases: u64) {
    let authority = Authority::new("Test CA");
    let config = Config::new().https().vpc_access("backend", server.address, "");
    authority.issue("api.test", &DOMAINS, KeyKind::Ecdsa).write(&config.path().join("groups/g"), "ecdsa");
    let ca = config.write("ca.pem", &authority.pem);
    let gateway = config
        .access_log()
        .group("g", &["*", "api.test"], &format!("{CERTIFICATE}domains = [\"api.test\", \"*\"]\n"))
        .published(&Api::app("ws", "/ws").upgrades(&["websocket"]))
        .app(&App::alpha().may_call("g/ws", &["RELEASE"]))
        .start();
    let script = repository().join("tests/clients").join(script);
    for (url, ca) in [
        (format!("ws://{}/ws", gateway.address), String::new()),
        (format!("wss://{}/ws", gateway.https()), ca.to_string_lossy().into_owned()),
    ] {
        let output = succeeds(client().arg(&script).args([&url, &App::alpha().code, &ca]).env("NO_PROXY", "*"));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the client says what it did");
        assert_eq!(said, serde_json::json!({ "cases": cases, "refused": "A400MA" }), "{url}");
    }
    // Two rounds: with and without compression, then every close code once; and one refused call each.
    let mut server = server;
    let closed: Vec<String> = (0..12).map(|_| server.said.next().expect("a line").expect("text")).collect();
    for code in ["closed 1001 going away", "closed 3000", "closed 4999 of our own, ä"] {
        assert_eq!(closed.iter().filter(|line| line.trim_end() == code).count(), 2, "{closed:?}");
    }
    let log = gateway.access_log(14);
    let streams: Vec<_> = log.iter().filter(|line| line["statusCode"] == 101).collect();
    assert!(streams.len() == 12 && streams.iter().all(|line| line["appName"] == "alpha"), "{log:?}");
    let most = streams.iter().filter_map(|line| line["responseSize"].as_u64()).max();
    assert!(most > Some(12_000_000), "bytes are counted: {most:?}");
}

#[test]
fn python_speaks_to_node() {
    let server = Server::start(node(), "ws_server.js");
    echo_cases(server, || python_client("websockets"), "ws_client.py", 46);
}

#[test]
fn node_speaks_to_python() {
    let server = Server::start(python_client("websockets"), "ws_server.py");
    echo_cases(server, node, "ws_client.js", 40);
}

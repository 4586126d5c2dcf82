//! Real clients of HTTP/2, and gRPC from end to end: curl, nghttp, h2load, Python's httpx and grpcio.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;

use lockgate_test_support::{Api, Backend, Gateway, Process, curl, h2load, nghttp, python_client, repository, secured, succeeds};

/// Over TLS; with the file of the authority.
fn start(backend: &Backend) -> (Gateway, String) {
    let (config, authority) = secured(backend.address, "", "");
    let ca = config.write("ca.pem", &authority.pem).to_string_lossy().into_owned();
    (config.http2().access_log().admin().start(), ca)
}

fn good() -> Backend {
    Backend::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood".to_vec())
}

#[test]
fn curl_and_nghttp() {
    let backend = good();
    let (gateway, ca) = start(&backend);
    let resolve = format!("api.test:{}:127.0.0.1", gateway.https().port());
    let url = format!("https://api.test:{}/a", gateway.https().port());
    let saying = ["--write-out", " %{http_version} %{http_code}", "--data-binary", "body"];
    let output = succeeds(curl().args(["--http2", "--cacert", &ca, "--resolve", &resolve]).args(saying).args([&url, &url]));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "good 2 200good 2 200");
    let clear = format!("http://{}/a", gateway.address);
    let output = succeeds(curl().args(["--http2-prior-knowledge", "--header", "Host: api.test"]).args(saying).arg(&clear));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "good 2 200");
    let output = succeeds(nghttp().args(["--no-dep", "--multiply=50", "--header=:authority: api.test", &clear]));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "good".repeat(50));
    let protocols: Vec<_> =
        gateway.access_log(53).iter().map(|line| line["requestProtocol"].as_str().unwrap().to_owned()).collect();
    assert_eq!(protocols.iter().filter(|protocol| *protocol == "HTTPS/2").count(), 2);
    assert!(protocols.iter().all(|protocol| protocol.ends_with("/2")), "{protocols:?}");
}

#[test]
fn h2load_with_a_hundred_streams() {
    let backend = good();
    let (gateway, _) = start(&backend);
    let clear = format!("http://{}/a", gateway.address);
    let upload = format!("--data={}", repository().join("LICENSE").display());
    for (url, extra) in [(clear.clone(), vec![]), (clear, vec![upload.as_str()])] {
        let arguments = ["--requests=2000", "--clients=4", "--max-concurrent-streams=100", "--header=:authority: api.test"];
        let output = succeeds(h2load().args(arguments).args(extra).arg(url));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
    }
    assert_eq!(gateway.metric("lockgate_http2_requests_total"), Some(4000.0));
}

#[test]
fn httpx() {
    let backend = good();
    let (gateway, ca) = start(&backend);
    let script = repository().join("tests/clients/httpx_client.py");
    let output = succeeds(python_client("httpx").arg(script).args([&format!("https://{}/a", gateway.https()), &ca]));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), r#"[["HTTP/2"], "I405UM"]"#);
}

#[test]
fn grpc_from_end_to_end() {
    let mut server = python_client("grpcio");
    server.arg(repository().join("tests/clients/grpc_server.py")).stdout(Stdio::piped());
    let mut server = Process::start(server);
    let mut said = String::new();
    BufReader::new(server.stdout()).read_line(&mut said).expect("the server says its port");
    let address: SocketAddr = ([127, 0, 0, 1], said.trim().parse().expect("a port")).into();
    let (config, authority) = secured(address, "", "");
    let ca = config.write("ca.pem", &authority.pem).to_string_lossy().into_owned();
    let config = config.http2().access_log().vpc_access("grpc", address, "protocol = \"h2c\"\n");
    let gateway = config
        .group("plain", &["*"], "")
        .published_to("plain", &Api::open("grpc", "/*").vpc_access("grpc"), &["RELEASE"])
        .published(&Api::open("grpc", "/test.Echo/*").vpc_access("grpc"))
        .start();
    let script = repository().join("tests/clients/grpc_client.py");
    for arguments in [vec![gateway.address.to_string()], vec![gateway.https().to_string(), ca]] {
        let output = succeeds(python_client("grpcio").arg(&script).args(&arguments).env("NO_PROXY", "*"));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "67", "{arguments:?}");
    }
}

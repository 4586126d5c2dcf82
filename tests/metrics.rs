//! `/metrics`: what is counted, that it can be read, and that names are bounded.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use lockgate_test_support::{Api, App, Backend, Config, Gateway, Request, eventually, lockgate, promtool, repository, succeeds};

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

#[test]
fn the_reference_is_what_the_program_prints() {
    let printed = succeeds(lockgate(repository()).args(["metrics", "--format", "markdown"])).stdout;
    let page = fs::read_to_string(repository().join("METRICS.md")).expect("METRICS.md can be read");
    assert!(page.as_bytes() == printed, "write it anew: target/debug/lockgate metrics --format markdown > METRICS.md");
}

#[test]
fn names_beyond_the_limit_are_counted_together() {
    let backend = Backend::ok();
    let mut config = Config::with_backend(backend.address).table("limits", "metrics_apis = 2").instance("workers = 1");
    for name in ["a", "b", "c", "d"] {
        config = config.published(&Api::open(name, &format!("/{name}")));
    }
    let gateway = config.admin().start();
    for path in ["/d", "/c", "/b", "/a", "/a"] {
        gateway.get(path).assert_passed();
    }
    let other = "lockgate_requests_total{group=\"(other)\",api=\"(other)\",stage=\"(other)\",status=\"2xx\"}";
    eventually("all are counted", || (gateway.metric(other) == Some(3.0)).then_some(()));
    assert_eq!((requests(&gateway, "d", "2xx"), requests(&gateway, "a", "2xx")), (Some(1.0), None));
}

//! Client libraries of the product make live calls: npm `aliyun-api-gateway`, and from PyPI `aliyun-api-gateway-python`,
//! `aliyun-api-gateway-sign`, `aliyun-api-gateway-sign-py3` and `alibabacloud-apigateway-util`. Their scripts are in
//! tests/clients; `GET` lands on a real nginx, `POST` on a backend that keeps what it received.

use std::process::Command;

use lockgate_test_support::{
    Api, App, Backend, Config, Gateway, Message, Nginx, curl, node, python_client, repository, succeeds,
};
use serde_json::Value;

const ALL: [&str; 3] = ["get", "form", "json"];

struct Scene {
    backend: Backend,
    gateway: Gateway,
    _nginx: Nginx,
}

fn scene() -> Scene {
    let nginx = Nginx::start();
    let backend = Backend::answering(|request| {
        let body =
            serde_json::json!({ "method": request.method(), "target": request.target(), "body": request.text() }).to_string();
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    });
    let gateway = Config::with_backend(backend.address)
        .vpc_access("nginx", nginx.address, "")
        .published(&Api::app("echo", "/echo").methods(&["GET"]).vpc_access("nginx"))
        .published(&Api::app("post", "/post").methods(&["POST"]))
        .app(&App::alpha().may_call("g/echo", &["RELEASE"]).may_call("g/post", &["RELEASE"]))
        .app(&App::bravo().may_call("g/echo", &["RELEASE"]).may_call("g/post", &["RELEASE"]))
        .start();
    Scene { backend, gateway, _nginx: nginx }
}

/// Runs one of the scripts; what it printed of the answer.
#[track_caller]
fn run(mut interpreter: Command, script: &str, gateway: &Gateway, key: &str, secret: &str, scenario: &str) -> Value {
    let script = repository().join("tests/clients").join(script);
    let url = format!("http://{}", gateway.address);
    let output = succeeds(interpreter.arg(script).args([&url, key, secret, scenario]).env("NO_PROXY", "*"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Both apps (one secret is not ASCII), a GET with a query, a form, JSON; then a wrong secret. What the backend received.
fn signs(interpreter: impl Fn() -> Command, script: &str, scenarios: &[&str]) -> Vec<Message> {
    let Scene { backend, gateway, _nginx } = scene();
    for app in [App::alpha(), App::bravo()] {
        for &scenario in scenarios {
            let answer = run(interpreter(), script, &gateway, &app.key, &app.secret, scenario);
            assert_eq!((&answer["status"], &answer["code"]), (&200.into(), &"".into()), "{} {scenario}: {answer}", app.name);
            let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).expect("the echo is JSON");
            assert_eq!(body["method"], if scenario == "get" { "GET" } else { "POST" }, "{answer}");
            if scenario == "get" {
                assert!(body["uri"].as_str().is_some_and(|u| u.starts_with("/echo?") && u.contains("b=2")), "{answer}");
            }
        }
    }
    let answer = run(interpreter(), script, &gateway, "24601001", "not-the-secret", "form");
    assert_eq!((&answer["status"], &answer["code"]), (&403.into(), &"A403IS".into()), "{answer}");
    assert_eq!(backend.count(), 2 * (scenarios.len() - 1), "a body for each app, and nothing of the wrong secret");
    backend.requests()
}

fn assert_json(requests: &[Message]) {
    assert_eq!(serde_json::from_slice::<Value>(&requests[1].body).expect("JSON"), serde_json::json!({ "x": 1, "name": "名" }));
}

#[test]
fn npm_aliyun_api_gateway() {
    let requests = signs(node, "npm.js", &ALL);
    assert_json(&requests);
    assert_eq!((requests[0].target(), requests[0].text().as_str()), ("/post?q=1", "name=%E5%90%8D%20%E5%AD%97&a=1"));
}

#[test]
fn npm_aliyun_api_gateway_with_an_app_code() {
    let Scene { gateway, .. } = &scene();
    let answer = run(node(), "npm.js", gateway, "", &App::alpha().code, "app-code");
    assert_eq!(answer["status"], 200, "{answer}");
    let answer = run(node(), "npm.js", gateway, "", "ACwrong", "app-code");
    assert_eq!((&answer["status"], &answer["code"]), (&401.into(), &"A401AC".into()), "{answer}");
}

#[test]
fn pypi_aliyun_api_gateway_python() {
    assert_json(&signs(|| python_client("aliyun-api-gateway-python"), "agp.py", &ALL));
}

#[test]
fn pypi_aliyun_api_gateway_sign() {
    assert_json(&signs(|| python_client("aliyun-api-gateway-sign"), "sign104.py", &ALL));
}

#[test]
fn pypi_aliyun_api_gateway_sign_py3() {
    // Bodies that are no forms need a function that Python 3.9 removed.
    let requests = signs(|| python_client("aliyun-api-gateway-sign-py3"), "sign_py3.py", &["get", "form"]);
    assert_eq!(requests[0].text(), "name=%E5%90%8D+%E5%AD%97&a=1");
}

#[test]
fn pypi_alibabacloud_apigateway_util() {
    assert_json(&signs(|| python_client("alibabacloud-apigateway-util"), "util.py", &ALL));
}

#[test]
fn curl_with_an_app_code() {
    let Scene { gateway, .. } = &scene();
    let url = format!("http://{}/echo?a=1", gateway.address);
    let app = App::alpha();
    let output = succeeds(curl().args(["--fail", "-H", &format!("Authorization: APPCODE {}", app.code), &url]));
    let body: Value = serde_json::from_slice(&output.stdout).expect("the echo is JSON");
    assert_eq!((&body["method"], &body["uri"]), (&"GET".into(), &"/echo?a=1".into()));
    let output = succeeds(curl().args(["--fail", &format!("{url}&AppCode={}", app.code)]));
    let body: Value = serde_json::from_slice(&output.stdout).expect("the echo is JSON");
    assert_eq!(body["uri"], "/echo?a=1");
}

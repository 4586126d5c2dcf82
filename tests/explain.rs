//! `lockgate explain`: each step with the place that decides, and the same decision that a running gateway makes.

mod sample;

use std::fs;
use std::path::Path;
use std::process::Command;

use lockgate_test_support::{Api, App, Backend, Config, Gateway, Request, Signer, chunked};
use sample::Sample;
use serde_json::Value;

const CODE: &str = "Authorization: APPCODE sample-appcode-not-for-use";
const URL: &str = "http://api.example.com/nginx";

/// Exit code and output of `lockgate explain` beside the sample.
fn explained(sample: &Sample, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockgate"));
    let output = command.arg("explain").args(arguments).current_dir(sample.path("..")).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

/// `STEP PLACE` of each step that has a place.
fn places(said: &str) -> Vec<String> {
    let lines: Vec<&str> = said.lines().collect();
    let of = |pair: &[&str]| {
        let place = pair[1].trim().strip_prefix("--> config/")?;
        let step = pair[0].split("  ").next().unwrap_or_default().to_owned();
        Some(format!("{step} {}", place.replace(|c: char| c.is_ascii_digit() && place.contains("published"), "")))
    };
    lines.windows(2).filter_map(of).collect()
}

#[test]
fn the_limits_of_a_call_are_named_with_what_binds_it() {
    let sample = Sample::new();
    sample
        .ok(&"policy create gold --unit minute --api 1000 --app 100 --bind nginx-demo/nginx-test".split(' ').collect::<Vec<_>>());
    let (code, said) = explained(&sample, &[URL, "-H", CODE]);
    assert_eq!(code, Some(0), "{said}");
    let limits = "within app limit of policy gold: 100 a minute (`demo-app`), api limit of policy gold: 1000 a minute";
    assert!(said.contains(limits), "{said}");
    assert!(places(&said).contains(&"admit policies/gold.toml:9:7".to_owned()), "{said}");
    // A limit that keeps the app out is the same for everyone who asks.
    let file = sample.path("policies/gold.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text + "\n[[special]]\napp = \"demo-app\"\nlimit = 0\n").unwrap();
    let (code, said) = explained(&sample, &[URL, "-H", CODE]);
    assert_ne!(code, Some(0), "{said}");
    assert!(
        said.contains("refused: T429PA Throttled by API Flow Control, special app limit of policy gold: 0 a minute"),
        "{said}"
    );
    assert!(places(&said).contains(&"admit policies/gold.toml:9:7".to_owned()), "{said}");
}

#[test]
fn every_step_says_what_it_found_and_where() {
    let sample = Sample::new();
    let (code, said) = explained(&sample, &[URL, "-H", CODE]);
    assert_eq!(code, Some(0), "{said}");
    let steps = [
        "domain groups/nginx-demo/group.toml:3:12",
        "base path groups/nginx-demo/group.toml:2:13",
        "API published/RELEASE/nginx-demo/nginx-test/.toml::",
        "protocol published/RELEASE/nginx-demo/nginx-test/.toml::",
        "authenticate apps/demo-app.toml:5:12",
        "authorize apps/demo-app.toml:8:7",
        "backend published/RELEASE/nginx-demo/nginx-test/.toml::",
    ];
    assert_eq!(places(&said), steps, "{said}");
    for text in [
        "by its name",
        "RELEASE, as there is no X-Ca-Stage",
        "the app `demo-app`, by its AppCode in the header",
        "until 2030-01-01T00:00:00Z",
        "the VPC access `nginx-microservice`, one of 127.0.0.1:8081, within 10000 ms",
        "  | GET / HTTP/1.1\n  | Host: nginx.internal\n",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(!said.contains("sample-appcode"), "{said}");
    let (_, said) = explained(&sample, &["http://x.example.net/nginx?a=1&AppCode=sample-appcode-not-for-use"]);
    assert!(
        said.contains("by the longest wildcard") && said.contains("group.toml:3:31") && !said.contains("sample-appcode"),
        "{said}"
    );
    assert!(said.contains("GET /nginx?a=1,") && said.contains("  | GET /?a=1 HTTP/1.1"), "{said}");
}

#[test]
fn a_refusal_names_its_step_and_what_refuses() {
    let sample = Sample::new();
    let refused = |arguments: &[&str], step: &str, code: &str, place: &str| {
        let (exit, said) = explained(&sample, arguments);
        assert_eq!(exit, Some(3), "{said}");
        let line = said.lines().find(|line| line.starts_with(step)).unwrap_or_else(|| panic!("no {step}: {said}"));
        assert!(line.contains(&format!("refused: {code} ")), "{line}");
        assert!(said.lines().any(|line| line.starts_with("It is refused: ") && line.contains(code)), "{said}");
        assert!(place.is_empty() || places(&said).iter().any(|found| found == &format!("{step} {place}")), "{place}: {said}");
    };
    refused(&["http://other.example/nginx"], "domain", "I404DO", "");
    refused(&[URL, "--stage", "none"], "stage", "I400SG", "");
    refused(&[URL, "--stage", "TEST"], "API", "I404NF", "");
    refused(&["-X", "POST", URL], "API", "I405UM", "");
    let posted = Sample::new();
    posted.edit("gateway.toml", "[access_log]", "[limits]\nbody_bytes = 4\n[access_log]");
    fs::write(posted.path("../request.txt"), "GET /nginx HTTP/1.1\nHost: api.example.com\nContent-Length: 5\n\nabcde").unwrap();
    let (exit, said) = explained(&posted, &["--request", "request.txt"]);
    assert_eq!(exit, Some(3), "{said}");
    assert!(said.contains("body  ") && said.contains("refused: I413RL Request body too Large"), "{said}");
    assert!(places(&said).iter().any(|place| place.starts_with("body gateway.toml:")), "{said}");
    let authentication = "published/RELEASE/nginx-demo/nginx-test/.toml::";
    refused(&[URL], "authenticate", "A400MA", authentication);
    refused(&[URL, "-H", "Authorization: APPCODE wrong"], "authenticate", "A401AC", authentication);
    refused(&[URL, "-H", CODE, "--at", "2031-01-01T00:00:00Z"], "authorize", "A403EP", "apps/demo-app.toml:10:11");
    sample.edit("apps/demo-app.toml", "[\"RELEASE\"]", "[\"TEST\"]");
    refused(&[URL, "-H", CODE], "authorize", "I403AA", "apps/demo-app.toml:2:8");
    let (exit, said) = explained(&sample, &["http://api.example.com/a%zz"]);
    assert_eq!((exit, said.starts_with("error: refused for its head: I400")), (Some(3), true), "{said}");
    assert!(sample.fails(&["explain", "/nginx"]).starts_with("error: no Host"));
}

#[test]
fn a_signed_call_shows_its_string_to_sign_and_what_is_wrong() {
    let sample = Sample::new();
    let headers = sample.ok(&["sign", "--app", "demo-app", "http://api.example.com/nginx?b=1&a=2"]);
    let with = |url: &str| {
        let mut arguments = vec![url];
        headers.lines().for_each(|header| arguments.extend(["-H", header]));
        explained(&sample, &arguments)
    };
    let (code, said) = with("http://api.example.com/nginx?b=1&a=2");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("by a signature (HmacSHA256) with the app key 24601001") && said.contains("  | /nginx?a=2&b=1\n"),
        "{said}"
    );
    assert!(places(&said).contains(&"authenticate apps/demo-app.toml:3:11".to_owned()), "{said}");
    let (code, said) = with("http://api.example.com/nginx?b=1&a=3");
    assert_eq!(code, Some(3));
    assert!(said.contains("authenticate  refused: A403IS") && said.contains("The signature does not match"), "{said}");
    assert!(!said.contains("sample-secret"), "{said}");
}

#[test]
fn a_saved_request_and_json() {
    let sample = Sample::new();
    fs::write(sample.path("../request.txt"), format!("GET /nginx HTTP/1.1\nHost: api.example.com\n{CODE}\n\n")).unwrap();
    let (code, said) = explained(&sample, &["--request", "request.txt", "--format", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["version"], &said["outcome"]), (&1.into(), &"forward".into()));
    assert!(said["backendRequest"].as_str().unwrap().starts_with("GET / HTTP/1.1\nHost: nginx.internal\n"));
    let steps = said["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 11);
    assert_eq!((&steps[1]["step"], &steps[1]["line"], &steps[1]["column"]), (&"domain".into(), &3.into(), &12.into()));
    let (code, said) = explained(&sample, &[URL, "--format", "json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["errorCode"], &said["status"]), (Some(3), &"A400MA".into(), &400.into()));
    fs::write(sample.path("../request.txt"), "GET /nginx HTTP/1.1\nHost: api.example.com\n").unwrap();
    let (code, said) = explained(&sample, &["--request", "request.txt"]);
    assert_eq!((code, said.contains("an empty line is missing")), (Some(1), true), "{said}");
}

/// What `explain` says of a request in a file.
fn foretold(gateway: &Gateway, request: &Request) -> Value {
    let file = gateway.path().join("request");
    fs::write(&file, request.bytes()).unwrap();
    let output = gateway.command().args(["explain", "--format", "json", "--request"]).arg(Path::new(&file)).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// The very same decision, and the very same bytes to the backend but for the id of the request.
#[test]
fn a_running_gateway_decides_as_explained() {
    let backend = Backend::ok();
    let app = App::alpha().may_call("g/signed", &["RELEASE", "TEST"]);
    let signer = Signer::new(&app.key, &app.secret);
    let code = app.code.clone();
    let gateway = Config::with_backend(backend.address)
        .published(&Api::open("open", "/open/[id]/*").backend_path("/b/[id]/*"))
        .published(&Api::app("signed", "/signed/*").methods(&["GET", "POST"]))
        .published(&Api::app("others", "/others"))
        .published(&Api::open("safe", "/safe").protocols(&["https"]))
        .published(&Api::open("short", "/short").body_bytes(10))
        .published(&Api::app("closed", "/closed").body_bytes(10))
        .app(&app)
        .start();
    let form = "application/x-www-form-urlencoded";
    let requests = [
        Request::get("/open/a%20b/c/d?x=1&y")
            .field("X-Forwarded-For", "1.2.3.4")
            .field("Connection", "x-drop")
            .field("X-Drop", "1"),
        Request::new("PUT", "/open/1/2").body("abc"),
        Request::get("/open/1"),
        Request::new("POST", "/short").body("0123456789a"),
        Request::new("POST", "/short").field("Transfer-Encoding", "chunked").body(chunked(b"0123456789a", 4)),
        Request::new("POST", "/closed").field("Transfer-Encoding", "chunked").body(chunked(b"0123456789a", 4)),
        Request::get("/none"),
        Request::get("/safe"),
        Request::get("/signed/x"),
        Request::get("/signed/x").app_code(&code),
        Request::get(&format!("/signed/x?AppCode={code}&a=1")),
        Request::get("/signed/x").app_code("wrong"),
        Request::get("/signed/x").app_code(&code).stage("TEST"),
        Request::new("PUT", "/signed/x").app_code(&code),
        Request::get("/others").app_code(&code),
        signer.sign(Request::get("/signed/x?b=1&a=2")),
        signer.sign(Request::post("/signed/x", form, "b=1&a=%20")),
        signer.sign(Request::post("/signed/x", form, "b=1")).body("b=2"),
        signer.sign(Request::get("/signed/x")).stage("NONE"),
    ];
    let mut passed = 0;
    for request in requests {
        let foretold = foretold(&gateway, &request);
        let answer = gateway.call(&request);
        match foretold["outcome"].as_str() {
            Some("forward") => {
                answer.assert_passed();
                passed += 1;
                let sent = backend.next();
                let id = sent.field("X-Ca-Request-Id").unwrap_or_default().to_owned();
                let head = String::from_utf8_lossy(&sent.head).trim_end().replace("\r\n", "\n").replace(&id, "ID");
                let told = foretold["backendRequest"].as_str().unwrap().replace("00000000-0000-4000-8000-000000000000", "ID");
                assert_eq!(told.trim_end(), head, "{request:?}");
            }
            _ => {
                assert_eq!(answer.code(), foretold["errorCode"], "{request:?}");
                assert_eq!(answer.error_message(), foretold["errorMessage"], "{request:?}");
            }
        }
    }
    assert_eq!(passed, 6);
}

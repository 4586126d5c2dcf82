//! The commands for people with a signature to make or to mend: `sign`, `call`, `explain-signature`, against a running
//! gateway.

use std::fs;
use std::process::Command;

use lockgate_test_support::{Api, App, Backend, Config, Gateway, Request, Signer, sh, succeeds};

fn start(backend: &Backend) -> Gateway {
    let app = App::alpha();
    Config::with_backend(backend.address)
        .published_to("g", &Api::app("a", "/a"), &["RELEASE", "TEST"])
        .published(&Api::app("user", "/user/[id]/*"))
        .app(&app.may_call("g/a", &["RELEASE", "TEST"]).may_call("g/user", &["RELEASE"]))
        .start()
}

#[track_caller]
fn text(command: &mut Command) -> String {
    String::from_utf8(succeeds(command).stdout).expect("text")
}

#[test]
fn the_headers_that_sign_prints_are_accepted() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    let cases: [(&[&str], Request); 4] = [
        (&["/a?z=1&a=%E5%90%8D"], Request::get("/a?z=1&a=%E5%90%8D")),
        (&["/a", "--signature-method", "HmacSHA1", "--stage", "TEST"], Request::get("/a")),
        (&["/a", "-d", "b=2&a=1"], Request::new("POST", "/a").body("b=2&a=1")),
        (&["/a", "-X", "PUT", "-H", "Content-Type: application/json", "-d", "{}"], Request::new("PUT", "/a").body("{}")),
    ];
    for (arguments, mut request) in cases {
        let printed = text(gateway.command().args(["sign", "--app", "alpha"]).args(arguments));
        for line in printed.lines() {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line}"));
            request = request.field(name, value);
        }
        gateway.call(&request).assert_passed();
        // Each has a nonce of its own, so that it passes once.
        gateway.call(&request).assert_refused("S403NU");
    }
    assert_eq!(backend.count(), 4);
}

#[test]
fn the_curl_line_that_sign_prints_can_be_pasted() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    let url = format!("http://{}/a?q=it's", gateway.address);
    for more in [&[][..], &["-d", "name=名 字"], &["-X", "HEAD"]] {
        let line = text(gateway.command().args(["sign", "--app", "alpha", "--curl", &url]).args(more));
        let answer = text(&mut sh(&line));
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{line}\n{answer}");
    }
    assert_eq!(backend.count(), 3);
}

#[test]
fn call_shows_request_answer_and_timing() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    let call = |arguments: &[&str]| text(gateway.command().arg("call").args(arguments));
    let seen = call(&["g/a", "--app", "alpha", "--signature", "--query", "x=1", "-d", "k=v", "-X", "POST"]);
    for part in
        ["> POST /a?x=1 HTTP/1.1", "> X-Ca-Signature: ", "< HTTP/1.1 200 OK", "X-Ca-Request-Id: ", "ServiceLatency", "\nok\n"]
    {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    assert_eq!(backend.next().text(), "k=v");
    let seen = call(&["g/a", "--app", "alpha", "--app-code", "--stage", "TEST"]);
    assert!(seen.contains("< HTTP/1.1 200 OK") && !seen.contains(&App::alpha().code), "{seen}");
    backend.next();
    call(&["g/user", "--app", "alpha", "--signature", "-p", "id=a/b 名", "-p", "*=rest"]);
    assert_eq!(backend.next().target(), "/user/a%2Fb%20%E5%90%8D/rest");
}

#[test]
fn call_says_what_is_wrong_and_fails() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    let fails = |arguments: &[&str]| {
        let output = gateway.command().arg("call").args(arguments).output().expect("the command runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(fails(&["g/a", "--anonymous"]).contains("X-Ca-Error-Code: A400MA"));
    assert!(fails(&["g/a", "--app", "alpha", "--app-code", "--stage", "PRE"]).contains("not published to PRE"));
    assert!(fails(&["g/user", "--app", "alpha", "--app-code"]).contains("--parameter id=VALUE"));
    let closed = lockgate_test_support::reserve();
    let elsewhere = closed.address.to_string();
    assert!(fails(&["g/a", "--app", "alpha", "--app-code", "--gateway", &elsewhere]).contains("is the gateway running?"));
    assert_eq!(backend.count(), 0);
}

#[test]
fn explain_signature_shows_the_servers_string_and_names_the_mistake() {
    let app = App::alpha();
    let backend = Backend::ok();
    let gateway = start(&backend);
    let file = gateway.path().join("request.txt");
    let explain = |request: &Request| {
        fs::write(&file, request.bytes()).expect("the file can be written");
        text(gateway.command().arg("explain-signature").arg(&file))
    };
    let signer = Signer::new(&app.key, &app.secret);
    let good = signer.sign(Request::get("/a?b=2&a=1"));
    assert!(explain(&good).contains("good"), "{}", explain(&good));

    // The library adds an `Accept` that was not there when the request was signed.
    let mistaken = signer.sign(Request::get("/a?b=2&a=1")).field("Accept", "text/plain");
    let answer = gateway.call(&mistaken);
    answer.assert_refused("A403IS");
    let explained = explain(&mistaken);
    assert!(explained.contains("Accept"), "{explained}");
    // The string is the one that the gateway's echo shows.
    let echo = answer.error_message().split_once('`').and_then(|(_, e)| e.strip_suffix('`')).expect("an echo").to_owned();
    for line in echo.split('#').filter(|line| !line.is_empty()) {
        assert!(explained.contains(line), "{line}: {explained}");
    }
    assert!(!explained.contains(&app.secret), "{explained}");
}

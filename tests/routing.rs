//! Which API a request is for: domain, base path, stage, method and path; and the refusal when there is none.

use lockgate_test_support::{Api, Backend, Config, Gateway, Request};

/// Answers with the path it was called with, so that a test sees which API was taken.
fn mirror() -> Backend {
    Backend::answering(|request| {
        let body = request.target();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    })
}

#[track_caller]
fn assert_lands(gateway: &Gateway, request: &Request, backend_path: &str) {
    let answer = gateway.call(request);
    answer.assert_passed();
    assert_eq!(answer.text(), backend_path);
}

#[test]
fn a_domain_is_exact_then_wildcard_then_default() {
    let backend = mirror();
    let api = |name: &str, at: &str| Api::open(name, "/*").backend_path(at);
    let gateway = Config::new()
        .vpc_access("backend", backend.address, "")
        .group("exact", &["api.example.com"], "")
        .group("wild", &["*.example.com", "*.deep.example.com"], "")
        .group("address", &["127.0.0.9"], "")
        .published_to("exact", &api("a", "/exact"), &["RELEASE"])
        .published_to("wild", &api("a", "/wild"), &["RELEASE"])
        .published_to("address", &api("a", "/address"), &["RELEASE"])
        .start();
    for (host, path) in [
        ("api.example.com", "/exact"),
        ("API.Example.COM:8080", "/exact"),
        ("other.example.com", "/wild"),
        ("x.deep.example.com", "/wild"),
        ("127.0.0.9:80", "/address"),
        ("exact.localhost", "/exact"),
        ("wild.localhost:1234", "/wild"),
    ] {
        assert_lands(&gateway, &Request::get("/p").host(host), path);
    }
    for host in ["example.com", "api.example.com.evil.net", "other.localhost", "127.0.0.1", "localhost"] {
        gateway.call(&Request::get("/p").host(host)).assert_refused("I404DO");
    }
    assert_eq!(backend.count(), 7);
}

#[test]
fn an_absolute_target_takes_the_place_of_the_host() {
    let backend = mirror();
    let gateway = Config::new()
        .vpc_access("backend", backend.address, "")
        .group("g", &["api.example.com"], "")
        .published(&Api::open("all", "/*").backend_path("/here"))
        .start();
    assert_lands(&gateway, &Request::get("http://api.example.com/p").host("other.example.com"), "/here");
    gateway.call(&Request::get("http://other.example.com/p").host("api.example.com")).assert_refused("I404DO");
}

#[test]
fn the_longest_base_path_wins() {
    let backend = mirror();
    let api = |at: &str| Api::open("a", "/list").backend_path(at);
    let gateway = Config::new()
        .vpc_access("backend", backend.address, "")
        .group("root", &["*"], "base_path = \"/\"")
        .group("v1", &["*"], "base_path = \"/v1\"")
        .group("deep", &["*"], "base_path = \"/v1/deep\"")
        .published_to("root", &api("/root"), &["RELEASE"])
        .published_to("v1", &api("/v1"), &["RELEASE"])
        .published_to("deep", &api("/deep"), &["RELEASE"])
        .start();
    assert_lands(&gateway, &Request::get("/list"), "/root");
    assert_lands(&gateway, &Request::get("/v1/list"), "/v1");
    assert_lands(&gateway, &Request::get("/v1/deep/list"), "/deep");
    for path in ["/v2/list", "/v1x/list", "/v1/deep", "/v1"] {
        gateway.get(path).assert_refused("I404NF");
    }
}

#[test]
fn the_stage_is_chosen_by_its_header() {
    let backend = mirror();
    let config = Config::with_backend(backend.address)
        .published_to("g", &Api::open("a", "/a").backend_path("/release"), &["RELEASE"])
        .published_to("g", &Api::open("a", "/a").backend_path("/test"), &["TEST"]);
    let gateway = config.start();
    assert_lands(&gateway, &Request::get("/a"), "/release");
    assert_lands(&gateway, &Request::get("/a").stage("RELEASE"), "/release");
    assert_lands(&gateway, &Request::get("/a").stage("test"), "/test");
    gateway.call(&Request::get("/a").stage("PRE")).assert_refused("I404NF");
    gateway.call(&Request::get("/a").stage("STAGING")).assert_refused("I400SG");
}

#[test]
fn a_draft_does_not_exist_for_callers() {
    let backend = mirror();
    let published = Config::with_backend(backend.address).published(&Api::open("a", "/a").backend_path("/first"));
    let gateway = published.api(&Api::open("a", "/a").backend_path("/draft")).api(&Api::open("b", "/b")).start();
    assert_lands(&gateway, &Request::get("/a"), "/first");
    gateway.get("/b").assert_refused("I404NF");
}

#[test]
fn methods_are_told_apart() {
    let backend = mirror();
    let gateway = Config::with_backend(backend.address)
        .published(&Api::open("read", "/x").methods(&["GET"]).backend_path("/read"))
        .published(&Api::open("write", "/x").methods(&["POST", "PUT"]).backend_path("/write"))
        .published(&Api::open("any", "/any"))
        .start();
    assert_lands(&gateway, &Request::get("/x"), "/read");
    assert_lands(&gateway, &Request::new("PUT", "/x"), "/write");
    for method in ["DELETE", "get", "HEAD"] {
        let answer = gateway.call(&Request::new(method, "/x"));
        assert_eq!((answer.code(), answer.status()), ("I405UM", 405), "{method}");
    }
    assert_lands(&gateway, &Request::new("PATCH", "/any"), "/any");
}

#[test]
fn literals_beat_parameters_beat_the_rest() {
    let backend = mirror();
    let gateway = Config::with_backend(backend.address)
        .published(&Api::open("me", "/user/me").backend_path("/literal"))
        .published(&Api::open("one", "/user/[id]").backend_path("/one/[id]"))
        .published(&Api::open("two", "/user/[id]/order/[order]").backend_path("/two/[order]/[id]"))
        .published(&Api::open("rest", "/user/*").backend_path("/rest/*"))
        .start();
    for (path, lands) in [
        ("/user/me", "/literal"),
        ("/user/7", "/one/7"),
        ("/user/7/order/9", "/two/9/7"),
        ("/user/7/other", "/rest/7/other"),
        ("/user/a%2Fb", "/one/a%2Fb"),
        ("/user/%E5%90%8D?q=1&q=2", "/one/%E5%90%8D?q=1&q=2"),
    ] {
        assert_lands(&gateway, &Request::get(path), lands);
    }
    gateway.get("/users").assert_refused("I404NF");
}

#[test]
fn an_api_for_https_refuses_http() {
    let backend = mirror();
    let gateway = Config::with_backend(backend.address).published(&Api::open("a", "/a").protocols(&["https"])).start();
    gateway.get("/a").assert_refused("I403PT");
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_bad_path_is_refused() {
    let backend = mirror();
    let gateway = Config::open(backend.address).start();
    for target in ["/%zz", "/a%2", "/a?b=%q"] {
        let answer = gateway.get(target);
        assert!(["I400PA", "I400PH", "I400RU"].contains(&answer.code()), "{target}: {answer:?}");
    }
    assert_eq!(backend.count(), 0);
}

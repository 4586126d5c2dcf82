//! What the backend sees of a call, and what the client sees of the answer, byte by byte.

use lockgate_test_support::{Api, App, Backend, Config, Message, Request, Signer};

fn is_request_id(id: &str) -> bool {
    let groups: Vec<_> = id.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && id.chars().all(|c| c == '-' || c.is_ascii_digit() || ('A'..='F').contains(&c))
}

/// The head that the backend received, with the request id replaced by `ID`.
fn head(request: &Message) -> String {
    let id = request.field("X-Ca-Request-Id").expect("the backend gets a request id");
    assert!(is_request_id(id), "{id}");
    String::from_utf8_lossy(&request.head).replace(id, "ID")
}

#[test]
fn a_plain_call_byte_by_byte() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    let request = Request::new("POST", "/a/b?x=1&y=%20+")
        .host("api.example.com")
        .field("User-Agent", "test/1")
        .field("Accept", "*/*")
        .field("X-Custom", "\u{540d}")
        .field("x-custom", "two")
        .body("hello");
    let answer = gateway.call(&request);
    answer.assert_passed();
    let expected = format!(
        "POST /a/b?x=1&y=%20+ HTTP/1.1\r\nHost: {}\r\nUser-Agent: test/1\r\nAccept: */*\r\nX-Custom: \u{540d}\r\nx-custom: two\r\n\
         X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nVia: 1.1 test\r\nX-Ca-Request-Id: ID\r\nContent-Length: 5\r\n\r\n",
        backend.address
    );
    let received = backend.next();
    assert_eq!(head(&received), expected);
    assert_eq!(received.raw_body, b"hello");
    assert_eq!(answer.field("X-Ca-Request-Id"), received.field("X-Ca-Request-Id"), "one id for client and backend");
}

#[test]
fn the_vpc_access_names_the_host() {
    let backend = Backend::ok();
    let gateway = Config::new()
        .vpc_access("backend", backend.address, "host = \"nginx.internal\"")
        .group("g", &["*"], "")
        .published(&Api::open("all", "/*"))
        .start();
    gateway.get("/").assert_passed();
    let received = backend.next();
    assert_eq!(received.all("Host").collect::<Vec<_>>(), ["nginx.internal"]);
}

#[test]
fn the_chain_of_clients_grows_by_the_peer() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    let request = Request::get("/").field("X-Forwarded-For", "203.0.113.7").field("X-Forwarded-For", "198.51.100.2, 10.0.0.1");
    gateway.call(&request.field("X-Forwarded-Proto", "https")).assert_passed();
    let received = backend.next();
    assert_eq!(received.all("X-Forwarded-For").collect::<Vec<_>>(), ["203.0.113.7, 198.51.100.2, 10.0.0.1, 127.0.0.1"]);
    assert_eq!(received.all("X-Forwarded-Proto").collect::<Vec<_>>(), ["http"]);
}

#[test]
fn fields_of_one_connection_end_at_the_gateway() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    let request = Request::get("/")
        .field("Connection", "keep-alive, X-Secret")
        .field("X-Secret", "1")
        .field("Keep-Alive", "timeout=5")
        .field("TE", "trailers")
        .field("Proxy-Authorization", "Basic eDp5")
        .field("Proxy-Connection", "keep-alive")
        .field("Upgrade", "h2c")
        .field("X-Kept", "1");
    gateway.call(&request).assert_passed();
    let received = backend.next();
    for name in ["Connection", "X-Secret", "Keep-Alive", "TE", "Proxy-Authorization", "Proxy-Connection", "Upgrade"] {
        assert!(!received.has(name), "{name}: {received:?}");
    }
    assert!(received.has("X-Kept"));
}

#[test]
fn words_of_the_gateway_cannot_be_put_into_its_mouth() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    let request = Request::get("/")
        .field("X-Ca-Proxy-Signature", "forged")
        .field("x-ca-proxy-signature-secret-key", "forged")
        .field("X-Ca-Request-Id", "forged");
    let answer = gateway.call(&request);
    answer.assert_passed();
    let received = backend.next();
    assert!(!String::from_utf8_lossy(&received.head).contains("forged"), "{received:?}");
    assert!(answer.field("X-Ca-Request-Id").is_some_and(is_request_id));
}

#[test]
fn credentials_are_not_passed_on() {
    let app = App::alpha();
    let backend = Backend::ok();
    let gateway = Config::with_backend(backend.address)
        .published(&Api::app("a", "/*"))
        .app(&app.clone().may_call("g/a", &["RELEASE"]))
        .start();
    gateway.call(&Request::get("/x?b=1").app_code(&app.code)).assert_passed();
    gateway.get(&format!("/x?a=1&AppCode={}&b=2", app.code)).assert_passed();
    gateway.call(&Signer::new(&app.key, &app.secret).sign(Request::get("/x").field("X-Ca-Nonce", "n"))).assert_passed();
    let requests = backend.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        let head = String::from_utf8_lossy(&request.head).to_ascii_lowercase();
        assert!(!head.contains(&app.code.to_ascii_lowercase()), "{head}");
        assert!(!head.contains("x-ca-signature"), "{head}");
        assert!(!head.contains("authorization"), "{head}");
    }
    assert_eq!(requests[1].target(), "/x?a=1&b=2");
}

#[test]
fn a_group_may_pass_the_app_code_on() {
    let app = App::alpha();
    let backend = Backend::ok();
    let gateway = Config::new()
        .vpc_access("backend", backend.address, "")
        .group("g", &["*"], "forward_app_code = true")
        .published(&Api::app("a", "/*"))
        .app(&app.clone().may_call("g/a", &["RELEASE"]))
        .start();
    gateway.call(&Request::get("/x").app_code(&app.code)).assert_passed();
    assert_eq!(backend.next().field("Authorization"), Some(format!("APPCODE {}", app.code).as_str()));
}

#[test]
fn path_parameters_are_encoded_anew() {
    let backend = Backend::ok();
    let gateway = Config::with_backend(backend.address)
        .published(&Api::open("one", "/user/[id]/[name]").backend_path("/v2/[name]/by/[id]"))
        .start();
    gateway.get("/user/a%2Fb%20%E5%90%8D/%2e%2e%3F%23?q=%2F").assert_passed();
    let target = backend.next().target().to_owned();
    let (path, query) = target.split_once('?').expect("the query passes");
    assert_eq!(query, "q=%2F");
    assert_eq!(path, "/v2/..%3F%23/by/a%2Fb%20%E5%90%8D");
    gateway.get("/user/x/%2e%2e").assert_refused("I400RU");
    assert_eq!(backend.count(), 1, "a parameter cannot leave its place");
}

#[test]
fn the_backend_method_is_the_definitions() {
    let backend = Backend::ok();
    let gateway = Config::with_backend(backend.address)
        .published(&Api::open("fixed", "/fixed").backend_method("POST"))
        .published(&Api::open("any", "/any"))
        .start();
    gateway.get("/fixed").assert_passed();
    assert_eq!(backend.next().method(), "POST");
    gateway.call(&Request::new("PATCH", "/any")).assert_passed();
    assert_eq!(backend.next().method(), "PATCH");
}

#[test]
fn an_answer_passes_as_it_came() {
    let backend = Backend::answering(|_| {
        b"HTTP/1.1 418 I'm a teapot\r\nServer: pot/1\r\nX-One: a\r\nX-One: b\r\nSet-Cookie: c=1\r\nConnection: X-Hop\r\n\
          X-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\n\r\ntea"
            .to_vec()
    });
    let gateway = Config::open(backend.address).start();
    let answer = gateway.get("/");
    assert_eq!(answer.start_line, "HTTP/1.1 418 I'm a teapot");
    assert_eq!(answer.all("X-One").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(answer.field("Set-Cookie"), Some("c=1"));
    assert_eq!(answer.text(), "tea");
    assert_eq!(answer.code(), "");
    assert!(answer.field("X-Ca-Request-Id").is_some_and(is_request_id), "{answer:?}");
    for name in ["X-Hop", "Keep-Alive"] {
        assert!(!answer.has(name), "{name}: {answer:?}");
    }
}

#[test]
fn debug_mode_adds_the_gateways_timing() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    assert!(!gateway.get("/").has("X-Ca-Debug-Info"));
    let answer = gateway.call(&Request::get("/").field("X-Ca-Request-Mode", "DEBUG"));
    answer.assert_passed();
    let info = answer.field("X-Ca-Debug-Info").expect("debug mode adds it");
    for part in ["ServiceLatency", "TotalLatency"] {
        assert!(info.contains(part), "{info}");
    }
}

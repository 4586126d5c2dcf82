//! The epoll driver, for machines that forbid io_uring: the same behaviour, and a word on what to change.

use lockgate_test_support::{Api, App, Backend, Config, Gateway, Request, Signer, chunked, hex_md5, python, repository};

fn start(backend: &Backend, driver: &str) -> Gateway {
    Config::with_backend(backend.address)
        .instance(&format!("workers = 2\ndriver = {driver:?}"))
        .published(&Api::app("a", "/a"))
        .published(&Api::open("open", "/open/*"))
        .app(&App::alpha().may_call("g/a", &["RELEASE"]))
        .start()
}

fn smoke(driver: &str) -> Gateway {
    let app = App::alpha();
    let backend = Backend::answering(|request| {
        let digest = hex_md5(&request.body);
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{digest}", digest.len()).into_bytes()
    });
    let mut gateway = start(&backend, driver);
    let mut client = gateway.client();
    client.call(&Request::get("/a").app_code(&app.code)).assert_passed();
    client.call(&Signer::new(&app.key, &app.secret).sign(Request::get("/a?b=1"))).assert_passed();
    client.call(&Request::get("/a")).assert_refused("A400MA");
    let body = vec![7; 2_000_000];
    let answer = client.call(&Request::new("POST", "/open/x").body(&body));
    assert_eq!(answer.text(), hex_md5(&body));
    let request = Request::new("POST", "/open/x").field("Transfer-Encoding", "chunked").body(chunked(&body, 30_000));
    assert_eq!(client.call(&request).text(), hex_md5(&body));
    let pipelined: Vec<u8> = (0..20).flat_map(|_| Request::get("/open/y").bytes()).collect();
    client.send(&pipelined);
    for _ in 0..20 {
        client.response("GET").assert_passed();
    }
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    gateway
}

#[test]
fn epoll_serves_the_same() {
    smoke("epoll");
}

#[test]
fn io_uring_serves_the_same() {
    smoke("io_uring");
}

/// A machine on which a ring may have so many entries; 0: it forbids io_uring, as containers do.
fn limited_io_uring(entries: &str, driver: &str, backend: &Backend) -> Config {
    let mut launcher = python();
    launcher.arg(repository().join("tests/driver/limited_io_uring.py")).arg(entries);
    Config::open(backend.address).instance(&format!("workers = 2\ndriver = {driver:?}")).through(&launcher)
}

#[test]
fn without_io_uring_a_gateway_runs_on_epoll_and_says_what_to_change() {
    let backend = Backend::ok();
    let gateway = limited_io_uring("0", "auto", &backend).start();
    gateway.get("/x").assert_passed();
    for word in ["WARN io_uring cannot be used", "kernel.io_uring_disabled", "seccomp", "2 workers on epoll"] {
        gateway.wait_for_output(word);
    }
}

#[test]
fn a_gateway_that_must_have_io_uring_does_not_start_without() {
    let backend = Backend::ok();
    let (code, errors) = limited_io_uring("0", "io_uring", &backend).start_and_fail();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("kernel.io_uring_disabled") && errors.contains("driver = \"auto\""), "{errors}");
}

#[test]
fn where_there_is_no_room_for_a_large_ring_a_smaller_one_does() {
    let backend = Backend::ok();
    let gateway = limited_io_uring("300", "io_uring", &backend).start();
    gateway.get("/x").assert_passed();
    gateway.wait_for_output("io_uring");
    let (code, errors) = limited_io_uring("100", "io_uring", &backend).start_and_fail();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("Cannot allocate memory"), "{errors}");
}

#[test]
fn a_gateway_says_which_driver_it_uses() {
    let backend = Backend::ok();
    for (driver, word) in [("epoll", "epoll"), ("io_uring", "io_uring")] {
        let gateway = start(&backend, driver);
        gateway.get("/open/x").assert_passed();
        gateway.wait_for_output(word);
    }
}

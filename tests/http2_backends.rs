//! HTTP/2 to backends: many calls share a connection, and each is a call like any other.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::task::Poll;

use lockgate_test_support::{
    Api, Backend, Config, Frame, FramePeer, Gateway, Http2Client, Request, eventually, fields_block, secured,
};

const CANCEL: u32 = 8;
const REFUSED_STREAM: u32 = 7;

/// A gateway that speaks HTTP/2 to its backend, and to clients.
fn to(address: SocketAddr, limits: &str) -> Gateway {
    let config = Config::new().vpc_access("backend", address, "protocol = \"h2c\"\n").group("g", &["*"], "").http2();
    let config = config.table("limits", limits).admin().access_log().instance("workers = 1\nvia = false");
    config.published(&Api::open("all", "/*")).start()
}

/// A gateway in front of a backend of HTTP/1.1: what another gateway speaks HTTP/2 to.
fn behind(backend: &Backend) -> Gateway {
    Config::open(backend.address).http2().admin().instance("workers = 1\nvia = false").start()
}

fn is(so: bool) -> Poll<()> {
    if so { Poll::Ready(()) } else { Poll::Pending }
}

#[test]
fn calls_pass_whole_and_share_a_connection() {
    let backend = Backend::answering(|request| {
        let body = &request.body;
        if request.has("transfer-encoding") {
            let chunk =
                if body.is_empty() { Vec::new() } else { [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat() };
            return [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &chunk[..], b"0\r\nX-Sum: 7\r\n\r\n"].concat();
        }
        [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-A: b\r\n\r\n", body.len()).as_bytes(), body].concat()
    });
    let far = behind(&backend);
    let near = to(far.address, "");
    let (mut old, mut new) = (near.client(), Http2Client::connect(near.address));
    for size in [0, 1, 16_384, 100_000, 1_000_000] {
        let body: Vec<u8> = (0..size).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let post = Request::new("POST", "/a?b=c").field("x-c", "d").body(&body);
        for answer in [old.call(&post), new.call(&post)] {
            answer.assert_passed();
            assert!(answer.body == body && answer.field("x-a") == Some("b"), "{size}");
        }
        let mut begun = new.begin(&Request::new("POST", "/"), false);
        new.send_data(&mut begun.body, &body, true);
        let answer = new.finish(begun);
        assert!(answer.body == body && answer.trailers == [("x-sum".to_owned(), "7".to_owned())], "{size}: {answer:?}");
    }
    let seen = backend.next();
    assert_eq!((seen.start_line.as_str(), seen.field("x-c")), ("POST /a?b=c HTTP/1.1", Some("d")));
    let begun: Vec<_> = (0..50).map(|_| new.begin(&Request::get("/"), true)).collect();
    begun.into_iter().for_each(|begun| new.finish(begun).assert_passed());
    old.call(&Request::new("HEAD", "/")).assert_passed();
    assert_eq!(far.metric("lockgate_http2_connections_total"), Some(1.0));
    assert_eq!(near.metric("lockgate_upstream_connections_total{vpc_access=\"backend\"}"), Some(1.0));
}

#[test]
fn over_tls_it_is_asked_for_in_the_handshake() {
    let backend = Backend::ok();
    let (config, authority) = secured(backend.address, "", "");
    let far = config.admin().instance("workers = 1\nvia = false").start();
    let near = |port: u16, protocol: &str| {
        let tls = "[tls]\nauthorities = \"ca.pem\"\nserver_name = \"api.test\"\n";
        let lines = format!("scheme = \"https\"\nprotocol = \"{protocol}\"\nhost = \"api.test\"\n");
        let config = Config::new().vpc_access("backend", SocketAddr::from(([127, 0, 0, 1], port)), &format!("{lines}{tls}"));
        std::fs::write(config.path().join("vpc-access/ca.pem"), &authority.pem).unwrap();
        config.group("g", &["*"], "").instance("workers = 1\nvia = false").published(&Api::open("all", "/*")).start()
    };
    near(far.https().port(), "h2").call(&Request::new("POST", "/").body("x")).assert_passed();
    assert_eq!(far.metric("lockgate_http2_requests_total"), Some(1.0));
    near(far.https().port(), "http/1.1").get("/").assert_passed();
    assert_eq!(far.metric("lockgate_http2_requests_total"), Some(1.0));
}

#[test]
fn a_backend_that_speaks_something_else_is_named() {
    let backend = Backend::ok();
    let answer = to(backend.address, "").get("/");
    answer.assert_refused("D504CO");
    assert!(answer.error_message().contains("does not speak HTTP/2"), "{answer:?}");
}

#[test]
fn what_a_backend_has_refused_goes_out_again() {
    let (heads, seen) = channel();
    let heads = Mutex::new(heads);
    let address = FramePeer::listen(move |peer| {
        for n in 0.. {
            let head = peer.wait_for(Frame::HEADERS)?;
            heads.lock().unwrap().send((peer.index, head.stream)).unwrap();
            match n {
                0 => peer.send(&Frame::new(Frame::RST_STREAM, 0, head.stream, REFUSED_STREAM.to_be_bytes())),
                _ => peer.answer(head.stream),
            }
        }
        Some(())
    });
    let gateway = to(address, "");
    gateway.call(&Request::new("POST", "/").body("not idempotent")).assert_passed();
    assert_eq!(seen.iter().take(2).collect::<Vec<_>>(), [(0, 1), (0, 3)]);
    assert_eq!(gateway.metric("lockgate_upstream_retries_total{vpc_access=\"backend\"}"), Some(1.0));
}

#[test]
fn a_backend_that_goes_gets_no_more_calls() {
    let address = FramePeer::listen(|peer| {
        for n in 0.. {
            let head = peer.wait_for(Frame::HEADERS)?;
            match (peer.index, n) {
                // It has looked at the first stream, and at none after it.
                (0, 1) => peer.send(&Frame::new(Frame::GOAWAY, 0, 0, [1u32.to_be_bytes(), [0; 4]].concat())),
                _ => peer.answer(head.stream),
            }
        }
        Some(())
    });
    let gateway = to(address, "");
    let mut client = gateway.client();
    for _ in 0..3 {
        client.call(&Request::new("POST", "/").body("x")).assert_passed();
    }
    assert_eq!(gateway.metric("lockgate_upstream_connections_total{vpc_access=\"backend\"}"), Some(2.0));
}

#[test]
fn an_answer_that_breaks_off_is_not_ended_as_if_whole() {
    let address = FramePeer::listen(|peer| {
        let head = peer.wait_for(Frame::HEADERS)?;
        peer.send(&Frame::new(Frame::HEADERS, Frame::END_HEADERS, head.stream, fields_block(&[(":status", "200")])));
        peer.send(&Frame::new(Frame::DATA, 0, head.stream, *b"half"));
        peer.send(&Frame::new(Frame::RST_STREAM, 0, head.stream, 2u32.to_be_bytes()));
        let head = peer.wait_for(Frame::HEADERS)?;
        peer.answer(head.stream);
        peer.wait_for(Frame::HEADERS).map(drop)
    });
    let gateway = to(address, "");
    let mut client = Http2Client::connect(gateway.address);
    let begun = client.begin(&Request::get("/"), true);
    assert_eq!(client.try_finish(begun).expect_err("it is not whole").reason(), Some(h2::Reason::INTERNAL_ERROR));
    // The connection is as good as before.
    client.call(&Request::get("/")).assert_passed();
    let ends: Vec<_> = gateway.access_log(2).iter().map(|line| line["ended"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(ends, ["backend-broke", "answered"]);
}

#[test]
fn a_client_that_leaves_resets_its_call_alone() {
    let (heard, hears) = channel();
    let heard = Mutex::new(heard);
    let address = FramePeer::listen(move |peer| {
        let (gone, stays) = (peer.wait_for(Frame::HEADERS)?, peer.wait_for(Frame::HEADERS)?);
        heard.lock().unwrap().send(None).unwrap();
        let reset = peer.wait_for(Frame::RST_STREAM)?;
        heard.lock().unwrap().send(Some((reset.stream == gone.stream, reset.code()))).unwrap();
        peer.answer(stays.stream);
        peer.wait_for(Frame::HEADERS).map(drop)
    });
    let gateway = to(address, "");
    let mut client = Http2Client::connect(gateway.address);
    let mut gone = client.begin(&Request::get("/"), true);
    client.wait("it goes out", |_| is(true));
    let stays = client.begin(&Request::get("/"), true);
    client.wait("both are with the backend", |_| is(hears.try_recv().is_ok()));
    gone.body.send_reset(h2::Reason::CANCEL);
    client.finish(stays).assert_passed();
    assert_eq!(hears.recv().unwrap(), Some((true, Some(CANCEL))));
}

#[test]
fn a_silent_backend_is_d504to_and_keeps_its_connection() {
    let address = FramePeer::listen(|peer| {
        peer.wait_for(Frame::HEADERS)?;
        let head = peer.wait_for(Frame::HEADERS)?;
        peer.answer(head.stream);
        peer.wait_for(Frame::HEADERS).map(drop)
    });
    let config = Config::new().vpc_access("backend", address, "protocol = \"h2c\"\n").group("g", &["*"], "").admin();
    let gateway = config.instance("workers = 1").published(&Api::open("all", "/*").timeout_ms(300)).start();
    gateway.get("/").assert_refused("D504TO");
    gateway.get("/").assert_passed();
    assert_eq!(gateway.metric("lockgate_upstream_connections_total{vpc_access=\"backend\"}"), Some(1.0));
}

#[test]
fn a_connection_without_use_is_closed() {
    let (closed, is_closed) = channel();
    let closed = Mutex::new(closed);
    let address = FramePeer::listen(move |peer| {
        let head = peer.wait_for(Frame::HEADERS)?;
        peer.answer(head.stream);
        let last = peer.wait_for(Frame::GOAWAY)?;
        closed.lock().unwrap().send(last.code()).ok()
    });
    let gateway = to(address, "pool_idle_timeout_ms = 200");
    gateway.get("/").assert_passed();
    assert_eq!(is_closed.recv(), Ok(Some(0)));
}

#[test]
fn active_checks_speak_it_too() {
    let backend = Backend::ok();
    let far = behind(&backend);
    let lines = "protocol = \"h2c\"\nwhen_all_down = \"fail-fast\"\n[health]\npath = \"/healthz\"\ninterval_ms = 100\n";
    let config = Config::new().vpc_access("backend", far.address, lines).group("g", &["*"], "").instance("via = false");
    let gateway = config.published(&Api::open("all", "/*")).start();
    eventually("it is checked, again and again", || {
        let checks = backend.requests().iter().filter(|request| request.target() == "/healthz").count();
        (checks > 5).then_some(())
    });
    gateway.get("/").assert_passed();
    // One that answers by HTTP/1.1 is down.
    let lines = format!("{lines}unhealthy_threshold = 1\n");
    let config = Config::new().vpc_access("backend", backend.address, &lines).group("g", &["*"], "").instance("via = false");
    let gateway = config.published(&Api::open("all", "/*")).start();
    eventually("it is down", || (gateway.get("/").code() == "D504CO").then_some(()));
    gateway.wait_for_output("is down");
}

#[test]
fn scheme_and_protocol_agree() {
    for (scheme, protocol, says) in [
        ("http", "h2", "`h2` is HTTP/2 over TLS"),
        ("https", "h2c", "`h2c` is HTTP/2 in clear text"),
        ("http", "http/2", "is not a value of this key"),
    ] {
        let lines = format!("scheme = \"{scheme}\"\nprotocol = \"{protocol}\"\n");
        let config = Config::new().vpc_access("backend", SocketAddr::from(([127, 0, 0, 1], 1)), &lines);
        let (code, errors) = config.group("g", &["*"], "").start_and_fail();
        assert_eq!(code, Some(78), "{errors}");
        assert!(errors.contains(says) && errors.contains("vpc-access/backend.toml:"), "{errors}");
    }
}

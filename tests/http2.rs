//! HTTP/2 from clients: every stream is a request like any other.

use std::net::TcpStream;
use std::task::Poll;

use lockgate_test_support::{
    Backend, Config, Frame, FrameClient, Gateway, Http2Client, Request, client_config, eventually, fields_block, secured,
};

fn start(backend: &Backend) -> Gateway {
    Config::open(backend.address).http2().access_log().start()
}

fn is(so: bool) -> Poll<()> {
    if so { Poll::Ready(()) } else { Poll::Pending }
}

#[test]
fn a_request_passes_like_any_other() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    let mut client = Http2Client::connect(gateway.address);
    let answer = client.call(&Request::get("/a?b=c").field("x-b", "1").field("cookie", "a=1").field("cookie", "b=2"));
    answer.assert_passed();
    assert!(answer.has("x-ca-request-id") && answer.has("date") && !answer.has("connection"), "{answer:?}");
    let seen = backend.next();
    assert_eq!(seen.start_line, "GET /a?b=c HTTP/1.1");
    assert_eq!((seen.field("x-b"), seen.field("cookie")), (Some("1"), Some("a=1; b=2")));
    assert_eq!(seen.field("via"), Some("2.0 test"));
    assert_eq!(seen.all("host").count(), 1);
    let line = gateway.access_log(1).remove(0);
    assert_eq!((line["requestProtocol"].as_str(), line["domain"].as_str()), (Some("HTTP/2"), Some("api.test")), "{line}");
}

#[test]
fn clients_without_prior_knowledge_speak_http_1() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    let mut client = gateway.client();
    // What begins as the preface of HTTP/2 does may come in parts, and be something else.
    client.send("P");
    client.send("OST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 2\r\n\r\nok");
    client.response("POST").assert_passed();
    client.call(&Request::get("/")).assert_passed();
    client.send("PRI * HTTP/1.1\r\nHost: a\r\n\r\n").response("PRI").assert_refused("I400RU");
}

#[test]
fn without_the_setting_there_is_no_http_2_over_clear_text() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    gateway.client().send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").response("PRI").assert_refused("I400RU");
}

#[test]
fn bodies_pass_both_ways_with_a_length_or_without() {
    let backend = Backend::answering(|request| {
        let body = &request.body;
        if request.has("transfer-encoding") {
            let chunks: Vec<u8> =
                body.chunks(7000).flat_map(|c| [format!("{:x}\r\n", c.len()).as_bytes(), c, b"\r\n"].concat()).collect();
            return [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &chunks[..], b"0\r\nX-Sum: 7\r\n\r\n"].concat();
        }
        [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
    });
    let gateway = start(&backend);
    let mut client = Http2Client::connect(gateway.address);
    for size in [0, 1, 16_383, 16_384, 100_000, 1_000_000] {
        let body: Vec<u8> = (0..size).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let answer = client.call(&Request::new("POST", "/").body(&body));
        answer.assert_passed();
        assert!(answer.body == body && answer.trailers.is_empty(), "{size}");
        let mut begun = client.begin(&Request::new("POST", "/"), false);
        client.send_data(&mut begun.body, &body, false);
        begun
            .body
            .send_trailers([("x-end", "1")].iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect())
            .unwrap();
        let answer = client.finish(begun);
        answer.assert_passed();
        assert!(answer.body == body, "{size}: {}", answer.body.len());
        assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())], "{size}");
        let seen = backend.requests().pop().unwrap();
        assert_eq!(seen.trailers, [("x-end".to_owned(), "1".to_owned())], "{size}");
    }
}

#[test]
fn announced_trailers_pass_beside_a_length() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    let mut client = Http2Client::connect(gateway.address);
    for (announced, trailers) in [(true, vec![("x-end".to_owned(), "1".to_owned())]), (false, Vec::new())] {
        let mut request = Request::new("POST", "/").field("content-length", "5");
        if announced {
            request = request.field("trailer", "x-end");
        }
        let mut begun = client.begin(&request, false);
        client.send_data(&mut begun.body, b"hello", false);
        let end = [("x-end", "1")].iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        begun.body.send_trailers(end).unwrap();
        client.finish(begun).assert_passed();
        let seen = backend.requests().pop().unwrap();
        assert_eq!((&seen.body[..], &seen.trailers), (&b"hello"[..], &trailers));
        // A message has its length or its trailers (RFC 9112, section 6.2).
        assert_eq!(seen.field("content-length"), (!announced).then_some("5"));
    }
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    let backend = Backend::answering(|request| match request.target() {
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n".to_vec(),
        "/empty" => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_vec(),
    });
    let gateway = start(&backend);
    let mut client = Http2Client::connect(gateway.address);
    for (method, target, status) in [("GET", "/204", 204), ("GET", "/304", 304), ("GET", "/empty", 200), ("HEAD", "/", 200)] {
        let answer = client.call(&Request::new(method, target));
        assert_eq!((answer.status(), answer.body.len()), (status, 0), "{answer:?}");
    }
}

#[test]
fn streams_go_on_side_by_side() {
    let (backend, release) = Backend::held();
    let gateway = start(&backend);
    let mut client = Http2Client::connect(gateway.address);
    let mut begun: Vec<_> = (0..50).map(|n| client.begin(&Request::get(&format!("/{n}")), true)).collect();
    client.wait("all are with the backend", |_| is(backend.count() == 50));
    begun.iter().for_each(|_| release.send(()).unwrap());
    // The last first.
    while let Some(begun) = begun.pop() {
        client.finish(begun).assert_passed();
    }
    assert_eq!(gateway.access_log(50).len(), 50);
}

#[test]
fn refusals_are_told_and_logged() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    let mut client = Http2Client::connect(gateway.address);
    client.call(&Request::get("/").host("other.test:99999")).assert_refused("I400HD");
    client.call(&Request::new("TRACE", "/")).assert_refused("I405UM");
    client.call(&Request::new("CONNECT", "/").host("api.test:443")).assert_refused("I405UM");
    client.call(&Request::new("POST", "/").field("expect", "200-maybe").body("x")).assert_refused("I400HD");
    assert_eq!(backend.count(), 0);
    client.call(&Request::get("/")).assert_passed();
    let codes: Vec<_> =
        gateway.access_log(5).iter().map(|line| line["errorCode"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(codes, ["I400HD", "I405UM", "I405UM", "I400HD", ""]);
}

#[test]
fn a_client_that_waits_is_told_to_continue() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    let mut client = Http2Client::connect(gateway.address);
    let mut begun = client.begin(&Request::new("POST", "/").field("expect", "100-continue").field("content-length", "3"), false);
    assert_eq!(begun.wait_for_informational(&mut client), 100);
    client.send_data(&mut begun.body, b"abc", true);
    client.finish(begun).assert_passed();
    assert_eq!(backend.next().body, b"abc");
}

#[test]
fn a_stream_that_is_reset_ends_its_call() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.wait_for_close()
    });
    let gateway = start(&backend);
    let mut client = Http2Client::connect(gateway.address);
    let mut begun = client.begin(&Request::get("/"), true);
    client.wait("it is with the backend", |_| is(backend.count() == 1));
    begun.body.send_reset(h2::Reason::CANCEL);
    client.wait("the reset goes out", |_| is(true));
    backend.wait_for_open_connections(0);
    let line = gateway.access_log(1).remove(0);
    assert_eq!(line["ended"].as_str(), Some("client-gone"), "{line}");
}

#[test]
fn an_answer_that_breaks_off_resets_its_stream_alone() {
    let backend = Backend::scripted(|peer| {
        while let Some(request) = peer.request()? {
            if request.target() == "/broken" {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")?;
                return Ok(());
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
        Ok(())
    });
    let gateway = start(&backend);
    let mut client = Http2Client::connect(gateway.address);
    let begun = client.begin(&Request::get("/broken"), true);
    let error = client.try_finish(begun).expect_err("the answer is not whole");
    assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    client.call(&Request::get("/")).assert_passed();
    let ends: Vec<_> = gateway.access_log(2).iter().map(|line| line["ended"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(ends, ["backend-broke", "answered"]);
}

#[test]
fn over_tls_it_is_chosen_in_the_handshake() {
    let backend = Backend::ok();
    let (config, authority) = secured(backend.address, "", "");
    let gateway = config.access_log().start();
    let mut client = Http2Client::over_tls(gateway.https(), "api.test", &client_config(&authority, &[], None));
    for _ in 0..3 {
        client.call(&Request::new("POST", "/").body(vec![b'x'; 50_000])).assert_passed();
    }
    assert_eq!(backend.next().field("X-Forwarded-Proto"), Some("https"));
    assert_eq!(gateway.access_log(3)[0]["requestProtocol"].as_str(), Some("HTTPS/2"));
}

#[test]
fn an_idle_connection_is_told_to_go() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).http2().table("limits", "idle_timeout_ms = 100").start();
    let mut client = FrameClient::connect(gateway.address);
    client.frame(&Frame::get(1, "/"));
    let last = client.wait_for(&[Frame::GOAWAY]);
    assert_eq!((last.code(), &last.payload[..4]), (Some(0), &1u32.to_be_bytes()[..]));
    assert_eq!(client.receive(), None);
}

#[test]
fn a_drain_lets_streams_finish_and_takes_no_more() {
    let (backend, release) = Backend::held();
    let mut gateway = start(&backend);
    let (mut busy, mut idle) = (Http2Client::connect(gateway.address), FrameClient::connect(gateway.address));
    let begun = busy.begin(&Request::get("/"), true);
    busy.wait("it is with the backend", |_| is(backend.count() == 1));
    idle.assert_alive();
    gateway.signal("TERM");
    assert_eq!(idle.wait_for(&[Frame::GOAWAY]).code(), Some(0));
    release.send(()).unwrap();
    busy.finish(begun).assert_passed();
    assert!(busy.end().is_ok());
    assert!(busy.try_begin(&Request::get("/"), true).is_err());
    assert!(gateway.wait().success());
}

/// All of its answer is with the gateway, which has no more to do for it but to send.
#[test]
fn a_drain_waits_for_a_client_that_is_slow_to_take_its_answer() {
    const BYTES: usize = 12 << 20;
    let backend = Backend::answering(|_| {
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + BYTES, b'a');
        answer
    });
    let limits = "http2_send_buffer_bytes = 16_777_216";
    let mut gateway = Config::open(backend.address).http2().access_log().table("limits", limits).start();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(2 * BYTES as u32).initial_connection_window_size(2 * BYTES as u32);
    let mut client = Http2Client::with(gateway.address, &builder);
    let begun = client.begin(&Request::get("/"), true);
    client.wait("it is with the backend", |_| is(backend.count() == 1));
    assert_eq!(gateway.access_log(1)[0]["ended"], "answered");
    gateway.signal("TERM");
    eventually("no more connections are taken", || TcpStream::connect(gateway.address).is_err().then_some(()));
    assert_eq!(client.finish(begun).body.len(), BYTES);
    assert!(client.end().is_ok());
    assert!(gateway.wait().success());
}

#[test]
fn a_method_that_asks_for_another_protocol_is_no_stream() {
    let backend = Backend::ok();
    let gateway = start(&backend);
    let mut client = FrameClient::connect(gateway.address);
    let extended = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
    client.frame(&Frame::new(Frame::HEADERS, Frame::END_HEADERS, 1, fields_block(&extended)));
    assert_eq!(client.wait_for(&[Frame::RST_STREAM, Frame::HEADERS]).code(), Some(1));
    client.assert_alive();
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_request_that_is_whole_is_counted() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).http2().admin().start();
    let mut client = Http2Client::connect(gateway.address);
    client.call(&Request::get("/")).assert_passed();
    client.call(&Request::get("/")).assert_passed();
    let page = eventually("both are counted", || {
        Some(gateway.admin("/metrics").text()).filter(|page| page.contains("lockgate_http2_requests_total 2"))
    });
    assert!(page.contains("lockgate_http2_connections_total 1"), "{page}");
}

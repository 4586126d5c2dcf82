//! HTTP/2 clients that mean harm: each limit holds, and what is beyond it ends the connection or the stream that it is of.

use std::io::Read;

use lockgate_test_support::{Backend, Config, Frame, FrameClient, Gateway, Http2Client, Request, eventually, fields_block};

/// What is said of clients that break rules.
const RULES: &str = "clients break the rules of HTTP/2";

/// Error codes (RFC 9113, section 7).
const PROTOCOL_ERROR: u32 = 1;
const FRAME_SIZE_ERROR: u32 = 6;
const FLOW_CONTROL_ERROR: u32 = 3;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

const HEADERS: u8 = Frame::HEADERS;

fn start(backend: &Backend, limits: &str) -> Gateway {
    let config = Config::open(backend.address).http2().instance("workers = 1").admin().access_log();
    config.table("limits", limits).start()
}

/// The connection ends with this code, is counted, and others are served.
#[track_caller]
fn assert_told_to_calm_down(gateway: &Gateway, client: &mut FrameClient) {
    let last = client.wait_for(&[Frame::GOAWAY]);
    assert_eq!(last.code(), Some(ENHANCE_YOUR_CALM), "{last:?}");
    client.rest();
    eventually("it is counted, once", || (gateway.metric("lockgate_http2_floods_total") == Some(1.0)).then_some(()));
    Http2Client::connect(gateway.address).call(&Request::get("/")).assert_passed();
}

#[test]
fn streams_beyond_their_number_are_refused() {
    let (backend, release) = Backend::held();
    let gateway = start(&backend, "http2_streams = 2");
    let mut client = FrameClient::connect(gateway.address);
    let settings = client.wait_for(&[Frame::SETTINGS]);
    // MAX_CONCURRENT_STREAMS is 3.
    assert!(settings.payload.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 2]), "{settings:?}");
    for stream in [1, 3, 5] {
        client.frame(&Frame::get(stream, "/"));
    }
    let refused = client.wait_for(&[Frame::RST_STREAM]);
    assert_eq!((refused.stream, refused.code()), (5, Some(REFUSED_STREAM)));
    release.send(()).unwrap();
    release.send(()).unwrap();
    client.wait_for(&[HEADERS]);
    client.wait_for(&[HEADERS]);
    assert_eq!(backend.count(), 2);
}

/// An address has no more calls under way by streams than it could have by connections.
#[test]
fn streams_count_as_connections_of_their_address() {
    let (backend, release) = Backend::held();
    let gateway = start(&backend, "connections_per_address = 3");
    let [mut one, mut two] = [FrameClient::connect(gateway.address), FrameClient::connect(gateway.address)];
    one.frame(&Frame::get(1, "/")).frame(&Frame::get(3, "/"));
    eventually("two calls are under way", || (backend.count() == 2).then_some(()));
    // The first stream of a connection has its place.
    two.frame(&Frame::get(1, "/")).frame(&Frame::get(3, "/"));
    let refused = two.wait_for(&[Frame::RST_STREAM]);
    assert_eq!((refused.stream, refused.code()), (3, Some(REFUSED_STREAM)));
    eventually("three calls are under way", || (backend.count() == 3).then_some(()));
    (0..3).for_each(|_| release.send(()).unwrap());
    two.wait_for(&[HEADERS]);
    (0..2).for_each(|_| _ = one.wait_for(&[HEADERS]));
    // Their places are free again.
    two.frame(&Frame::get(5, "/")).frame(&Frame::get(7, "/"));
    (0..2).for_each(|_| release.send(()).unwrap());
    (0..2).for_each(|_| _ = two.wait_for(&[HEADERS]));
    assert_eq!(backend.count(), 5);
}

#[test]
fn data_beyond_a_window_is_not_taken() {
    let (backend, _release) = Backend::held();
    let post = |client: &mut FrameClient| {
        let fields =
            [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a"), ("content-length", "999999")];
        client.frame(&Frame::new(HEADERS, Frame::END_HEADERS, 1, fields_block(&fields)));
        let data = Frame::new(Frame::DATA, 0, 1, vec![0; 16_384]).bytes();
        client.send(&data.repeat(40));
    };
    let gateway = start(&backend, "http2_stream_window_bytes = 20_000");
    let mut client = FrameClient::connect(gateway.address);
    post(&mut client);
    assert_eq!(client.wait_for(&[Frame::RST_STREAM, Frame::GOAWAY]).code(), Some(FLOW_CONTROL_ERROR));
    let gateway = start(&backend, "http2_stream_window_bytes = 1_000_000\nhttp2_connection_window_bytes = 65_535");
    let mut client = FrameClient::connect(gateway.address);
    post(&mut client);
    assert_eq!(client.wait_for(&[Frame::RST_STREAM, Frame::GOAWAY]).code(), Some(FLOW_CONTROL_ERROR));
}

#[test]
fn little_of_an_answer_waits_for_its_client() {
    let backend = Backend::answering(|_| [&b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"[..], &[b'x'; 100_000]].concat());
    let gateway = start(&backend, "http2_send_buffer_bytes = 1024");
    let mut client = FrameClient::connect(gateway.address);
    // Room for all of it.
    client.frame(&Frame::new(Frame::SETTINGS, 0, 0, [0, 4, 0, 15, 255, 255]));
    client.frame(&Frame::new(Frame::WINDOW_UPDATE, 0, 0, [0, 15, 0, 0])).frame(&Frame::get(1, "/"));
    let mut got = 0;
    while got < 100_000 {
        let data = client.wait_for(&[Frame::DATA]);
        assert!(data.payload.len() <= 1024, "{}", data.payload.len());
        got += data.payload.len();
    }
}

#[test]
fn streams_that_are_opened_and_reset_again_and_again() {
    let backend = Backend::ok();
    let gateway = start(&backend, "http2_resets = 50");
    let mut client = FrameClient::connect(gateway.address);
    let resets = |client: &mut FrameClient, streams: std::ops::Range<u32>| {
        for n in streams {
            let stream = 2 * n + 1;
            client.frame(&Frame::get(stream, "/"));
            client.frame(&Frame::new(Frame::RST_STREAM, 0, stream, [0, 0, 0, 8]));
        }
    };
    resets(&mut client, 0..10);
    client.assert_alive();
    resets(&mut client, 10..100);
    assert_told_to_calm_down(&gateway, &mut client);
    // What came and went at once was not begun, and what was reset leaves nothing behind.
    assert!(gateway.metric("lockgate_http2_streams_given_up_total") > Some(0.0), "{}", gateway.admin("/metrics").text());
    eventually("no call goes on", || (gateway.metric("lockgate_connections_open") == Some(0.0)).then_some(()));
}

#[test]
fn frames_that_move_nothing() {
    let backend = Backend::ok();
    let ping = Frame::new(Frame::PING, 0, 0, [0; 8]);
    let unasked = Frame::new(Frame::PING, Frame::ACK, 0, [7; 8]);
    let settings = Frame::new(Frame::SETTINGS, 0, 0, [0, 4, 0, 0, 255, 255]);
    let priority = Frame::new(Frame::PRIORITY, 0, 3, [0, 0, 0, 0, 16]);
    let unknown = Frame::new(0xbb, 0, 0, [1, 2, 3]);
    let empty = Frame::new(Frame::DATA, 0, 1, []);
    for frame in [ping, unasked, settings, priority, unknown, empty] {
        let gateway = start(&backend, "http2_idle_frames = 100");
        let mut client = FrameClient::connect(gateway.address);
        let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
        client.frame(&Frame::new(HEADERS, Frame::END_HEADERS, 1, fields_block(&fields)));
        client.send(&frame.bytes().repeat(50)).assert_alive();
        client.send(&frame.bytes().repeat(100));
        assert_told_to_calm_down(&gateway, &mut client);
        gateway.wait_for_output(RULES);
        assert_eq!(gateway.output().matches("WARN").count(), 1, "nothing is said of each: {}", gateway.output());
    }
}

/// As many as are good for something: room for what is sent.
#[test]
fn room_that_is_granted_for_nothing() {
    let backend =
        Backend::answering(|_| [&b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"[..], &[b'x'; 1_000_000]].concat());
    let gateway = start(&backend, "http2_idle_frames = 100");
    let mut client = FrameClient::connect(gateway.address);
    let grant = |stream, by: u32| Frame::new(Frame::WINDOW_UPDATE, 0, stream, by.to_be_bytes());
    client.frame(&Frame::get(1, "/"));
    let (mut got, mut granted) = (0, 0);
    while got < 1_000_000 {
        let data = client.wait_for(&[Frame::DATA]);
        got += data.payload.len();
        // In small change: eight for each frame, of stream and connection.
        for by in (0..8).map(|n| ((data.payload.len() + n) / 8) as u32).filter(|by| *by > 0 && got < 1_000_000) {
            client.frame(&grant(1, by)).frame(&grant(0, by));
            granted += 2;
        }
    }
    assert!(granted > 500, "{granted}");
    client.assert_alive();
    client.send(&grant(0, 1).bytes().repeat(2000));
    assert_told_to_calm_down(&gateway, &mut client);
}

/// `h2` refuses them before anybody hears of them: they are counted by their code, and told of once.
#[test]
fn what_is_no_request_is_counted_and_told_of_once() {
    let backend = Backend::ok();
    let gateway = start(&backend, "");
    let mut client = FrameClient::connect(gateway.address);
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"), ("te", "gzip")];
    for stream in [1, 3, 5] {
        client.frame(&Frame::new(HEADERS, Frame::END_HEADERS | Frame::END_STREAM, stream, fields_block(&fields)));
        assert_eq!(client.wait_for(&[Frame::RST_STREAM]).code(), Some(PROTOCOL_ERROR));
    }
    client.frame(&Frame::get(7, "/")).wait_for(&[HEADERS]);
    client.frame(&Frame::new(Frame::PING, 0, 0, [0; 7]));
    assert_eq!(client.wait_for(&[Frame::GOAWAY]).code(), Some(FRAME_SIZE_ERROR));
    let counted = |metric: &str, code| gateway.metric(&format!("lockgate_http2_{metric}_total{{code=\"{code}\"}}"));
    assert_eq!(counted("streams_reset", "PROTOCOL_ERROR"), Some(3.0));
    assert_eq!(counted("goaways", "FRAME_SIZE_ERROR"), Some(1.0));
    gateway.wait_for_output(RULES);
    assert_eq!(gateway.output().matches(RULES).count(), 1, "{}", gateway.output());
    assert_eq!((gateway.access_log(1).len(), backend.count()), (1, 1));
}

#[test]
fn a_head_without_an_end() {
    let backend = Backend::ok();
    let gateway = start(&backend, "http2_continuations = 4");
    let mut client = FrameClient::connect(gateway.address);
    let continued = |n: usize, client: &mut FrameClient, stream: u32| {
        let mut head = Frame::get(stream, "/");
        head.flags = Frame::END_STREAM;
        client.frame(&head);
        for left in (0..n).rev() {
            let end = if left == 0 { Frame::END_HEADERS } else { 0 };
            client.frame(&Frame::new(Frame::CONTINUATION, end, stream, []));
        }
    };
    continued(4, &mut client, 1);
    assert_eq!(client.wait_for(&[HEADERS]).stream, 1);
    continued(5, &mut client, 3);
    assert_told_to_calm_down(&gateway, &mut client);
}

/// A field of 4 KiB that is put into the table once, and named again and again.
#[test]
fn a_head_that_unpacks_to_more_than_it_may_have() {
    let backend = Backend::ok();
    let gateway = start(&backend, "");
    let mut base = 0;
    for n in 0..100 {
        // From there on everything has been needed once.
        if n == 50 {
            base = gateway.memory_kib("VmRSS");
        }
        let mut client = FrameClient::connect(gateway.address);
        let mut head = Frame::get(1, "/");
        // A literal with incremental indexing: name `x`, then 3900 bytes; then its index, 62.
        head.payload.extend_from_slice(&[0x40, 1, b'x', 127, 0xbd, 0x1d]);
        head.payload.extend_from_slice(&[b'v'; 3900]);
        head.payload.extend_from_slice(&[0x80 | 62; 10_000]);
        client.frame(&head);
        let refused = client.wait_for(&[HEADERS, Frame::RST_STREAM, Frame::GOAWAY]);
        assert!(refused.kind != HEADERS || refused.payload.windows(3).all(|part| part != b"200"), "{refused:?}");
    }
    assert_eq!(backend.count(), 0);
    let grown = gateway.memory_kib("VmRSS").saturating_sub(base);
    assert!(grown < 8 * 1024, "40 MB a head would be seen, and {grown} KiB were");
    Http2Client::connect(gateway.address).call(&Request::get("/")).assert_passed();
}

#[test]
fn a_client_that_gives_no_room_for_its_answer() {
    let backend = Backend::answering(|_| [&b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"[..], &[b'x'; 100_000]].concat());
    let gateway = start(&backend, "send_timeout_ms = 200");
    let mut client = FrameClient::connect(gateway.address);
    client.frame(&Frame::new(Frame::SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]));
    for stream in [1, 3, 5] {
        client.frame(&Frame::get(stream, "/"));
    }
    let mut reset: Vec<_> = (0..3).map(|_| client.wait_for(&[Frame::RST_STREAM]).stream).collect();
    reset.sort_unstable();
    assert_eq!(reset, [1, 3, 5]);
    client.assert_alive();
    assert!(gateway.access_log(3).iter().all(|line| line["ended"] == "client-timeout"));
}

#[test]
fn a_body_that_does_not_come() {
    let backend = Backend::ok();
    let gateway = start(&backend, "body_timeout_ms = 200");
    let mut client = Http2Client::connect(gateway.address);
    let begun = client.begin(&Request::new("POST", "/"), false);
    client.finish(begun).assert_refused("I400BD");
    client.call(&Request::get("/")).assert_passed();
}

#[test]
fn a_client_that_does_not_begin() {
    let backend = Backend::ok();
    let gateway = start(&backend, "head_timeout_ms = 200\nidle_timeout_ms = 300");
    let mut client = FrameClient::silent(gateway.address);
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(client.wait_for(&[Frame::GOAWAY]).code(), Some(0));
    // A head that has begun, and does not go on, is a silence like any other.
    let mut client = FrameClient::connect(gateway.address);
    let mut head = Frame::get(1, "/");
    head.flags = Frame::END_STREAM;
    assert_eq!(client.frame(&head).wait_for(&[Frame::GOAWAY]).code(), Some(0));
    let mut partial = FrameClient::silent(gateway.address);
    partial.send(b"PRI * HT");
    let mut rest = Vec::new();
    let _ = partial.stream.read_to_end(&mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"), "{}", rest.escape_ascii());
}

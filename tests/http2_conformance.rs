//! The cases of h2spec that make sense of a server, written as frames: what RFC 9113 and RFC 7541 (HPACK) call an error ends
//! the stream or the connection with the code that they name, and what they allow passes.

use std::io::{ErrorKind, Read};

use lockgate_test_support::{Backend, Config, Frame, FrameClient, Gateway, fields_block};

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const COMPRESSION: u32 = 9;

/// What must come of it.
enum Comes {
    /// The stream or the connection ends with one of these codes; or, as h2spec has it, the connection closes.
    Error(&'static [u32]),
    Nothing,
}

use Comes::{Error, Nothing};

struct Case(&'static str, Vec<Frame>, Comes);

fn frame(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind, flags, stream, payload)
}

const ENDS: u8 = Frame::END_HEADERS | Frame::END_STREAM;

/// A head of these fields, and the usual ones that `but` does not name.
fn head(flags: u8, but: &[&str], extra: &[(&str, &str)]) -> Frame {
    let usual = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "api.test")];
    let fields: Vec<_> = usual.into_iter().filter(|(name, _)| !but.contains(name)).chain(extra.iter().copied()).collect();
    frame(Frame::HEADERS, flags, 1, fields_block(&fields))
}

fn get() -> Frame {
    Frame::get(1, "/")
}

/// A stream that is open: its body is to come.
fn post() -> Frame {
    head(Frame::END_HEADERS, &[], &[])
}

fn setting(id: u8, value: u32) -> Frame {
    frame(Frame::SETTINGS, 0, 0, [&[0, id][..], &value.to_be_bytes()].concat())
}

/// A head and some bytes of HPACK behind it.
fn packed(bytes: &[u8]) -> Frame {
    let mut head = get();
    head.payload.extend_from_slice(bytes);
    head
}

fn frames() -> Vec<Case> {
    let data = |flags, stream, payload: &[u8]| frame(Frame::DATA, flags, stream, payload);
    let mut unended = get();
    unended.flags = Frame::END_STREAM;
    let mut on_zero = get();
    on_zero.stream = 0;
    let mut even = get();
    even.stream = 2;
    let mut padded = get();
    (padded.flags, padded.payload[0]) = (ENDS | Frame::PADDED, 255);
    let third = Frame::get(3, "/");
    let continuation = |stream, flags| frame(Frame::CONTINUATION, flags, stream, []);
    let priority = frame(Frame::PRIORITY, 0, 1, [0, 0, 0, 3, 15]);
    let reset = frame(Frame::RST_STREAM, 0, 1, [0, 0, 0, 8]);
    let grow = |stream, by: u32| frame(Frame::WINDOW_UPDATE, 0, stream, by.to_be_bytes());
    vec![
        Case("4.1 a frame of an unknown kind", vec![frame(0xf0, 0, 0, [0; 8])], Nothing),
        Case("4.1 flags that mean nothing", vec![frame(Frame::PING, 0xfe, 0, [0; 8])], Nothing),
        Case("4.1 the reserved bit", vec![frame(Frame::PING, 0, 1 << 31, [0; 8])], Nothing),
        Case("4.2 the largest frame", vec![post(), data(0, 1, &[0; 16_384])], Nothing),
        Case("4.2 data beyond the largest frame", vec![post(), data(0, 1, &[0; 16_385])], Error(&[FRAME_SIZE])),
        Case("4.2 a head beyond the largest frame", vec![packed(&[0x82; 16_400])], Error(&[FRAME_SIZE])),
        Case("4.3 fields that cannot be unpacked", vec![packed(&[0x40])], Error(&[COMPRESSION])),
        Case("4.3 a frame within a head", vec![unended.clone(), priority.clone()], Error(&[PROTOCOL])),
        Case("4.3 another stream within a head", vec![unended.clone(), third.clone()], Error(&[PROTOCOL])),
        Case("5.1 data on an idle stream", vec![data(0, 1, b"x")], Error(&[PROTOCOL])),
        Case("5.1 a reset of an idle stream", vec![reset.clone()], Error(&[PROTOCOL])),
        Case("5.1 a window of an idle stream", vec![grow(1, 100)], Error(&[PROTOCOL])),
        Case("5.1 data on a half-closed stream", vec![get(), data(0, 1, b"x")], Error(&[STREAM_CLOSED])),
        Case("5.1 a head on a half-closed stream", vec![get(), get()], Error(&[STREAM_CLOSED])),
        Case("5.1 data on a stream that was reset", vec![post(), reset.clone(), data(0, 1, b"x")], Error(&[STREAM_CLOSED])),
        Case("5.1 a head on a stream that was reset", vec![post(), reset.clone(), get()], Error(&[STREAM_CLOSED])),
        Case("5.1.1 an even number", vec![even], Error(&[PROTOCOL])),
        Case("5.1.1 a lower number", vec![third.clone(), get()], Error(&[PROTOCOL, STREAM_CLOSED])),
        Case("5.5 an unknown frame within a head", vec![unended.clone(), frame(0xf0, 0, 0, [])], Error(&[PROTOCOL])),
        Case("6.1 data of no stream", vec![data(0, 0, b"x")], Error(&[PROTOCOL])),
        Case("6.1 more padding than data", vec![post(), data(Frame::PADDED, 1, &[9, 0, 0])], Error(&[PROTOCOL])),
        Case("6.2 a head of no stream", vec![on_zero], Error(&[PROTOCOL])),
        Case("6.2 more padding than head", vec![padded], Error(&[PROTOCOL])),
        Case("6.3 a priority of no stream", vec![frame(Frame::PRIORITY, 0, 0, [0, 0, 0, 3, 15])], Error(&[PROTOCOL])),
        Case("6.3 a priority of a wrong length", vec![post(), frame(Frame::PRIORITY, 0, 1, [0; 4])], Error(&[FRAME_SIZE])),
        Case("6.4 a reset of no stream", vec![frame(Frame::RST_STREAM, 0, 0, [0; 4])], Error(&[PROTOCOL])),
        Case("6.4 a reset of a wrong length", vec![post(), frame(Frame::RST_STREAM, 0, 1, [0; 3])], Error(&[FRAME_SIZE])),
        Case("6.5 an acknowledgement with settings", vec![frame(Frame::SETTINGS, Frame::ACK, 0, [0; 6])], Error(&[FRAME_SIZE])),
        Case("6.5 settings of a stream", vec![frame(Frame::SETTINGS, 0, 1, [])], Error(&[PROTOCOL])),
        Case("6.5 settings of a wrong length", vec![frame(Frame::SETTINGS, 0, 0, [0; 5])], Error(&[FRAME_SIZE])),
        Case("6.5.2 push neither on nor off", vec![setting(2, 2)], Error(&[PROTOCOL])),
        Case("6.5.2 a window that is too large", vec![setting(4, 1 << 31)], Error(&[FLOW_CONTROL])),
        Case("6.5.2 frames that are too small", vec![setting(5, 16_383)], Error(&[PROTOCOL])),
        Case("6.5.2 frames that are too large", vec![setting(5, 1 << 24)], Error(&[PROTOCOL])),
        Case("6.5.2 a setting that is not known", vec![setting(0xff, 1)], Nothing),
        Case("6.7 an answer to no ping", vec![frame(Frame::PING, Frame::ACK, 0, [7; 8])], Nothing),
        Case("6.7 a ping of a stream", vec![frame(Frame::PING, 0, 1, [0; 8])], Error(&[PROTOCOL])),
        Case("6.7 a ping of a wrong length", vec![frame(Frame::PING, 0, 0, [0; 6])], Error(&[FRAME_SIZE])),
        Case("6.8 a farewell of a stream", vec![frame(Frame::GOAWAY, 0, 1, [0; 8])], Error(&[PROTOCOL])),
        Case("6.9 no growth of the connection's window", vec![grow(0, 0)], Error(&[PROTOCOL])),
        Case("6.9 no growth of a stream's window", vec![post(), grow(1, 0)], Error(&[PROTOCOL])),
        Case("6.9 growth of a wrong length", vec![frame(Frame::WINDOW_UPDATE, 0, 0, [0, 0, 1])], Error(&[FRAME_SIZE])),
        Case("6.9.1 the connection's window overflows", vec![grow(0, 0x7fff_ffff), grow(0, 0x7fff_ffff)], Error(&[FLOW_CONTROL])),
        Case("6.9.1 a stream's window overflows", vec![post(), grow(1, 0x7fff_ffff)], Error(&[FLOW_CONTROL])),
        Case("6.10 a head in parts", vec![unended.clone(), continuation(1, 0), continuation(1, Frame::END_HEADERS)], Nothing),
        Case("6.10 data within a head", vec![unended.clone(), continuation(1, 0), data(0, 1, b"x")], Error(&[PROTOCOL])),
        Case("6.10 a part of no stream", vec![unended, continuation(0, Frame::END_HEADERS)], Error(&[PROTOCOL])),
        Case("6.10 a part of no head", vec![continuation(1, Frame::END_HEADERS)], Error(&[PROTOCOL])),
        Case("6.10 a part behind the end", vec![get(), continuation(1, Frame::END_HEADERS)], Error(&[PROTOCOL])),
        Case("8.4 a push of a client", vec![frame(Frame::PUSH_PROMISE, Frame::END_HEADERS, 1, [0, 0, 0, 2])], Error(&[PROTOCOL])),
    ]
}

/// Of heads: a stream with one of these is reset.
fn heads() -> Vec<Case> {
    let malformed = |name, but: &[&str], extra: &[(&str, &str)]| Case(name, vec![head(ENDS, but, extra)], Error(&[PROTOCOL]));
    let body = |length: &str| head(Frame::END_HEADERS, &[], &[("content-length", length)]);
    let data = |flags, payload: &[u8]| frame(Frame::DATA, flags, 1, payload);
    let trailers = |flags, fields: &[(&str, &str)]| frame(Frame::HEADERS, flags, 1, fields_block(fields));
    vec![
        malformed("8.2.1 an upper-case name", &[], &[("X-Up", "1")]),
        malformed("8.2.1 a line end in a value", &[], &[("x", "a\r\nb")]),
        malformed("8.2.1 a blank in a name", &[], &[("x y", "1")]),
        malformed("8.2.2 connection", &[], &[("connection", "keep-alive")]),
        malformed("8.2.2 transfer-encoding", &[], &[("transfer-encoding", "chunked")]),
        malformed("8.2.2 upgrade", &[], &[("upgrade", "h2c")]),
        malformed("8.2.2 te other than trailers", &[], &[("te", "trailers, deflate")]),
        malformed("8.3 an unknown pseudo-field", &[], &[(":test", "1")]),
        malformed("8.3 one of answers", &[], &[(":status", "200")]),
        malformed("8.3 one behind a field", &[":path"], &[("x", "1"), (":path", "/")]),
        malformed("8.3.1 no path", &[":path"], &[]),
        malformed("8.3.1 an empty path", &[":path"], &[(":path", "")]),
        malformed("8.3.1 no method", &[":method"], &[]),
        malformed("8.3.1 no scheme", &[":scheme"], &[]),
        malformed("8.3.1 two methods", &[], &[(":method", "GET")]),
        malformed("8.3.1 two schemes", &[], &[(":scheme", "http")]),
        malformed("8.3.1 two paths", &[], &[(":path", "/")]),
        Case("8.1 trailers that do not end", vec![post(), trailers(Frame::END_HEADERS, &[("x", "1")])], Error(&[PROTOCOL])),
        Case("8.1 a pseudo-field in trailers", vec![post(), trailers(ENDS, &[(":method", "GET")])], Error(&[PROTOCOL])),
        Case("8.1.1 less than was said", vec![body("5"), data(Frame::END_STREAM, b"four")], Error(&[PROTOCOL])),
        Case("8.1.1 more than was said", vec![body("5"), data(0, b"one"), data(Frame::END_STREAM, b"two")], Error(&[PROTOCOL])),
        Case("8.1.1 nothing, where something was said", vec![head(ENDS, &[], &[("content-length", "5")])], Error(&[PROTOCOL])),
    ]
}

/// HPACK.
fn packings() -> Vec<Case> {
    let broken = |name, bytes: &[u8]| Case(name, vec![packed(bytes)], Error(&[COMPRESSION]));
    vec![
        broken("hpack 2.3.3 a place that the table does not have", &[0x80 | 70]),
        broken("hpack 2.3.3 a name that the table does not have", &[0x40 | 62 | 1, 200, 1, 1, b'x']),
        broken("hpack 4.2 a size of the table behind fields", &[0x20 | 1]),
        broken("hpack 5.2 more than seven bits of padding", &[0, 1, b'x', 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff]),
        broken("hpack 5.2 padding with zeros", &[0, 1, b'x', 0x83, 0xf2, 0xb2, 0x40]),
        broken("hpack 5.2 the end of text in a text", &[0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]),
        broken("hpack 6.1 place 0", &[0x80]),
        Case(
            "hpack 6.3 a table larger than allowed",
            vec![frame(Frame::HEADERS, ENDS, 1, [vec![0x3f, 0xe1, 0xff, 0x03], get().payload].concat())],
            Error(&[COMPRESSION]),
        ),
    ]
}

/// Where the connection ends as it must, and is told a more general code (`PROTOCOL_ERROR`) than the one of the rule.
const GENERAL: &[&str] = &["4.3 fields that cannot be unpacked"];

/// What is taken although it is an error: nothing comes of it.
const TAKEN: &[&str] = &["8.1 a pseudo-field in trailers", "hpack 5.2 more than seven bits of padding"];

/// What came: `None`: the connection goes on.
fn outcome(gateway: &Gateway, case: &Case) -> Option<Option<u32>> {
    let mut client = FrameClient::connect(gateway.address);
    case.1.iter().for_each(|frame| _ = client.frame(frame));
    client.frame(&Frame::new(Frame::PING, 0, 0, *b"still on"));
    let waits_for_an_error = matches!(case.2, Error(_));
    loop {
        match client.receive() {
            None => return is_closed(&mut client).then_some(None),
            Some(end) if end.code().is_some() => return Some(end.code()),
            // A reset may come behind the answer to the ping.
            Some(ping) if ping.payload == b"still on" && (!waits_for_an_error || TAKEN.contains(&case.0)) => return None,
            Some(_) => {}
        }
    }
}

/// It has ended, and it is not the client who has waited for too long.
fn is_closed(client: &mut FrameClient) -> bool {
    client.stream.set_nonblocking(true).expect("a socket can be asked not to wait");
    !matches!(client.stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn judge(cases: Vec<Case>) {
    // Streams stay open: nobody is answered.
    let (backend, _release) = Backend::held();
    let gateway = Config::open(backend.address).http2().start();
    let faults: Vec<_> = std::thread::scope(|scope| {
        let judged: Vec<_> = cases.iter().map(|case| (case, scope.spawn(|| outcome(&gateway, case)))).collect();
        let judged = judged.into_iter().map(|(case, came)| (case, came.join().expect("an outcome")));
        let wrong = judged.filter(|(case, came)| match (&case.2, came) {
            (Nothing, came) => came.is_some(),
            (Error(_), Some(Some(PROTOCOL))) if GENERAL.contains(&case.0) || case.0.starts_with("hpack") => false,
            (Error(codes), Some(Some(code))) => !codes.contains(code),
            (Error(_), Some(None)) => false,
            (Error(_), None) => !TAKEN.contains(&case.0),
        });
        wrong.map(|(case, came)| format!("{}: {came:?}", case.0)).collect()
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn frames_and_streams() {
    judge(frames());
}

#[test]
fn heads_of_requests() {
    judge(heads());
}

#[test]
fn packed_fields() {
    judge(packings());
}

#[test]
fn settings_and_pings_are_answered() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).http2().start();
    let mut client = FrameClient::connect(gateway.address);
    assert_eq!(client.wait_for(&[Frame::SETTINGS]).flags & Frame::ACK, 0, "its own come first");
    assert_eq!(client.wait_for(&[Frame::SETTINGS]).flags, Frame::ACK);
    let ping = client.frame(&Frame::new(Frame::PING, 0, 0, [5; 8])).wait_for(&[Frame::PING]);
    assert_eq!((ping.flags, ping.payload), (Frame::ACK, vec![5; 8]));
}

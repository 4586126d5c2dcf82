//! One visit by a client that leaves at a chosen place, to a backend that leaves at another.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use lockgate_test_support::{App, DEADLINE, Gateway, Peer, Request, Signer};
use socket2::SockRef;

/// How a peer leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Leave {
    Close,
    Reset,
    /// Stays to the end.
    Never,
}

/// Where the client leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    Idle,
    InHead,
    InForm,
    InBody,
    /// The backend does not answer yet.
    BeforeFirstByte,
    InAnswerHead,
    InAnswerBody,
    /// The answer is larger than what is taken of it.
    NotReading,
    /// The request is refused before all of it was sent.
    Lingering,
    /// Half a request came with the one before.
    Pipelined,
}

pub const ATS: [At; 10] = [
    At::Idle,
    At::InHead,
    At::InForm,
    At::InBody,
    At::BeforeFirstByte,
    At::InAnswerHead,
    At::InAnswerBody,
    At::NotReading,
    At::Lingering,
    At::Pipelined,
];

/// Where the backend leaves; the target of the request tells it.
pub const BACKEND_WAYS: [&str; 7] = ["never", "accepted", "in-request", "silent", "in-head", "in-body", "after"];

pub fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Serves one connection as the target of each request says: `/WAY/HOW/STALL`.
pub fn backend(peer: &mut Peer) -> std::io::Result<()> {
    while let Some(head) = peer.reader.head()? {
        let parts: Vec<String> = head.target().split('/').map(str::to_owned).collect();
        let part = |n: usize| parts.get(n).map_or("", String::as_str);
        let leave = |peer: &Peer| {
            if part(2) == "Reset" {
                reset(&peer.stream);
            }
            Ok(())
        };
        let way = part(1);
        if way == "accepted" {
            return leave(peer);
        }
        let mut head = head;
        if way == "in-request" {
            let _ = peer.reader.exactly(2);
            return leave(peer);
        }
        peer.reader.body(&mut head, false)?;
        if part(3) == "BeforeFirstByte" || way == "silent" {
            peer.stream.set_read_timeout(Some(Duration::from_millis(30)))?;
            let gone = peer.stream.read(&mut [0]);
            if way == "silent" || gone.is_ok() {
                return leave(peer);
            }
        }
        peer.stream.set_read_timeout(Some(DEADLINE))?;
        if way == "in-head" {
            peer.send("HTTP/1.1 200 OK\r\nContent-")?;
            return leave(peer);
        }
        let large = part(3) == "NotReading";
        let body = vec![b'x'; if large { 4_000_000 } else { 30_000 }];
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()))?;
        if way == "in-body" {
            peer.send(&body[..20_000])?;
            return leave(peer);
        }
        peer.send(&body)?;
        if way == "after" {
            return leave(peer);
        }
    }
    Ok(())
}

/// One client that leaves at a place, and a backend that leaves at another.
pub fn visit(gateway: &Gateway, at: At, how: Leave, way: &str, backend_how: Leave) {
    let mut client = gateway.client();
    let target = format!("/{way}/{backend_how:?}/{at:?}");
    let get = Request::get(&target).bytes();
    let post = Request::new("POST", &target).body([b'y'; 40_000]).bytes();
    // The gateway may end the connection first: that is no fault here.
    let mut send = |bytes: &[u8]| _ = client.stream.write_all(bytes);
    match at {
        At::Idle => {}
        At::InHead => send(&get[..get.len() - 3]),
        At::InForm => {
            let app = App::alpha();
            let form = Request::post("/signed", "application/x-www-form-urlencoded", format!("a={}", "b".repeat(20_000)));
            let bytes = Signer::new(&app.key, &app.secret).sign(form).bytes();
            send(&bytes[..bytes.len() - 100]);
        }
        At::InBody => send(&post[..post.len() - 100]),
        At::BeforeFirstByte => send(&get),
        At::InAnswerHead | At::InAnswerBody | At::NotReading => send(&post),
        At::Lingering => {
            send(b"POST /signed HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100000\r\n\r\nsome");
        }
        At::Pipelined => send(&[&get[..], &get[..20]].concat()),
    }
    let wanted = match at {
        At::InAnswerHead => 10,
        At::InAnswerBody => 10_000,
        At::Lingering => 20,
        _ => 0,
    };
    let mut taken = 0;
    let mut buffer = [0; 4096];
    while taken < wanted {
        match client.stream.read(&mut buffer) {
            Ok(n) if n > 0 => taken += n,
            _ => break,
        }
    }
    match how {
        Leave::Reset => reset(&client.stream),
        Leave::Close => {}
        Leave::Never => {
            let _ = client.stream.shutdown(std::net::Shutdown::Write);
            let _ = std::io::copy(&mut client.stream, &mut std::io::sink());
        }
    }
}

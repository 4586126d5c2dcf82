//! The crowd: clients that are slow, rude, silent, malformed or gone, each kind in a loop of its own until it is over.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;

use lockgate_test_support::{Gateway, Peer, Request};

use crate::rude::{TICK, hold, patient, say, sip};
use crate::visit::{ATS, BACKEND_WAYS, Leave, reset, visit};

pub struct Crowd<'a> {
    pub gateway: &'a Gateway,
    pub over: &'a AtomicBool,
    pub seed: u64,
}

/// A kind of them, by its name.
pub type Kind = (&'static str, fn(&Crowd<'_>));

pub const KINDS: &[Kind] = &[
    ("slow heads", |crowd| crowd.slowly(15, b"GET /bad/x HTTP/1.1\r\nHost: api.test\r\nX-Slow: ", b"x")),
    ("slow bodies", |crowd| crowd.slowly(15, b"POST /bad/x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1000000\r\n\r\n", b"x")),
    ("slow chunks", |crowd| {
        crowd.slowly(15, b"POST /bad/x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n");
    }),
    ("requests cut in two", |crowd| crowd.slowly(5, &two_and_a_half(), b"G")),
    ("slow readers", |crowd| sip(crowd.over, 8, || crowd.connect(), &Request::get("/bad/large").bytes())),
    ("idle floods", |crowd| crowd.slowly(250, b"", b"")),
    ("resets", |crowd| crowd.each_tick(|crowd, n| crowd.leave(n, true))),
    ("ends", |crowd| crowd.each_tick(|crowd, n| crowd.leave(n, false))),
    ("half closes", |crowd| crowd.each_tick(|crowd, _| crowd.half_close())),
    ("malformed requests", |crowd| crowd.each_tick(|crowd, n| crowd.say(MALFORMED[n % MALFORMED.len()]))),
    ("hostile answers", |crowd| crowd.each_tick(|crowd, n| crowd.say(&Request::get(&format!("/bad/{n}")).bytes()))),
    ("vanishing peers", |crowd| crowd.vanish()),
    ("more vanishing peers", |crowd| crowd.vanish()),
];

/// What is no request, and what might be taken for two.
const MALFORMED: &[&[u8]] = &[
    b"GET / HTTP/1.1\nHost: api.test\n\n",
    b"GET / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n",
    b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: api.test\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: api.test\r\nX : y\r\n\r\n",
    b"GET /../x HTTP/1.1\r\nHost: api.test\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\0\0\0\0",
    &[b'A'; 70_000],
];

fn two_and_a_half() -> Vec<u8> {
    let get = Request::get("/bad/none").bytes();
    [&get[..], &get, &get[..20]].concat()
}

impl Crowd<'_> {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn connect(&self) -> Option<TcpStream> {
        patient(TcpStream::connect(self.gateway.address).ok()?)
    }

    fn each_tick(&self, visit: impl Fn(&Self, usize)) {
        for n in 0.. {
            if self.is_over() {
                return;
            }
            visit(self, n);
            sleep(TICK);
        }
    }

    fn slowly(&self, connections: usize, beginning: &[u8], byte: &[u8]) {
        hold(self.over, connections, || self.connect(), beginning, byte);
    }

    /// Sends a request and leaves before its answer.
    fn leave(&self, n: usize, by_reset: bool) {
        let Some(mut stream) = self.connect() else { return };
        let request = Request::new("POST", &format!("/bad/{n}")).body([b'x'; 3000]).bytes();
        let _ = stream.write_all(&request[..request.len() - n % request.len()]);
        if by_reset {
            reset(&stream);
        }
    }

    /// Ends its side, and takes what comes.
    fn half_close(&self) {
        let Some(mut stream) = self.connect() else { return };
        let _ = stream.write_all(&two_and_a_half()).and_then(|()| stream.shutdown(Shutdown::Write));
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    }

    fn say(&self, bytes: &[u8]) {
        self.connect().into_iter().for_each(|stream| say(stream, bytes));
    }

    /// As in `tests/peers.rs`, in an order that the seed tells.
    fn vanish(&self) {
        let mut random = self.seed | 1;
        let mut below = |n: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % n as u64) as usize
        };
        while !self.is_over() {
            let how = [Leave::Close, Leave::Reset, Leave::Never];
            let (at, way) = (ATS[below(ATS.len())], BACKEND_WAYS[below(BACKEND_WAYS.len())]);
            visit(self.gateway, at, how[below(3)], way, how[below(2)]);
            sleep(TICK / 2);
        }
    }
}

/// Answers of a backend that is no better: by the number in the target.
const ANSWERS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "no HTTP at all",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nfffffffffffffffff\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nbreaks off",
    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-Split: a\r\n\tb\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "",
];

/// Serves one connection of the gateway.
pub fn bad_backend(peer: &mut Peer) -> std::io::Result<()> {
    // Not kept: there will be hundreds of thousands.
    let Some(request) = peer.reader.head()? else { return Ok(()) };
    let last = request.target().rsplit('/').next().unwrap_or_default();
    match last.parse::<usize>() {
        Ok(n) if n % 10 == 9 => {
            let interim = format!("HTTP/1.1 103 Early Hints\r\nX-Filler: {}\r\n\r\n", "x".repeat(1000));
            (0..200).try_for_each(|_| peer.send(&interim))
        }
        // The body that has not been read makes it a reset.
        Ok(n) => peer.send(ANSWERS[n % ANSWERS.len()]),
        Err(_) if last == "large" => {
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n{}", "x".repeat(2_000_000)))
        }
        // Silent to the end.
        Err(_) => peer.wait_for_close(),
    }
}

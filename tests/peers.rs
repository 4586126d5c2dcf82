//! A peer may vanish at any moment: at each wait of an exchange the client or the backend leaves, politely or with a
//! reset, in any order and by the thousand. Afterwards the gateway has what it had before: no connection, no
//! descriptor, and no memory more.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use lockgate_test_support::{Api, App, Backend, Config, DEADLINE, Gateway, Peer, Request, Signer, eventually};
use socket2::SockRef;

/// How a peer leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leave {
    Close,
    Reset,
    /// Stays to the end.
    Never,
}

/// Where the client leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
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

const ATS: [At; 10] = [
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
const BACKEND_WAYS: [&str; 7] = ["never", "accepted", "in-request", "silent", "in-head", "in-body", "after"];

fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Serves one connection as the target of each request says: `/WAY/HOW/STALL`.
fn backend(peer: &mut Peer) -> std::io::Result<()> {
    while let Some(head) = peer.head()? {
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
fn visit(gateway: &Gateway, at: At, how: Leave, way: &str, backend_how: Leave) {
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

/// A shuffle that a seed repeats (xorshift64).
fn shuffle<T>(list: &mut [T], mut seed: u64) {
    for i in (1..list.len()).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        list.swap(i, (seed % (i as u64 + 1)) as usize);
    }
}

/// `LOCKGATE_PEER_ROUNDS`: how often all combinations are gone through. `LOCKGATE_SEED`: their order.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn vanish(driver: &str, workers: usize) {
    let backend = Backend::scripted(backend);
    let gateway = Config::with_backend(backend.address)
        .instance(&format!("workers = {workers}\ndriver = {driver:?}"))
        .table("limits", "pool_idle_timeout_ms = 200\nidle_timeout_ms = 3000\nhead_timeout_ms = 1000\nbody_timeout_ms = 1000\nsend_timeout_ms = 1000")
        .published(&Api::open("open", "/*").timeout_ms(2000))
        .published(&Api::app("signed", "/signed"))
        .app(&App::alpha().may_call("g/signed", &["RELEASE"]))
        .start();
    let mut visits = Vec::new();
    for at in ATS {
        for how in [Leave::Close, Leave::Reset, Leave::Never] {
            for way in BACKEND_WAYS {
                for backend_how in [Leave::Close, Leave::Reset] {
                    visits.push((at, how, way, backend_how));
                }
            }
        }
    }
    // Of each worker a listener and a pair that wakes it; of the process a pair that carries signals,
    // and the socket that takes orders.
    let base = 3 * workers + 3;
    let rests = || eventually("nothing is left of the peers", || (gateway.sockets() == base).then_some(()));
    rests();
    let seed = number("LOCKGATE_SEED", 0x5eed_1ece);
    let mut memory = Vec::new();
    for round in 0..number("LOCKGATE_PEER_ROUNDS", 2) {
        shuffle(&mut visits, seed.wrapping_add(round) | 1);
        let queue = Mutex::new(visits.iter());
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    while let Some(&(at, how, way, backend_how)) = { queue.lock().expect("no client panicked").next() } {
                        visit(&gateway, at, how, way, backend_how);
                    }
                });
            }
        });
        eprintln!("round {round} of seed {seed}");
        rests();
        backend.wait_for_open_connections(0);
        memory.push(gateway.memory_kib("VmRSS"));
    }
    for _ in 0..8 {
        gateway.get("/never/Close/none").assert_passed();
    }
    if let [first, .., last] = memory[..] {
        assert!(last < first + 16 * 1024, "memory grows: {memory:?} KiB");
    }
    assert!(!gateway.output().contains("panicked"), "{}", gateway.output());
}

#[test]
fn peers_that_vanish_leave_nothing_behind() {
    vanish("io_uring", number("LOCKGATE_PEER_WORKERS", 2) as usize);
}

#[test]
fn peers_that_vanish_leave_nothing_behind_on_epoll() {
    vanish("epoll", number("LOCKGATE_PEER_WORKERS", 2) as usize);
}

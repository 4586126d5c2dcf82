//! Every deadline of `[limits]` ends what it is for, with its code, its word in the log, and nothing else.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use lockgate_test_support::{Api, App, Backend, Client, Config, DEADLINE, Gateway, Request, Signer, eventually};

/// A gateway on which one limit is short and all others are long.
fn start(backend: &Backend, limit: &str) -> Gateway {
    Config::with_backend(backend.address)
        .access_log()
        .table("limits", &format!("{limit} = 200"))
        .published(&Api::open("open", "/open"))
        .published(&Api::app("signed", "/signed"))
        .app(&App::alpha().may_call("g/signed", &["RELEASE"]))
        .start()
}

fn ended(gateway: &Gateway) -> (String, u64) {
    let line = gateway.access_log(1).remove(0);
    (line["ended"].as_str().unwrap_or_default().into(), line["statusCode"].as_u64().unwrap_or_default())
}

fn ended_as(gateway: &Gateway, word: &str, status: u64) {
    assert_eq!(ended(gateway), (word.to_owned(), status));
}

#[test]
fn a_silent_connection_ends_between_requests() {
    let backend = Backend::ok();
    let gateway = start(&backend, "idle_timeout_ms");
    gateway.client().assert_closed();
    let mut client = gateway.client();
    client.call(&Request::get("/open")).assert_passed();
    client.assert_closed();
}

#[test]
fn a_head_in_pieces_must_end() {
    let backend = Backend::ok();
    let gateway = start(&backend, "head_timeout_ms");
    let mut client = gateway.client();
    client.send("GET /open HTTP/1.1\r\nHost: api.test\r\n");
    client.response("GET").assert_refused("I400HD");
    client.assert_closed();
    ended_as(&gateway, "answered", 400);
    // Progress does not prolong it.
    let mut client = gateway.client();
    client.stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket option");
    client.send("GET /open HTTP/1.1\r\n");
    let mut closed = false;
    for _ in 0..100 {
        if client.reader.head().is_ok() {
            closed = true;
            break;
        }
        let _ = std::io::Write::write(&mut client.stream, b"X: y\r\n");
    }
    assert!(closed, "a head that never ends is still read after two seconds");
}

#[test]
fn a_body_must_go_on() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        peer.wait_for_close()
    });
    let gateway = start(&backend, "body_timeout_ms");
    let mut client = gateway.client();
    client.send("POST /open HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100\r\n\r\nsome");
    client.response("POST").assert_refused("I400BD");
    client.assert_closed();
    ended_as(&gateway, "answered", 400);
    backend.wait_for_open_connections(0);
}

#[test]
fn a_request_keeps_the_deadlines_it_began_with() {
    let (backend, release) = Backend::held();
    let gateway = Config::open(backend.address)
        .instance("workers = 1")
        .admin()
        .table("limits", "pool_connections = 1\nbody_timeout_ms = 200")
        .start();
    let mut first = gateway.client();
    first.send(Request::get("/").bytes());
    backend.next();
    let mut second = gateway.client();
    second.send("POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100\r\n\r\nsome");
    eventually("it waits for the connection", || {
        (gateway.metric("lockgate_upstream_queued_total{vpc_access=\"backend\"}")? > 0.0).then_some(())
    });
    let settings = fs::read_to_string(gateway.path().join("gateway.toml")).expect("a document");
    gateway.write("gateway.toml", &settings.replace("body_timeout_ms = 200", "body_timeout_ms = 3600000"));
    gateway.ok(&["reload"]);
    release.send(()).expect("the backend waits");
    first.response("GET").assert_passed();
    second.response("POST").assert_refused("I400BD");
}

#[test]
fn a_form_must_go_on() {
    let backend = Backend::ok();
    let gateway = start(&backend, "body_timeout_ms");
    let app = App::alpha();
    let form = Request::post("/signed", "application/x-www-form-urlencoded", "a=1&b=2");
    let bytes = Signer::new(&app.key, &app.secret).sign(form).bytes();
    let mut client = gateway.client();
    client.send(&bytes[..bytes.len() - 3]);
    client.response("POST").assert_refused("I400BD");
    client.assert_closed();
    assert_eq!(backend.connections(), 0);
}

/// Sends a byte at a time, each well within its own deadline, until the gateway has said something or ended it.
fn trickle(client: &mut Client, byte: &[u8]) {
    client.stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket option");
    for _ in 0..1000 {
        match client.stream.peek(&mut [0]) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => return client.stream.set_read_timeout(Some(DEADLINE)).expect("a socket option"),
        }
        let _ = client.stream.write_all(byte);
    }
    panic!("it is still listened to after twenty seconds");
}

/// Each byte comes in time, but all of them at less than the slowest pace.
const SLOW: &str = "body_bytes_per_second = 1000\nbody_timeout_ms";

#[test]
fn a_body_in_a_trickle_must_end() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        peer.wait_for_close()
    });
    let gateway = start(&backend, SLOW);
    for (framing, byte) in [("Content-Length: 100000", "x"), ("Transfer-Encoding: chunked", "1\r\nx\r\n")] {
        let mut client = gateway.client();
        client.send(format!("POST /open HTTP/1.1\r\nHost: api.test\r\n{framing}\r\n\r\n"));
        trickle(&mut client, byte.as_bytes());
        client.response("POST").assert_refused("I400BD");
        client.assert_closed();
    }
    backend.wait_for_open_connections(0);
}

#[test]
fn a_form_in_a_trickle_must_end() {
    let backend = Backend::ok();
    let gateway = start(&backend, SLOW);
    let app = App::alpha();
    let form = Request::post("/signed", "application/x-www-form-urlencoded", "a=".to_owned() + &"b".repeat(3000));
    let bytes = Signer::new(&app.key, &app.secret).sign(form).bytes();
    let mut client = gateway.client();
    client.send(&bytes[..bytes.len() - 2900]);
    trickle(&mut client, b"b");
    client.response("POST").assert_refused("I400BD");
    client.assert_closed();
    assert_eq!(backend.connections(), 0);
}

/// An answer larger than all buffers between a backend and a client that does not read.
fn endless() -> Backend {
    Backend::scripted(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
        loop {
            peer.send([b'x'; 64 * 1024])?;
        }
    })
}

#[test]
fn an_answer_must_be_taken() {
    let backend = endless();
    let gateway = start(&backend, "send_timeout_ms");
    let mut client = gateway.client();
    client.send(Request::get("/open").bytes());
    ended_as(&gateway, "client-timeout", 200);
    backend.wait_for_open_connections(0);
    drop(client);
}

/// A byte now and then is no progress: what was sent at once must be taken in its time.
#[test]
fn an_answer_taken_in_a_trickle_must_end() {
    let backend = endless();
    let gateway = start(&backend, "send_timeout_ms");
    let mut client = gateway.client();
    client.send(Request::get("/open").bytes());
    let reading = std::thread::spawn(move || {
        let pace = TcpStream::connect(client.stream.peer_addr().expect("connected")).expect("the gateway listens");
        pace.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket option");
        // Until the connection is reset, or all that was under way has been read.
        while client.stream.read(&mut [0; 16]).is_ok_and(|n| n > 0) {
            let _ = (&pace).read(&mut [0]);
        }
    });
    ended_as(&gateway, "client-timeout", 200);
    backend.wait_for_open_connections(0);
    drop(gateway);
    reading.join().expect("the reader ends well");
}

/// However slowly: what counts is that some of it is taken in time.
#[test]
fn an_answer_that_is_taken_slowly_is_not_cut_off() {
    const PAUSE: Duration = Duration::from_millis(40);
    let backend = endless();
    let gateway = start(&backend, "send_timeout_ms");
    let client = gateway.client();
    (&client.stream, Request::get("/open").bytes()).write_all();
    // A reader of 1 MiB/s: a large buffer of the gateway's takes it several times the limit.
    client.stream.set_read_timeout(Some(DEADLINE)).expect("a socket option");
    let mut stream = &client.stream;
    let mut buffer = vec![0; 40 * 1024];
    let pace = Client::connect(gateway.address);
    pace.stream.set_read_timeout(Some(PAUSE)).expect("a socket option");
    for _ in 0..50 {
        let _ = (&pace.stream).read(&mut [0]);
        stream.read_exact(&mut buffer).expect("the answer goes on");
    }
}

trait WriteAll {
    fn write_all(self);
}

impl WriteAll for (&std::net::TcpStream, Vec<u8>) {
    fn write_all(self) {
        let (mut stream, bytes) = self;
        std::io::Write::write_all(&mut stream, &bytes).expect("the gateway takes the bytes");
    }
}

#[test]
fn a_body_must_be_taken_by_its_backend() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        // Reads no more, and notices the end by its probe.
        while peer.stream.take_error()?.is_none() && peer.stream.peek(&mut [0])? > 0 {
            std::thread::yield_now();
        }
        Ok(())
    });
    let gateway =
        Config::with_backend(backend.address).access_log().published(&Api::open("open", "/open").timeout_ms(200)).start();
    let mut client = gateway.client();
    client.send("POST /open HTTP/1.1\r\nHost: api.test\r\nContent-Length: 30000000\r\n\r\n");
    let mut out = client.stream.try_clone().expect("a socket can be duplicated");
    let sender = std::thread::spawn(move || {
        let piece = [b'x'; 64 * 1024];
        for _ in 0..400 {
            if std::io::Write::write_all(&mut out, &piece).is_err() {
                return;
            }
        }
    });
    client.response("POST").assert_refused("D504TO");
    ended_as(&gateway, "answered", 504);
    drop(client);
    let _ = sender.join();
}

#[test]
fn an_answer_must_go_on() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")?;
        peer.wait_for_close()
    });
    let gateway = start(&backend, "answer_timeout_ms");
    let mut client = gateway.client();
    client.send(Request::get("/open").bytes());
    assert!(client.reader.response("GET").is_err(), "an answer cut short does not look whole");
    ended_as(&gateway, "backend-timeout", 200);
    backend.wait_for_open_connections(0);
}

/// Who is refused while it sends is listened to for its answer's sake: for so long, and for so many bytes.
#[test]
fn a_client_that_is_refused_is_listened_to_only_so_long() {
    let backend = Backend::ok();
    for (limit, byte) in [("linger_timeout_ms", &b"x"[..]), ("linger_timeout_ms = 3600000\nlinger_bytes", &[b'x'; 20])] {
        let gateway = start(&backend, limit);
        let mut client = gateway.client();
        client.send("POST /nothing HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1000000\r\n\r\n");
        client.response("POST").assert_refused("I404NF");
        client.stream.set_nodelay(true).expect("a socket option");
        eventually("the gateway answers bytes with a reset", || client.stream.write_all(byte).is_err().then_some(()));
    }
}

#[test]
fn interim_answers_do_not_prolong_the_wait_for_the_final_one() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        loop {
            peer.send("HTTP/1.1 102 Processing\r\n\r\n")?;
            std::thread::yield_now();
        }
    });
    let gateway = Config::with_backend(backend.address).published(&Api::open("open", "/open").timeout_ms(300)).start();
    let mut client = gateway.client();
    client.send(Request::get("/open").field("X-Ca-Request-Mode", "debug").bytes());
    let answer = loop {
        let answer = client.response("GET");
        if answer.status() >= 200 {
            break answer;
        }
    };
    answer.assert_refused("D504TO");
}

#[test]
fn an_unused_connection_to_a_backend_is_closed() {
    let backend = Backend::ok();
    let gateway = start(&backend, "pool_idle_timeout_ms");
    gateway.call(&Request::get("/open")).assert_passed();
    backend.wait_for_open_connections(0);
}

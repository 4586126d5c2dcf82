//! Every deadline of `[limits]` ends what it is for, with its code, its word in the log, and nothing else.

use std::io::Read;
use std::time::Duration;

use lockgate_test_support::{Api, App, Backend, Client, Config, DEADLINE, Gateway, Request, Signer};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

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

#[test]
fn a_worker_takes_as_many_connections_as_its_limit() {
    let backend = Backend::scripted(|peer| {
        while peer.request()?.is_some() {
            peer.send(OK)?;
        }
        Ok(())
    });
    let gateway = Config::open(backend.address).instance("workers = 1").table("limits", "connections_per_worker = 3").start();
    // The first is the one that found out that the gateway listens; it has gone.
    let mut clients: Vec<Client> = Vec::new();
    lockgate_test_support::eventually("three connections are served", || {
        let mut client = gateway.client();
        let _ = std::io::Write::write_all(&mut client.stream, &Request::get("/").bytes());
        if client.reader.response("GET").is_ok() {
            clients.push(client);
        }
        (clients.len() == 3).then_some(())
    });
    gateway.client().assert_closed();
    clients.pop();
    lockgate_test_support::eventually("a place becomes free", || {
        let mut client = gateway.client();
        let _ = std::io::Write::write_all(&mut client.stream, &Request::get("/").bytes());
        client.reader.response("GET").is_ok().then_some(())
    });
}

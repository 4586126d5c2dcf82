//! Backends that answer early, late, too much, too little or not at all: the client gets the truth, and the next one
//! gets nothing of it.

use std::io::{ErrorKind, Read};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockgate_test_support::{Api, Backend, Config, DEADLINE, Request};

const ONE_WORKER: &str = "workers = 1";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";

/// What a test tells a backend's script when to go on.
#[derive(Clone)]
struct Cue(Arc<Mutex<Receiver<()>>>);

impl Cue {
    fn new() -> (Sender<()>, Self) {
        let (give, take) = mpsc::channel();
        (give, Self(Arc::new(Mutex::new(take))))
    }
    fn wait(&self) {
        let _ = self.0.lock().expect("no script panicked").recv_timeout(DEADLINE);
    }
}

#[test]
fn a_body_until_close_may_come_long_after_its_head() {
    let (go_on, cue) = Cue::new();
    let backend = Backend::scripted(move |peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
        cue.wait();
        peer.send("hello")?;
        peer.close()
    });
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send(Request::get("/").bytes());
    let mut answer = client.reader.head().expect("a head").expect("the connection lives");
    go_on.send(()).expect("the backend waits");
    client.reader.body(&mut answer, true).expect("a whole body");
    assert_eq!(answer.text(), "hello");
}

#[test]
fn an_empty_body_until_close_is_empty() {
    let backend = Backend::closing("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    for _ in 0..3 {
        assert_eq!(client.call(&Request::get("/")).text(), "");
    }
}

/// The body is made so that whoever takes it for an answer is found out.
#[test]
fn a_body_that_the_client_did_not_ask_for_is_nobodys_answer() {
    let (go_on, cue) = Cue::new();
    let (sent, was_sent) = mpsc::channel();
    let sent = Mutex::new(sent);
    let backend = Backend::scripted(move |peer| {
        while peer.request()?.is_some() {
            if peer.index > 0 {
                peer.send(OK)?;
                continue;
            }
            let evil = OK.replace("good", "evil");
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", evil.len()))?;
            cue.wait();
            let outcome = peer.send(&evil);
            let _ = sent.lock().expect("no script panicked").send(());
            outcome?;
        }
        Ok(())
    });
    let gateway = Config::with_backend(backend.address)
        .instance(ONE_WORKER)
        .published(&Api::open("all", "/*").backend_method("GET"))
        .start();
    let mut client = gateway.client();
    let head = client.call(&Request::new("HEAD", "/"));
    assert_eq!((head.status(), head.field("Content-Length")), (200, Some("42")));
    go_on.send(()).expect("the backend waits");
    was_sent.recv_timeout(DEADLINE).expect("the backend goes on");
    assert_eq!(client.call(&Request::get("/")).text(), "good");
}

/// As above, where the backend should have known that `HEAD` has no body.
#[test]
fn a_body_sent_after_the_answer_to_head_is_nobodys_answer() {
    let (go_on, cue) = Cue::new();
    let (sent, was_sent) = mpsc::channel();
    let sent = Mutex::new(sent);
    let backend = Backend::scripted(move |peer| {
        while let Some(request) = peer.request()? {
            if request.method() == "GET" {
                peer.send(OK)?;
                continue;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n")?;
            cue.wait();
            peer.send(OK.replace("good", "evil"))?;
            let _ = sent.lock().expect("no script panicked").send(());
        }
        Ok(())
    });
    let gateway = Config::open(backend.address).instance(ONE_WORKER).start();
    let mut client = gateway.client();
    client.call(&Request::new("HEAD", "/"));
    go_on.send(()).expect("the backend waits");
    was_sent.recv_timeout(DEADLINE).expect("the backend goes on");
    assert_eq!(client.call(&Request::get("/")).text(), "good");
}

#[test]
fn a_get_that_becomes_a_head_has_no_body_to_wait_for() {
    let backend = Backend::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec());
    let gateway = Config::with_backend(backend.address).published(&Api::open("all", "/*").backend_method("HEAD")).start();
    let mut client = gateway.client();
    for _ in 0..2 {
        let answer = client.call(&Request::get("/"));
        answer.assert_passed();
        assert_eq!(answer.text(), "");
    }
}

#[test]
fn a_get_that_becomes_a_post_is_not_sent_twice() {
    let backend = Backend::scripted(|peer| {
        if peer.request()?.is_some() {
            peer.send(OK)?;
            peer.request()?;
        }
        peer.close()
    });
    let gateway = Config::with_backend(backend.address)
        .instance(ONE_WORKER)
        .published(&Api::open("all", "/*").backend_method("POST"))
        .start();
    gateway.get("/").assert_passed();
    gateway.get("/").assert_refused("D504CO");
    assert_eq!(backend.count(), 2, "the second call was sent once");
}

#[test]
fn an_answer_that_began_early_keeps_its_own_deadline() {
    const TIMEOUT_MS: u64 = 200;
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")?;
        peer.reader.exactly(5)?;
        // The gateway leaves the connection open for longer than the wait for an answer's head may last.
        peer.stream.set_read_timeout(Some(Duration::from_millis(4 * TIMEOUT_MS)))?;
        let outcome = peer.stream.read(&mut [0]);
        assert!(outcome.is_err_and(|e| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)));
        peer.send("cd")
    });
    let gateway = Config::with_backend(backend.address).published(&Api::open("all", "/*").timeout_ms(TIMEOUT_MS)).start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\n\r\n");
    let mut answer = client.reader.head().expect("a head").expect("the connection lives");
    client.send("12345");
    client.reader.body(&mut answer, true).expect("a whole body");
    assert_eq!(answer.text(), "abcd");
}

#[test]
fn a_client_hears_of_a_backend_that_left_during_its_upload() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        peer.close()
    });
    let gateway = Config::open(backend.address).access_log().start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1000000\r\n\r\nsome");
    client.response("POST").assert_refused("D504CO");
    assert_eq!(gateway.access_log(1)[0]["ended"], "answered");
}

#[test]
fn a_client_that_got_its_answer_early_may_finish_what_it_is_saying() {
    for length in ["Content-Length: 2000000", "Transfer-Encoding: chunked"] {
        let backend = Backend::early();
        let gateway = Config::open(backend.address).start();
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: api.test\r\n{length}\r\n\r\n400\r\n"));
        assert_eq!(client.response("POST").status(), 413);
        // The gateway has closed the backend's connection: it is done with the call.
        backend.wait_for_open_connections(0);
        for _ in 0..100 {
            client.send([b'x'; 1000]);
        }
        client.half_close();
        client.assert_closed();
    }
}

#[test]
fn an_answer_cut_short_by_its_own_request_does_not_look_whole() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart")?;
        peer.wait_for_close()
    });
    let gateway = Config::open(backend.address).access_log().start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut answer = client.reader.head().expect("a head").expect("the connection lives");
    client.send("no chunk\r\n");
    let outcome = client.reader.body(&mut answer, true);
    assert!(outcome.is_err(), "{answer:?}");
    assert_eq!(gateway.access_log(1)[0]["ended"], "request-broke");
}

#[test]
fn interim_answers_without_end_cost_no_memory() {
    const HEADS: usize = 32 * 1024;
    let backend = Backend::scripted(|peer| {
        let interim = format!("HTTP/1.1 100 Continue\r\nX-Filler: {}\r\n\r\n", "x".repeat(4000)).into_bytes();
        let many = interim.repeat(16);
        while let Some(request) = peer.request()? {
            if request.target() != "/plain" {
                for _ in 0..HEADS / 16 {
                    peer.send(&many)?;
                }
            }
            peer.send(OK)?;
        }
        Ok(())
    });
    let gateway = Config::with_backend(backend.address).published(&Api::open("all", "/*").timeout_ms(60_000)).start();
    assert_eq!(gateway.get("/plain").text(), "good");
    let before = gateway.memory_kib("VmHWM");
    assert_eq!(gateway.get("/").text(), "good");
    let grown = gateway.memory_kib("VmHWM") - before;
    assert!(grown < 16 * 1024, "{grown} KiB for {} KiB of interim heads", HEADS * 4);
}

#[test]
fn trailers_larger_than_a_buffer_pass_whole() {
    let trailers: String = (0..40).map(|i| format!("X-Sum-{i}: {}\r\n", "y".repeat(1000))).collect();
    let sent = trailers.clone();
    let backend = Backend::scripted(move |peer| {
        while peer.request()?.is_some() {
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n")?;
            for line in sent.split_inclusive('\n') {
                peer.send(line)?;
            }
            peer.send("\r\n")?;
        }
        Ok(())
    });
    let gateway = Config::open(backend.address).table("limits", "trailer_bytes = 65536").start();
    let mut client = gateway.client();
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n");
        for line in trailers.split_inclusive('\n') {
            client.send(line);
        }
        client.send("\r\n");
        let answer = client.response("POST");
        answer.assert_passed();
        assert_eq!((answer.text().as_str(), answer.trailers.len()), ("good", 40));
        assert_eq!(backend.next().trailers.len(), 40);
    }
}

/// A second answer that comes when the first has long been relayed, as of a backend that was fooled into seeing two
/// requests in one: it waits in the pool for whoever comes next.
#[test]
fn a_second_answer_that_comes_late_is_nobodys_answer() {
    let (go_on, cue) = Cue::new();
    let (sent, was_sent) = mpsc::channel();
    let sent = Mutex::new(sent);
    let backend = Backend::scripted(move |peer| {
        while peer.request()?.is_some() {
            peer.send(OK)?;
            if peer.index == 0 {
                cue.wait();
                let outcome = peer.send(OK.replace("good", "evil"));
                let _ = sent.lock().expect("no script panicked").send(());
                outcome?;
            }
        }
        Ok(())
    });
    let gateway = Config::open(backend.address).instance(ONE_WORKER).start();
    let mut client = gateway.client();
    assert_eq!(client.call(&Request::get("/")).text(), "good");
    // A moment, but less than any time-out: what is sent at once by a busy gateway is the next test's.
    client.stream.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket option");
    assert!(client.stream.read(&mut [0]).is_err(), "nothing comes unasked");
    client.stream.set_read_timeout(Some(DEADLINE)).expect("a socket option");
    go_on.send(()).expect("the backend waits");
    was_sent.recv_timeout(DEADLINE).expect("the backend goes on");
    assert_eq!(client.call(&Request::get("/")).text(), "good");
}

/// The same where a connection is used again at once: nobody gets what is not its own, and least of all one after the other,
/// each the answer of the one before.
#[test]
fn answers_do_not_stay_out_of_step() {
    let (sent, was_sent) = mpsc::channel();
    let sent = Mutex::new(sent);
    let backend = Backend::scripted(move |peer| {
        while let Some(request) = peer.request()? {
            let target = request.target();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len());
            let outcome = peer.send(&answer);
            if target == "/twice" {
                let _ = peer.send(&answer);
            }
            let _ = sent.lock().expect("no script panicked").send(());
            outcome?;
        }
        Ok(())
    });
    for driver in ["io_uring", "epoll"] {
        let gateway = Config::open(backend.address).instance(&format!("{ONE_WORKER}\ndriver = {driver:?}")).start();
        let mut client = gateway.client();
        for round in 0..20 {
            client.call(&Request::get("/twice"));
            was_sent.recv_timeout(DEADLINE).expect("the backend answers");
            let strangers = (0..20).filter(|n| {
                let target = format!("/{round}/{n}");
                let answer = client.call(&Request::get(&target));
                was_sent.recv_timeout(DEADLINE).expect("the backend answers");
                answer.text() != target
            });
            assert_eq!(strangers.count(), 0, "of 20 clients that got the answer of another ({driver})");
        }
    }
}

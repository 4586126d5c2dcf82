//! Bodies in both directions: lengths, chunks, trailers, none at all; pipelining, half-close, and clients that go away.

use std::io::{self, Write};
use std::thread;

use lockgate_test_support::{Api, App, Backend, Config, Message, Request, Signer, chunked, hex_md5, md5_base64};

const MIB: usize = 1024 * 1024;

/// A body whose parts differ, so that none can be lost, doubled or moved unseen.
fn large(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Answers with the digest of what it received.
fn digesting() -> Backend {
    Backend::answering(|request: &Message| ok(&hex_md5(&request.body)))
}

#[test]
fn a_request_body_with_a_length_passes() {
    let backend = digesting();
    let gateway = Config::open(backend.address).start();
    let body = large(10 * MIB);
    let answer = gateway.call(&Request::new("POST", "/").body(&body));
    answer.assert_passed();
    assert_eq!(answer.text(), hex_md5(&body));
    assert_eq!(backend.next().field("Content-Length"), Some(body.len().to_string().as_str()));
}

#[test]
fn a_chunked_request_body_passes() {
    let backend = digesting();
    let gateway = Config::open(backend.address).start();
    let body = large(10 * MIB);
    for (content, size) in [(body.as_slice(), 70_001), (&body[..5_000], 1), (&[], 1)] {
        let request = Request::new("POST", "/").field("Transfer-Encoding", "chunked").body(chunked(content, size));
        let answer = gateway.call(&request);
        answer.assert_passed();
        assert_eq!(answer.text(), hex_md5(content));
    }
}

#[test]
fn chunk_extensions_are_dropped_and_sizes_are_spelt_plainly() {
    let backend = digesting();
    let gateway = Config::open(backend.address).start();
    let request = Request::new("POST", "/")
        .field("Transfer-Encoding", "Chunked")
        .body("005;name=\"a;b\"\r\nhello\r\n6;x\r\n world\r\n000\r\nX-Trailer: 1\r\n\r\n");
    let answer = gateway.call(&request);
    answer.assert_passed();
    assert_eq!(answer.text(), hex_md5(b"hello world"));
    let raw = String::from_utf8(backend.next().raw_body).expect("text");
    assert!(!raw.contains(';') && !raw.contains("005"), "{raw:?}");
}

#[test]
fn a_body_in_small_pieces_arrives_whole() {
    let backend = digesting();
    let gateway = Config::open(backend.address).start();
    let request = Request::new("POST", "/").field("Transfer-Encoding", "chunked").body(chunked(b"one two three", 4)).bytes();
    let mut client = gateway.client();
    for byte in &request {
        client.send([*byte]);
    }
    let answer = client.response("POST");
    answer.assert_passed();
    assert_eq!(answer.text(), hex_md5(b"one two three"));
}

#[test]
fn answers_pass_with_length_with_chunks_and_until_close() {
    let body = large(10 * MIB);
    let digest = hex_md5(&body);
    for framing in ["length", "chunks", "close"] {
        let sent = body.clone();
        let backend = Backend::scripted(move |peer| {
            while peer.request()?.is_some() {
                let (head, content) = match framing {
                    "length" => (format!("Content-Length: {}\r\n", sent.len()), sent.clone()),
                    "chunks" => ("Transfer-Encoding: chunked\r\n".into(), chunked(&sent, 100_003)),
                    _ => ("Connection: close\r\n".into(), sent.clone()),
                };
                peer.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n"))?;
                peer.send(&content)?;
                if framing == "close" {
                    return peer.close();
                }
            }
            Ok(())
        });
        let gateway = Config::open(backend.address).start();
        let mut client = gateway.client();
        for _ in 0..2 {
            let answer = client.call(&Request::get("/"));
            answer.assert_passed();
            assert_eq!(hex_md5(&answer.body), digest, "{framing}");
            if framing == "close" && answer.field("Transfer-Encoding").is_none() {
                client = gateway.client();
            }
        }
    }
}

#[test]
fn trailers_of_an_answer_pass() {
    let backend = Backend::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;x=1\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n".to_vec()
    });
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    for _ in 0..3 {
        let answer = client.call(&Request::get("/"));
        answer.assert_passed();
        assert_eq!(answer.text(), "hello");
        assert_eq!(answer.trailers, [("X-Sum".to_owned(), "7".to_owned())]);
    }
    assert_eq!(backend.connections(), 1, "the backend's connection is reused after a chunked answer");
}

#[test]
fn trailers_of_a_request_pass_but_for_those_that_come_too_late() {
    let backend = digesting();
    let gateway = Config::open(backend.address).start();
    let trailers = "X-Sum: 7\r\nHost: evil.test\r\nContent-Length: 1\r\nX-Ca-Proxy-Signature: forged\r\n";
    let request = Request::new("POST", "/").field("Transfer-Encoding", "chunked").body(format!("2\r\nab\r\n0\r\n{trailers}\r\n"));
    gateway.call(&request).assert_passed();
    let received = backend.next();
    assert_eq!(received.trailers, [("X-Sum".to_owned(), "7".to_owned())]);
}

#[test]
fn answers_without_a_body_have_none() {
    let backend = Backend::answering(|request| match request.target() {
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n".to_vec(),
        "/empty" => ok(""),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec(),
    });
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    assert_eq!(client.call(&Request::get("/204")).status(), 204);
    assert_eq!(client.call(&Request::get("/304")).field("ETag"), Some("\"x\""));
    let head = client.call(&Request::new("HEAD", "/head"));
    assert_eq!((head.status(), head.field("Content-Length")), (200, Some("1000")));
    assert_eq!(client.call(&Request::get("/empty")).text(), "");
    assert_eq!(backend.count(), 4);
}

#[test]
fn a_client_of_http_1_0_gets_an_answer_it_can_read() {
    let backend = Backend::answering(|_| {
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), chunked(b"hello", 2)].concat()
    });
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.0\r\nHost: api.test\r\n\r\n");
    let answer = client.response("GET");
    answer.assert_passed();
    assert!(!answer.has("Transfer-Encoding"), "{answer:?}");
    assert_eq!(answer.text(), "hello");
    client.assert_closed();
    let received = backend.next();
    assert!(received.start_line.ends_with("HTTP/1.1"), "{}", received.start_line);
}

#[test]
fn http_1_0_may_keep_its_connection() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nHost: api.test\r\nConnection: keep-alive\r\n\r\n");
        let answer = client.response("GET");
        answer.assert_passed();
        assert!(answer.field("Connection").is_some_and(|c| c.eq_ignore_ascii_case("keep-alive")), "{answer:?}");
    }
}

#[test]
fn the_client_may_ask_for_the_end_of_the_connection() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    let answer = client.call(&Request::get("/").field("Connection", "close"));
    answer.assert_passed();
    assert!(answer.field("Connection").is_some_and(|c| c.eq_ignore_ascii_case("close")), "{answer:?}");
    client.assert_closed();
}

#[test]
fn expectations_are_answered_before_the_body_comes() {
    let backend = digesting();
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let interim = client.reader.head().expect("an interim answer").expect("the connection lives");
    assert_eq!(interim.start_line, "HTTP/1.1 100 Continue");
    client.send("hello");
    let answer = client.response("POST");
    answer.assert_passed();
    assert_eq!(answer.text(), hex_md5(b"hello"));
    assert!(!backend.next().has("Expect"));
}

#[test]
fn a_refused_expectation_gets_its_refusal_and_no_continue() {
    let backend = Backend::ok();
    let gateway = Config::with_backend(backend.address).published(&Api::app("a", "/a")).start();
    let mut client = gateway.client();
    client.send("POST /a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    client.response("POST").assert_refused("A400MA");
    assert_eq!(backend.connections(), 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::answering(|request| ok(request.target()));
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    let mut all = Vec::new();
    for i in 0..50 {
        let request = Request::new("POST", &format!("/{i}"));
        let request = if i % 2 == 0 {
            request.body("x".repeat(i * 7 + 1))
        } else {
            request.field("Transfer-Encoding", "chunked").body(chunked(b"abc", 2))
        };
        all.extend_from_slice(&request.bytes());
    }
    client.send(&all);
    for i in 0..50 {
        let answer = client.response("POST");
        answer.assert_passed();
        assert_eq!(answer.text(), format!("/{i}"));
    }
}

#[test]
fn a_half_closed_client_still_gets_its_answers() {
    let backend = Backend::answering(|request| ok(request.target()));
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send([Request::get("/1").bytes(), Request::get("/2").bytes()].concat());
    client.half_close();
    assert_eq!(client.response("GET").text(), "/1");
    assert_eq!(client.response("GET").text(), "/2");
    client.assert_closed();
}

#[test]
fn a_body_cut_short_reaches_no_backend_as_whole() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        let whole = peer.reader.exactly(100).is_ok();
        assert!(!whole, "the gateway made up the rest of a body");
        Ok(())
    });
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100\r\n\r\nonly this");
    backend.next();
    client.half_close();
    backend.wait_for_open_connections(0);
    drop(client);
}

#[test]
fn a_client_that_goes_away_ends_the_backend_call() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.wait_for_close()
    });
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send(Request::get("/slow").bytes());
    backend.next();
    drop(client);
    backend.wait_for_open_connections(0);
}

#[test]
fn a_client_that_goes_away_during_the_answer_ends_the_backend_call() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let chunk = chunked(&[7; 64 * 1024], 64 * 1024);
        let chunk = &chunk[..chunk.len() - b"0\r\n\r\n".len()];
        loop {
            peer.send(chunk)?;
        }
    });
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send(Request::get("/endless").bytes());
    client.reader.exactly(1024 * 1024).expect("the answer streams");
    drop(client);
    backend.wait_for_open_connections(0);
}

#[test]
fn an_answer_that_breaks_off_is_not_ended_as_if_whole() {
    for head in ["Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"] {
        let backend = Backend::closing(format!("HTTP/1.1 200 OK\r\n{head}\r\n3\r\nabc\r\n"));
        let gateway = Config::open(backend.address).start();
        let mut client = gateway.client();
        client.send(Request::get("/").bytes());
        let outcome = client.reader.response("GET");
        assert!(outcome.is_err(), "{head}: {outcome:?}");
    }
}

#[test]
fn an_early_answer_does_not_wait_for_the_body() {
    let backend = Backend::early();
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1000000\r\n\r\nsome");
    let answer = client.response("POST");
    assert_eq!((answer.status(), answer.code()), (413, ""));
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let backend = digesting();
    let gateway = Config::open(backend.address).table("limits", "body_bytes = 1000").start();
    gateway.call(&Request::new("POST", "/").body(large(1000))).assert_passed();
    gateway.call(&Request::new("POST", "/").body(large(1001))).assert_refused("I413RL");
    assert_eq!(backend.count(), 1);
}

/// An API's own limit is kept before and behind that of the instance, with a length and in chunks, also where the body is
/// a form that is read for its signature; a call refused for it uses up no nonce.
#[test]
fn an_api_may_have_a_body_limit_of_its_own() {
    let app = App::alpha();
    let backend = digesting();
    let gateway = Config::with_backend(backend.address)
        .table("limits", "body_bytes = 2000")
        .published(&Api::open("small", "/small").body_bytes(1000))
        .published(&Api::open("large", "/large").body_bytes(100_000))
        .published(&Api::open("same", "/same"))
        .published(&Api::app("signed", "/signed").body_bytes(1000))
        .app(&app.clone().may_call("g/signed", &["RELEASE"]))
        .start();
    let mut passed = 0;
    for (path, limit) in [("/small", 1000), ("/large", 100_000), ("/same", 2000)] {
        for len in [limit, limit + 1] {
            let in_chunks = Request::new("POST", path).field("Transfer-Encoding", "chunked").body(chunked(&large(len), 777));
            for request in [Request::new("POST", path).body(large(len)), in_chunks] {
                let answer = gateway.call(&request);
                match len == limit {
                    true => answer.assert_passed(),
                    false => answer.assert_refused("I413RL"),
                }
                passed += usize::from(len == limit);
            }
        }
    }
    // It is over before it has come.
    let mut client = gateway.client();
    client.send("POST /small HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
    client.response("POST").assert_refused("I413RL");
    client.assert_closed();
    // Nobody learns of a limit who does not find the API.
    gateway.call(&Request::new("POST", "/none").body(large(5000))).assert_refused("I404NF");
    let signer = Signer::new(&app.key, &app.secret);
    let form = |len: usize| {
        let body = format!("a={}", "x".repeat(len - 2));
        let request = Request::post("/signed", "application/x-www-form-urlencoded", body);
        signer.sign(request.field("X-Ca-Nonce", format!("of-{len}")))
    };
    let (whole, longer) = (form(1000), form(1001));
    let in_chunks = |form: &Request| {
        let body = chunked(&form.body, 100);
        Request { body, ..form.clone() }.field("Transfer-Encoding", "chunked")
    };
    for _ in 0..2 {
        gateway.call(&longer).assert_refused("I413RL");
        gateway.call(&in_chunks(&longer)).assert_refused("I413RL");
    }
    gateway.call(&in_chunks(&whole)).assert_passed();
    gateway.call(&whole).assert_refused("S403NU");
    assert_eq!(backend.count(), passed + 1, "nothing that was refused became whole");
    let shown = gateway.ok(&["limits"]);
    for line in ["body_bytes                         2000 bytes", "1000 bytes  of the API g/small in RELEASE"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[test]
fn a_body_that_disagrees_with_its_md5_never_becomes_whole() {
    let app = App::alpha();
    let backend = digesting();
    let gateway = Config::with_backend(backend.address)
        .published(&Api::app("a", "/a"))
        .app(&app.clone().may_call("g/a", &["RELEASE"]))
        .start();
    let signer = Signer::new(&app.key, &app.secret);
    let body = large(MIB);
    let good = Request::post("/a", "application/octet-stream", &body).field("Content-MD5", md5_base64(&body));
    gateway.call(&signer.sign(good.clone())).assert_passed();
    let mut changed = signer.sign(good);
    changed.body[MIB / 2] ^= 1;
    gateway.call(&changed).assert_refused("I400I5");
    let mut pieces = changed.clone();
    pieces.body = chunked(&changed.body, 10_000);
    gateway.call(&pieces.field("Transfer-Encoding", "chunked")).assert_refused("I400I5");
    assert_eq!(backend.count(), 1, "the backend saw one whole request");
}

#[test]
fn a_form_over_its_limit_cannot_be_signed() {
    let app = App::alpha();
    let backend = digesting();
    let gateway = Config::with_backend(backend.address)
        .table("limits", "form_bytes = 2000")
        .published(&Api::app("a", "/a"))
        .app(&app.clone().may_call("g/a", &["RELEASE"]))
        .start();
    let signer = Signer::new(&app.key, &app.secret);
    let form = |len: usize| Request::post("/a", "application/x-www-form-urlencoded", format!("a={}", "x".repeat(len - 2)));
    gateway.call(&signer.sign(form(2000))).assert_passed();
    let answer = gateway.call(&signer.sign(form(2001)));
    assert!(["I413RL", "I400BD"].contains(&answer.code()), "{answer:?}");
    assert_eq!(backend.count(), 1);
}

#[test]
fn both_directions_stream_at_once() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n")?;
        let mut out = peer.stream.try_clone()?;
        // The last byte waits for the whole request: an answer that ends before ends the request, too.
        let sender = thread::spawn(move || -> io::Result<()> { out.write_all(&large(4 * MIB)[..4 * MIB - 1]) });
        let received = peer.reader.exactly(4 * MIB)?;
        assert_eq!(hex_md5(&received), hex_md5(&large(4 * MIB)));
        sender.join().expect("the sender ends well")?;
        peer.stream.write_all(&large(4 * MIB)[4 * MIB - 1..])
    });
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4194304\r\n\r\n");
    let mut out = client.stream.try_clone().expect("a socket can be duplicated");
    let sender = thread::spawn(move || out.write_all(&large(4 * MIB)));
    let answer = client.response("POST");
    answer.assert_passed();
    assert_eq!(hex_md5(&answer.body), hex_md5(&large(4 * MIB)));
    sender.join().expect("the sender ends well").expect("the gateway takes the whole body");
}

//! The HTTP/1.1 corpora over real sockets: what arrives at the backend of each case, what the client is told, and
//! whether a clean call afterwards still gets its own answer.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use lockgate_test_support::{Api, Backend, Case, Client, Config, Gateway, Message, Reader, Request, corpus};

fn mirror(request: &Message) -> String {
    let body = request.target();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Not what a strict reader of HTTP/1.1 accepts; the end of a connection, or a reset, is no such fault.
fn malformed(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
    )
}

/// A clean call gets its own answer.
fn clean_call_works(gateway: &Gateway, place: usize) -> Result<(), String> {
    let target = format!("/clean/{place}");
    let answer = gateway.get(&target);
    if (answer.status(), answer.text().as_str()) == (200, target.as_str()) {
        Ok(())
    } else {
        Err(format!("a clean call afterwards: {answer:?}"))
    }
}

/// Sends a case and ends the sending side. Every answer, as a strict reader takes them.
fn answers_to(gateway: &Gateway, case: &Case) -> Result<Vec<Message>, String> {
    let mut client = gateway.client();
    // The gateway may refuse before it has read all.
    let _ = io::Write::write_all(&mut client.stream, &case.raw);
    let _ = client.stream.shutdown(std::net::Shutdown::Write);
    let mut answers = Vec::new();
    // An answer to HEAD has no body to read.
    let method = if case.raw.trim_ascii_start().starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    loop {
        match client.reader.is_at_end() {
            Ok(true) => return Ok(answers),
            Err(e) if !malformed(&e) => return Ok(answers),
            Err(e) => return Err(format!("the gateway neither answers nor closes: {e}")),
            Ok(false) => {}
        }
        match client.reader.response(method) {
            Ok(answer) if answer.status() < 200 => {}
            Ok(answer) => answers.push(answer),
            Err(e) if !malformed(&e) => return Ok(answers),
            Err(e) => return Err(format!("an answer that cannot be read: {e}")),
        }
    }
}

fn judge_request(
    gateway: &Gateway,
    backend: &Backend,
    faults: &Mutex<Vec<String>>,
    case: &Case,
    place: usize,
) -> Result<(), String> {
    let before = backend.count();
    let answers = answers_to(gateway, case)?;
    let arrived = backend.count() - before;
    let (least, most) = match case.expect() {
        "must-reject" | "should-reject" => (0, 0),
        _ => (case.number("min_forward"), case.number("max_forward")),
    };
    if !(least..=most).contains(&arrived) {
        return Err(format!("{arrived} requests reached the backend, expected {least} to {most}"));
    }
    if let Some(fault) = faults.lock().expect("no script panicked").pop() {
        return Err(format!("the backend was sent what a strict reader refuses: {fault}"));
    }
    let passed = answers.iter().filter(|a| a.code().is_empty()).count();
    if passed != arrived {
        return Err(format!("{arrived} requests reached the backend, {passed} answers came back: {answers:?}"));
    }
    let refusals: Vec<_> = answers.iter().filter(|a| !a.code().is_empty()).collect();
    if refusals.len() > 1 || refusals.iter().any(|a| a.status() < 400 || !a.body.is_empty()) {
        return Err(format!("one refusal at most, and then the end: {refusals:?}"));
    }
    if !answers.iter().all(|a| a.has("X-Ca-Request-Id")) {
        return Err(format!("an answer without its request id: {answers:?}"));
    }
    if case.expect().ends_with("reject") && refusals.is_empty() {
        return Err("the client is not told".into());
    }
    clean_call_works(gateway, place)
}

/// Requests of a corpus, one after the other, through one gateway.
fn requests_of(name: &str) {
    let Some(cases) = corpus(name) else { return };
    let faults = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&faults);
    let backend = Backend::scripted(move |peer| {
        loop {
            match peer.request() {
                Ok(Some(request)) => peer.send(mirror(&request))?,
                Ok(None) => return Ok(()),
                Err(error) => {
                    if malformed(&error) {
                        noted.lock().expect("no other script panicked").push(error.to_string());
                    }
                    return Err(error);
                }
            }
        }
    });
    let gateway = Config::open(backend.address).instance("workers = 1").start();
    let judge = |(place, case): (usize, &Case)| {
        let fault = judge_request(&gateway, &backend, &faults, case, place).err()?;
        Some(format!("{} ({}): {fault}\n    {}", case.id, case.expect(), case.raw.escape_ascii()))
    };
    let failures: Vec<_> = cases.iter().enumerate().filter_map(judge).collect();
    assert!(failures.is_empty(), "{name}: {} of {}\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn requests_of_rfc_9112_over_a_socket() {
    requests_of("rfc9112");
}

#[test]
fn requests_of_other_corpora_over_a_socket() {
    for name in ["gunicorn", "llhttp", "h11", "cowboy"] {
        requests_of(name);
    }
}

/// Where the backend sends a case: `GET /case/N`.
fn case_of(request: &Message) -> Option<usize> {
    request.target().strip_prefix("/case/")?.parse().ok()
}

fn judge_response(gateway: &Gateway, case: &Case, place: usize) -> Result<(), String> {
    let mut client = gateway.client();
    let fresh = clean_call_works(gateway, place);
    client.send(Request::get(&format!("/case/{place}")).bytes());
    let answer = loop {
        match client.reader.response("GET") {
            Ok(interim) if interim.status() < 200 => {}
            Ok(answer) => break Some(answer),
            // Broken off: no reader takes it for whole.
            Err(e) if !malformed(&e) => break None,
            Err(e) => return Err(format!("an answer that cannot be read: {e}")),
        }
    };
    if let Some(answer) = &answer {
        check_answer(case, answer)?;
        // Whatever came, the client's connection is at the start of an answer, or at its end.
        let target = format!("/after/{place}");
        let next =
            io::Write::write_all(&mut client.stream, &Request::get(&target).bytes()).and_then(|()| client.reader.response("GET"));
        match next {
            Ok(next) if (next.status(), next.text().as_str()) == (200, target.as_str()) => {}
            Err(e) if !malformed(&e) => {}
            other => return Err(format!("the next call on this connection: {other:?}")),
        }
    } else if case.expect() != "either" {
        return Err("the answer broke off".into());
    }
    fresh.and(clean_call_works(gateway, place))
}

fn check_answer(case: &Case, answer: &Message) -> Result<(), String> {
    let refused = !answer.code().is_empty();
    match case.expect() {
        "pass-through" | "one" if refused => Err(format!("refused: {answer:?}")),
        "pass-through" => {
            // What follows the backend's head, read by hand; chunks of these cases are read by the strict reader.
            let mut direct = direct(&case.raw).map_err(|e| format!("the case itself: {e}"))?;
            let mut expected = direct.response("GET").map_err(|e| format!("the case itself: {e}"))?;
            while expected.status() < 200 {
                expected = direct.response("GET").map_err(|e| format!("the case itself: {e}"))?;
            }
            if (answer.status(), &answer.body) == (expected.status(), &expected.body) {
                Ok(())
            } else {
                Err(format!("changed: {answer:?}"))
            }
        }
        _ if refused && ![502, 504].contains(&answer.status()) => Err(format!("refused with the wrong code: {answer:?}")),
        _ => Ok(()),
    }
}

/// A strict reader of these bytes, without the gateway.
fn direct(bytes: &[u8]) -> io::Result<Reader> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let client = Client::try_connect(listener.local_addr()?)?;
    let (mut stream, _) = listener.accept()?;
    let bytes = bytes.to_vec();
    thread::spawn(move || io::Write::write_all(&mut stream, &bytes));
    Ok(client.reader)
}

/// Answers of a corpus, sent by a backend. Many wait for a time-out: several cases are under way at once.
fn answers_of(name: &str) {
    let Some(cases) = corpus(name) else { return };
    let cases = Arc::new(cases);
    let used_again = Arc::new(Mutex::new(Vec::new()));
    let (sent, noted) = (Arc::clone(&cases), Arc::clone(&used_again));
    let backend = Backend::scripted(move |peer| {
        let mut last = None;
        while let Some(request) = peer.request()? {
            noted.lock().expect("no other script panicked").extend(last.take());
            let Some(case) = case_of(&request) else {
                peer.send(mirror(&request))?;
                continue;
            };
            peer.send(&sent[case].raw)?;
            last = Some(case);
            if sent[case].json["close"] == true {
                return peer.close();
            }
        }
        Ok(())
    });
    let gateway = Config::with_backend(backend.address)
        .table("limits", "answer_timeout_ms = 200")
        .published(&Api::open("all", "/*").timeout_ms(200))
        .published(&Api::open("after", "/after/*"))
        .published(&Api::open("clean", "/clean/*"))
        .start();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some((place, case)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, cases.get(n)?)))
                {
                    if let Err(fault) = judge_response(&gateway, case, place) {
                        let text = format!("{} ({}): {fault}\n    {}", case.id, case.expect(), case.raw.escape_ascii());
                        failures.lock().expect("no judge panicked").push(text);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no judge panicked");
    for &case in used_again.lock().expect("no script panicked").iter().filter(|&&case| cases[case].expect() == "one") {
        failures.push(format!("{}: its connection was used again", cases[case].id));
    }
    assert!(failures.is_empty(), "{name}: {} of {}\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn answers_of_backends_over_a_socket() {
    answers_of("responses");
}

#[test]
fn answers_of_another_corpus_over_a_socket() {
    answers_of("responses-llhttp");
}

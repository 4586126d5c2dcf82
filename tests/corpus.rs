//! The HTTP/1.1 corpora over real sockets: what arrives at the backend of each case, what the client is told, and
//! whether a clean call afterwards still gets its own answer. What arrives is read by a strict reader and by lenient ones
//! (`fuzz/src/lenient.rs`), which must all find the same messages.
//!
//! That these tests notice a wrong rule is shown by `tests/corpus/wrong_rules.py`: each rule below is broken in `src/http` of a
//! checkout of its own (no build does so), and these tests are run there. The fuzzer was run by hand. With all rules in place
//! there are no faults.
//!
//! | broken rule | cases that fail here | the fuzzer finds it after |
//! |---|---|---|
//! | `Content-Length: +5` is 5 | rfc9112/cl-3, gunicorn/invalid-024 | 139 inputs |
//! | the first of two `Content-Length` counts | rfc9112/cl-two-differ, gunicorn/invalid-021 | 1,363 |
//! | `Content-Length` beats `Transfer-Encoding` | gunicorn/invalid-chunked_02, two of llhttp | 1,977 |
//! | the last transfer coding counts, over lines and lists | rfc9112/te-4, te-16, te-18, two of gunicorn | 2,500 |
//! | a bare LF ends a line | bare-lf-in-trailer, rfc9112/bare-lf-one, llhttp/invalid-missing-cr-between-headers | 14 |
//! | white space before the colon | rfc9112/chunk-30, header-0, two each of h11 and llhttp, one of gunicorn | 1 |
//! | folded lines are sent on as they came | rfc9112/header-12 and 13 more, hand/header-9 of the answers | 1 |
//! | a chunk size may begin with `0x` | chunk-0x | 39 (chunked), 404 (head) |

#[path = "../fuzz/src/lenient.rs"]
mod lenient;

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use lenient::READERS;
use lockgate_test_support::{
    Api, Backend, Case, Client, Config, Gateway, Message, Peer, Reader, Request, corpus, python, repository, split_head, succeeds,
};

/// Of a corpus of requests, or of answers, how many cases are under way at once.
const AT_ONCE: usize = 8;

/// The log of a failed test has its faults, not every call.
const LOG_OFF: &str = "path = \"off\"";

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

/// Every byte that came on one connection of the gateway, and the requests found in them.
#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    requests: usize,
    fault: Option<String>,
}

/// What the backend of a gateway received.
#[derive(Default)]
struct Record {
    connections: Mutex<Vec<Arc<Mutex<Received>>>>,
    requests: AtomicUsize,
}

impl Record {
    /// Answers each whole request with its target; bytes are kept as they came.
    fn serve(&self, peer: &mut Peer) -> io::Result<()> {
        let received = Arc::new(Mutex::new(Received::default()));
        self.connections.lock().expect("no script panicked").push(Arc::clone(&received));
        let mut buffer = [0; 64 * 1024];
        loop {
            let n = peer.stream.read(&mut buffer)?;
            if n == 0 {
                return Ok(());
            }
            let mut answers = Vec::new();
            {
                let mut received = received.lock().expect("no script panicked");
                received.bytes.extend_from_slice(&buffer[..n]);
                let whole = lenient::requests(&received.bytes, READERS[0]).messages;
                for place in received.requests..whole.len() {
                    let start = place.checked_sub(1).map_or(0, |before| whole[before].0);
                    let request = &received.bytes[start..whole[place].0];
                    match strictly(request) {
                        Ok(target) => answers.extend_from_slice(
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()).as_bytes(),
                        ),
                        Err(fault) => received.fault = Some(fault),
                    }
                    self.requests.fetch_add(1, Ordering::SeqCst);
                }
                received.requests = whole.len();
            }
            peer.send(answers)?;
        }
    }

    /// Connections whose bytes do not mean the same to all. To be asked when the gateway is gone.
    fn disputed(&self) -> Vec<String> {
        let connections = self.connections.lock().expect("no script panicked");
        connections.iter().filter_map(|received| disputed(&received.lock().expect("no script panicked"))).collect()
    }
}

fn disputed(received: &Received) -> Option<String> {
    let strict = lenient::requests(&received.bytes, READERS[0]);
    let other = READERS.iter().find_map(|&reader| {
        let seen = lenient::requests(&received.bytes, reader);
        let differs = (0..).find(|&n| seen.messages.get(n) != strict.messages.get(n) || n == strict.messages.len())?;
        (seen != strict).then(|| {
            let start = differs.checked_sub(1).map_or(0, |before| strict.messages[before].0);
            format!("to {reader:?} another message begins within {}", received.bytes[start..].escape_ascii())
        })
    });
    received.fault.clone().or(other)
}

/// The target of a request without anything in it that the RFC does not allow.
fn strictly(request: &[u8]) -> Result<String, String> {
    let shown = || request.escape_ascii().to_string();
    let end = request.windows(4).position(|part| part == b"\r\n\r\n").ok_or_else(shown)? + 4;
    let (line, fields) = split_head(&request[..end]).map_err(|error| format!("{error}: {}", shown()))?;
    let count = |name: &str| fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count();
    let coding = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
    if count("host") != 1
        || count("content-length") + count("transfer-encoding") > 1
        || coding.is_some_and(|(_, value)| value != "chunked")
    {
        return Err(format!("framing or Host: {}", shown()));
    }
    line.split(' ').nth(1).map(str::to_owned).ok_or_else(shown)
}

/// Sends a case and ends the sending side. Every answer, as a strict reader takes them.
fn answers_to(gateway: &Gateway, case: &Case) -> Result<Vec<Message>, String> {
    let mut client = gateway.client();
    // The gateway may refuse before it has read all.
    let _ = client.stream.write_all(&case.raw);
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

/// Cases that are free to be forwarded or refused, and are forwarded, one on a line; all others are refused. A change of
/// the rules shows here even where the corpora leave it open.
const EITHER_FORWARDED: &str = include_str!("corpus/either_forwarded.txt");

/// What the corpora have no case for.
const OWN: &[(&str, &str)] = &[
    ("chunk-0x", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n"),
    ("chunk-plus", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n"),
    (
        "te-beside-cl",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    ("bare-lf-in-trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n"),
];

fn judge_request(gateway: &Gateway, record: &Record, case: &Case, place: usize) -> Result<(), String> {
    let before = record.requests.load(Ordering::SeqCst);
    let answers = answers_to(gateway, case)?;
    let arrived = record.requests.load(Ordering::SeqCst) - before;
    let (least, most) = match case.expect() {
        "must-reject" | "should-reject" => (0, 0),
        _ => (case.number("min_forward"), case.number("max_forward")),
    };
    if !(least..=most).contains(&arrived) {
        return Err(format!("{arrived} requests reached the backend, expected {least} to {most}"));
    }
    if case.expect() == "either" && (arrived > 0) != EITHER_FORWARDED.lines().any(|id| id == case.id) {
        return Err(format!("free to be forwarded or refused, and was otherwise so far: {arrived} forwarded"));
    }
    let passed = answers.iter().filter(|a| a.code().is_empty()).count();
    if passed != arrived {
        return Err(format!("{arrived} requests reached the backend, {passed} answers came back: {answers:?}"));
    }
    let refusals: Vec<_> = answers.iter().filter(|a| !a.code().is_empty()).collect();
    if refusals.len() > 1 || refusals.iter().any(|a| a.status() < 400 || !a.body.is_empty()) {
        return Err(format!("one refusal at most, and then the end: {refusals:?}"));
    }
    if case.expect().ends_with("reject") && refusals.is_empty() {
        return Err("the client is not told".into());
    }
    clean_call_works(gateway, place)
}

/// Judges all cases, several at once; each failure with its case.
fn each(cases: &[Case], at_once: usize, judge: impl Fn(&Case, usize) -> Result<(), String> + Sync) -> Vec<String> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some((place, case)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, cases.get(n)?)))
                {
                    if let Err(fault) = judge(case, place) {
                        let text = format!("{} ({}): {fault}\n    {}", case.id, case.expect(), case.raw.escape_ascii());
                        failures.lock().expect("no judge panicked").push(text);
                    }
                }
            });
        }
    });
    failures.into_inner().expect("no judge panicked")
}

/// Requests of a corpus, one after the other, through one gateway: so that it is plain which of them arrived.
fn requests_of(name: &str) {
    if let Some(cases) = corpus(name) {
        judge_requests(name, &cases);
    }
}

fn judge_requests(name: &str, cases: &[Case]) {
    let record = Arc::new(Record::default());
    let serving = Arc::clone(&record);
    let backend = Backend::scripted(move |peer| serving.serve(peer));
    let gateway = Config::open(backend.address).instance("workers = 1").table("access_log", LOG_OFF).start();
    let mut failures = each(cases, 1, |case, place| judge_request(&gateway, &record, case, place));
    drop(gateway);
    backend.wait_for_open_connections(0);
    failures.extend(record.disputed());
    assert!(failures.is_empty(), "{name}: {} faults in {} cases\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// The rules of the table are where it says, so that it can be gone through again (`tests/corpus/wrong_rules.py`).
#[test]
fn each_rule_of_the_table_can_be_broken() {
    succeeds(python().arg(repository().join("tests/corpus/wrong_rules.py")).arg("--check"));
}

#[test]
fn requests_of_rfc_9112_over_a_socket() {
    requests_of("rfc9112");
}

#[test]
fn requests_that_the_corpora_lack() {
    let json = serde_json::json!({ "expect": "must-reject" });
    let case = |(id, raw): &(&str, &str)| Case { id: (*id).into(), raw: (*raw).into(), json: json.clone() };
    judge_requests("own", &OWN.iter().map(case).collect::<Vec<_>>());
}

#[test]
fn requests_of_other_corpora_over_a_socket() {
    thread::scope(|scope| {
        for name in ["gunicorn", "llhttp", "h11", "cowboy"] {
            scope.spawn(move || requests_of(name));
        }
    });
}

/// Where the backend sends a case: `GET /case/N`.
fn case_of(request: &Message) -> Option<usize> {
    request.target().strip_prefix("/case/")?.parse().ok()
}

/// Places of cases whose answers did not pass as they were: their connections must not be used again.
type Broken = Mutex<HashSet<usize>>;

fn judge_response(gateway: &Gateway, broken: &Broken, case: &Case, place: usize) -> Result<(), String> {
    let mut client = gateway.client();
    let fresh = clean_call_works(gateway, place);
    client.send(Request::get(&format!("/case/{place}")).bytes());
    let mut sent = Vec::new();
    let answer = loop {
        match client.reader.response("GET") {
            Ok(interim) if interim.status() < 200 => sent.extend(interim.head),
            Ok(answer) => break Some(answer),
            // Broken off: no reader takes it for whole.
            Err(e) if !malformed(&e) => break None,
            Err(e) => return Err(format!("an answer that cannot be read: {e}")),
        }
    };
    let passed = answer.as_ref().is_some_and(|answer| answer.code().is_empty());
    if !passed || case.expect() == "one" {
        broken.lock().expect("no judge panicked").insert(place);
    }
    if let Some(answer) = &answer {
        check_answer(case, answer)?;
        read_alike(&mut sent, answer)?;
        // Whatever came, the client's connection is at the start of an answer, or at its end.
        let target = format!("/after/{place}");
        let next = client.stream.write_all(&Request::get(&target).bytes()).and_then(|()| client.reader.response("GET"));
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

/// One answer, whole, to every reader.
fn read_alike(sent: &mut Vec<u8>, answer: &Message) -> Result<(), String> {
    sent.extend_from_slice(&answer.head);
    sent.extend_from_slice(&answer.raw_body);
    let framed = answer.has("Content-Length") || answer.has("Transfer-Encoding");
    for &reader in READERS {
        let seen = lenient::response(sent, false, !framed, reader);
        if seen.rest || seen.messages.first().map(|(_, content)| content) != Some(&answer.body) {
            return Err(format!("{reader:?} sees {seen:?} in {}", sent.escape_ascii()));
        }
    }
    Ok(())
}

fn check_answer(case: &Case, answer: &Message) -> Result<(), String> {
    let refused = !answer.code().is_empty();
    match case.expect() {
        "pass-through" | "one" if refused => Err(format!("refused: {answer:?}")),
        "pass-through" => {
            // What follows the backend's head, read by hand; chunks of these cases are read by the strict reader.
            let mut direct = direct(&case.raw).map_err(|e| format!("the case itself: {e}"))?;
            let expected = loop {
                let expected = direct.response("GET").map_err(|e| format!("the case itself: {e}"))?;
                if expected.status() >= 200 {
                    break expected;
                }
            };
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
    thread::spawn(move || stream.write_all(&bytes));
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
                let target = request.target();
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()))?;
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
        .table("access_log", LOG_OFF)
        .published(&Api::open("all", "/*").timeout_ms(200))
        .published(&Api::open("after", "/after/*"))
        .published(&Api::open("clean", "/clean/*"))
        .start();
    let broken = Broken::default();
    let mut failures = each(&cases, AT_ONCE, |case, place| judge_response(&gateway, &broken, case, place));
    let broken = broken.into_inner().expect("no judge panicked");
    let used_again = used_again.lock().expect("no script panicked");
    failures.extend(
        used_again
            .iter()
            .filter(|place| broken.contains(place))
            .map(|&place| format!("{}: its connection was used again", cases[place].id)),
    );
    assert!(failures.is_empty(), "{name}: {} faults in {} cases\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn answers_of_backends_over_a_socket() {
    answers_of("responses");
}

#[test]
fn answers_of_another_corpus_over_a_socket() {
    answers_of("responses-llhttp");
}

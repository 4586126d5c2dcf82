//! RFC 9112 and RFC 9110, section by section, as a gateway must keep them: what is refused, with its code, and ends the
//! connection; what passes, and how; and what of a backend's answer reaches a client. The corpora (`tests/corpus.rs`) have
//! many more cases of each kind; here is one for each rule.

use std::io::Write;

use lockgate_test_support::{Api, Backend, Client, Config, Gateway, Request};

/// Section, what is wrong, the code, and the bytes; `~` stands for the end of a line.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("9112-2.2", "a bare LF after the request line", "I400RU", "GET / HTTP/1.1\nHost: a~~"),
    ("9112-2.2", "a bare CR in the request line", "I400RU", "GET /\r HTTP/1.1~Host: a~~"),
    ("9112-2.2", "a bare CR in a value", "I400HD", "GET / HTTP/1.1~Host: a~X: b\rc~~"),
    ("9112-2.2", "white space before the first field", "I400HD", "GET / HTTP/1.1~ Host: a~~"),
    ("9112-2.3", "a version of one digit", "I400RU", "GET / HTTP/1~Host: a~~"),
    ("9112-2.3", "a version in small letters", "I400RU", "GET / http/1.1~Host: a~~"),
    ("9110-15.6.6", "a version that is not ours", "I400RU", "GET / HTTP/3.0~Host: a~~"),
    ("9112-3", "two spaces", "I400RU", "GET  / HTTP/1.1~Host: a~~"),
    ("9112-3", "a blank in the target", "I400RU", "GET /a b HTTP/1.1~Host: a~~"),
    ("9112-3.1", "a method that is no token", "I400RU", "G{T / HTTP/1.1~Host: a~~"),
    ("9112-3.2", "no Host", "I400HD", "GET / HTTP/1.1~X: a~~"),
    ("9112-3.2", "two Hosts", "I400HD", "GET / HTTP/1.1~Host: a~Host: a~~"),
    ("9112-3.2", "a Host that is none", "I400HD", "GET / HTTP/1.1~Host: a b~~"),
    ("9112-3.2", "an empty Host", "I400HD", "GET / HTTP/1.1~Host:~~"),
    ("9112-3.2", "a bad Host beside an absolute target", "I400HD", "GET http://a/ HTTP/1.1~Host: a,b~~"),
    ("9110-4.2.4", "userinfo", "I400HD", "GET http://u@a/ HTTP/1.1~Host: a~~"),
    ("9112-3.2.2", "another scheme", "I400RU", "GET ftp://a/ HTTP/1.1~Host: a~~"),
    ("9112-3.2.3", "an authority for a target", "I400RU", "GET a:80 HTTP/1.1~Host: a~~"),
    ("9112-3.2.4", "an asterisk that is not for OPTIONS", "I400RU", "GET * HTTP/1.1~Host: a~~"),
    ("9112-3.2", "a fragment", "I400RU", "GET /#a HTTP/1.1~Host: a~~"),
    ("3986-2.1", "half an escape", "I400RU", "GET /%4 HTTP/1.1~Host: a~~"),
    ("3986-5.2.4", "a dot segment in escapes", "I400RU", "GET /a/%2e%2E/b HTTP/1.1~Host: a~~"),
    ("9110-9.3.6", "a tunnel", "I405UM", "CONNECT a:80 HTTP/1.1~Host: a~~"),
    ("9110-9.3.8", "an echo, with a body to hide a request in", "I405UM", "TRACE / HTTP/1.1~Host: a~Content-Length: 0~~"),
    ("9112-5.1", "white space before the colon", "I400HD", "GET / HTTP/1.1~Host: a~X : b~~"),
    ("9112-5.1", "a name that is no token", "I400HD", "GET / HTTP/1.1~Host: a~X(: b~~"),
    ("9112-5.2", "a folded line", "I400HD", "GET / HTTP/1.1~Host: a~X: b~ c~~"),
    ("9110-5.5", "NUL in a value", "I400HD", "GET / HTTP/1.1~Host: a~X: b\0c~~"),
    ("9112-6.1", "two framings", "I400HD", "POST / HTTP/1.1~Host: a~Content-Length: 4~Transfer-Encoding: chunked~~0~~~"),
    ("9112-6.1", "chunks in HTTP/1.0", "I400HD", "POST / HTTP/1.0~Host: a~Transfer-Encoding: chunked~~0~~~"),
    ("9112-6.1", "a coding that is not known", "I400HD", "POST / HTTP/1.1~Host: a~Transfer-Encoding: gzip, chunked~~0~~~"),
    (
        "9112-6.3",
        "a coding that does not end with chunked",
        "I400HD",
        "POST / HTTP/1.1~Host: a~Transfer-Encoding: chunked, gzip~~0~~~",
    ),
    (
        "9112-6.3",
        "chunked twice",
        "I400HD",
        "POST / HTTP/1.1~Host: a~Transfer-Encoding: chunked~Transfer-Encoding: chunked~~0~~~",
    ),
    ("9112-6.3", "two lengths", "I400HD", "POST / HTTP/1.1~Host: a~Content-Length: 1~Content-Length: 2~~ab"),
    ("9110-8.6", "a list of lengths", "I400HD", "POST / HTTP/1.1~Host: a~Content-Length: 1, 1~~a"),
    ("9110-8.6", "a signed length", "I400HD", "POST / HTTP/1.1~Host: a~Content-Length: +1~~a"),
    ("9110-8.6", "a length beyond counting", "I400HD", "POST / HTTP/1.1~Host: a~Content-Length: 18446744073709551617~~a"),
    ("9112-7.1", "a chunk size with a sign", "I400BD", "POST / HTTP/1.1~Host: a~Transfer-Encoding: chunked~~+1~a~0~~~"),
    (
        "9112-7.1",
        "a chunk size beyond counting",
        "I400BD",
        "POST / HTTP/1.1~Host: a~Transfer-Encoding: chunked~~10000000000000001~a~0~~~",
    ),
    ("9112-7.1", "data longer than its chunk", "I400BD", "POST / HTTP/1.1~Host: a~Transfer-Encoding: chunked~~1~ab~0~~~"),
    ("9112-7.1", "a bare LF in a chunk line", "I400BD", "POST / HTTP/1.1~Host: a~Transfer-Encoding: chunked~~1\na~0~~~"),
    ("9112-7.1.1", "an extension that is none", "I400BD", "POST / HTTP/1.1~Host: a~Transfer-Encoding: chunked~~1;=~a~0~~~"),
    (
        "9112-7.1.2",
        "a trailer that is no field",
        "I400BD",
        "POST / HTTP/1.1~Host: a~Transfer-Encoding: chunked~~1~a~0~no field~~~",
    ),
    (
        "9110-7.6.1",
        "Connection names the framing",
        "I400HD",
        "POST / HTTP/1.1~Host: a~Connection: Content-Length~Content-Length: 1~~a",
    ),
    ("9110-7.6.1", "Connection names who calls", "I400HD", "GET / HTTP/1.1~Host: a~Connection: close, X-Ca-Key~X-Ca-Key: 1~~"),
    ("9110-7.6.1", "Connection is no list of tokens", "I400HD", "GET / HTTP/1.1~Host: a~Connection: a b~~"),
    ("9110-10.1.1", "an expectation that is not known", "I400HD", "GET / HTTP/1.1~Host: a~Expect: 200-ok~~"),
];

fn lines(text: &str) -> Vec<u8> {
    text.replace('~', "\r\n").into_bytes()
}

#[test]
fn what_is_refused_has_its_code_and_ends_the_connection() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    let mut faults = Vec::new();
    for (section, what, code, bytes) in REFUSED {
        let mut client = gateway.client();
        // A second request behind it must not be seen by anyone.
        client.send([lines(bytes), Request::get("/smuggled").bytes()].concat());
        let outcome = match client.reader.response("GET") {
            Ok(answer) if answer.code() != *code => Err(format!("{answer:?}")),
            // HTTP/1.0 closes unless it is said otherwise.
            Ok(answer) if answer.field("Connection") != Some("close") && !bytes.contains("HTTP/1.0") => {
                Err("it does not say that it closes".into())
            }
            Ok(_) => client.reader.rest().map_or(Ok(()), |rest| match rest.is_empty() {
                true => Ok(()),
                false => Err(format!("more came: {}", rest.escape_ascii())),
            }),
            Err(error) => Err(error.to_string()),
        };
        faults.extend(outcome.err().map(|fault| format!("{section}, {what}: {fault}")));
    }
    // Bodies that were found wrong on their way have never become whole.
    let seen: Vec<_> = backend.requests().iter().map(|request| request.start_line.clone()).collect();
    assert!(seen.is_empty(), "{seen:?}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Section, the request, and what its head at the backend has and has not.
const PASSED: &[(&str, &str, &[&str], &[&str])] = &[
    ("9112-2.2 an empty line before", "~GET /a HTTP/1.1~Host: x~~", &["GET /a HTTP/1.1"], &[]),
    ("9112-3.2.2 the target's authority", "GET http://y:80/a?b HTTP/1.1~Host: x~~", &["GET /a?b HTTP/1.1"], &["http://"]),
    ("9110-4.2.3 an empty path", "GET http://y HTTP/1.1~Host: x~~", &["GET / HTTP/1.1"], &[]),
    ("9112-5 white space around a value", "GET / HTTP/1.1~Host: x~X-A:\t b c \t~~", &["X-A: b c\r\n"], &[]),
    ("9110-5.5 obs-text", "GET / HTTP/1.1~Host: x~X-A: \u{e9}~~", &["X-A: "], &[]),
    ("9110-5.3 lines of one name", "GET / HTTP/1.1~Host: x~X-A: 1~x-a: 2~~", &["X-A: 1\r\nx-a: 2\r\n"], &[]),
    (
        "9110-7.6.1 fields of one connection",
        "GET / HTTP/1.1~Host: x~Connection: X-Drop, keep-alive~X-Drop: 1~Keep-Alive: 5~Proxy-Connection: a~TE: trailers~~",
        &[],
        &["X-Drop", "Keep-Alive", "Proxy-Connection", "TE:", "Connection"],
    ),
    ("9110-11.7.2 a proxy's credentials", "GET / HTTP/1.1~Host: x~Proxy-Authorization: Basic x~~", &[], &["Proxy-Auth"]),
    (
        "9112-6.1 a lone chunked in any case",
        "POST / HTTP/1.1~Host: x~Transfer-Encoding: CHUNKED~~0~~",
        &["Transfer-Encoding: chunked\r\n"],
        &["CHUNKED", "Content-Length"],
    ),
    ("9110-8.6 zeros before a length", "POST / HTTP/1.1~Host: x~Content-Length: 0001~~a", &["Content-Length: 1\r\n"], &["0001"]),
    ("9110-8.6 no content, said so", "POST / HTTP/1.1~Host: x~~", &["Content-Length: 0\r\n"], &[]),
    (
        "9110-10.1.1 an expectation of HTTP/1.0",
        "POST / HTTP/1.0~Host: x~Expect: 100-continue~Content-Length: 1~~a",
        &["POST / HTTP/1.1"],
        &["Expect"],
    ),
    ("3875-4.1.18 `_` for `-`", "GET / HTTP/1.1~Host: x~Content_Length: 5~X_Forwarded_For: 1.2.3.4~~", &[], &["_"]),
];

#[test]
fn what_passes_is_said_anew() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    for (section, bytes, has, lacks) in PASSED {
        let mut client = gateway.client();
        client.send(lines(bytes));
        client.response("GET").assert_passed();
        let head = String::from_utf8_lossy(&backend.next().head).into_owned();
        for text in *has {
            assert!(head.contains(text), "{section}: no {text:?} in {head}");
        }
        for text in *lacks {
            assert!(!head.contains(text), "{section}: {text:?} in {head}");
        }
        assert_eq!(head.matches("\r\nHost: ").count(), 1, "{section}");
    }
}

/// What a client is sent of a backend's answer.
enum Seen {
    Refused,
    /// Status, body, and what the head lacks.
    Passed(u16, &'static str, &'static [&'static str]),
    /// The answer breaks off.
    Broken,
}
use Seen::{Broken, Passed, Refused};

/// Section, and an answer; the backend closes its connection after those that begin with `!`.
const ANSWERS: &[(&str, &str, Seen)] = &[
    ("9112-4 a status of two digits", "HTTP/1.1 20 OK~Content-Length: 0~~", Refused),
    ("9112-4 no phrase", "HTTP/1.1 200~Content-Length: 1~~a", Passed(200, "a", &[])),
    ("9112-2.2 a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0~~", Refused),
    ("9112-5.1 white space before the colon", "HTTP/1.1 200 OK~Content-Length : 0~~", Refused),
    ("9112-5.2 a folded line", "HTTP/1.1 200 OK~Content-Length: 0~X: a~ Set-Cookie: b~~", Refused),
    ("9112-11.1 a line within a value", "HTTP/1.1 200 OK~Content-Length: 0~X: a\rSet-Cookie: b~~", Refused),
    ("9112-6.3 two framings", "HTTP/1.1 200 OK~Content-Length: 1~Transfer-Encoding: chunked~~0~~", Refused),
    ("9112-6.3 two lengths", "HTTP/1.1 200 OK~Content-Length: 1~Content-Length: 2~~ab", Refused),
    ("9112-6.3 chunked is not the last", "HTTP/1.1 200 OK~Transfer-Encoding: chunked, gzip~~0~~", Refused),
    ("9112-6.1 chunks of HTTP/1.0", "HTTP/1.0 200 OK~Transfer-Encoding: chunked~~0~~", Refused),
    ("9112-6.3 204 ends with its head", "HTTP/1.1 204 No Content~~", Passed(204, "", &["Content-Length", "Transfer-Encoding"])),
    ("9112-6.3 304 ends with its head", "HTTP/1.1 304 Not Modified~Content-Length: 5~~", Passed(304, "", &["Transfer-Encoding"])),
    ("9110-15.3.6 205 has no content", "HTTP/1.1 205 Reset Content~Content-Length: 1~~a", Refused),
    ("9112-6.3 a body until the end", "!HTTP/1.1 200 OK~~all of it", Passed(200, "all of it", &[])),
    ("9112-8 a length that is not reached", "!HTTP/1.1 200 OK~Content-Length: 9~~part", Broken),
    ("9112-8 chunks without their end", "!HTTP/1.1 200 OK~Transfer-Encoding: chunked~~4~part~", Broken),
    ("9112-7.1 a chunk that is none", "HTTP/1.1 200 OK~Transfer-Encoding: chunked~~4~part~x~", Refused),
    (
        "9112-6.3 more than the answer",
        "HTTP/1.1 200 OK~Content-Length: 1~~aHTTP/1.1 200 OK~Content-Length: 4~~evil",
        Passed(200, "a", &[]),
    ),
    (
        "9110-15.2 interim answers before",
        "HTTP/1.1 100 Continue~~HTTP/1.1 103 Early Hints~Link: a~~HTTP/1.1 200 OK~Content-Length: 1~~a",
        Passed(200, "a", &["Link"]),
    ),
    ("9110-15.2.2 101 unasked", "HTTP/1.1 101 Switching Protocols~Upgrade: a~Connection: upgrade~~", Refused),
    (
        "9110-7.6.1 fields of one connection",
        "HTTP/1.1 200 OK~Content-Length: 1~Connection: X-Drop~X-Drop: 1~Keep-Alive: 9~~a",
        Passed(200, "a", &["X-Drop", "Keep-Alive"]),
    ),
    ("9110-7.6.1 Connection names the framing", "HTTP/1.1 200 OK~Content-Length: 1~Connection: Content-Length~~a", Refused),
    (
        "the gateway's own words",
        "HTTP/1.1 200 OK~Content-Length: 1~X-Ca-Error-Code: A403IS~X-Ca-Error-Message: no~~a",
        Passed(200, "a", &["A403IS", "X-Ca-Error"]),
    ),
];

#[test]
fn what_a_backend_says_is_judged_as_strictly() {
    for version in ["1.1", "1.0"] {
        let backend = Backend::scripted(|peer| {
            while let Some(request) = peer.request()? {
                let Some((_, answer, _)) = request.target()[1..].parse::<usize>().ok().and_then(|n| ANSWERS.get(n)) else {
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean")?;
                    continue;
                };
                peer.send(lines(answer.trim_start_matches('!')))?;
                if answer.starts_with('!') {
                    return peer.close();
                }
            }
            Ok(())
        });
        let gateway = Config::with_backend(backend.address)
            .instance("workers = 1")
            .table("limits", "answer_timeout_ms = 300\nstand_aside_ms = 0")
            .published(&Api::open("all", "/*").timeout_ms(300))
            .start();
        for (n, (section, _, seen)) in ANSWERS.iter().enumerate() {
            judge(&gateway, n, version, section, seen);
        }
    }
}

fn judge(gateway: &Gateway, n: usize, version: &str, section: &str, seen: &Seen) {
    let mut client = gateway.client();
    client.stream.write_all(format!("GET /{n} HTTP/{version}\r\nHost: a\r\n\r\n").as_bytes()).expect("the gateway takes it");
    let section = format!("{section} (HTTP/{version})");
    let mut interim = 0;
    let answer = loop {
        match client.reader.response("GET") {
            Ok(answer) if answer.status() < 200 => interim += 1,
            answer => break answer,
        }
    };
    // An HTTP/1.0 client knows no interim answers; 100 is for the gateway alone.
    assert_eq!(interim, usize::from(section.contains("interim") && version == "1.1"), "{section}");
    match (seen, answer) {
        (Refused, Ok(answer)) => assert_eq!(answer.code(), "N502RE", "{section}: {answer:?}"),
        (Passed(status, body, lacks), Ok(answer)) => {
            assert_eq!((answer.status(), answer.text().as_str(), answer.code()), (*status, *body, ""), "{section}: {answer:?}");
            let head = String::from_utf8_lossy(&answer.head);
            assert!(lacks.iter().all(|text| !head.contains(text)), "{section}: {head}");
            assert!(answer.has("Date") && (version == "1.1" || !answer.has("Transfer-Encoding")), "{section}: {head}");
        }
        (Broken, Err(_)) => {}
        // Without chunks and length the end of the connection would be the end of the body: it is a reset.
        (_, other) => panic!("{section}: {other:?}"),
    }
    // Whatever it was: the next call has its own answer.
    let clean = Client::connect(gateway.address).call(&Request::get("/clean"));
    assert_eq!(clean.text(), "clean", "after {section}: {clean:?}");
}

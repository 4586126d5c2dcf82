//! Answers and requests without an end pass as they come: what one side has sent is with the other before the next is sent.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};

use lockgate_test_support::{
    Api, Authority, Backend, Config, Gateway, KeyKind, Reader, Request, TlsClient, TlsServer, client_config, secured,
};

const EVENTS: usize = 50;
const DONE: &str = "data: done\n\n";

/// How the backend frames its events.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Chunked,
    UntilClose,
}

impl Framing {
    fn head(self) -> &'static str {
        match self {
            Framing::Chunked => "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            Framing::UntilClose => "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
        }
    }
    fn event(self, text: &str) -> String {
        match self {
            Framing::Chunked => format!("{:x}\r\n{text}\r\n", text.len()),
            Framing::UntilClose => text.to_owned(),
        }
    }
}

fn event(n: usize) -> String {
    format!("id: {n}\ndata: event {n}\n\n")
}

/// Sends each event once the test has read the one before.
fn events(framing: Framing, read: &Mutex<mpsc::Receiver<usize>>, send: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    send(framing.head())?;
    let read = read.lock().expect("no panic");
    for n in 0..EVENTS {
        send(&framing.event(&event(n)))?;
        if read.recv().ok() != Some(n) {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    send(&framing.event(DONE))?;
    if matches!(framing, Framing::Chunked) { send("0\r\n\r\n") } else { Ok(()) }
}

/// Reads the events off chunks, and tells the backend of each.
fn read_events(reader: &mut Reader, tell: &mpsc::Sender<usize>) {
    let head = reader.head().expect("an answer").expect("a head");
    assert_eq!((head.status(), head.field("Transfer-Encoding")), (200, Some("chunked")), "{head:?}");
    for n in 0..EVENTS {
        // A size line, the event, and the end of the chunk: either right behind it, or with the next one.
        let expected = event(n);
        let mut seen = Vec::new();
        while !seen.ends_with(expected.as_bytes()) {
            seen.extend(reader.exactly(1).expect("the event comes before the next one is sent"));
        }
        tell.send(n).expect("the backend waits");
    }
    let rest = read_to_last_chunk(reader);
    assert!(rest.contains(DONE), "{rest:?}");
}

fn read_to_last_chunk(reader: &mut Reader) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(b"0\r\n\r\n") {
        seen.extend(reader.exactly(1).expect("a proper end"));
    }
    String::from_utf8_lossy(&seen).into_owned()
}

fn over_http(backend: SocketAddr, tell: &mpsc::Sender<usize>) {
    let gateway = Config::open(backend).start();
    let mut client = gateway.client();
    client.send(Request::get("/events").bytes());
    read_events(&mut client.reader, tell);
}

#[test]
fn events_pass_as_they_come() {
    for framing in [Framing::Chunked, Framing::UntilClose] {
        let (tell, read) = mpsc::channel();
        let read = Mutex::new(read);
        let backend = Backend::scripted(move |peer| {
            peer.request()?;
            events(framing, &read, &mut |text| peer.send(text))
        });
        over_http(backend.address, &tell);
        let (config, authority) = secured(backend.address, "", "");
        let gateway = config.start();
        let mut client = TlsClient::connect(gateway.https(), "api.test", &client_config(&authority, &[], None));
        client.send(Request::get("/events").bytes());
        read_events(&mut client.reader, &tell);
    }
}

#[test]
fn events_of_an_https_backend_pass_as_they_come() {
    let authority = Authority::new("Private CA");
    let server = TlsServer::new(&authority.issue("backend", &["127.0.0.1"], KeyKind::Ecdsa), &[], None);
    for framing in [Framing::Chunked, Framing::UntilClose] {
        let (tell, read) = mpsc::channel();
        let read = Mutex::new(read);
        let backend = server.backend(move |peer| {
            peer.reader.request()?;
            events(framing, &read, &mut |text| peer.send(text))?;
            peer.end()
        });
        let config = Config::new().group("g", &["*"], "");
        config.write("vpc-access/ca.pem", &authority.pem);
        let tls = "scheme = \"https\"\n[tls]\nauthorities = \"ca.pem\"\n";
        let gateway: Gateway = config.vpc_access("backend", backend.address, tls).published(&Api::open("all", "/*")).start();
        let mut client = gateway.client();
        client.send(Request::get("/events").bytes());
        read_events(&mut client.reader, &tell);
    }
}

#[test]
fn a_request_without_an_end_passes_as_it_comes() {
    let (tell, heard) = mpsc::channel();
    let tell = Arc::new(Mutex::new(tell));
    let backend = Backend::scripted(move |peer| {
        peer.head()?;
        for n in 0..EVENTS {
            let mut seen = Vec::new();
            while !seen.ends_with(event(n).as_bytes()) {
                seen.extend(peer.reader.exactly(1)?);
            }
            let _ = tell.lock().expect("no panic").send(n);
        }
        read_to_last_chunk(&mut peer.reader);
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send("POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for n in 0..EVENTS {
        client.send(Framing::Chunked.event(&event(n)));
        assert_eq!(heard.recv_timeout(lockgate_test_support::DEADLINE), Ok(n), "before the next one is sent");
    }
    client.send("0\r\n\r\n");
    client.response("POST").assert_passed();
}

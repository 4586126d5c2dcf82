//! Connections that switch to another protocol: who may, what passes, and what ends them.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use lockgate_test_support::{
    Api, App, Authority, Backend, Client, Config, Gateway, KeyKind, Peer, Request, TlsServer, eventually, lockgate,
};

const OFFER: [(&str, &str); 4] = [
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
];
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn offer(target: &str) -> Request {
    OFFER.iter().fold(Request::get(target), |request, (name, value)| request.field(name, value))
}

/// Switches, then says back what it hears until the other side ends.
fn echo() -> Backend {
    Backend::scripted(|peer| {
        peer.request()?;
        peer.send(SWITCH)?;
        say_back(peer)
    })
}

fn say_back(peer: &mut Peer) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match peer.stream.read(&mut buffer)? {
            0 => return peer.stream.shutdown(Shutdown::Write),
            n => peer.send(&buffer[..n])?,
        }
    }
}

fn config(backend: &Backend) -> Config {
    Config::with_backend(backend.address).access_log().published(&Api::open("ws", "/ws").upgrades(&["websocket"]))
}

/// A client whose connection has switched.
#[track_caller]
fn switched(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.send(offer("/ws").bytes());
    assert_eq!(client.reader.head().expect("an answer").expect("a head").status(), 101);
    client
}

#[track_caller]
fn ping(client: &mut Client, text: &str) {
    client.send(text);
    assert_eq!(client.reader.exactly(text.len()).expect("it is said back"), text.as_bytes());
}

#[track_caller]
fn assert_ended(gateway: &Gateway, line: usize, ended: &str) -> serde_json::Value {
    let log = gateway.access_log(line + 1);
    assert_eq!(log[line]["ended"], ended, "{log:?}");
    log[line].clone()
}

#[test]
fn a_switch_is_passed_on_and_bytes_pass_both_ways() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        // What comes right behind the head belongs to the other protocol already.
        peer.send([SWITCH, b"greeting"].concat())?;
        say_back(peer)
    });
    let gateway = config(&backend).start();
    let mut client = gateway.client();
    client.send([offer("/ws?a=1").bytes(), b"early".to_vec()].concat());
    let head = client.reader.head().expect("an answer").expect("a head");
    assert_eq!((head.status(), head.field("Upgrade"), head.field("Connection")), (101, Some("websocket"), Some("upgrade")));
    assert_eq!(head.field("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(head.has("X-Ca-Request-Id") && !head.has("Content-Length") && !head.has("Transfer-Encoding"), "{head:?}");
    assert_eq!(client.reader.exactly(13).expect("bytes"), b"greetingearly");
    let seen = backend.next();
    assert_eq!((seen.field("Upgrade"), seen.field("Connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!(seen.field("Sec-WebSocket-Key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    // Neither chunks nor heads mean anything any more.
    ping(&mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let large: String = "0123456789".repeat(100_000);
    let mut writer = client.stream.try_clone().expect("a socket");
    let sent = large.clone();
    let sending = std::thread::spawn(move || writer.write_all(sent.as_bytes()));
    assert!(client.reader.exactly(large.len()).expect("all of it") == large.as_bytes());
    sending.join().expect("no panic").expect("sent");
    // One side ends, the other is told and ends in turn.
    client.half_close();
    assert!(client.reader.is_at_end().expect("a proper end"));
    let line = assert_ended(&gateway, 0, "answered");
    let bytes = large.len() as u64 + 28;
    assert_eq!(line["statusCode"], 101);
    let (received, sent) = (line["requestSize"].as_u64().expect("a number"), line["responseSize"].as_u64().expect("a number"));
    assert!((bytes + 5..bytes + 400).contains(&received) && (bytes + 13..bytes + 400).contains(&sent), "{line}");
    assert_eq!(backend.count(), 1);
}

#[test]
fn only_an_api_that_says_so_switches() {
    let backend = echo();
    let gateway = config(&backend)
        .published(&Api::open("plain", "/plain"))
        .published(&Api::app("signed", "/signed").upgrades(&["websocket"]))
        .app(&App::alpha().may_call("g/signed", &["RELEASE"]))
        .app(&App::bravo())
        .start();
    // The offer stays behind, and a backend that switches all the same has lost its mind.
    gateway.call(&offer("/plain")).assert_refused("N502RE");
    let seen = backend.next();
    assert!(!seen.has("Upgrade") && !seen.has("Connection"), "{seen:?}");
    // Who calls is asked first, as of any call.
    gateway.call(&offer("/signed")).assert_refused("A400MA");
    gateway.call(&offer("/signed").app_code(&App::bravo().code)).assert_refused("I403AA");
    let mut client = gateway.client();
    client.send(offer("/signed").app_code(&App::alpha().code).bytes());
    assert_eq!(client.reader.head().expect("an answer").expect("a head").status(), 101);
    ping(&mut client, "hello");
    // Other protocols, HTTP/1.0, a request with a body, and an offer that is not for this connection: sent as any other.
    for other in [
        Request::get("/ws").field("Connection", "Upgrade").field("Upgrade", "h2c, irc/6.9"),
        Request::get("/ws").field("Upgrade", "websocket"),
        offer("/ws").field("Content-Length", "2").body("ab"),
    ] {
        gateway.call(&other).assert_refused("N502RE");
    }
    let mut old = gateway.client();
    old.send(offer("/ws").bytes().escape_ascii().to_string().replace("\\r\\n", "\r\n").replace("HTTP/1.1", "HTTP/1.0"));
    old.response("GET").assert_refused("N502RE");
    backend.next();
    assert!((0..4).all(|_| !backend.next().has("Upgrade")));
    let said = gateway.ok(&["explain", "http://x.test/ws", "-H", "Connection: upgrade", "-H", "Upgrade: websocket"]);
    assert!(said.contains("Upgrade: websocket"), "{said}");
}

/// The call has drawn from its limit like any other, and is told so.
#[test]
fn a_switch_is_told_of_the_limit_it_has_drawn_from() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.send(SWITCH.strip_suffix(b"\r\n").unwrap())?;
        peer.send("X-RateLimit-Limit: 7\r\n\r\n")?;
        say_back(peer)
    });
    let config = config(&backend);
    let bind = "[[bind]]\napi = \"g/ws\"\nstages = [\"RELEASE\"]\n";
    let limits = "unit = \"day\"\napi = 2\nfields = \"x-ratelimit\"";
    config.write("policies/p.toml", &format!("name = \"p\"\ntype = \"traffic-control\"\n{limits}\n\n{bind}"));
    let gateway = config.start();
    for left in ["1", "0"] {
        let mut client = gateway.client();
        client.send(offer("/ws").bytes());
        let head = client.reader.head().expect("an answer").expect("a head");
        assert_eq!((head.status(), head.field("X-RateLimit-Remaining")), (101, Some(left)));
        assert_eq!(head.all("X-RateLimit-Limit").collect::<Vec<_>>(), ["2"], "not the backend's own");
        ping(&mut client, "on it goes");
    }
    gateway.call(&offer("/ws")).assert_refused("T429PA");
}

#[test]
fn a_backend_switches_only_to_what_it_was_asked_for() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: irc\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket, irc\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let backend = Backend::answering(move |_| answer.into());
        config(&backend).start().call(&offer("/ws")).assert_refused("N502RE");
    }
    // One that declines is heard, and its connection kept.
    let backend = Backend::answering(|_| b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno".to_vec());
    let gateway = config(&backend).instance("workers = 1").start();
    let mut client = gateway.client();
    for _ in 0..3 {
        assert_eq!(client.call(&offer("/ws")).status(), 426);
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn either_side_may_end_first() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.send([SWITCH, b"last words"].concat())?;
        peer.stream.shutdown(Shutdown::Write)?;
        // It still listens.
        let heard = peer.reader.rest()?;
        assert_eq!(heard, b"still here");
        Ok(())
    });
    let gateway = config(&backend).start();
    let mut client = switched(&gateway);
    assert_eq!(client.reader.rest().expect("a proper end"), b"last words");
    client.send("still here").half_close();
    backend.wait_for_open_connections(0);
    assert_ended(&gateway, 0, "answered");
}

#[test]
fn a_side_that_breaks_ends_both() {
    let backend = echo();
    let gateway = config(&backend).start();
    let mut client = switched(&gateway);
    ping(&mut client, "hello");
    socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).expect("a socket");
    drop(client);
    backend.wait_for_open_connections(0);
    assert_ended(&gateway, 0, "client-gone");

    let breaking = Backend::scripted(|peer| {
        peer.request()?;
        peer.send(SWITCH)?;
        peer.reader.exactly(5)?;
        socket2::SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO))
    });
    let gateway = config(&breaking).start();
    let mut client = switched(&gateway);
    client.send("hello");
    client.assert_closed();
    assert_ended(&gateway, 0, "backend-broke");
}

#[test]
fn time_has_its_limits() {
    let backend = echo();
    let gateway = config(&backend).table("limits", "upgrade_idle_timeout_ms = 300").admin().start();
    let mut client = switched(&gateway);
    ping(&mut client, "hello");
    client.assert_closed();
    backend.wait_for_open_connections(0);
    assert_ended(&gateway, 0, "upgrade-idle");
    eventually("it is counted", || (gateway.metric("lockgate_timeouts_total{wait=\"upgraded\"}") == Some(1.0)).then_some(()));

    let gateway = config(&backend).table("limits", "upgrade_lifetime_ms = 700").start();
    let mut client = switched(&gateway);
    let ended = std::iter::repeat_with(|| client.stream.write_all(b"x").and_then(|()| client.reader.exactly(1)));
    assert!(ended.take(10_000_000).any(|echo| echo.is_err()), "it went on");
    assert_ended(&gateway, 0, "upgrade-lifetime");
}

#[test]
fn a_reader_that_stops_holds_the_writer_up() {
    const MANY: usize = 64 * 1024 * 1024;
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::scripted(move |peer| {
        peer.request()?;
        peer.send(SWITCH)?;
        peer.stream.set_nonblocking(true)?;
        let (piece, mut sent, mut stuck) = (vec![7; 64 * 1024], 0, 0);
        while sent < MANY {
            match peer.stream.write(&piece[..piece.len().min(MANY - sent)]) {
                Ok(n) => (sent, stuck) = (sent + n, 0),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    stuck += 1;
                    if stuck == 300 {
                        let _ = tell.lock().expect("no panic").send(sent);
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(e) => return Err(e),
            }
        }
        peer.stream.set_nonblocking(false)
    });
    let gateway = config(&backend).start();
    let mut client = switched(&gateway);
    let taken = told.recv_timeout(lockgate_test_support::DEADLINE).expect("the backend is held up");
    assert!(taken < MANY / 2, "{taken} bytes were taken for a client that reads none");
    assert!(client.reader.exactly(MANY).expect("all of it").iter().all(|byte| *byte == 7));
}

#[test]
fn a_stream_survives_what_does_not_concern_it() {
    let backend = echo();
    let app = App::alpha().may_call("g/ws", &["RELEASE"]);
    let api = Api::app("ws", "/ws").upgrades(&["websocket"]);
    let config = Config::with_backend(backend.address).access_log().published(&api).app(&app);
    let gateway = config.published(&Api::open("other", "/other")).admin().start();
    let start = || {
        let mut client = gateway.client();
        client.send(offer("/ws").app_code(&app.code).bytes());
        assert_eq!(client.reader.head().expect("an answer").expect("a head").status(), 101);
        client
    };
    let (mut first, mut second) = (start(), start());
    eventually("they are counted", || (gateway.metric("lockgate_upgraded_connections_open") == Some(2.0)).then_some(()));
    // APIs and apps come before the ones in use, and move them: it goes on as who it was.
    gateway.write("apps/aaa.toml", &App::new("aaa", "k", "secret-of-aaa", "code-of-aaa").document());
    gateway.write("groups/g/apis/another.toml", &Api::open("another", "/another").document());
    gateway.ok(&["publish", "g/another", "--wait"]);
    ping(&mut first, "still here");
    // Its own API becomes another one.
    drop(second.stream.try_clone());
    gateway.write("apps/alpha.toml", &App::alpha().document());
    gateway.ok(&["reload", "--wait"]);
    first.assert_closed();
    second.assert_closed();
    backend.wait_for_open_connections(0);
    for line in gateway.access_log(2) {
        assert_eq!((&line["ended"], &line["apiName"], &line["appName"]), (&"api-changed".into(), &"ws".into(), &"alpha".into()));
    }
    gateway.write("apps/alpha.toml", &app.document());
    gateway.ok(&["reload", "--wait"]);
    let mut third = start();
    ping(&mut third, "hello");
    gateway.write("groups/g/apis/ws.toml", &Api::app("ws", "/ws").upgrades(&["websocket"]).timeout_ms(999).document());
    gateway.ok(&["publish", "g/ws", "--wait"]);
    third.assert_closed();
    assert_ended(&gateway, 2, "api-changed");
}

#[test]
fn a_drain_waits_for_a_while() {
    let backend = echo();
    let mut gateway = config(&backend).table("limits", "drain_timeout_ms = 3000").start();
    let mut client = switched(&gateway);
    gateway.signal("TERM");
    eventually("the listener closes", || Client::try_connect(gateway.address).is_err().then_some(()));
    ping(&mut client, "still here");
    client.assert_closed();
    assert_eq!(gateway.wait().code(), Some(0));
    assert_ended(&gateway, 0, "drained");
}

#[test]
fn an_idle_stream_costs_little_memory() {
    const STREAMS: usize = 200;
    let backend = echo();
    let gateway = config(&backend).table("limits", "connections_per_address = 4096").start();
    let open = |n: usize| -> Vec<_> {
        (0..n)
            .map(|_| {
                let mut client = switched(&gateway);
                ping(&mut client, "hello");
                client
            })
            .collect()
    };
    let _warm = open(20);
    let before = gateway.memory_kib("RssAnon");
    let held = open(STREAMS);
    let each = gateway.memory_kib("RssAnon").saturating_sub(before) * 1024 / held.len() as u64;
    assert!(each <= 16 * 1024, "{each} bytes for each idle stream");
}

#[test]
fn it_is_the_same_over_https_on_both_sides() {
    let private = Authority::new("Private CA");
    let server = TlsServer::new(&private.issue("backend", &["127.0.0.1"], KeyKind::Ecdsa), &[], None);
    let ended = Arc::new(Mutex::new(Vec::new()));
    let heard = ended.clone();
    let backend = server.backend(move |peer| {
        peer.reader.request()?;
        peer.send([SWITCH, b"greeting"].concat())?;
        let early = peer.reader.exactly(5)?;
        peer.send(early)?;
        heard.lock().expect("no panic").push(peer.reader.rest().map(|rest| rest.len()).map_err(|e| e.kind()));
        peer.send("last words")?;
        peer.end()
    });
    let (config, authority) = lockgate_test_support::secured(backend.address, "", "");
    config.write("vpc-access/private.pem", &private.pem);
    let tls = "scheme = \"https\"\n[tls]\nauthorities = \"private.pem\"\n";
    let gateway = config
        .access_log()
        .vpc_access("backend", backend.address, tls)
        .published(&Api::open("ws", "/ws").upgrades(&["websocket"]))
        .start();
    let client = lockgate_test_support::client_config(&authority, &[], None);
    let mut client = lockgate_test_support::TlsClient::connect(gateway.https(), "api.test", &client);
    client.send([offer("/ws").bytes(), b"early".to_vec()].concat());
    assert_eq!(client.reader.head().expect("an answer").expect("a head").status(), 101);
    assert_eq!(client.reader.exactly(13).expect("bytes"), b"greetingearly");
    client.send(vec![1; 1_000_000]);
    // `close_notify` ends one direction alone.
    client.with(|stream| {
        stream.conn.send_close_notify();
        stream.flush().expect("it is sent");
    });
    assert_eq!(client.reader.rest().expect("a proper end"), b"last words");
    assert_eq!(*ended.lock().expect("no panic"), [Ok(1_000_000)]);
    assert_ended(&gateway, 0, "answered");
}

#[test]
fn what_would_carry_requests_past_the_gateway_is_no_upgrade() {
    let config = Config::with_backend("127.0.0.1:9".parse().expect("an address"));
    for (protocols, message) in [
        (&["web socket"][..], "`web socket` is not the name of a protocol"),
        (&["h2c"], "`h2c` would carry requests past the gateway"),
        (&["TLS/1.3"], "`TLS/1.3` would carry requests past the gateway"),
        (&["websocket", "WebSocket"], "the protocol `WebSocket` is listed twice"),
    ] {
        config.write("groups/g/apis/ws.toml", &Api::open("ws", "/ws").upgrades(protocols).document());
        let output = lockgate(config.path()).arg("check").output().expect("lockgate runs");
        let said = String::from_utf8_lossy(&output.stderr);
        let place = format!("ws.toml:11:{}", if protocols.len() == 1 { 13 } else { 26 });
        assert!(said.contains(message) && said.contains(&place), "expected `{message}` at {place}, got:\n{said}");
    }
}

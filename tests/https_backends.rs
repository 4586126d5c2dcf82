//! HTTPS to backends: whose certificate is believed, what callers are told, resumption, the end of a connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lockgate_test_support::{
    Api, Authority, Backend, Config, Gateway, Identity, KeyKind, Message, Nginx, Request, TlsPeer, TlsServer, eventually,
    lockgate,
};
use rustls::version::{TLS12, TLS13};
use socket2::SockRef;

/// One VPC access over HTTPS, believing `authority`; `tls` are further lines of its table.
fn config(address: SocketAddr, authority: &Authority, lines: &str, tls: &str) -> Config {
    let config = Config::new().group("g", &["*"], "");
    config.write("vpc-access/ca.pem", &authority.pem);
    let tls = format!("{lines}\nscheme = \"https\"\n[tls]\nauthorities = \"ca.pem\"\n{tls}");
    config.vpc_access("backend", address, &tls).published(&Api::open("all", "/*"))
}

fn identity(authority: &Authority) -> Identity {
    authority.issue("backend", &["backend.test", "127.0.0.1"], KeyKind::Ecdsa)
}

#[track_caller]
fn assert_not_secured(answer: &Message, why: &str) {
    answer.assert_refused("D504CS");
    assert_eq!(answer.error_message(), format!("Backend http ssl connect failed `{why}`"));
}

/// The last words of the log's lines: resumed, name, Host.
fn log(nginx: &Nginx, lines: usize) -> Vec<[String; 3]> {
    let read = || {
        let words = |line: &str| line.rsplitn(4, ' ').take(3).map(str::to_owned).collect::<Vec<_>>();
        let log: Vec<_> = nginx.log().lines().map(words).collect();
        (log.len() >= lines).then_some(log)
    };
    let log = eventually("the backend logs its calls", read);
    log.into_iter().map(|words| [&words[2], &words[1], &words[0]].map(Clone::clone)).collect()
}

#[test]
fn a_call_goes_out_under_the_name_of_the_access() {
    let authority = Authority::new("Private CA");
    let nginx = Nginx::secured(&identity(&authority), "");
    let gateway = config(nginx.address, &authority, "host = \"backend.test:8443\"", "").start();
    gateway.get("/").assert_passed();
    assert_eq!(log(&nginx, 1)[0], [".", "backend.test", "backend.test:8443"]);
    let said = gateway.ok(&["explain", "http://x.test/"]);
    assert!(said.contains("over HTTPS as `backend.test`"), "{said}");

    // The name may be another than that of the Host, and without either it is the address, which is not asked for by name.
    let gateway = config(nginx.address, &authority, "host = \"other.test\"", "server_name = \"backend.test\"").start();
    gateway.get("/").assert_passed();
    assert_eq!(log(&nginx, 2)[1], [".", "backend.test", "other.test"]);
    let gateway = config(nginx.address, &authority, "", "").start();
    gateway.get("/").assert_passed();
    assert_eq!(log(&nginx, 3)[2], [".", "-", nginx.address.to_string().as_str()]);
}

#[test]
fn a_certificate_that_is_not_good_gets_no_call_and_the_caller_a_reason() {
    let authority = Authority::new("Private CA");
    let mut nginx = Nginx::secured(&identity(&authority), "");
    let gateway = config(nginx.address, &authority, "host = \"backend.test\"", "").start();
    gateway.get("/").assert_passed();
    nginx.show(&authority.issue("backend", &["other.test"], KeyKind::Ecdsa));
    assert_not_secured(&gateway.get("/"), "certificate is for another name");
    nginx.show(&identity(&Authority::new("Private CA")));
    assert_not_secured(&gateway.get("/"), "certificate is of an unknown authority");
    nginx.show(&authority.issue_until("backend", &["backend.test"], KeyKind::Ecdsa, 2022));
    assert_not_secured(&gateway.get("/"), "certificate has expired");
    nginx.show(&authority.issue("backend", &["backend.test"], KeyKind::Rsa));
    gateway.get("/").assert_passed();
    assert_eq!(log(&nginx, 2).len(), 2, "nothing was sent to an instance that is not trusted");
}

#[test]
fn what_is_no_tls_is_told_from_what_is_not_there() {
    let authority = Authority::new("Private CA");
    let plain = Nginx::start();
    let gateway = config(plain.address, &authority, "", "").start();
    assert_not_secured(&gateway.get("/"), "the backend does not speak TLS");
    let closing = Backend::scripted(|_| Ok(()));
    let gateway = config(closing.address, &authority, "", "").start();
    let answer = gateway.get("/");
    answer.assert_refused("D504CS");
    let silent = Backend::scripted(|peer| peer.wait_for_close());
    let gateway = config(silent.address, &authority, "", "").table("limits", "connect_timeout_ms = 200").start();
    assert_not_secured(&gateway.get("/"), "Timeout in the handshake");
    silent.wait_for_open_connections(0);
    let nobody = lockgate_test_support::reserve();
    let gateway = config(nobody.address, &authority, "", "").start();
    gateway.get("/").assert_refused("D504CO");
    // Versions that are broken are not spoken.
    let old = Nginx::secured(&identity(&authority), "ssl_protocols TLSv1.1; ssl_ciphers DEFAULT@SECLEVEL=0;");
    let gateway = config(old.address, &authority, "", "").start();
    gateway.get("/").assert_refused("D504CS");
}

#[test]
fn a_caller_that_leaves_ends_the_handshake() {
    let authority = Authority::new("Private CA");
    let silent = Backend::scripted(|peer| peer.wait_for_close());
    let gateway = config(silent.address, &authority, "", "").table("limits", "connect_timeout_ms = 600000").start();
    let mut client = gateway.client();
    client.send(Request::get("/").bytes());
    eventually("the handshake begins", || (silent.connections() == 1).then_some(()));
    SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).expect("a socket");
    drop(client);
    silent.wait_for_open_connections(0);
}

#[test]
fn a_client_certificate_is_shown_where_it_is_wanted() {
    let (authority, clients) = (Authority::new("Private CA"), Authority::new("Clients CA"));
    let prepare = |config: &Config| {
        clients.issue("gateway", &[], KeyKind::Ecdsa).write(&config.path().join("vpc-access"), "own");
        authority.issue("stranger", &[], KeyKind::Ecdsa).write(&config.path().join("vpc-access"), "strange");
    };
    for version in [&TLS12, &TLS13] {
        let server = TlsServer::new(&identity(&authority), &[version], Some(&clients));
        let backend = server.answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec());
        let start = |tls: &str| {
            let config = config(backend.address, &authority, "", "");
            prepare(&config);
            let tls = format!("scheme = \"https\"\n[tls]\nauthorities = \"ca.pem\"\n{tls}");
            config.vpc_access("backend", backend.address, &tls).start()
        };
        start("certificate = \"own.pem\"\nkey = \"own.key\"").get("/").assert_passed();
        for refused in ["", "certificate = \"strange.pem\"\nkey = \"strange.key\""] {
            let answer = start(refused).get("/");
            // TLS 1.3 tells it only once the handshake is over for the gateway.
            assert!(["D504CS", "D504CO"].contains(&answer.code()), "{version:?}: {answer:?}");
        }
    }
}

#[test]
fn sessions_are_resumed() {
    let authority = Authority::new("Private CA");
    for versions in ["TLSv1.2", "TLSv1.3"] {
        let lines = format!("ssl_protocols {versions}; ssl_session_cache shared:s:1m; keepalive_timeout 0;");
        let nginx = Nginx::secured(&identity(&authority), &lines);
        let gateway = config(nginx.address, &authority, "", "").start();
        for _ in 0..8 {
            gateway.get("/").assert_passed();
        }
        let resumed: Vec<_> = log(&nginx, 8).into_iter().map(|[resumed, ..]| resumed).collect();
        assert!(resumed[0] == "." && resumed[1..].iter().all(|how| how == "r"), "{versions}: {resumed:?}");
    }
}

#[test]
fn large_bodies_pass_in_both_directions_and_connections_are_kept() {
    let authority = Authority::new("Private CA");
    let server = TlsServer::new(&identity(&authority), &[], None);
    let backend = server.answering(|request| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
        [head.as_bytes(), &request.body].concat()
    });
    let gateway = config(backend.address, &authority, "", "").instance("workers = 1").start();
    let mut client = gateway.client();
    for len in [0, 1, 16_000, 16_384, 16_385, 300_000, 3_000_000] {
        let body: Vec<u8> = (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let answer = client.call(&Request::post("/", "application/octet-stream", &body));
        answer.assert_passed();
        assert!(answer.body == body, "{len} bytes did not come back as they went");
    }
    assert_eq!(backend.connections(), 1);
}

/// What of an answer a caller gets from a backend that ends like this.
fn answer_of(authority: &Authority, end: fn(&mut TlsPeer) -> io::Result<()>, sent: &'static [u8]) -> io::Result<Message> {
    let server = TlsServer::new(&identity(authority), &[], None);
    let backend = server.backend(move |peer| {
        peer.reader.request()?;
        peer.send(sent)?;
        end(peer)
    });
    let gateway = config(backend.address, authority, "", "").start();
    let mut client = gateway.client();
    client.send(Request::get("/").bytes());
    client.reader.response("GET")
}

#[test]
fn the_end_of_a_connection_is_not_the_end_of_an_answer() {
    let authority = Authority::new("Private CA");
    let until_close = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart of it";
    let whole = answer_of(&authority, TlsPeer::end, until_close).expect("a whole answer");
    assert_eq!(whole.text(), "part of it");
    // Cut off, by whoever can close a connection: nothing says that this was all.
    assert!(answer_of(&authority, TlsPeer::cut, until_close).is_err());
    let length = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart of it";
    assert!(answer_of(&authority, TlsPeer::end, length).is_err());
    assert!(answer_of(&authority, TlsPeer::cut, length).is_err());
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n";
    assert!(answer_of(&authority, TlsPeer::cut, chunks).is_err());
}

#[test]
fn another_instance_is_called_when_one_is_not_trusted() {
    let authority = Authority::new("Private CA");
    let (good, bad) = (Nginx::secured(&identity(&authority), ""), Nginx::secured(&identity(&Authority::new("x")), ""));
    let config = Config::new().group("g", &["*"], "");
    config.write("vpc-access/ca.pem", &authority.pem);
    let tls = "scheme = \"https\"\n[tls]\nauthorities = \"ca.pem\"\n";
    let gateway = config.vpc_access_of("backend", &[bad.address, good.address], tls).published(&Api::open("all", "/*")).start();
    for _ in 0..6 {
        gateway.get("/").assert_passed();
    }
    assert_eq!(bad.log(), "");
}

#[test]
fn checks_go_over_https_too() {
    let authority = Authority::new("Private CA");
    let mut nginx = Nginx::secured(&identity(&authority), "");
    let lines = "when_all_down = \"fail-fast\"\nhost = \"backend.test\"";
    let health = "\n[health]\npath = \"/\"\ninterval_ms = 100\nhealthy_threshold = 1\nunhealthy_threshold = 1\n";
    let gateway = config(nginx.address, &authority, lines, health).start();
    eventually("it is checked", || nginx.log().contains("GET / 200").then_some(()));
    gateway.get("/").assert_passed();
    nginx.show(&identity(&Authority::new("x")));
    eventually("the check finds out", || {
        (gateway.get("/").error_message() == "Backend service connect failed `no instance available`").then_some(())
    });
    nginx.show(&identity(&authority));
    eventually("it is back", || (gateway.get("/").status() == 200).then_some(()));
}

#[test]
fn authorities_are_live() {
    let (first, second) = (Authority::new("First CA"), Authority::new("Second CA"));
    let nginx = Nginx::secured(&identity(&second), "");
    let gateway = config(nginx.address, &first, "", "").start();
    assert_not_secured(&gateway.get("/"), "certificate is of an unknown authority");
    gateway.write("vpc-access/ca.pem", &second.pem);
    gateway.ok(&["reload", "--wait"]);
    gateway.get("/").assert_passed();
    // A connection that was made when the other authority was believed is not used any more.
    gateway.write("vpc-access/ca.pem", &first.pem);
    gateway.ok(&["reload", "--wait"]);
    assert_not_secured(&gateway.get("/"), "certificate is of an unknown authority");
}

#[test]
fn whom_the_system_believes_is_believed_without_a_word() {
    let (authority, other) = (Authority::new("System CA"), Authority::new("Other CA"));
    let start = |believed: &Authority, address, lines: &str| -> Gateway {
        let config = Config::new().group("g", &["*"], "");
        let file = config.write("believed.pem", &believed.pem);
        let config = config.environment("SSL_CERT_FILE", file.to_string_lossy());
        // For the commands of this test, which publish.
        config.vpc_access("backend", address, lines).published(&Api::open("all", "/*")).start()
    };
    let nginx = Nginx::secured(&identity(&authority), "");
    start(&authority, nginx.address, "scheme = \"https\"").get("/").assert_passed();
    let refused = start(&other, nginx.address, "scheme = \"https\"").get("/");
    assert_not_secured(&refused, "certificate is of an unknown authority");
    start(&other, nginx.address, "scheme = \"https\"\n[tls]\nverify = false\n").get("/").assert_passed();
}

#[test]
fn errors_stand_at_their_place() {
    let authority = Authority::new("Private CA");
    let config = Config::new().group("g", &["*"], "");
    config.write("vpc-access/ca.pem", &authority.pem);
    config.write("vpc-access/empty.pem", "nothing\n");
    let own = authority.issue("gateway", &[], KeyKind::Ecdsa);
    own.write(&config.path().join("vpc-access"), "own");
    authority.issue_until("old", &[], KeyKind::Ecdsa, 2022).write(&config.path().join("vpc-access"), "old");
    let config = config.vpc_access("backend", "127.0.0.1:9".parse().expect("an address"), "").published(&Api::open("all", "/*"));
    let https = "scheme = \"https\"\n[tls]\n";
    for (lines, message, place) in [
        ("[tls]\nverify = true\n".to_owned(), "`[tls]` is for a VPC access that is spoken to by https", "4:1"),
        (format!("{https}authorities = \"none.pem\"\n"), "this file cannot be read", "6:15"),
        (format!("{https}authorities = \"empty.pem\"\n"), "there is no certificate in it", "6:15"),
        (format!("{https}authorities = \"ca.pem\"\nverify = false\n"), "nothing is verified, and there are", "7:10"),
        (format!("{https}verify = false\nserver_name = \"*.x.test\"\n"), "`*.x.test` is not a name of a certificate", "7:15"),
        (format!("{https}verify = false\ncertificate = \"own.pem\"\n"), "this certificate has no key", "7:15"),
        (format!("{https}verify = false\nkey = \"own.key\"\n"), "this key has no certificate", "7:7"),
        (
            format!("{https}verify = false\ncertificate = \"own.pem\"\nkey = \"old.key\"\n"),
            "this is not the key of the certificate",
            "8:7",
        ),
        (format!("{https}verify = false\n"), "whoever is between the gateway and an instance can pretend", "6:10"),
        (
            format!("{https}verify = false\ncertificate = \"old.pem\"\nkey = \"old.key\"\n"),
            "this certificate has expired on 2022-12-31",
            "7:15",
        ),
    ] {
        let text = format!("name = \"backend\"\nvpc_id = \"v\"\nport = 9\n{lines}[[instance]]\naddress = \"127.0.0.1\"\n");
        config.write("vpc-access/backend.toml", &text);
        let output = lockgate(config.path()).arg("check").output().expect("lockgate runs");
        let said = String::from_utf8_lossy(&output.stderr);
        let places = said.split("error: ").chain(said.split("warning: "));
        let found = places.filter(|part| part.starts_with(message)).any(|part| part.contains(&format!("backend.toml:{place}\n")));
        assert!(found, "expected `{message}` at {place}, got:\n{said}");
    }
}

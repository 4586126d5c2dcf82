//! HTTPS listeners: which certificate a name gets, resumption, client certificates, redirects, limits.

use std::io::Write;
use std::sync::Arc;

use lockgate_test_support::{
    Api, Authority, Backend, CERTIFICATE, Config, DEADLINE, DOMAINS, Deadline, Gateway, KeyKind, Request, TlsClient,
    client_config, curl, eventually, s_client, secured, secured_with, succeeds,
};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};

fn start(backend: &Backend) -> (Gateway, Arc<ClientConfig>) {
    let (config, authority) = secured(backend.address, "", "");
    (config.start(), client_config(&authority, &[], None))
}

fn connect(gateway: &Gateway, client: &Arc<ClientConfig>) -> TlsClient {
    TlsClient::connect(gateway.https(), "api.test", client)
}

#[test]
fn a_name_finds_its_certificate_and_no_other_gets_one() {
    let backend = Backend::ok();
    let (gateway, client) = start(&backend);
    for name in ["api.test", "a.wild.test", "B.Wild.Test"] {
        TlsClient::connect(gateway.https(), name, &client).call(&Request::get("/").host(name)).assert_passed();
    }
    for name in ["other.test", "wild.test", "g.localhost", "127.0.0.1"] {
        let failed = TlsClient::try_connect(gateway.https(), name, &client).err().expect("no certificate for this name");
        assert!(failed.to_string().contains("UnrecognisedName"), "{name}: {failed}");
    }
    // A caller on the wrong port, and one that says nothing of the kind.
    let mut plain = lockgate_test_support::Client::connect(gateway.https());
    plain.send("GET / HTTP/1.1\r\nHost: api.test\r\n\r\n");
    let answer = plain.reader.rest().unwrap_or_default();
    assert!(!answer.starts_with(b"HTTP"), "{}", answer.escape_ascii());
}

#[test]
fn tickets_are_good_on_every_worker() {
    let backend = Backend::ok();
    let (config, authority) = secured(backend.address, "", "");
    let gateway = config.admin().start();
    for version in [&TLS12, &TLS13] {
        let client = client_config(&authority, &[version], None);
        for round in 0..12 {
            let mut connection = connect(&gateway, &client);
            connection.call(&Request::get("/")).assert_passed();
            let kind = connection.with(|stream| stream.conn.handshake_kind());
            let expected = if round == 0 { HandshakeKind::Full } else { HandshakeKind::Resumed };
            assert_eq!(kind, Some(expected), "{version:?}, connection {round}");
        }
    }
    let metric = |name: &str| gateway.metric(&format!("lockgate_tls_{name}_total"));
    let counted = [metric("handshakes"), metric("resumptions"), metric("handshakes_shed")];
    assert_eq!(counted, [Some(24.0), Some(22.0), Some(0.0)]);
}

#[test]
fn protocols_are_told_apart() {
    let backend = Backend::ok();
    let (config, authority) = secured(backend.address, "https_redirect = [\"*.wild.test\"]", "");
    let gateway = config
        .access_log()
        .published(&Api::open("plain", "/plain").protocols(&["http"]))
        .published(&Api::open("sealed", "/sealed").protocols(&["https"]))
        .start();
    let mut client = connect(&gateway, &client_config(&authority, &[], None));
    client.call(&Request::get("/")).assert_passed();
    assert_eq!(backend.next().field("X-Forwarded-Proto"), Some("https"));
    let refused = client.call(&Request::get("/plain"));
    refused.assert_refused("I403PT");
    assert_eq!(refused.error_message(), "Invalid protocol HTTPS unsupported");
    client.call(&Request::get("/sealed")).assert_passed();
    gateway.get("/sealed").assert_refused("I403PT");
    let lines = gateway.access_log(4);
    let of = |protocol: &str| lines.iter().filter(|line| line["requestProtocol"] == protocol).count();
    assert_eq!((of("HTTPS"), of("HTTP")), (3, 1), "{lines:?}");

    // A domain that is sent to HTTPS; the others are not.
    gateway.get("/plain").assert_passed();
    let port = gateway.https().port();
    for (method, status) in [("GET", 301), ("HEAD", 301), ("POST", 308)] {
        let answer = gateway.call(&Request::new(method, "/a%20b?x=1&y").host("a.wild.test:80"));
        assert_eq!(answer.status(), status, "{answer:?}");
        assert_eq!(answer.field("Location"), Some(format!("https://a.wild.test:{port}/a%20b?x=1&y").as_str()));
    }
    // And a real client follows.
    let authority_file = gateway.path().join("ca.pem");
    std::fs::write(&authority_file, &authority.pem).expect("written");
    let mut follow = curl();
    follow.arg("--cacert").arg(&authority_file).args(["--location", "--write-out", " %{num_redirects} %{scheme}"]);
    for address in [gateway.address, gateway.https()] {
        follow.args(["--resolve", &format!("b.wild.test:{}:127.0.0.1", address.port())]);
    }
    let output = succeeds(follow.arg(format!("http://b.wild.test:{}/", gateway.address.port())));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok 1 HTTPS");
}

/// Before it is so, in `explain`, and in the replay of a log.
#[test]
fn a_redirect_is_foretold() {
    let backend = Backend::ok();
    let (config, authority) = secured(backend.address, "", "");
    let gateway = config.access_log().start();
    let mut client = TlsClient::connect(gateway.https(), "a.wild.test", &client_config(&authority, &[], None));
    for host in ["a.wild.test", "b.wild.test", "api.test"] {
        gateway.call(&Request::get("/x").host(host)).assert_passed();
    }
    client.call(&Request::get("/x").host("a.wild.test")).assert_passed();
    gateway.access_log(4);
    let explain = |url: &str| {
        let output = gateway.command().args(["explain", url]).output().expect("the command runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    assert_eq!(explain("http://a.wild.test/x").0, Some(0));
    let replay = || gateway.ok(&["publish", "g", "--dry-run", "--replay", &gateway.path().join("access.log").to_string_lossy()]);
    assert!(
        replay().contains("4 requests judged") && replay().contains("the outcome of no request would change"),
        "{}",
        replay()
    );

    let document = gateway.path().join("groups/g/group.toml");
    let group = std::fs::read_to_string(&document)
        .expect("a document")
        .replace("[[certificate]]", "https_redirect = [\"*.wild.test\"]\n[[certificate]]");
    std::fs::write(&document, &group).expect("written");
    let line = group.lines().position(|line| line.starts_with("https_redirect")).expect("the line") + 1;
    let (code, said) = explain("http://A.wild.test/x");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("protocol      `A.wild.test` sends calls over http to https\n"), "{said}");
    assert!(
        said.contains(&format!("groups/g/group.toml:{line}:19\n")) && said.contains("sent to the same address over HTTPS"),
        "{said}"
    );
    let json = gateway.command().args(["explain", "http://a.wild.test/x", "--format", "json"]).output().expect("it runs").stdout;
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&json).expect("JSON")["outcome"], "redirect");
    assert_eq!([explain("https://a.wild.test/x").0, explain("http://api.test/x").0], [Some(0), Some(0)]);
    // A group is live: what its domains do is no doing of the publication.
    let said = replay();
    let (ours, since) = said.split_once("not by this publication").unwrap_or_else(|| panic!("{said}"));
    assert!(ours.contains("the outcome of no request would change"), "{said}");
    assert!(since.contains("2 of 4 requests would now be sent to HTTPS; it went to g/all"), "{said}");

    // What was foretold happens, is logged, and is as it was when that log is replayed.
    gateway.ok(&["reload", "--wait"]);
    for host in ["a.wild.test", "b.wild.test"] {
        assert_eq!(gateway.call(&Request::get("/x").host(host)).status(), 301);
    }
    gateway.call(&Request::get("/x").host("api.test")).assert_passed();
    gateway.access_log(7);
    let said = replay();
    assert!(said.contains("7 requests judged") && said.contains("2 of 7 requests would now be sent to HTTPS"), "{said}");
    // Without the path, it is a refusal.
    gateway.write("groups/g/apis/all.toml", &Api::open("all", "/elsewhere").document());
    let said = replay();
    assert!(said.contains("4 of 7 requests would now be refused: I404NF; it was sent to HTTPS"), "{said}");
}

#[test]
fn the_command_calls_over_https() {
    let backend = Backend::ok();
    let (config, authority) = secured(backend.address, "", "");
    let ca = config.write("ca.pem", &authority.pem).to_string_lossy().into_owned();
    let gateway = config.published(&Api::open("sealed", "/sealed").protocols(&["https"])).start();
    // The API takes HTTPS alone, or the caller does.
    for line in [&["call", "g/sealed"][..], &["call", "g/all", "--https"]] {
        let said = gateway.ok(&[line, &["--anonymous", "--authorities", &ca]].concat());
        assert!(said.contains("< HTTP/1.1 200 OK") && said.contains("\nok\n"), "{said}");
        assert_eq!(backend.next().field("X-Forwarded-Proto"), Some("https"));
        let failed = gateway.fails(&[line, &["--anonymous"]].concat());
        assert!(failed.contains("UnknownIssuer") || failed.contains("no authorities"), "{failed}");
    }
    gateway.ok(&["call", "g/all", "--anonymous"]);
    assert_eq!(backend.next().field("X-Forwarded-Proto"), Some("http"));
}

#[test]
fn clients_show_certificates_where_a_domain_asks_for_them() {
    let backend = Backend::ok();
    let clients = Authority::new("Clients CA");
    let demand = "[[client_certificate]]\nauthorities = \"clients.pem\"\ndomains = [\"*.wild.test\"]\npass_subject = true\n";
    let prepare = |config: &Config| drop(config.write("groups/g/clients.pem", &clients.pem));
    let (config, authority) = secured_with(backend.address, "", demand, prepare);
    let gateway = config.start();
    let anonymous = client_config(&authority, &[], None);
    let caller = client_config(&authority, &[], Some(&clients.issue("caller-7", &[], KeyKind::Ecdsa)));
    let stranger = client_config(&authority, &[], Some(&authority.issue("stranger", &[], KeyKind::Ecdsa)));

    for round in 0..3 {
        let mut connection = TlsClient::connect(gateway.https(), "a.wild.test", &caller);
        connection.call(&Request::get("/").host("a.wild.test").field("X-Client-S-Dn", "CN=forged")).assert_passed();
        assert_eq!(backend.next().field("X-Client-S-Dn"), Some("CN=caller-7,O=Lockgate tests"), "connection {round}");
        // The certificate stands for its connection.
        connection.call(&Request::get("/").host("b.wild.test")).assert_passed();
        backend.next();
    }
    for nobody in [&anonymous, &stranger] {
        let mut failed = false;
        if let Ok(mut connection) = TlsClient::try_connect(gateway.https(), "a.wild.test", nobody) {
            failed = connection.with(|s| s.write_all(&Request::get("/").host("a.wild.test").bytes())).is_err()
                || connection.reader.head().is_err();
        } else {
            failed |= true;
        }
        assert!(failed, "a client without a good certificate called");
    }
    // Another domain needs none, is passed none, and does not lead to the one that does.
    let mut connection = connect(&gateway, &anonymous);
    connection.call(&Request::get("/").field("X-Client-S-Dn", "CN=forged").field("X_Client_S_Dn", "CN=forged")).assert_passed();
    let seen = backend.next();
    assert!(!seen.has("X-Client-S-Dn") && !seen.has("X_Client_S_Dn"), "{seen:?}");
    connection.call(&Request::get("/").host("a.wild.test")).assert_refused("X403DG");
    // Nor does HTTP.
    gateway.call(&Request::get("/").host("a.wild.test").field("X-Client-S-Dn", "CN=forged")).assert_refused("X403DG");
    gateway.call(&Request::get("/").field("X-Client-S-Dn", "CN=forged")).assert_passed();
    assert!(!backend.next().has("X-Client-S-Dn"));
    assert_eq!(backend.count(), 8);
}

#[test]
fn an_ocsp_response_is_stapled() {
    let backend = Backend::ok();
    // `successful`, and nothing more: what it says is between the client and the authority.
    let prepare =
        |config: &Config| std::fs::write(config.path().join("groups/g/good.ocsp"), [0x30, 3, 0x0a, 1, 0]).expect("written");
    let (config, _) = secured_with(backend.address, "", "ocsp_response = \"good.ocsp\"\n", prepare);
    let gateway = config.start();
    let shown = s_client(
        &gateway,
        &["-status", "-servername", "api.test"],
        b"GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
    );
    assert!(shown.contains("OCSP Response Status: successful"), "{shown}");
}

#[test]
fn a_handshake_has_a_deadline_and_a_bound() {
    let backend = Backend::ok();
    let (config, authority) = secured(backend.address, "", "");
    let limits = "tls_handshake_timeout_ms = 300\ntls_handshakes = 4";
    let gateway = config.instance("workers = 1").table("limits", limits).admin().start();
    let silent: Vec<_> = (0..4).map(|_| lockgate_test_support::Client::connect(gateway.https())).collect();
    let client = client_config(&authority, &[], None);
    // As many as may are under way: one more is turned away, until those have been given up.
    assert!(TlsClient::try_connect(gateway.https(), "api.test", &client).is_err());
    for mut silent in silent {
        silent.assert_closed();
    }
    let deadline = Deadline::after(DEADLINE);
    let mut connection = loop {
        match TlsClient::try_connect(gateway.https(), "api.test", &client) {
            Ok(connection) => break connection,
            Err(_) => assert!(deadline.look_again(), "no handshake after the silent ones ended"),
        }
    };
    // All of it is counted; tickets have come with the first answer.
    connection.call(&Request::get("/")).assert_passed();
    connect(&gateway, &client).call(&Request::get("/")).assert_passed();
    let metric = |name: &str| gateway.metric(name).unwrap_or_default();
    assert!(metric("lockgate_tls_handshakes_shed_total") >= 1.0);
    let failed = "lockgate_tls_handshake_failures_total";
    eventually("the silent ones are counted", || (gateway.metric(failed)? >= 4.0).then_some(()));
    assert_eq!((metric("lockgate_tls_handshakes_total"), metric("lockgate_tls_resumptions_total")), (2.0, 1.0));
    assert!(metric("lockgate_timeouts_total{wait=\"handshake\"}") >= 4.0);
}

#[test]
fn an_idle_connection_costs_little_memory() {
    const CONNECTIONS: usize = 400;
    let backend = Backend::ok();
    let (gateway, client) = start(&backend);
    let idle = |n: usize| -> Vec<_> {
        let connect = |_| {
            let mut connection = connect(&gateway, &client);
            connection.call(&Request::get("/")).assert_passed();
            connection
        };
        (0..n).map(connect).collect()
    };
    let _warm = idle(50);
    let before = gateway.memory_kib("RssAnon");
    let held = idle(CONNECTIONS);
    let each =
        eventually("memory settles", || Some(gateway.memory_kib("RssAnon").saturating_sub(before) * 1024 / held.len() as u64));
    assert!(each <= 12 * 1024, "{each} bytes for each idle connection");
}

/// A worker that does nothing but handshakes still answers the client it has.
#[test]
fn handshakes_do_not_starve_a_connection() {
    let backend = Backend::ok();
    let rsa = CERTIFICATE.replace("ecdsa", "rsa");
    let authority = Authority::new("Test CA");
    let config = Config::new().instance("workers = 1").https().vpc_access("backend", backend.address, "");
    authority.issue("api.test", &DOMAINS, KeyKind::Rsa).write(&config.path().join("groups/g"), "rsa");
    let gateway = config.group("g", &DOMAINS, &rsa).published(&Api::open("all", "/*")).start();
    let mut probe = gateway.client();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flood: Vec<_> = (0..24)
        .map(|_| {
            let (stop, address) = (stop.clone(), gateway.https());
            let authority = client_config(&authority, &[&TLS13], None);
            std::thread::spawn(move || {
                let mut done = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    done += usize::from(TlsClient::try_connect(address, "api.test", &authority).is_ok());
                }
                done
            })
        })
        .collect();
    for _ in 0..300 {
        probe.call(&Request::get("/")).assert_passed();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let handshakes: usize = flood.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    assert!(handshakes > 0);
}

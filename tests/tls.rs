//! TLS on the wire: versions, keys, records in pieces, key updates, the end of a connection, with rustls, OpenSSL and
//! curl as clients.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::Arc;

use lockgate_test_support::{
    Backend, Gateway, Nginx, Request, TlsClient, chunked, client_config, curl, openssl, s_client, secured, succeeds,
};
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

fn start(backend: &Backend) -> (Gateway, Arc<ClientConfig>) {
    let (config, authority) = secured(backend.address, "", "");
    (config.start(), client_config(&authority, &[], None))
}

fn connect(gateway: &Gateway, client: &Arc<ClientConfig>) -> TlsClient {
    TlsClient::connect(gateway.https(), "api.test", client)
}

/// Answers with what it was sent.
fn echo() -> Backend {
    Backend::answering(|request| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
        [head.as_bytes(), &request.body].concat()
    })
}

fn noise(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn every_version_and_key_carries_small_and_large_calls() {
    let backend = echo();
    let rsa = "[[certificate]]\nchain = \"rsa.pem\"\nkey = \"rsa.key\"\n";
    let (config, authority) = secured(backend.address, "", rsa);
    let gateway = config.start();
    for version in [&TLS12, &TLS13] {
        let client = client_config(&authority, &[version], None);
        let mut client = connect(&gateway, &client);
        for len in [0, 1, 100, 16_000, 16_384, 16_385, 40_000, 300_000, 3_000_000] {
            let body = noise(len);
            let answer = client.call(&Request::post("/", "application/octet-stream", &body));
            answer.assert_passed();
            assert!(answer.body == body, "{version:?}: {len} bytes did not come back as they went");
            let request = Request::post("/", "application/octet-stream", "").field("Transfer-Encoding", "chunked");
            client.send([request.bytes(), chunked(&body, 5000)].concat());
            assert!(client.response("POST").body == body, "{version:?}: {len} bytes in chunks");
        }
    }
    // Which suites the two keys can serve, by a client that takes one at a time.
    for (suite, version) in [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "-tls1_2"),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "-tls1_2"),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", "-tls1_2"),
        ("ECDHE-RSA-AES128-GCM-SHA256", "-tls1_2"),
        ("ECDHE-RSA-AES256-GCM-SHA384", "-tls1_2"),
        ("ECDHE-RSA-CHACHA20-POLY1305", "-tls1_2"),
        ("TLS_AES_128_GCM_SHA256", "-tls1_3"),
        ("TLS_AES_256_GCM_SHA384", "-tls1_3"),
        ("TLS_CHACHA20_POLY1305_SHA256", "-tls1_3"),
    ] {
        let option = if version == "-tls1_3" { "-ciphersuites" } else { "-cipher" };
        let answer = s_client(
            &gateway,
            &[version, option, suite, "-servername", "api.test"],
            b"GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
        );
        assert!(answer.contains(suite) && answer.contains("HTTP/1.1 200 OK"), "{suite}: {answer}");
    }
    for refused in
        [&["-tls1_1"][..], &["-tls1"], &["-tls1_2", "-cipher", "AES128-SHA"], &["-tls1_2", "-cipher", "AES128-GCM-SHA256"]]
    {
        let answer = s_client(&gateway, &[refused, &["-servername", "api.test"]].concat(), b"");
        assert!(answer.contains("Cipher is (NONE)"), "{refused:?}: {answer}");
    }
}

#[test]
fn records_may_come_in_any_pieces() {
    let backend = echo();
    let (config, authority) = secured(backend.address, "", "");
    let gateway = config.start();
    for version in [&TLS12, &TLS13] {
        let tls = client_config(&authority, &[version], None);
        for (records, piece) in [(1, 1), (7, 3), (1000, 17), (16_384, 1400), (16_384, 16_500), (16_384, 100_000)] {
            let mut client = connect(&gateway, &tls);
            let body = noise(if piece < 20 { 3000 } else { 200_000 });
            let request = Request::post("/", "application/octet-stream", &body).bytes();
            let sealed = client.with(|stream| {
                let mut sealed = Vec::new();
                for part in request.chunks(records) {
                    stream.conn.writer().write_all(part).expect("sealed");
                    while stream.conn.wants_write() {
                        stream.conn.write_tls(&mut sealed).expect("sealed");
                    }
                }
                sealed
            });
            client.with(|stream| sealed.chunks(piece).try_for_each(|piece| stream.sock.write_all(piece))).expect("sent");
            assert!(client.response("POST").body == body, "{version:?}: records of {records} in pieces of {piece}");
            client.call(&Request::get("/")).assert_passed();
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::answering(|request| {
        let target = request.target();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()).into_bytes()
    });
    let (gateway, client) = start(&backend);
    let mut client = connect(&gateway, &client);
    let requests: Vec<u8> = (0..40).flat_map(|n| Request::get(&format!("/{n}")).bytes()).collect();
    client.send(&requests[..100]);
    client.send(&requests[100..]);
    for n in 0..40 {
        assert_eq!(client.response("GET").text(), format!("/{n}"));
    }
}

#[test]
fn keys_change_when_the_peer_asks() {
    let backend = echo();
    let (config, authority) = secured(backend.address, "", "");
    let gateway = config.start();
    let mut client = connect(&gateway, &client_config(&authority, &[&TLS13], None));
    for round in 0..5 {
        client.with(|stream| stream.conn.refresh_traffic_keys()).expect("TLS 1.3");
        let body = noise(50_000 * round);
        assert!(client.call(&Request::post("/", "application/octet-stream", &body)).body == body);
    }
    // Asked for by OpenSSL: a new key of ours, too. It takes commands from a line of their own.
    let mut command = openssl();
    command.args(["s_client", "-tls1_3", "-servername", "api.test", "-msg", "-connect", &gateway.https().to_string()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("openssl runs");
    let mut input = child.stdin.take().expect("piped");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut until = |text: &str| -> String {
        let mut shown = String::new();
        while !shown.contains(text) {
            assert!(output.read_line(&mut shown).expect("text") > 0, "openssl ended without `{text}`: {shown}");
        }
        shown
    };
    until("NewSessionTicket");
    input.write_all(b"K\n").expect("openssl reads");
    until("KeyUpdate");
    input.write_all(b"GET / HTTP/1.1\nHost: api.test\nConnection: close\n\n").expect("openssl reads");
    let shown = until("<<< TLS 1.3, Alert");
    drop(input);
    assert!(shown.contains("KeyUpdate"), "{shown}");
    child.kill().expect("a child can be killed");
    let _ = child.wait();
}

#[test]
fn a_second_handshake_is_not_to_be_had() {
    let backend = Backend::ok();
    let (gateway, _) = start(&backend);
    let shown = {
        let mut command = openssl();
        command.args(["s_client", "-tls1_2", "-servername", "api.test", "-connect", &gateway.https().to_string()]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("openssl runs");
        child.stdin.take().expect("piped").write_all(b"R\n").expect("openssl reads");
        let output = child.wait_with_output().expect("openssl ends");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(shown.contains("RENEGOTIATING") && shown.contains("unexpected message"), "{shown}");
    let early = s_client(
        &gateway,
        &["-tls1_3", "-servername", "api.test"],
        b"GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
    );
    assert!(early.contains("Max Early Data: 0") && early.contains("Compression: NONE"), "{early}");
}

#[test]
fn what_was_changed_on_its_way_ends_the_connection() {
    let backend = Backend::ok();
    let (config, authority) = secured(backend.address, "", "");
    let gateway = config.start();
    for version in [&TLS12, &TLS13] {
        let mut client = connect(&gateway, &client_config(&authority, &[version], None));
        let mut sealed = Vec::new();
        client.with(|stream| {
            stream.conn.writer().write_all(&Request::get("/").bytes()).expect("sealed");
            stream.conn.write_tls(&mut sealed).expect("sealed");
            let last = sealed.len() - 1;
            sealed[last] ^= 1;
            stream.sock.write_all(&sealed).expect("sent");
        });
        let failed = client.reader.head().expect_err("no answer");
        assert!(failed.to_string().contains("BadRecordMac"), "{version:?}: {failed}");
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn the_end_of_a_connection_is_told() {
    // An answer that ends with its connection, to a client that knows no chunks.
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\n\r\nall of it")?;
        peer.close()
    });
    let (gateway, client) = start(&backend);
    let mut connection = connect(&gateway, &client);
    connection.send("GET / HTTP/1.0\r\nHost: api.test\r\n\r\n");
    // rustls gives an error where the end was not told.
    assert_eq!(connection.response("GET").text(), "all of it");

    // One that breaks off is not ended as if it were whole.
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
        peer.close()
    });
    let (gateway, client) = start(&backend);
    let mut connection = connect(&gateway, &client);
    connection.send("GET / HTTP/1.0\r\nHost: api.test\r\n\r\n");
    let broken = connection.reader.rest().expect_err("the connection breaks");
    assert!(!broken.to_string().is_empty());
}

#[test]
fn a_client_that_ends_its_side_gets_its_answer_and_one_that_leaves_ends_the_call() {
    let backend = Backend::answering(|request| {
        std::thread::sleep(std::time::Duration::from_millis(if request.target() == "/late" { 1500 } else { 0 }));
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
    });
    let (gateway, client) = start(&backend);
    // With the request, and while it waits: long enough to be asked whether it is there.
    for target in ["/", "/late"] {
        let mut connection = connect(&gateway, &client);
        connection.send(Request::get(target).bytes());
        connection
            .with(|stream| {
                stream.conn.send_close_notify();
                stream.flush()
            })
            .expect("sent");
        let mut answer = connection.response("GET");
        while answer.status() == 100 {
            answer = connection.response("GET");
        }
        answer.assert_passed();
    }

    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.wait_for_close()
    });
    let (gateway, client) = start(&backend);
    for polite in [true, false] {
        let mut connection = connect(&gateway, &client);
        connection.send(Request::get("/slow").bytes());
        backend.next();
        if polite {
            connection
                .with(|stream| {
                    stream.conn.send_close_notify();
                    stream.flush()
                })
                .expect("sent");
        }
        drop(connection);
        backend.wait_for_open_connections(0);
    }
}

/// Files of nginx through the gateway, to curl: both ends are others' work.
#[test]
fn curl_gets_what_nginx_has() {
    let nginx = Nginx::start();
    let content = noise(5_000_000);
    std::fs::write(nginx.root().join("files/large"), &content).expect("written");
    let (config, authority) = secured(nginx.address, "", "");
    let gateway = config.start();
    let ca = gateway.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).expect("written");
    for version in ["1.2", "1.3"] {
        let port = gateway.https().port();
        let mut get = curl();
        get.arg("--cacert").arg(&ca).args(["--tls-max", version, "--resolve", &format!("api.test:{port}:127.0.0.1")]);
        let output = succeeds(get.args(["--fail", &format!("https://api.test:{port}/files/large")]));
        assert!(output.stdout == content, "TLS {version}");
    }
}

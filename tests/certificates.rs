//! What `check` says of certificates: each error at its place, and what has expired as a warning.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use lockgate_test_support::{
    Api, Authority, Backend, Config, DOMAINS, Identity, KeyKind, Request, TlsClient, client_config, lockgate,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const PAIR: &str = "[[certificate]]\nchain = \"good.pem\"\nkey = \"good.key\"\n";

fn files(config: &Config) {
    let authority = Authority::new("Test CA");
    let directory = config.path().join("groups/g");
    authority.issue("good", &DOMAINS, KeyKind::Ecdsa).write(&directory, "good");
    authority.issue("rsa", &DOMAINS, KeyKind::Rsa).write(&directory, "rsa");
    authority.issue("other", &["other.test"], KeyKind::Ecdsa).write(&directory, "other");
    authority.issue_until("old", &DOMAINS, KeyKind::Ecdsa, 2022).write(&directory, "old");
    config.write("groups/g/ca.pem", &authority.pem);
    config.write("groups/g/empty.pem", "nothing\n");
    let text = |name: &str| std::fs::read_to_string(directory.join(name)).expect("written");
    config.write("groups/g/disordered.pem", &(text("good.pem") + &text("other.pem")));
    std::fs::write(directory.join("bad.ocsp"), [0x30, 3, 0x0a, 1, 2]).expect("written");
}

/// An HTTPS listener, and a group of two domains with one published API.
fn config(api: &Api) -> Config {
    let backend = "127.0.0.1:9".parse().expect("an address");
    let config = Config::new().https().vpc_access("backend", backend, "");
    files(&config);
    config.group("g", &DOMAINS, PAIR).published(api)
}

/// What `check` says when the group has these lines behind its name and domains.
fn check(config: &Config, lines: &str) -> String {
    config.write("groups/g/group.toml", &format!("name = \"g\"\ndomains = {DOMAINS:?}\n{lines}"));
    let output = lockgate(config.path()).arg("check").output().expect("lockgate runs");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_says(said: &str, message: &str, place: &str) {
    let places = said.split("error: ").chain(said.split("warning: "));
    let found = places.filter(|part| part.starts_with(message)).any(|part| part.contains(&format!("group.toml:{place}\n")));
    assert!(found, "expected `{message}` at {place}, got:\n{said}");
}

/// Lines 1 and 2 are the name and the domains.
#[test]
fn errors_stand_at_their_place() {
    let config = config(&Api::open("all", "/*"));
    let both = |first: &str, second: &str| {
        format!(
            "[[certificate]]\nchain = \"{first}.pem\"\nkey = \"{first}.key\"\n[[certificate]]\nchain = \"{second}.pem\"\nkey = \"{second}.key\"\n"
        )
    };
    for (lines, message, place) in [
        ("", "the domain `api.test` has no certificate", "2:12"),
        ("", "the domain `*.wild.test` has no certificate", "2:24"),
        ("[[certificate]]\nchain = \"none.pem\"\nkey = \"good.key\"\n", "this file cannot be read", "4:9"),
        ("[[certificate]]\nchain = \"empty.pem\"\nkey = \"good.key\"\n", "there is no certificate in it", "4:9"),
        ("[[certificate]]\nchain = \"good.pem\"\nkey = \"empty.pem\"\n", "there is no private key in it", "5:7"),
        ("[[certificate]]\nchain = \"good.pem\"\nkey = \"other.key\"\n", "this is not the key of the certificate", "5:7"),
        (
            "[[certificate]]\nchain = \"disordered.pem\"\nkey = \"good.key\"\n",
            "certificate 2 of it is not the issuer of certificate 1",
            "4:9",
        ),
        (
            "[[certificate]]\nchain = \"other.pem\"\nkey = \"other.key\"\n",
            "the certificate is for no domain of this group",
            "4:9",
        ),
        (
            "[[certificate]]\nchain = \"other.pem\"\nkey = \"other.key\"\ndomains = [\"api.test\"]\n",
            "the certificate is not for the domain `api.test`",
            "6:12",
        ),
        (
            "[[certificate]]\nchain = \"good.pem\"\nkey = \"good.key\"\ndomains = [\"b.test\"]\n",
            "`b.test` is not a domain of this group",
            "6:12",
        ),
        (
            "[[certificate]]\nchain = \"good.pem\"\nkey = \"good.key\"\ndomains = [\"api.test\", \"api.test\"]\n",
            "this domain is listed twice",
            "6:24",
        ),
        (
            "[[certificate]]\nchain = \"good.pem\"\nkey = \"good.key\"\nocsp_response = \"bad.ocsp\"\n",
            "this is not a successful OCSP response in DER",
            "6:17",
        ),
        (&both("good", "good"), "the domain `api.test` has two certificates of one kind", "7:9"),
        ("https_policy = \"TLS1_3\"\n", "`TLS1_3` is not a value of this key", "3:16"),
        ("https_redirect = [\"x.test\"]\n", "`x.test` is not a domain of this group", "3:19"),
        ("[[client_certificate]]\nauthorities = \"empty.pem\"\n", "there is no certificate in it", "4:15"),
        ("[[certificate]]\nchain = \"old.pem\"\nkey = \"old.key\"\n", "this certificate has expired on 2022-12-31", "4:9"),
    ] {
        assert_says(&check(&config, lines), message, place);
    }
}

#[test]
fn what_is_right_is_not_complained_about() {
    let both = format!("{PAIR}[[certificate]]\nchain = \"rsa.pem\"\nkey = \"rsa.key\"\n");
    let asking = format!("{PAIR}[[client_certificate]]\nauthorities = \"ca.pem\"\n");
    let open = config(&Api::open("all", "/*"));
    for lines in [PAIR, &both, &asking, &format!("https_policy = \"HTTPS2_TLS1_2\"\n{PAIR}")] {
        let said = check(&open, lines);
        assert!(!said.contains("error"), "{lines}: {said}");
    }
    // An API that takes HTTP alone asks for no certificate.
    let said = check(&config(&Api::open("all", "/*").protocols(&["http"])), "");
    assert!(!said.contains("error"), "{said}");
}

/// Swaps in the short form; `LOCKGATE_SWAPS` asks for more.
const SWAPS: usize = 15;
const CLIENTS: usize = 3;

/// Certificates are swapped, chain and key as one, while clients shake hands without a pause and others keep their
/// connections: no handshake fails, no call on a kept connection does, and what was swapped in is what is shown.
#[test]
fn certificates_are_swapped_under_load() {
    let swaps = std::env::var("LOCKGATE_SWAPS").map_or(SWAPS, |text| text.parse().expect("LOCKGATE_SWAPS is a number"));
    let authority = Authority::new("Test CA");
    let issue = |n: usize| authority.issue(&format!("number {n}"), &DOMAINS, KeyKind::Ecdsa);
    let backend = Backend::ok();
    let config = Config::new().https().vpc_access("backend", backend.address, "");
    let directory = config.path().join("groups/g");
    let lay = |n: usize, identity: &Identity| {
        let version = format!("version-{n}");
        identity.write(&directory.join(&version), "api");
        symlink(&version, directory.join("next")).expect("a link can be made");
        fs::rename(directory.join("next"), directory.join("now")).expect("it takes the place of the last one");
    };
    lay(0, &issue(0));
    let pair = "[[certificate]]\nchain = \"now/api.pem\"\nkey = \"now/api.key\"\n";
    let gateway = config.group("g", &DOMAINS, pair).published(&Api::open("all", "/*")).start();
    let (address, stop) = (gateway.https(), Arc::new(AtomicBool::new(false)));
    let threads: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, stop) = (client_config(&authority, &[], None), stop.clone());
            thread::spawn(move || {
                let mut kept = TlsClient::connect(address, "api.test", &client);
                let mut handshakes = 1;
                while !stop.load(Ordering::Relaxed) {
                    TlsClient::connect(address, "api.test", &client).call(&Request::get("/")).assert_passed();
                    kept.call(&Request::get("/")).assert_passed();
                    handshakes += 1;
                }
                handshakes
            })
        })
        .collect();
    for n in 1..=swaps {
        let identity = issue(n);
        lay(n, &identity);
        gateway.ok(&["reload", "--wait"]);
        // A client that has no ticket is shown the certificate itself.
        let fresh = TlsClient::connect(address, "api.test", &client_config(&authority, &[], None));
        let shown = fresh.with(|stream| stream.conn.peer_certificates().and_then(|chain| chain.first().cloned()));
        let expected = CertificateDer::from_pem_slice(identity.chain.as_bytes()).expect("PEM");
        assert_eq!(shown, Some(expected), "swap {n}");
    }
    stop.store(true, Ordering::Relaxed);
    let handshakes: usize = threads.into_iter().map(|thread| thread.join().expect("no handshake fails")).sum();
    assert!(handshakes > swaps, "{handshakes} handshakes while {swaps} certificates were swapped");
}

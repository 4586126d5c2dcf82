//! What of TLS each HTTPS policy speaks, and what it refuses: by OpenSSL's client, and by sslyze, which looks for what is
//! known to be weak.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lockgate_test_support::{Backend, Gateway, Request, TlsClient, client_config, python_client, s_client, secured, succeeds};
use rustls::client::Resumption;
use rustls::compress::{CertDecompressor, DecompressionFailed};
use rustls::version::TLS13;
use rustls::{CertificateCompressionAlgorithm, ClientConfig, HandshakeKind};

/// Each policy by its name, and whether it speaks TLS 1.3. Those without are alike, and the last of them stands for them where it
/// is looked at closely.
const POLICIES: [(&str, bool); 4] =
    [("HTTPS1_1_TLS1_0", false), ("HTTPS2_TLS1_0", false), ("HTTPS2_TLS1_2", false), ("HTTPS2_TLS1_3", true)];

/// A gateway with certificates of both kinds.
fn start(backend: &Backend, policy: &str) -> (Gateway, Arc<ClientConfig>) {
    let rsa = "[[certificate]]\nchain = \"rsa.pem\"\nkey = \"rsa.key\"\n";
    let (config, authority) = secured(backend.address, &format!("https_policy = {policy:?}"), rsa);
    (config.start(), client_config(&authority, &[], None))
}

/// What a session must have been made of, or who must have refused it.
enum Outcome {
    /// All of these are said of it.
    Speaks(&'static [&'static str]),
    Refused,
}

use Outcome::{Refused, Speaks};

/// Arguments of `s_client`, and what becomes of it under every policy.
const ALL: &[(&str, Outcome)] =
    &[("-tls1_2", Speaks(&["TLSv1.2"])), ("-tls1_1 -cipher ALL@SECLEVEL=0", Refused), ("-tls1 -cipher ALL@SECLEVEL=0", Refused)];

/// With TLS 1.2.
const TLS12: &[(&str, Outcome)] = &[
    ("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", Speaks(&["ECDHE-ECDSA-AES128-GCM-SHA256", "signature type: ECDSA"])),
    ("-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384", Speaks(&["ECDHE-ECDSA-AES256-GCM-SHA384"])),
    ("-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", Speaks(&["ECDHE-ECDSA-CHACHA20-POLY1305"])),
    ("-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", Speaks(&["ECDHE-RSA-AES128-GCM-SHA256", "signature type: RSA"])),
    ("-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384", Speaks(&["ECDHE-RSA-AES256-GCM-SHA384"])),
    ("-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305", Speaks(&["ECDHE-RSA-CHACHA20-POLY1305"])),
    // Where the curve of a certificate is not named, it is the other one's turn.
    ("-tls1_2 -curves X25519", Speaks(&["Server Temp Key: X25519", "signature type: RSA"])),
    ("-tls1_2 -curves X25519:P-256", Speaks(&["Server Temp Key: X25519", "signature type: ECDSA"])),
    ("-tls1_2 -curves P-256", Speaks(&["Server Temp Key: ECDH, prime256v1"])),
    ("-tls1_2 -curves P-384:P-256", Speaks(&["Server Temp Key: ECDH, secp384r1"])),
    ("-tls1_2 -sigalgs ECDSA+SHA256", Speaks(&["signature type: ECDSA"])),
    ("-tls1_2 -sigalgs RSA-PSS+SHA256 -cipher ECDHE-RSA-AES128-GCM-SHA256", Speaks(&["signature type: RSA-PSS"])),
    // No forward secrecy, no authenticated encryption, nobody on the other side, or broken.
    ("-tls1_2 -cipher AES128-GCM-SHA256", Refused),
    ("-tls1_2 -cipher AES256-SHA256", Refused),
    ("-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA", Refused),
    ("-tls1_2 -cipher ECDHE-RSA-AES256-SHA384", Refused),
    ("-tls1_2 -cipher ECDHE-ECDSA-AES128-CCM8", Refused),
    ("-tls1_2 -cipher DHE-RSA-AES256-GCM-SHA384", Refused),
    ("-tls1_2 -cipher aNULL@SECLEVEL=0", Refused),
    ("-tls1_2 -cipher eNULL@SECLEVEL=0", Refused),
    ("-tls1_2 -curves P-521", Refused),
    ("-tls1_2 -sigalgs ECDSA+SHA1 -cipher ECDHE-ECDSA-AES128-GCM-SHA256@SECLEVEL=0", Refused),
    ("-tls1_2 -sigalgs RSA+SHA1 -cipher ECDHE-RSA-AES128-GCM-SHA256@SECLEVEL=0", Refused),
    ("-tls1_2 -alpn smtp", Refused),
];

/// And with TLS 1.3.
const TLS13_ONLY: &[(&str, Outcome)] = &[
    ("", Speaks(&["TLSv1.3"])),
    ("-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256", Speaks(&["TLS_AES_128_GCM_SHA256"])),
    ("-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384", Speaks(&["TLS_AES_256_GCM_SHA384"])),
    ("-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256", Speaks(&["TLS_CHACHA20_POLY1305_SHA256"])),
    ("-tls1_3 -groups X25519", Speaks(&["Server Temp Key: X25519"])),
    // A group that the client has not guessed is asked for.
    ("-tls1_3 -groups P-521:P-256", Speaks(&["Server Temp Key: ECDH, prime256v1"])),
    ("-tls1_3 -groups P-384", Speaks(&["Server Temp Key: ECDH, secp384r1"])),
    ("-tls1_3 -sigalgs ECDSA+SHA256", Speaks(&["signature type: ECDSA"])),
    ("-tls1_3 -sigalgs RSA-PSS+SHA256", Speaks(&["signature type: RSA-PSS"])),
    ("-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256", Refused),
    ("-tls1_3 -groups P-521", Refused),
    ("-tls1_3 -groups X448", Refused),
    ("-tls1_3 -groups ffdhe2048", Refused),
    ("-tls1_3 -sigalgs RSA+SHA256", Refused),
];

fn assert_outcome(gateway: &Gateway, policy: &str, arguments: &str, outcome: &Outcome) {
    let words: Vec<&str> = ["-servername", "api.test"].into_iter().chain(arguments.split_whitespace()).collect();
    let shown = s_client(gateway, &words, b"GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n");
    match outcome {
        Speaks(parts) => {
            assert!(shown.contains("HTTP/1.1 200 OK"), "{policy}, {arguments}: {shown}");
            parts.iter().for_each(|part| assert!(shown.contains(part), "{policy}, {arguments}: no {part}: {shown}"));
        }
        // It is the gateway that refuses, and not the client that cannot.
        Refused => assert!(shown.contains("alert") && !shown.contains("HTTP/1.1"), "{policy}, {arguments}: {shown}"),
    }
}

#[test]
fn each_policy_speaks_its_versions_ciphers_and_groups_alone() {
    let backend = Backend::ok();
    for (policy, has_13) in POLICIES {
        let (gateway, _) = start(&backend, policy);
        let closely = if policy >= POLICIES[2].0 { TLS12 } else { &[] };
        let newer = if has_13 { TLS13_ONLY } else { &[("-tls1_3", Refused)] };
        for (arguments, outcome) in ALL.iter().chain(closely).chain(newer) {
            assert_outcome(&gateway, policy, arguments, outcome);
        }
    }
}

/// The suites that sslyze must find, by version; of the others none.
const SUITES: [(&str, &[&str]); 2] = [
    (
        "tls_1_2_cipher_suites",
        &[
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ],
    ),
    ("tls_1_3_cipher_suites", &["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]),
];

/// What sslyze must say, by its own names.
const FINDINGS: &[(&str, bool)] = &[
    ("/heartbleed/result/is_vulnerable_to_heartbleed", false),
    ("/openssl_ccs_injection/result/is_vulnerable_to_ccs_injection", false),
    ("/tls_compression/result/supports_compression", false),
    ("/tls_fallback_scsv/result/supports_fallback_scsv", true),
    ("/session_renegotiation/result/is_vulnerable_to_client_renegotiation_dos", false),
    ("/session_renegotiation/result/supports_secure_renegotiation", true),
    ("/tls_extended_master_secret/result/supports_ems_extension", true),
    ("/tls_1_3_early_data/result/supports_early_data", false),
];

#[test]
fn sslyze_finds_nothing_weak() {
    let backend = Backend::ok();
    for (policy, has_13) in POLICIES {
        let (gateway, _) = start(&backend, policy);
        let mut sslyze = python_client("sslyze");
        let checks = "--sslv2 --sslv3 --tlsv1 --tlsv1_1 --tlsv1_2 --tlsv1_3 --heartbleed --openssl_ccs --compression --fallback --reneg \
                      --ems --early_data --robot --elliptic_curves";
        sslyze.args(["-m", "sslyze", "--mozilla_config=disable", "--sni", "api.test", "--quiet"]);
        let file = gateway.path().join("sslyze.json");
        sslyze.arg("--json_out").arg(&file);
        succeeds(sslyze.args(checks.split_whitespace()).arg(gateway.https().to_string()));
        let found: serde_json::Value = serde_json::from_slice(&fs::read(&file).expect("sslyze writes a file")).expect("JSON");
        let result = &found["server_scan_results"][0]["scan_result"];
        let at = |place: &str| {
            let of = place.split('/').nth(1).unwrap_or_default();
            result.pointer(place).unwrap_or_else(|| panic!("{policy}: sslyze says nothing of {place}: {:#}", result[of]))
        };
        for version in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3"] {
            let suites = format!("{version}_cipher_suites");
            let list = at(&format!("/{suites}/result/accepted_cipher_suites"));
            let names = list.as_array().expect("a list").iter();
            let names: BTreeSet<_> = names.filter_map(|suite| suite["cipher_suite"]["name"].as_str()).collect();
            let expected = SUITES.iter().find(|(name, _)| *name == suites && (has_13 || version != "tls_1_3"));
            let expected: BTreeSet<_> = expected.iter().flat_map(|(_, names)| names.iter().copied()).collect();
            assert_eq!(names, expected, "{policy}: {version}");
        }
        for (place, expected) in FINDINGS {
            assert_eq!(at(place).as_bool(), Some(*expected), "{policy}: {place}");
        }
        let robot = at("/robot/result/robot_result").as_str().unwrap_or_default();
        assert!(robot.starts_with("NOT_VULNERABLE"), "{policy}: {robot}");
        let curves = at("/elliptic_curves/result/supported_curves").as_array().expect("a list").iter();
        let curves: BTreeSet<_> = curves.filter_map(|curve| curve["name"].as_str()).collect();
        assert_eq!(curves, BTreeSet::from(["X25519", "secp256r1", "secp384r1"]), "{policy}");
    }
}

/// Would make something of a compressed certificate, if it were sent one.
#[derive(Debug, Default)]
struct Decompressor(AtomicUsize);

impl CertDecompressor for Decompressor {
    fn decompress(&self, _: &[u8], _: &mut [u8]) -> Result<(), DecompressionFailed> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(DecompressionFailed)
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::Zlib
    }
}

/// A client that offers both gets a whole handshake with the certificate as it is, and no room for early data.
#[test]
fn certificates_are_not_compressed_and_nothing_is_sent_early() {
    static DECOMPRESSOR: Decompressor = Decompressor(AtomicUsize::new(0));
    let backend = Backend::ok();
    let (gateway, client) = start(&backend, "HTTPS2_TLS1_3");
    let mut config = ClientConfig::clone(&client);
    config.cert_decompressors = vec![&DECOMPRESSOR];
    config.enable_early_data = true;
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    for round in 0..3 {
        let mut connection = TlsClient::connect(gateway.https(), "api.test", &config);
        connection.with(|stream| {
            assert_eq!(stream.conn.protocol_version(), Some(TLS13.version));
            let expected = if round == 0 { HandshakeKind::Full } else { HandshakeKind::Resumed };
            assert_eq!(stream.conn.handshake_kind(), Some(expected));
            assert!(!stream.conn.is_early_data_accepted());
            assert!(stream.conn.early_data().is_none(), "a ticket allows for early data");
        });
        connection.call(&Request::get("/")).assert_passed();
    }
    assert_eq!(DECOMPRESSOR.0.load(Ordering::Relaxed), 0);
}

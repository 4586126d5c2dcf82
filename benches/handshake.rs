//! What a full handshake of TLS 1.3 costs a server, beside what its ciphers cost alone: X25519, and a signature by ECDSA P-256.
//!
//! Client and server talk in memory; the clock runs only while it is the server's turn.

use std::hint::black_box;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use criterion::{Criterion, criterion_group, criterion_main};
use lockgate::tls::certificate::Certificate;
use lockgate::tls::handshake::{Handshake, Hello, Next};
use lockgate::tls::server::{Site, Versions, provider};
use rcgen::{CertificateParams, KeyPair};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

const NAME: &str = "api.test";

struct Scene {
    certificate: Certificate,
    client: Arc<ClientConfig>,
    key: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
        let signed = params.self_signed(&key).expect("a certificate");
        let certificate = Certificate::read(&signed.pem(), &key.serialize_pem()).expect("a pair");
        let mut roots = RootCertStore::empty();
        roots.add(signed.der().clone()).expect("an authority");
        let builder = ClientConfig::builder_with_provider(provider().clone());
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).expect("a version");
        let mut client = builder.with_root_certificates(roots).with_no_client_auth();
        client.resumption = Resumption::disabled();
        Self { certificate, client: Arc::new(client), key: key.serialize_der() }
    }

    fn client(&self) -> ClientConnection {
        ClientConnection::new(self.client.clone(), ServerName::try_from(NAME).expect("a name")).expect("a client")
    }
}

/// Runs while it is the server's turn.
#[derive(Default)]
struct Turns(Duration);

impl Turns {
    #[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
    fn take<T>(&mut self, turn: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = turn();
        self.0 += begun.elapsed();
        done
    }
}

fn said(client: &mut ClientConnection) -> Vec<u8> {
    let mut said = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut said).expect("memory takes it");
    }
    said
}

fn hear(client: &mut ClientConnection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).expect("memory gives it");
        client.process_new_packets().expect("a good server");
    }
}

/// As the gateway does it.
fn ours(scene: &Scene, site: &Site, turns: &mut Turns) {
    let mut client = scene.client();
    let mut incoming = said(&mut client);
    let mut handshake = turns.take(|| {
        let name = Hello::default().read(&incoming).ok().flatten().expect("a whole hello");
        assert_eq!(name.as_deref(), Some(NAME));
        Handshake::server(site, true).expect("a server")
    });
    let mut outgoing = Vec::new();
    loop {
        let (taken, next) = turns.take(|| handshake.step(&mut incoming, &mut outgoing)).expect("a good client");
        incoming.drain(..taken);
        match next {
            Next::Step => {}
            Next::Send => hear(&mut client, &std::mem::take(&mut outgoing)),
            Next::Receive => incoming.extend(said(&mut client)),
            Next::Done => break,
        }
    }
    black_box(turns.take(|| handshake.finish()).expect("keys"));
}

/// As rustls does it by itself.
fn theirs(scene: &Scene, config: &Arc<ServerConfig>, turns: &mut Turns) {
    let mut client = scene.client();
    let mut server = ServerConnection::new(config.clone()).expect("a server");
    while client.is_handshaking() || server.is_handshaking() {
        let incoming = said(&mut client);
        let outgoing = turns.take(|| {
            let (mut rest, mut outgoing) = (&incoming[..], Vec::new());
            while !rest.is_empty() {
                server.read_tls(&mut rest.by_ref()).expect("memory gives it");
                server.process_new_packets().expect("a good client");
            }
            while server.wants_write() {
                server.write_tls(&mut outgoing).expect("memory takes it");
            }
            outgoing
        });
        hear(&mut client, &outgoing);
    }
}

fn handshakes(criterion: &mut Criterion) {
    let scene = Scene::new();
    let certified = Arc::new(scene.certificate.certified(None));
    let site = Site::new(vec![certified.clone()], Versions::Tls12And13, None).expect("a site");
    let builder = ServerConfig::builder_with_provider(provider().clone());
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).expect("a version");
    let resolver = rustls::sign::SingleCertAndKey::from(certified);
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(resolver));
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().expect("keys of tickets");
    let config = Arc::new(config);
    let mut bench = criterion.benchmark_group("handshake");
    let timed = |times: u64, mut one: Box<dyn FnMut(&mut Turns) + '_>| {
        let mut turns = Turns::default();
        (0..times).for_each(|_| one(&mut turns));
        turns.0
    };
    bench.bench_function("of a server", |b| b.iter_custom(|times| timed(times, Box::new(|turns| ours(&scene, &site, turns)))));
    bench.bench_function("of rustls alone", |b| {
        b.iter_custom(|times| timed(times, Box::new(|turns| theirs(&scene, &config, turns))));
    });
    let random = SystemRandom::new();
    let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &scene.key).expect("a key");
    let other = EphemeralPrivateKey::generate(&X25519, &random).and_then(|key| key.compute_public_key()).expect("a key");
    bench.bench_function("its ciphers alone", |b| {
        b.iter(|| {
            let own = EphemeralPrivateKey::generate(&X25519, &random).expect("a key");
            black_box(own.compute_public_key().expect("its public half"));
            let other = UnparsedPublicKey::new(&X25519, other.as_ref());
            agree_ephemeral(own, other, (), |secret| {
                black_box(secret);
                Ok(())
            })
            .expect("a secret");
            black_box(signer.sign(&random, &[0x20; 130]).expect("a signature"));
        });
    });
    bench.finish();
}

criterion_group!(benches, handshakes);
criterion_main!(benches);

//! Certificates made for a test, and a client that speaks TLS with rustls's own record layer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::api::Api;
use crate::client::{Request, connected};
use crate::config::Config;
use crate::gateway::Gateway;
use crate::message::{Message, Reader};
use crate::tools::openssl;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Ecdsa,
    Rsa,
}

/// An authority that signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, PEM.
    pub pem: String,
}

/// A certificate with its key, PEM.
#[derive(Clone)]
pub struct Identity {
    pub chain: String,
    pub key: String,
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::OrganizationName, "Lockgate tests");
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn key(kind: KeyKind) -> KeyPair {
    let algorithm = if kind == KeyKind::Rsa { &PKCS_RSA_SHA256 } else { &PKCS_ECDSA_P256_SHA256 };
    KeyPair::generate_for(algorithm).expect("a key can be made")
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = named(name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = key(KeyKind::Ecdsa);
        let pem = parameters.self_signed(&key).expect("an authority signs itself").pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    /// For domains, addresses, or, where there is none, for a client of this name.
    pub fn issue(&self, name: &str, domains: &[&str], kind: KeyKind) -> Identity {
        self.issue_until(name, domains, kind, 2040)
    }

    /// Good until the end of this year.
    pub fn issue_until(&self, name: &str, domains: &[&str], kind: KeyKind, year: i32) -> Identity {
        let domains: Vec<String> = domains.iter().map(|&domain| domain.into()).collect();
        let mut parameters = CertificateParams::new(domains).expect("domains");
        parameters.distinguished_name = named(name);
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(year, 12, 31);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = key(kind);
        let certificate = parameters.signed_by(&key, &self.issuer).expect("the authority signs");
        Identity { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Identity {
    /// Writes `NAME.pem` and `NAME.key`.
    pub fn write(&self, directory: &Path, name: &str) {
        std::fs::create_dir_all(directory).expect("the directory can be made");
        for (suffix, text) in [("pem", &self.chain), ("key", &self.key)] {
            std::fs::write(directory.join(format!("{name}.{suffix}")), text).expect("the file can be written");
        }
    }
}

/// What a client that trusts `authority` speaks; every version, where none is named.
pub fn client_config(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    identity: Option<&Identity>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("PEM")).expect("a certificate");
    let versions = if versions.is_empty() { rustls::ALL_VERSIONS } else { versions };
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(versions).expect("versions").with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = vec![CertificateDer::from_pem_slice(identity.chain.as_bytes()).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(chain, key).expect("a key and its certificate")
        }
    };
    Arc::new(config)
}

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// One connection. Reads and writes give up after [`crate::wait::DEADLINE`].
pub struct TlsClient {
    stream: Arc<Mutex<Secured>>,
    pub reader: Reader,
}

/// The receiving side of a stream that is also written to.
pub(crate) struct Half<S>(pub Arc<Mutex<S>>);

impl<S: Read> Read for Half<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().expect("one thread").read(buffer)
    }
}

impl TlsClient {
    /// Connects and shakes hands, asking for `name`.
    pub fn try_connect(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> io::Result<Self> {
        Self::on(connected(address)?, name, config)
    }

    /// Shakes hands on a connection that exists.
    pub fn on(socket: TcpStream, name: &str, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        let stream = Arc::new(Mutex::new(stream));
        Ok(Self { reader: Reader::new(Half(stream.clone())), stream })
    }

    #[track_caller]
    pub fn connect(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> Self {
        Self::try_connect(address, name, config).unwrap_or_else(|e| panic!("handshake with {address}: {e}"))
    }

    /// Looks at the connection, or does something unusual with it.
    pub fn with<T>(&self, look: impl FnOnce(&mut Secured) -> T) -> T {
        look(&mut self.stream.lock().expect("one thread"))
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let sent = self.with(|stream| stream.write_all(bytes.as_ref()).and_then(|()| stream.flush()));
        sent.expect("the gateway takes the bytes");
        self
    }

    #[track_caller]
    pub fn response(&mut self, method: &str) -> Message {
        self.reader.response(method).unwrap_or_else(|e| panic!("no answer to {method}: {e}"))
    }

    #[track_caller]
    pub fn call(&mut self, request: &Request) -> Message {
        self.send(request.bytes());
        self.response(&request.method)
    }

    /// As [`TlsClient::call`], where the connection may be gone.
    pub fn try_call(&mut self, request: &Request) -> io::Result<Message> {
        self.with(|stream| stream.write_all(&request.bytes()).and_then(|()| stream.flush()))?;
        self.reader.response(&request.method)
    }
}

/// The domains of [`secured`].
pub const DOMAINS: [&str; 2] = ["api.test", "*.wild.test"];
/// The certificate that [`secured`] binds; there is one of RSA, too, as `rsa.pem`.
pub const CERTIFICATE: &str = "[[certificate]]\nchain = \"ecdsa.pem\"\nkey = \"ecdsa.key\"\n";

/// A gateway with an HTTPS listener whose group `g` passes everything to `backend`, and the authority that has signed for
/// its domains. `extra` are lines of the group, `tables` its tables behind the certificate.
pub fn secured(backend: SocketAddr, extra: &str, tables: &str) -> (Config, Authority) {
    secured_with(backend, extra, tables, |_| {})
}

/// As [`secured`]; `prepare` writes files that the group names.
pub fn secured_with(backend: SocketAddr, extra: &str, tables: &str, prepare: impl FnOnce(&Config)) -> (Config, Authority) {
    let authority = Authority::new("Test CA");
    let config = Config::new().https().vpc_access("backend", backend, "");
    let directory = config.path().join("groups/g");
    authority.issue("api.test", &DOMAINS, KeyKind::Ecdsa).write(&directory, "ecdsa");
    if tables.contains("rsa.pem") {
        authority.issue("api.test", &DOMAINS, KeyKind::Rsa).write(&directory, "rsa");
    }
    prepare(&config);
    let config = config.group("g", &DOMAINS, &format!("{extra}\n{CERTIFICATE}{tables}")).published(&Api::open("all", "/*"));
    (config, authority)
}

/// What `openssl s_client` prints, given these bytes to send; it stays until the server ends the connection.
pub fn s_client(gateway: &Gateway, arguments: &[&str], send: &[u8]) -> String {
    let mut command = openssl();
    command.args(["s_client", "-ign_eof", "-connect", &gateway.https().to_string()]).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("openssl runs");
    let mut input = child.stdin.take().expect("piped");
    let _ = input.write_all(send).and_then(|()| input.flush());
    if send.is_empty() {
        drop(input);
    }
    let output = child.wait_with_output().expect("openssl ends");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

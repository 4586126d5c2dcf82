//! The client's side: how the instances of a VPC access are spoken to over HTTPS.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, compress,
};
use sha2::{Digest, Sha256};

use super::certificate::Certificate;
use super::server::{AuthoritiesDigest, HTTP1, HTTP2, provider};

/// Instances whose sessions are kept for a resumption; of names, where several instances share one.
const SESSIONS: usize = 1024;

/// Whose certificates are believed.
#[derive(Clone)]
pub enum Trust {
    /// Those that one of these authorities has signed, for the name that is asked for.
    Authorities(Arc<RootCertStore>, AuthoritiesDigest),
    /// Anyone's: the traffic is kept from those who only listen.
    Anyone,
}

/// How the instances of one VPC access are spoken to. Shared by all workers, with the sessions that can be resumed.
#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    /// Without one, an instance is asked for by its address.
    name: Option<ServerName<'static>>,
    digest: [u8; 32],
}

impl Client {
    /// `identity`: what is shown to an instance that asks for a certificate. `http2`: that is what is asked for.
    pub fn new(
        trust: &Trust,
        name: Option<ServerName<'static>>,
        identity: Option<&Certificate>,
        http2: bool,
    ) -> Result<Self, Error> {
        let digest = digest(trust, name.as_ref(), identity);
        let builder = ClientConfig::builder_with_provider(provider().clone()).with_protocol_versions(&[&TLS13, &TLS12])?;
        let verifier: Arc<dyn ServerCertVerifier> = match trust {
            Trust::Authorities(roots, _) => {
                let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider().clone()).build();
                verifier.map_err(|error| Error::General(error.to_string()))?
            }
            Trust::Anyone => Arc::new(Credulous(provider().signature_verification_algorithms)),
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified(None)))),
        };
        config.alpn_protocols = vec![if http2 { HTTP2.to_vec() } else { HTTP1.to_vec() }];
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        config.enable_early_data = false;
        config.cert_compressors = Vec::new();
        config.cert_decompressors = Vec::new();
        config.cert_compression_cache = Arc::new(compress::CompressionCache::Disabled);
        config.enable_secret_extraction = true;
        Ok(Self { config: Arc::new(config), name, digest })
    }

    /// What the settings are: the same digest, the same instance behind the same address.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The name that the certificate of this instance must be for.
    pub fn name(&self, address: IpAddr) -> ServerName<'static> {
        self.name.clone().unwrap_or_else(|| ServerName::IpAddress(address.into()))
    }

    /// For a thread that waits, with rustls's own record layer.
    pub fn blocking(&self, address: IpAddr) -> Result<ClientConnection, Error> {
        ClientConnection::new(self.config.clone(), self.name(address))
    }

    pub(super) fn begin(&self, address: IpAddr) -> Result<UnbufferedClientConnection, Error> {
        UnbufferedClientConnection::new(self.config.clone(), self.name(address))
    }
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}
impl Eq for Client {}

/// The key of a certificate is not shown.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A certificate stands for its key: what it was issued for is in it.
fn digest(trust: &Trust, name: Option<&ServerName<'_>>, identity: Option<&Certificate>) -> [u8; 32] {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    match trust {
        Trust::Authorities(_, authorities) => part(authorities),
        Trust::Anyone => part(b""),
    }
    part(name.map(ServerName::to_str).unwrap_or_default().as_bytes());
    for certificate in identity.map(|identity| identity.chain()).unwrap_or_default() {
        part(certificate);
    }
    digest.finalize().into()
}

/// Believes every certificate; that its key is there is still proven.
#[derive(Debug)]
struct Credulous(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

pub const NO_TLS: &str = "the backend does not speak TLS";
pub const NO_HTTP2: &str = "the backend does not speak HTTP/2";
pub const FAILED: &str = "handshake failed";

/// Why there is no session with a backend, in words for a caller: they show nothing of what the backend is.
pub fn reason(error: &Error) -> &'static str {
    use CertificateError as Bad;
    match error {
        Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => "certificate has expired",
        Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => "certificate is not yet valid",
        Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => "certificate is for another name",
        Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => "certificate is of an unknown authority",
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => "certificate is not acceptable",
        Error::AlertReceived(alert) => alerted(*alert),
        Error::PeerIncompatible(_) => "no version or cipher in common",
        Error::InvalidMessage(_) => NO_TLS,
        _ => FAILED,
    }
}

fn alerted(alert: AlertDescription) -> &'static str {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired
        | Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => "the backend refuses the gateway's certificate",
        Alert::UnrecognisedName => "the backend does not know the name",
        Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity | Alert::NoApplicationProtocol => {
            "no version or cipher in common"
        }
        _ => "the backend refuses the handshake",
    }
}

//! The server's side: how a domain is served, with which certificates, versions and demands on its clients.

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, RootCertStore, ServerConfig, SignatureScheme, SupportedProtocolVersion, compress};
use x509_cert::der::Decode;

/// Versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    Tls12,
    Tls12And13,
}

impl Versions {
    fn supported(self) -> &'static [&'static SupportedProtocolVersion] {
        static OLD: [&SupportedProtocolVersion; 1] = [&TLS12];
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Tls12 => &OLD,
            Self::Tls12And13 => &BOTH,
        }
    }
}

/// What is asked of clients.
#[derive(Clone)]
pub struct ClientAuthentication {
    /// Who may have signed their certificates.
    pub authorities: Arc<RootCertStore>,
    /// Of the authorities: two sites that ask for the same believe each other's clients.
    pub digest: AuthoritiesDigest,
    /// A client without a certificate gets no session.
    pub required: bool,
    /// The subject of the certificate is passed on.
    pub pass_subject: bool,
}

/// SHA-256.
pub type AuthoritiesDigest = [u8; 32];

/// How one domain, or several alike, are served.
pub struct Site {
    config: Arc<ServerConfig>,
    /// The same, with HTTP/2 on offer.
    config_http2: Arc<ServerConfig>,
    pass_subject: bool,
    digest: Option<AuthoritiesDigest>,
    required: bool,
}

/// A client, after its handshake.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Who vouches for it, where it has shown a certificate.
    pub vouched: Option<AuthoritiesDigest>,
    /// The subject of its verified certificate (RFC 4514), where it is to be passed on.
    pub subject: Option<Box<str>>,
    /// It has chosen HTTP/2.
    pub http2: bool,
}

/// Protocols by their names in a handshake (RFC 7301; RFC 9113, section 3.2).
pub(super) const HTTP2: &[u8] = b"h2";
pub(super) const HTTP1: &[u8] = b"http/1.1";

/// Longest subject that is passed on, in bytes.
const SUBJECT_BYTES: usize = 2048;

/// Tickets that a client gets for a later resumption.
const TICKETS: usize = 2;

/// The one provider of algorithms.
pub fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider()))
}

impl Site {
    /// `certificates`: one for each kind of key, the most wanted first.
    pub fn new(
        certificates: Vec<Arc<CertifiedKey>>,
        versions: Versions,
        client: Option<&ClientAuthentication>,
    ) -> Result<Self, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(provider().clone()).with_protocol_versions(versions.supported())?;
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(client.authorities.clone(), provider().clone());
                let verifier = if client.required { verifier } else { verifier.allow_unauthenticated() };
                let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(Certificates(certificates)));
        config.alpn_protocols = vec![HTTP1.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // A ticket vouches for the certificate its client showed: it does not outlive the authorities it was checked by.
        config.ticketer = if client.is_some() { aws_lc_rs::Ticketer::new()? } else { tickets()? };
        config.send_tls13_tickets = TICKETS;
        config.max_early_data_size = 0;
        config.cert_compressors = Vec::new();
        config.cert_decompressors = Vec::new();
        config.cert_compression_cache = Arc::new(compress::CompressionCache::Disabled);
        config.enable_secret_extraction = true;
        let mut config_http2 = config.clone();
        config_http2.alpn_protocols.insert(0, HTTP2.to_vec());
        Ok(Self {
            config: Arc::new(config),
            config_http2: Arc::new(config_http2),
            pass_subject: client.is_some_and(|client| client.pass_subject),
            digest: client.map(|client| client.digest),
            required: client.is_some_and(|client| client.required),
        })
    }

    /// `http2`: it may be spoken.
    pub(super) fn config(&self, http2: bool) -> &Arc<ServerConfig> {
        if http2 { &self.config_http2 } else { &self.config }
    }

    /// Who must vouch for a client that calls here.
    pub fn demands(&self) -> Option<&AuthoritiesDigest> {
        self.digest.as_ref().filter(|_| self.required)
    }
}

/// Keys of tickets: shared by all workers, kept through reloads, changed every six hours; each is good for another six.
fn tickets() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    static TICKETS: OnceLock<Arc<dyn ProducesTickets>> = OnceLock::new();
    match TICKETS.get() {
        Some(tickets) => Ok(tickets.clone()),
        None => {
            let made = aws_lc_rs::Ticketer::new()?;
            Ok(TICKETS.get_or_init(|| made).clone())
        }
    }
}

/// The certificates of a domain: the first whose key can sign what the client can verify, if possible on a curve that it
/// names (RFC 8422, section 5.1: a client of TLS 1.2 may refuse any other). Where there is none, the first, so
/// that it is the handshake that fails (`handshake_failure`), and not the client that is not allowed (`access_denied`).
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(hello.signature_schemes()).is_some();
        let is_named = |certified: &&Arc<CertifiedKey>| match (curve(certified), hello.named_groups()) {
            (Some(curve), Some(named)) => named.contains(&curve),
            _ => true,
        };
        let best = self.0.iter().filter(fits).find(is_named);
        best.or_else(|| self.0.iter().find(fits)).or(self.0.first()).cloned()
    }
}

/// The curve of a key that has one.
fn curve(certified: &CertifiedKey) -> Option<NamedGroup> {
    let curves = [
        (SignatureScheme::ECDSA_NISTP256_SHA256, NamedGroup::secp256r1),
        (SignatureScheme::ECDSA_NISTP384_SHA384, NamedGroup::secp384r1),
        (SignatureScheme::ECDSA_NISTP521_SHA512, NamedGroup::secp521r1),
    ];
    curves.into_iter().find(|(scheme, _)| certified.key.choose_scheme(&[*scheme]).is_some()).map(|(_, curve)| curve)
}

impl Peer {
    pub(super) fn of(site: &Site, certificates: Option<&[CertificateDer<'static>]>) -> Self {
        let Some(certificate) = certificates.and_then(<[_]>::first) else { return Self::default() };
        let subject = if site.pass_subject { subject(certificate) } else { None };
        Self { vouched: site.digest, subject, http2: false }
    }
}

/// The subject of a certificate, as a legal field value.
fn subject(certificate: &[u8]) -> Option<Box<str>> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let subject = certificate.tbs_certificate().subject().to_string();
    let legal = !subject.bytes().any(|byte| byte.is_ascii_control());
    (legal && !subject.is_empty() && subject.len() <= SUBJECT_BYTES).then(|| subject.into())
}

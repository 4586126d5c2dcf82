//! What files hold: a chain of certificates, its key, authorities, an OCSP response.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::server::provider;

/// A chain with its key, checked against each other.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn rustls::sign::SigningKey>,
    names: Vec<String>,
    /// Unix time.
    pub not_before: Duration,
    pub not_after: Duration,
}

/// The part of a file that is no good, in words that show nothing of a key.
#[derive(Debug)]
pub enum Problem {
    Chain(String),
    Key(String),
}

impl Certificate {
    /// Reads a chain, the domain's certificate first, and the key of that certificate.
    pub fn read(chain: &str, key: &str) -> Result<Self, Problem> {
        let chain = certificates(chain).map_err(Problem::Chain)?;
        let leaf = chain.first().ok_or_else(|| Problem::Chain("there is no certificate in it".to_owned()))?;
        let parsed = parse(leaf).map_err(Problem::Chain)?;
        ordered(&chain).map_err(Problem::Chain)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| {
            Problem::Key("there is no private key in it: a PEM file with `BEGIN PRIVATE KEY` is wanted".to_owned())
        })?;
        let key = provider().key_provider.load_private_key(key).map_err(|_| {
            Problem::Key("this key cannot be used: RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519".to_owned())
        })?;
        CertifiedKey::new(chain.clone(), key.clone())
            .keys_match()
            .map_err(|_| Problem::Key("this is not the key of the certificate".to_owned()))?;
        let validity = parsed.tbs_certificate().validity();
        Ok(Self {
            names: names(&parsed),
            not_before: validity.not_before.to_unix_duration(),
            not_after: validity.not_after.to_unix_duration(),
            chain,
            key,
        })
    }

    /// Kinds of keys differ in what clients can verify.
    pub fn algorithm(&self) -> rustls::SignatureAlgorithm {
        self.key.algorithm()
    }

    pub fn is_for_name(&self, name: &str) -> bool {
        ServerName::try_from(name).is_ok_and(|name| self.is_for(&name))
    }

    pub fn is_for_address(&self, address: IpAddr) -> bool {
        self.is_for(&ServerName::IpAddress(address.into()))
    }

    /// `.example.net`: all names of one label before it.
    pub fn is_for_wildcard(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.strip_prefix('*').is_some_and(|own| own.eq_ignore_ascii_case(name)))
    }

    fn is_for(&self, name: &ServerName<'_>) -> bool {
        let parsed = self.chain.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
        parsed.is_some_and(|leaf| rustls::client::verify_server_name(&leaf, name).is_ok())
    }

    /// The names it is good for, as they stand in it.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// DER, in the order they are sent.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub fn certified(&self, ocsp: Option<Vec<u8>>) -> CertifiedKey {
        CertifiedKey { cert: self.chain.clone(), key: self.key.clone(), ocsp }
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = read.map_err(|_| "this is not well-formed PEM".to_owned())?;
    if certificates.is_empty() {
        return Err("there is no certificate in it: a PEM file with `BEGIN CERTIFICATE` is wanted".to_owned());
    }
    Ok(certificates)
}

fn parse(certificate: &CertificateDer<'_>) -> Result<x509_cert::Certificate, String> {
    // What rustls cannot read, no client of ours is served with.
    let read = ParsedCertificate::try_from(certificate).is_ok().then(|| x509_cert::Certificate::from_der(certificate).ok());
    read.flatten().ok_or_else(|| "a certificate in it cannot be read".to_owned())
}

/// Each certificate of a chain is issued by the next (RFC 8446, section 4.4.2).
fn ordered(chain: &[CertificateDer<'_>]) -> Result<(), String> {
    for (at, pair) in chain.windows(2).enumerate() {
        let (certificate, next) = (parse(&pair[0])?, parse(&pair[1])?);
        let encoded = |name: &x509_cert::name::Name| name.to_der().ok();
        if encoded(certificate.tbs_certificate().issuer()) != encoded(next.tbs_certificate().subject()) {
            return Err(format!("certificate {} of it is not the issuer of certificate {}", at + 2, at + 1));
        }
    }
    Ok(())
}

fn names(certificate: &x509_cert::Certificate) -> Vec<String> {
    let Ok(Some((_, alternatives))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else { return Vec::new() };
    let name = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(address) => match *address.as_bytes() {
            [a, b, c, d] => Some(IpAddr::from([a, b, c, d]).to_string()),
            ref bytes => <[u8; 16]>::try_from(bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
        },
        _ => None,
    };
    alternatives.0.iter().filter_map(name).collect()
}

/// Authorities whose signature is believed.
pub fn authorities(pem: &str) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate).map_err(|_| "a certificate in it cannot be read".to_owned())?;
    }
    Ok(store)
}

/// The authorities that the system believes. Certificates among them that cannot be read are passed over.
pub fn system_authorities() -> Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
    let found = rustls_native_certs::load_native_certs().certs;
    let mut store = RootCertStore::empty();
    match store.add_parsable_certificates(found.iter().cloned()).0 {
        0 => Err("this system has no authorities of its own".to_owned()),
        _ => Ok((store, found)),
    }
}

/// A good OCSP response (RFC 6960, section 4.2.1): DER, and its status is `successful`.
pub fn ocsp_response(der: Vec<u8>) -> Result<Vec<u8>, String> {
    const SUCCESSFUL: [u8; 3] = [0x0a, 1, 0];
    // SEQUENCE, its length in one to four bytes, the status.
    let status = match *der.as_slice() {
        [0x30, length, ref rest @ ..] if length < 0x80 => rest.get(..3),
        [0x30, length, ref rest @ ..] => rest.get(usize::from(length & 0x7f)..).and_then(|rest| rest.get(..3)),
        _ => None,
    };
    match status == Some(&SUCCESSFUL) {
        true => Ok(der),
        false => Err("this is not a successful OCSP response in DER".to_owned()),
    }
}

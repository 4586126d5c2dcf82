//! The demo over HTTPS: a listener and certificates that are made anew each time, beside what the documents say.

use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::catalog::{Catalog, Domain, DomainHttps, Listener, Scheme, SiteId};
use crate::command::Failure;
use crate::live::Amend;
use crate::tls::certificate::Certificate;
use crate::tls::server::{Site, Versions};

/// The certificate that signs the others, in the state directory; its key is nowhere.
const AUTHORITY: &str = "demo-authority.pem";

/// How a catalog is served over HTTPS besides, and by which authority clients know it.
pub fn secure(catalog: &Catalog, address: SocketAddr) -> Result<(Amend, PathBuf), Failure> {
    let (authority, chain, key) = make(&names(catalog)).map_err(|error| Failure::new(format!("no certificate: {error}")))?;
    let file = catalog.instance.state_directory.join(AUTHORITY);
    // For its owner alone, as the gateway makes it.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&catalog.instance.state_directory);
    let written = made.and_then(|()| fs::write(&file, authority));
    written.map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    let certificate = Certificate::read(&chain, &key).map_err(|problem| Failure::new(format!("no certificate: {problem:?}")))?;
    let site = Site::new(vec![Arc::new(certificate.certified(None))], Versions::Tls12And13, None);
    let site = Arc::new(site.map_err(|error| Failure::new(format!("no HTTPS: {error}")))?);
    Ok((Box::new(move |catalog| amend(catalog, address, &site)), file))
}

/// The listener, and the certificate for every domain that has none of its own.
fn amend(catalog: &mut Catalog, address: SocketAddr, site: &Arc<Site>) {
    catalog.listeners.push(Listener { address, scheme: Scheme::Https, http2: true });
    let place = SiteId(catalog.sites.len() as u32);
    catalog.sites.push(site.clone());
    for group in &mut catalog.groups {
        for domain in &group.domains {
            match group.https.iter_mut().find(|(own, _)| own == domain) {
                Some((_, https)) => https.site = https.site.or(Some(place)),
                None => group.https.push((domain.clone(), DomainHttps { site: Some(place), redirect: false })),
            }
        }
    }
}

/// What the certificate is for.
fn names(catalog: &Catalog) -> Vec<String> {
    let domains = catalog.groups.iter().flat_map(|group| &group.domains);
    domains.filter(|domain| **domain != Domain::Any).map(Domain::to_string).collect()
}

/// An authority, a certificate that it has signed, and the key of that; PEM.
fn make(names: &[String]) -> Result<(String, String, String), rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Lockgate demo");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(names)?.signed_by(&key, &Issuer::new(authority, authority_key))?;
    Ok((authority_pem, certificate.pem(), key.serialize_pem()))
}

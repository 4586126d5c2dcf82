//! The certificate that all peers show, made for the run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::gateway::DOMAIN;

pub struct Certificate {
    /// Chain and key in one file, PEM: ECDSA P-256.
    pub both: PathBuf,
    /// Who has signed it, PEM.
    pub authority: PathBuf,
}

impl Certificate {
    pub fn make(directory: &Path) -> Result<Self> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "loadtest");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let authority_key = KeyPair::generate()?;
        let made = Self { both: directory.join("both.pem"), authority: directory.join("authority.pem") };
        fs::write(&made.authority, authority.self_signed(&authority_key)?.pem())?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([DOMAIN.to_owned()])?.signed_by(&key, &Issuer::new(authority, authority_key))?;
        fs::write(&made.both, certificate.pem() + &key.serialize_pem())?;
        Ok(made)
    }
}

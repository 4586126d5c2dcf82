//! Files that a document names: certificates, keys, authorities.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use sha2::{Digest, Sha256};

use super::Checked;
use crate::document::{At, Diagnostic, Layout};
use crate::tls::certificate::{Certificate, Problem, authorities};
use crate::tls::server::AuthoritiesDigest;

/// Files that a document names.
pub struct Files<'a> {
    pub layout: &'a Layout,
    /// What their paths are relative to.
    pub directory: &'a Path,
}

/// Longest file of certificates, keys or OCSP responses, in bytes.
const FILE_BYTES: u64 = 1024 * 1024;

impl Files<'_> {
    pub fn path(&self, path: &At<String>) -> std::path::PathBuf {
        self.directory.join(&path.value)
    }

    pub fn text(&self, path: &At<String>, key: &str, checked: &mut Checked<'_>) -> Option<String> {
        let (file, bytes) = self.read(path, key, checked)?;
        String::from_utf8(bytes)
            .map_err(|_| checked.push(file_error(checked, Some(path), &file, "this is not text, and no PEM")))
            .ok()
    }

    /// The certificate in two files, each with its key in the document.
    pub fn certificate(
        &self,
        [chain, key]: [&At<String>; 2],
        [chain_key, key_key]: [&str; 2],
        checked: &mut Checked<'_>,
    ) -> Option<Certificate> {
        let (chain_text, key_text) = (self.text(chain, chain_key, checked), self.text(key, key_key, checked));
        let (at, problem) = match Certificate::read(&chain_text?, &key_text?) {
            Ok(certificate) => return Some(certificate),
            Err(Problem::Chain(problem)) => (chain, problem),
            Err(Problem::Key(problem)) => (key, problem),
        };
        checked.push(file_error(checked, Some(at), &self.path(at), &problem));
        None
    }

    /// Authorities whose signatures are believed, and what tells them from others.
    pub fn authorities(&self, path: &At<String>, checked: &mut Checked<'_>) -> Option<(Arc<RootCertStore>, AuthoritiesDigest)> {
        let text = self.text(path, "authorities", checked)?;
        match authorities(&text) {
            Ok(store) => Some((Arc::new(store), Sha256::digest(text.as_bytes()).into())),
            Err(problem) => {
                checked.push(file_error(checked, Some(path), &self.path(path), &problem));
                None
            }
        }
    }

    pub fn read(&self, path: &At<String>, key: &str, checked: &mut Checked<'_>) -> Option<(std::path::PathBuf, Vec<u8>)> {
        let file = self.directory.join(checked.text(key, path)?);
        match self.layout.file(&file, FILE_BYTES) {
            Ok(bytes) => Some((file, bytes)),
            Err(problem) => {
                checked.push(file_error(checked, Some(path), &file, &problem));
                None
            }
        }
    }
}

/// What is wrong with a file, at the value that names it.
pub fn file_error(checked: &Checked<'_>, named: Option<&At<String>>, file: &Path, problem: &str) -> Diagnostic {
    match named {
        Some(named) => checked.at(named, problem).note(format!("the file is {}", file.display())),
        None => Diagnostic::file(file, problem),
    }
}

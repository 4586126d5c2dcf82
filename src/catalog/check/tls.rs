//! `scheme` and `[tls]` of a VPC access -> how its instances are spoken to.

use std::cell::OnceCell;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use sha2::{Digest, Sha256};

use super::Checked;
use super::files::Files;
use super::vpc_access::parts_of_host;
use crate::document::At;
use crate::document::gateway::SchemeWord;
use crate::document::vpc_access::{ProtocolWord, TlsTable, VpcAccess as Document};
use crate::tls::certificate::{Certificate, system_authorities};
use crate::tls::client::{Client, Trust};

/// Something is wrong, and in the report.
pub struct Wrong;

/// Whom the system believes: looked up once in a load, if anyone asks.
pub type SystemTrust = OnceCell<Result<Trust, String>>;

/// `None`: by HTTP.
pub fn client(
    document: &Document,
    files: &Files<'_>,
    system: &SystemTrust,
    checked: &mut Checked<'_>,
) -> Result<Option<Client>, Wrong> {
    let https = document.scheme.as_ref().filter(|scheme| scheme.value == SchemeWord::Https);
    let Some(scheme) = https else {
        let Some(table) = &document.tls else { return Ok(None) };
        let diagnostic = checked.at(table, "`[tls]` is for a VPC access that is spoken to by https");
        checked.push(diagnostic.help("add `scheme = \"https\"`, or take the table away"));
        return Err(Wrong);
    };
    let table = document.tls.as_ref().map(|table| &table.value);
    let name = name(document, table, checked);
    let identity = table.map_or(Ok(None), |table| identity(table, files, checked));
    let trust = trust(scheme, table, files, system, checked);
    let (name, identity, trust) = (name?, identity?, trust?);
    let http2 = document.protocol.as_ref().is_some_and(|protocol| protocol.value == ProtocolWord::H2);
    Client::new(&trust, name, identity.as_ref(), http2).map(Some).map_err(|error| {
        checked.push(checked.at(scheme, format!("instances cannot be spoken to by https: {error}")));
        Wrong
    })
}

/// `None`: each instance by its address.
fn name(document: &Document, table: Option<&TlsTable>, checked: &mut Checked<'_>) -> Result<Option<ServerName<'static>>, Wrong> {
    if let Some(written) = table.and_then(|table| table.server_name.as_ref()) {
        return ServerName::try_from(written.value.clone()).map(Some).map_err(|_| {
            let diagnostic = checked.at(written, format!("`{}` is not a name of a certificate", written.value));
            checked.push(diagnostic.note("allowed: a domain name, without a wildcard, or an IP address"));
            Wrong
        });
    }
    // What is no Host has been reported.
    let host = document.host.as_ref().map(|host| parts_of_host(host).0.trim_matches(['[', ']']).to_owned());
    Ok(host.and_then(|host| ServerName::try_from(host).ok()))
}

fn identity(table: &TlsTable, files: &Files<'_>, checked: &mut Checked<'_>) -> Result<Option<Certificate>, Wrong> {
    match (&table.certificate, &table.key) {
        (None, None) => Ok(None),
        (Some(chain), Some(key)) => files.certificate([chain, key], ["certificate", "key"], checked).map(Some).ok_or(Wrong),
        (Some(alone), None) => {
            checked.push(checked.at(alone, "this certificate has no key").help("add `key`"));
            Err(Wrong)
        }
        (None, Some(alone)) => {
            checked.push(checked.at(alone, "this key has no certificate").help("add `certificate`"));
            Err(Wrong)
        }
    }
}

fn trust(
    scheme: &At<SchemeWord>,
    table: Option<&TlsTable>,
    files: &Files<'_>,
    system: &SystemTrust,
    checked: &mut Checked<'_>,
) -> Result<Trust, Wrong> {
    let verify = table.and_then(|table| table.verify.as_ref());
    let authorities = table.and_then(|table| table.authorities.as_ref());
    match (authorities, verify.filter(|verify| !verify.value)) {
        (Some(_), Some(verify)) => {
            let diagnostic = checked.at(verify, "nothing is verified, and there are `authorities` to verify it by");
            checked.push(diagnostic.help("take one of the two away"));
            Err(Wrong)
        }
        (None, Some(_)) => Ok(Trust::Anyone),
        (Some(path), None) => {
            files.authorities(path, checked).map(|(store, digest)| Trust::Authorities(store, digest)).ok_or(Wrong)
        }
        (None, None) => system.get_or_init(of_the_system).clone().map_err(|problem| {
            let diagnostic = checked.at(scheme, format!("the certificates of instances cannot be verified: {problem}"));
            checked.push(diagnostic.help("name a file of authorities: `[tls]` with `authorities`"));
            Wrong
        }),
    }
}

fn of_the_system() -> Result<Trust, String> {
    let (store, certificates) = system_authorities()?;
    let mut digest = Sha256::new();
    certificates.iter().for_each(|certificate| digest.update(certificate));
    Ok(Trust::Authorities(Arc::new(store), digest.finalize().into()))
}

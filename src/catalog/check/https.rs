//! `https_policy`, `[[certificate]]` and `[[client_certificate]]` of a group -> how its domains are served over HTTPS.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::Checked;
use super::domains::{domain, named};
use super::files::{Files, file_error};
use crate::catalog::{Domain, DomainHttps, Group, Site, SiteId};
use crate::document::group::{CertificateTable, ClientCertificateTable, Group as Document, HttpsPolicyWord};
use crate::document::{Diagnostic, Layout, Place};
use crate::tls::certificate::{Certificate, ocsp_response};
use crate::tls::server::{ClientAuthentication, Versions};

/// Sites of all groups, and who has claimed which domain for them.
#[derive(Default)]
pub struct Sites {
    pub list: Vec<Arc<Site>>,
    /// Domains of which each is served in one way, whatever groups share it.
    claimed: BTreeMap<String, Place>,
    /// Domains that have no certificate, with their groups' names.
    pub bare: Vec<Bare>,
}

/// A domain without a certificate.
pub struct Bare {
    pub group: String,
    pub place: Place,
    pub written: String,
}

/// A certificate with the domains it is bound to.
struct Bound {
    certificate: Certificate,
    ocsp: Option<Vec<u8>>,
    domains: Vec<Domain>,
    place: Place,
}

struct Demand {
    authentication: ClientAuthentication,
    domains: Vec<Domain>,
}

/// Fills in [`Group::https`]. What is wrong is in the report. `directory`: of the group.
pub fn https(
    document: &Document,
    group: &mut Group,
    layout: &Layout,
    directory: &Path,
    sites: &mut Sites,
    checked: &mut Checked<'_>,
) {
    let files = Files { layout, directory };
    let bound: Vec<_> = document.certificate.iter().filter_map(|table| bound(table, group, &files, checked)).collect();
    let demands: Vec<_> = document.client_certificate.iter().filter_map(|table| demand(table, group, &files, checked)).collect();
    let versions = match document.https_policy.as_ref().map(|policy| policy.value) {
        None | Some(HttpsPolicyWord::Http2Tls13) => Versions::Tls12And13,
        Some(HttpsPolicyWord::Http1Tls10 | HttpsPolicyWord::Http2Tls10 | HttpsPolicyWord::Http2Tls12) => Versions::Tls12,
    };
    let redirected = redirected(document, group, checked);
    let mut made: Vec<(Vec<usize>, Option<usize>, SiteId)> = Vec::new();
    for domain in own_domains(group) {
        let mut of_domain: Vec<usize> = (0..bound.len()).filter(|&at| bound[at].domains.contains(&domain)).collect();
        // Clients that can verify ECDSA get the cheaper handshake.
        of_domain.sort_by_key(|&at| bound[at].certificate.algorithm() == rustls::SignatureAlgorithm::RSA);
        for pair in of_domain.windows(2) {
            let (first, second) = (&bound[pair[0]], &bound[pair[1]]);
            if first.certificate.algorithm() == second.certificate.algorithm() {
                let message = format!("the domain `{domain}` has two certificates of one kind");
                let diagnostic = Diagnostic::at(second.place.clone(), message).related(first.place.clone(), "the first is here");
                checked
                    .push(diagnostic.note("a domain may have two certificates: one of ECDSA, and one of RSA for older clients"));
            }
        }
        let redirect = redirected.contains(&domain);
        let demand = demands.iter().position(|demand| demand.domains.contains(&domain));
        let mut site = made.iter().find(|(certificates, of, _)| (certificates, of) == (&of_domain, &demand)).map(|made| made.2);
        if let (None, Some(&first)) = (site, of_domain.first()) {
            let certified = of_domain.iter().map(|&at| Arc::new(bound[at].certificate.certified(bound[at].ocsp.clone())));
            match Site::new(certified.collect(), versions, demand.map(|at| &demands[at].authentication)) {
                Ok(good) => {
                    sites.list.push(Arc::new(good));
                    site = Some(SiteId((sites.list.len() - 1) as u32));
                }
                Err(error) => checked.push(Diagnostic::at(bound[first].place.clone(), format!("this cannot be served: {error}"))),
            }
        }
        if let Some(site) = site {
            made.push((of_domain.clone(), demand, site));
            let place = bound[of_domain[0]].place.clone();
            if let Some(first) = sites.claimed.insert(domain.to_string(), place.clone()) {
                let message = format!("the domain `{domain}` has its certificate from another group already");
                let diagnostic = Diagnostic::at(place, message).related(first, "bound here");
                checked.push(diagnostic.help("bind it in one of the groups that share the domain; it serves all of them"));
            }
        }
        if site.is_some() || redirect {
            group.https.push((domain, DomainHttps { site, redirect }));
        }
    }
    for written in document.domains.iter().flatten() {
        let named = domain(written).ok().filter(|domain| matches!(domain, Domain::Exact(_) | Domain::Wildcard(_)));
        let served = |domain: &Domain| group.https.iter().any(|(own, https)| own == domain && https.site.is_some());
        if named.is_some_and(|domain| !served(&domain)) {
            let (place, written) = (checked.place(written), written.value.clone());
            sites.bare.push(Bare { group: group.name.clone(), place, written });
        }
    }
}

impl Sites {
    /// A domain that answers over HTTPS has a certificate. `answers`: the group takes calls over HTTPS.
    pub fn complain(&self, listener: &str, answers: impl Fn(&str) -> bool, report: &mut crate::document::Report) {
        for bare in
            self.bare.iter().filter(|bare| answers(&bare.group) && !self.claimed.contains_key(&bare.written.to_lowercase()))
        {
            let message = format!("the domain `{}` has no certificate", bare.written);
            let diagnostic = Diagnostic::at(bare.place.clone(), message)
                .label("called over HTTPS")
                .note(format!("{listener} is an HTTPS listener, and the group has published APIs that take HTTPS"));
            report.push(
                diagnostic.help(
                    "add `[[certificate]]` with `chain` and `key` to the group, or take HTTPS from `protocols` of its APIs",
                ),
            );
        }
    }
}

fn own_domains(group: &Group) -> Vec<Domain> {
    let mut own = group.domains.clone();
    own.push(Domain::Exact(group.default_domain.clone()));
    own
}

fn redirected(document: &Document, group: &Group, checked: &mut Checked<'_>) -> Vec<Domain> {
    let named = named(document.https_redirect.as_deref().unwrap_or_default(), &own_domains(group), checked);
    named.into_iter().map(|(domain, _)| domain).collect()
}

fn bound(table: &CertificateTable, group: &Group, files: &Files<'_>, checked: &mut Checked<'_>) -> Option<Bound> {
    let certificate = files.certificate([&table.chain, &table.key], ["chain", "key"], checked);
    let ocsp = table.ocsp_response.as_ref().map(|path| {
        let (path, read) = files.read(path, "ocsp_response", checked)?;
        ocsp_response(read)
            .map_err(|problem| checked.push(file_error(checked, table.ocsp_response.as_ref(), &path, &problem)))
            .ok()
    });
    let certificate = certificate?;
    let names = match certificate.names() {
        [] => "it names no domain (subject alternative names)".to_owned(),
        names => format!("it is good for: {}", names.join(", ")),
    };
    let domains = match &table.domains {
        Some(written) => {
            let named = named(written, &own_domains(group), checked);
            for (domain, place) in &named {
                if !covers(&certificate, domain) {
                    let message = format!("the certificate is not for the domain `{domain}`");
                    checked.push(Diagnostic::at(place.clone(), message).note(names.clone()));
                }
            }
            named.into_iter().map(|(domain, _)| domain).collect()
        }
        None => {
            let domains: Vec<_> = group.domains.iter().filter(|domain| covers(&certificate, domain)).cloned().collect();
            if domains.is_empty() {
                let diagnostic = checked.at(&table.chain, "the certificate is for no domain of this group").note(names);
                checked.push(
                    diagnostic.help("add the domain to `domains` of the group, or name it in `domains` of the certificate"),
                );
            }
            domains
        }
    };
    Some(Bound { certificate, ocsp: ocsp.flatten(), domains, place: checked.place(&table.chain) })
}

fn covers(certificate: &Certificate, domain: &Domain) -> bool {
    match domain {
        Domain::Any => true,
        Domain::Exact(name) => certificate.is_for_name(name),
        Domain::Wildcard(suffix) => certificate.is_for_wildcard(suffix),
        Domain::Address(address) => certificate.is_for_address(*address),
    }
}

fn demand(table: &ClientCertificateTable, group: &Group, files: &Files<'_>, checked: &mut Checked<'_>) -> Option<Demand> {
    let (authorities, digest) = files.authorities(&table.authorities, checked)?;
    let domains = match &table.domains {
        Some(written) => named(written, &own_domains(group), checked).into_iter().map(|(domain, _)| domain).collect(),
        None => group.domains.clone(),
    };
    let authentication = ClientAuthentication {
        authorities,
        digest,
        required: table.required.unwrap_or(true),
        pass_subject: table.pass_subject.unwrap_or(false),
    };
    Some(Demand { authentication, domains })
}

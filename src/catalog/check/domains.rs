//! Domains: what is one, and who has claimed it.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Checked;
use crate::catalog::Domain;
use crate::document::{At, Diagnostic, Place, Report};

/// Reads a domain of a group. The error says what is allowed.
pub fn domain(text: &str) -> Result<Domain, String> {
    if text == "*" {
        return Ok(Domain::Any);
    }
    if let Some(rest) = text.strip_prefix("*.") {
        return domain_name(rest).map(|name| Domain::Wildcard(format!(".{name}")));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(Domain::Address(address));
    }
    domain_name(text).map(Domain::Exact)
}

/// A domain name in lower case.
pub fn domain_name(text: &str) -> Result<String, String> {
    let allowed = "allowed: a name (`api.example.com`), `*.` and a name, an IP address, or `*` for any Host";
    let problem = |why: &str| Err(format!("{why}; {allowed}"));
    if text.contains(':') || text.contains('/') {
        return problem("a domain has neither scheme, port nor path");
    }
    if text.is_empty() || text.len() > 253 {
        return problem("a domain has 1 to 253 characters");
    }
    if text.contains('*') {
        return problem("`*` stands for the first label only");
    }
    for label in text.split('.') {
        let bytes = label.as_bytes();
        let plain = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if bytes.is_empty() || bytes.len() > 63 || !plain || bytes.starts_with(b"-") || bytes.ends_with(b"-") {
            return problem("a label has 1 to 63 letters, digits, `-` and `_`, without `-` at its ends");
        }
    }
    if text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return problem("a name whose last label is a number would be an IP address, and this is none");
    }
    Ok(text.to_ascii_lowercase())
}

/// Domains that a table of a group names, of those that are allowed there.
pub fn named(written: &[At<String>], own: &[Domain], checked: &mut Checked<'_>) -> Vec<(Domain, Place)> {
    let mut named: Vec<(Domain, Place)> = Vec::new();
    for written in written {
        match domain(written).ok().filter(|domain| own.contains(domain)) {
            Some(domain) if named.iter().any(|(other, _)| *other == domain) => {
                checked.push(checked.at(written, "this domain is listed twice"));
            }
            Some(domain) => named.push((domain, checked.place(written))),
            None => {
                let list: Vec<_> = own.iter().map(|domain| format!("`{domain}`")).collect();
                let allowed =
                    if list.is_empty() { "the group has none".to_owned() } else { format!("allowed: {}", list.join(", ")) };
                checked.push(checked.at(written, format!("`{}` is not a domain of this group", written.value)).note(allowed));
            }
        }
    }
    named
}

/// Domains with their base paths, and where each was claimed.
#[derive(Default)]
pub struct Claims {
    claims: HashMap<(Domain, String), Place>,
}

impl Claims {
    /// Two groups share a domain only with different base paths.
    pub fn claim(&mut self, domain: Domain, base_path: &str, place: Place, written: &str, report: &mut Report) {
        let shown = if base_path.is_empty() { "/" } else { base_path };
        match self.claims.entry((domain, base_path.to_owned())) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(place);
            }
            std::collections::hash_map::Entry::Occupied(first) => {
                let message = format!("the domain `{written}` with the base path `{shown}` is claimed twice");
                let diagnostic = Diagnostic::at(place, message).related(first.get().clone(), "first claimed here");
                report.push(diagnostic.help("give one of the groups another domain or another base path"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_read() {
        assert_eq!(domain("*"), Ok(Domain::Any));
        assert_eq!(domain("API.Example.com"), Ok(Domain::Exact("api.example.com".to_owned())));
        assert_eq!(domain("*.example.net"), Ok(Domain::Wildcard(".example.net".to_owned())));
        assert_eq!(domain("10.0.0.1"), Ok(Domain::Address([10, 0, 0, 1].into())));
        assert_eq!(domain("[::1]"), Ok(Domain::Address(std::net::Ipv6Addr::LOCALHOST.into())));
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for text in ["", "a..b", "a.", "a:80", "http://a", "*a.com", "a.*", "-a.com", "a b", "256.1.1.1", "*.", "é.com"] {
            assert!(domain(text).is_err(), "{text}");
        }
    }
}

//! Group documents -> groups.

use super::Checked;
use super::domains::{Claims, domain};
use crate::catalog::{Domain, Group, PathTemplate, Segment};
use crate::document::At;
use crate::document::group::{CALLS_PER_DAY, Group as Document};

/// The product's figure.
const DEFAULT_CALLS_PER_DAY: u64 = 1000;

/// `None` stands for errors in the report.
pub fn group(document: &Document, by_path: &str, suffix: &str, claims: &mut Claims, checked: &mut Checked<'_>) -> Option<Group> {
    let name = checked.name("a group", &document.name, by_path);
    let base_path = match &document.base_path {
        Some(path) => base_path(path, checked),
        None => Some(String::new()),
    };
    let mut domains = Vec::new();
    for written in document.domains.iter().flatten() {
        match domain(written) {
            Ok(domain) => domains.push((domain, written)),
            Err(problem) => {
                checked.push(checked.at(written, format!("`{}` is not a domain", written.value)).note(problem));
            }
        }
    }
    let calls = match &document.default_domain_calls_per_day {
        Some(calls) => checked.number("default_domain_calls_per_day", calls, CALLS_PER_DAY),
        None => Some(DEFAULT_CALLS_PER_DAY),
    };
    let (name, base_path) = (name?, base_path?);
    let default_domain = format!("{}.{suffix}", name.to_ascii_lowercase());
    for (domain, written) in &domains {
        claims.claim(domain.clone(), &base_path, checked.place(written), written, checked.report);
    }
    claims.claim(
        Domain::Exact(default_domain.clone()),
        &base_path,
        checked.place(&document.name),
        &default_domain,
        checked.report,
    );
    Some(Group {
        name,
        base_path,
        domains: domains.into_iter().map(|(domain, _)| domain).collect(),
        default_domain,
        default_domain_calls_per_day: calls?,
        forward_app_code: document.forward_app_code.unwrap_or(false),
        https: Vec::new(),
        stages: Vec::new(),
        bound: Vec::new(),
    })
}

/// A base path without its last slash.
fn base_path(path: &At<String>, checked: &mut Checked<'_>) -> Option<String> {
    let problem = match PathTemplate::parse(path) {
        Err(problem) => problem,
        Ok(template) if template.segments.iter().any(|segment| !matches!(segment, Segment::Literal(_))) => {
            "a base path has no parameters and no `*`".to_owned()
        }
        Ok(_) if path.contains('%') => "a base path has no escapes".to_owned(),
        Ok(_) => return Some(path.trim_end_matches('/').to_owned()),
    };
    checked.push(checked.at(path, format!("`{}` is not a base path", path.value)).note(problem));
    None
}

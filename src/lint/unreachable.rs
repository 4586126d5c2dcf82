//! APIs that no call reaches, whatever it says.

use std::collections::BTreeMap;

use super::documents::{Api, Documents};
use crate::catalog::Segment;
use crate::document::gateway::SchemeWord;
use crate::document::group::Group;
use crate::document::{Diagnostic, Parsed, Place, Report};

pub fn find(documents: &Documents, report: &mut Report) {
    for (group, parsed) in &documents.groups {
        for (domain, shadow) in shadows(group, parsed, documents) {
            for api in apis_of(group, documents).filter(|api| shadow.hides(api)) {
                let message =
                    format!("under the domain `{domain}` this path is not reached: the group `{}` has it", shadow.group);
                report.push(
                    Diagnostic::at(api.path_place.clone(), message)
                        .related(shadow.place.clone(), format!("the base path of `{}` is the longer one", shadow.group))
                        .note("of the groups that share a domain, the one with the longest base path is asked, and no other after it")
                        .warning("unreachable-path"),
                );
            }
        }
    }
    protocols(documents, report);
}

/// Drafts, and what is published and differs in its path; one finding for a path.
fn apis_of<'d>(group: &str, documents: &'d Documents) -> impl Iterator<Item = &'d Api> {
    let drafts = documents.drafts.get(group).map(Vec::as_slice).unwrap_or_default();
    let published = documents.published.iter().filter(move |((of, _), _)| of == group).flat_map(|(_, apis)| apis);
    let mut seen: BTreeMap<(&str, String), &Api> = BTreeMap::new();
    for api in drafts.iter().chain(published) {
        seen.entry((&api.name, api.path.shape())).or_insert(api);
    }
    seen.into_values()
}

/// A group whose base path begins with the segments of another's.
struct Shadow<'d> {
    group: &'d str,
    /// What its base path has beyond the other's.
    segments: Vec<&'d str>,
    place: Place,
}

impl Shadow<'_> {
    fn hides(&self, api: &Api) -> bool {
        let literals = api.path.segments.iter().map_while(|segment| match segment {
            Segment::Literal(text) => Some(text.as_str()),
            _ => None,
        });
        literals.take(self.segments.len()).eq(self.segments.iter().copied())
    }
}

/// The groups that stand before `group` on a part of its paths, by the domain they share.
fn shadows<'d>(group: &str, parsed: &'d Parsed<Group>, documents: &'d Documents) -> Vec<(String, Shadow<'d>)> {
    let own = base_path(&parsed.document);
    let mut found = Vec::new();
    for (other, shadow) in documents.groups.iter().filter(|(other, _)| *other != group) {
        let Some(written) = &shadow.document.base_path else { continue };
        let Some(rest) =
            base_path(&shadow.document).strip_prefix(own.as_slice()).filter(|rest| !rest.is_empty()).map(<[_]>::to_vec)
        else {
            continue;
        };
        let domains = domains(&shadow.document);
        for domain in self::domains(&parsed.document).into_iter().filter(|domain| domains.contains(domain)) {
            let place = Place::of(&shadow.source, written);
            found.push((domain, Shadow { group: other, segments: rest.clone(), place }));
        }
    }
    found
}

fn base_path(group: &Group) -> Vec<&str> {
    let path = group.base_path.as_ref().map_or("", |path| path.value.as_str());
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

fn domains(group: &Group) -> Vec<String> {
    group.domains.iter().flatten().map(|domain| domain.to_ascii_lowercase()).collect()
}

/// APIs for a protocol that no listener speaks.
fn protocols(documents: &Documents, report: &mut Report) {
    let Some(gateway) = &documents.gateway else { return };
    let spoken: Vec<SchemeWord> = gateway
        .document
        .listener
        .iter()
        .map(|listener| listener.protocol.as_ref().map_or(SchemeWord::Http, |protocol| protocol.value))
        .collect();
    for group in documents.drafts.keys() {
        for api in apis_of(group, documents) {
            let Some((wanted, place)) = &api.protocols else { continue };
            if !wanted.is_empty() && !spoken.is_empty() && !wanted.iter().any(|scheme| spoken.contains(scheme)) {
                let message = format!("no call reaches the API `{}`: no listener speaks its protocol", api.name);
                let listeners = Place::of(&gateway.source, &gateway.document.listener);
                report.push(
                    Diagnostic::at(place.clone(), message).related(listeners, "the listeners").warning("unreachable-protocol"),
                );
            }
        }
    }
}

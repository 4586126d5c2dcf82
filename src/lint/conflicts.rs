//! APIs of one group that meet: drafts that cannot be published together, and templates of which neither is the more
//! specific one where both match.

use std::collections::{BTreeMap, BTreeSet};

use super::documents::{Api, Documents};
use crate::catalog::{Overlap, Segment};
use crate::document::{Diagnostic, Report};

/// Findings about one group and stage that are shown; a generated set of APIs may have thousands of one kind.
const FINDINGS_OF_A_GROUP: usize = 20;

pub fn find(documents: &Documents, report: &mut Report) {
    // A pair that meets as drafts meets as published in general: it is told once.
    let mut told = BTreeSet::new();
    for (group, drafts) in &documents.drafts {
        same_paths(group, drafts, documents, report);
        crossings(group, drafts, "", &mut told, report);
    }
    for ((group, stage), apis) in &documents.published {
        crossings(group, apis, &format!(" in stage {stage}"), &mut told, report);
    }
}

/// Drafts on the path of another draft, or of another API that is published: one of the two cannot be published.
fn same_paths(group: &str, drafts: &[Api], documents: &Documents, report: &mut Report) {
    let mut by_shape: BTreeMap<String, Vec<&Api>> = BTreeMap::new();
    for draft in drafts {
        let others = by_shape.entry(draft.path.shape()).or_default();
        if let Some((other, method)) = others.iter().find_map(|other| Some((other, other.methods.common(&draft.methods)?))) {
            let message = format!(
                "the drafts `{}` and `{}` of this group both answer {method} on this path: not both can be published to one stage",
                other.name, draft.name
            );
            report.push(
                Diagnostic::at(draft.path_place.clone(), message)
                    .related(other.path_place.clone(), format!("the path of `{}`", other.name))
                    .warning("same-path"),
            );
        }
        others.push(draft);
    }
    for ((_, stage), published) in documents.published.iter().filter(|((of, _), _)| of == group) {
        let pairs = published.iter().flat_map(|api| by_shape.get(&api.path.shape()).into_iter().flatten().map(move |d| (api, d)));
        for (api, draft) in pairs.filter(|(api, draft)| api.name != draft.name) {
            // Told above, if the other one's draft is still where its published version is.
            let still_there = drafts.iter().any(|other| other.name == api.name && other.path.shape() == api.path.shape());
            if let (false, Some(method)) = (still_there, api.methods.common(&draft.methods)) {
                let message = format!(
                    "the draft `{}` cannot be published to {stage}: `{}` answers {method} on this path there",
                    draft.name, api.name
                );
                report.push(
                    Diagnostic::at(draft.path_place.clone(), message)
                        .related(api.path_place.clone(), format!("the path of `{}`, as published", api.name))
                        .help(format!("publish `{}` anew first, or both together", api.name))
                        .warning("same-path"),
                );
            }
        }
    }
}

/// Pairs of which each matches paths that the other does not, and both match some. Who answers there is decided by the
/// leftmost segment that differs, which is not what everyone expects.
fn crossings(group: &str, apis: &[Api], stage: &str, told: &mut BTreeSet<(String, String, String)>, report: &mut Report) {
    let mut shown = 0;
    for (one, other) in candidates(apis) {
        let Some(Overlap::Crossing { first_decides }) = one.path.overlap(&other.path) else { continue };
        let Some(method) = one.methods.common(&other.methods) else { continue };
        let (winner, loser) = if first_decides { (one, other) } else { (other, one) };
        if shown == FINDINGS_OF_A_GROUP || !told.insert((group.to_owned(), winner.name.clone(), loser.name.clone())) {
            continue;
        }
        shown += 1;
        let path = one.path.common_path(&other.path).unwrap_or_default();
        let message = format!(
            "the paths of `{}` and `{}` meet{stage}: on `{path}`, {method} is answered by `{}`, though neither path is the more specific one",
            winner.name, loser.name, winner.name
        );
        report.push(
            Diagnostic::at(loser.path_place.clone(), message)
                .label(format!("`{}` is not asked there", loser.name))
                .related(winner.path_place.clone(), format!("`{}` goes first", winner.name))
                .note("the leftmost segment that differs decides: a literal goes before `[parameter]`, that before `*`")
                .warning("crossing-paths"),
        );
    }
}

/// Pairs that may cross: both have a parameter or `*` (a path of literals is as specific as can be), and their first
/// segments go together.
fn candidates(apis: &[Api]) -> impl Iterator<Item = (&Api, &Api)> {
    let mut by_first: BTreeMap<Option<&str>, Vec<&Api>> = BTreeMap::new();
    for api in apis.iter().filter(|api| api.path.segments.iter().any(|segment| !matches!(segment, Segment::Literal(_)))) {
        let first = match api.path.segments.first() {
            Some(Segment::Literal(text)) => Some(text.as_str()),
            _ => None,
        };
        by_first.entry(first).or_default().push(api);
    }
    let open = by_first.remove(&None).unwrap_or_default();
    let mut pairs = among(&open);
    for list in by_first.into_values() {
        pairs.extend(list.iter().flat_map(|one| open.iter().map(move |other| (*one, *other))));
        pairs.extend(among(&list));
    }
    pairs.into_iter()
}

fn among<'d>(list: &[&'d Api]) -> Vec<(&'d Api, &'d Api)> {
    (0..list.len()).flat_map(|second| (0..second).map(move |first| (list[first], list[second]))).collect()
}

//! Policies: those that limit nothing, and limits that are never reached.

use std::collections::BTreeSet;

use super::documents::Documents;
use crate::document::policy::{BindTable, Policy};
use crate::document::{At, Diagnostic, Parsed, Place, Report};

pub fn find(documents: &Documents, report: &mut Report) {
    for policy in &documents.policies {
        unbound(policy, report);
        for table in &policy.document.bind {
            unpublished(policy, table, documents, report);
        }
        without_effect(policy, report);
        uncounted(policy, documents, report);
    }
}

fn warn(policy: &Parsed<Policy>, at: &At<impl Sized>, message: String, rule: &'static str) -> Diagnostic {
    Diagnostic::at(Place::of(&policy.source, at), message).warning(rule)
}

fn unbound(policy: &Parsed<Policy>, report: &mut Report) {
    let document = &policy.document;
    if document.bind.is_empty() {
        let message = format!("the policy `{}` is bound to nothing", document.name.value);
        report.push(warn(policy, &document.name, message, "unbound-policy").help("add `[[bind]]` with `api` and `stages`"));
    }
}

/// In the product an API is bound after it was published.
fn unpublished(policy: &Parsed<Policy>, table: &At<BindTable>, documents: &Documents, report: &mut Report) {
    let (Some(target), None) = (&table.api, &table.group) else { return };
    let Some((group, api)) = target.split_once('/') else { return };
    for stage in &table.stages.value {
        let published = documents.published.get(&(group.to_owned(), stage.value.clone()));
        if !published.is_some_and(|apis| apis.iter().any(|known| known.name == api)) {
            let message = format!("`{}` is not published in {}: the policy limits nothing there yet", target.value, stage.value);
            report.push(warn(policy, stage, message, "unpublished-binding"));
        }
    }
}

/// Specials that get what everyone gets, and defaults that a limit above them hides.
fn without_effect(policy: &Parsed<Policy>, report: &mut Report) {
    let document = &policy.document;
    for special in &document.special {
        let (default, name) = match (&special.app, &special.user) {
            (Some(_), _) => (&document.app, "app"),
            _ => (&document.user, "user"),
        };
        // An app that is special is free of the limit of its user.
        let frees = name == "app" && document.user.is_some();
        if let Some(default) = default.as_ref().filter(|default| default.value == special.limit.value && !frees) {
            let message = format!("this special changes nothing: its limit is that of `{name}`");
            let place = Place::of(&policy.source, default);
            report.push(warn(policy, &special.limit, message, "special-without-effect").related(place, "the same"));
        }
    }
}

/// Limits by who calls, where nobody is asked who calls.
fn uncounted(policy: &Parsed<Policy>, documents: &Documents, report: &mut Report) {
    let document = &policy.document;
    let Some(limit) = document.app.as_ref().or(document.user.as_ref()) else { return };
    let mut open = BTreeSet::new();
    let bound = document.bind.iter().filter_map(|table| Some((table.api.as_ref()?, &table.stages)));
    for (target, stages) in bound {
        let Some((group, api)) = target.split_once('/') else { continue };
        let is_open = |stage: &At<String>| {
            let published = documents.published.get(&(group.to_owned(), stage.value.clone()));
            published.into_iter().flatten().any(|known| known.name == api && known.is_open)
        };
        if stages.iter().any(is_open) {
            open.insert(target.value.as_str());
        }
    }
    if !open.is_empty() {
        let names = open.into_iter().collect::<Vec<_>>().join("`, `");
        let message = format!("`{names}` asks nobody who calls: only `api` limits its calls");
        report.push(warn(policy, limit, message, "uncounted-callers"));
    }
}

//! What a new generation changes in its policies, in words: they take effect without publishing, and nobody is asked before.

use std::collections::BTreeMap;

use crate::catalog::policy::{ByCaller, ByParameters, Control, Fields, PerSecond, Scope};
use crate::catalog::{Catalog, EngineLoss, Policy};

/// Changes that are told one by one.
const TOLD: usize = 20;

/// A sentence for each change; the last one says how many more there are.
pub fn changes(before: &Catalog, after: &Catalog) -> Vec<String> {
    let (old, new) = (all(before), all(after));
    let mut changes = Vec::new();
    for (name, old) in &old {
        match new.get(name) {
            None => changes.push(format!("policy {name} is gone")),
            Some(new) => differences(name, old, new, &mut changes),
        }
    }
    changes.extend(new.keys().filter(|name| !old.contains_key(*name)).map(|name| format!("policy {name} is new")));
    let more = changes.len().saturating_sub(TOLD);
    if more > 0 {
        changes.truncate(TOLD);
        changes.push(format!("{more} more changes of policies"));
    }
    changes
}

/// What a policy says: `app` is `100 a minute`.
type Said = BTreeMap<String, String>;

fn all(catalog: &Catalog) -> BTreeMap<&str, Said> {
    catalog.policies.iter().map(|policy| (policy.name.as_str(), said(policy, catalog))).collect()
}

fn differences(name: &str, old: &Said, new: &Said, changes: &mut Vec<String>) {
    for (what, was) in old {
        match new.get(what) {
            Some(is) if is == was => {}
            // What would be said of it is for nobody to read.
            Some(_) if what.starts_with("condition") => changes.push(format!("policy {name}: the {what} has changed")),
            Some(is) => changes.push(format!("policy {name}: {what} {was} -> {is}")),
            None => changes.push(format!("policy {name}: no {what} any more")),
        }
    }
    for (what, is) in new.iter().filter(|(what, _)| !old.contains_key(*what)) {
        let is = if is.is_empty() || what.starts_with("condition") { String::new() } else { format!(" {is}") };
        changes.push(format!("policy {name}: now {what}{is}"));
    }
}

fn said(policy: &Policy, catalog: &Catalog) -> Said {
    let mut said = match &policy.control {
        Control::Callers(limits) => by_caller(limits, catalog),
        Control::Parameters(limits) => by_parameters(limits),
    };
    let per_second = match policy.settings.per_second {
        PerSecond::Fixed => "counted by the clock".to_owned(),
        PerSecond::Bucket { queue: 0, .. } => "without a queue".to_owned(),
        PerSecond::Bucket { queue, wait_ms } => format!("with a queue of {queue} calls and {wait_ms} ms"),
    };
    said.insert("limits a second".into(), per_second);
    let (zone_ms, sign) = (policy.settings.zone_ms, if policy.settings.zone_ms < 0 { '-' } else { '+' });
    let minutes = zone_ms.unsigned_abs() / 60_000;
    said.insert("zone".into(), format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
    let fields = match policy.settings.fields {
        Fields::None => "none",
        Fields::XRateLimit => "x-ratelimit",
        Fields::RateLimit => "ratelimit",
    };
    said.insert("fields".into(), fields.into());
    let loss = match policy.settings.on_engine_loss {
        EngineLoss::Refuse => "refuse",
        EngineLoss::LocalShare => "local-share",
        EngineLoss::Allow => "allow",
    };
    said.insert("on_engine_loss".into(), loss.into());
    for binding in &policy.bindings {
        let (target, stage) = binding.names(catalog);
        said.insert(format!("binding to {target} in {stage}"), String::new());
    }
    said
}

fn by_caller(limits: &ByCaller, catalog: &Catalog) -> Said {
    let calls = |calls: u64| format!("{calls} {}", limits.unit.in_words());
    let of = [("api", Some(limits.api)), ("user", limits.user), ("app", limits.app), ("group", limits.group)];
    let mut said: Said = of.into_iter().filter_map(|(what, limit)| Some((what.to_owned(), calls(limit?)))).collect();
    for &(app, limit) in &limits.special_apps {
        let name = catalog.apps.get(app).map_or("", |app| &*app.name);
        said.insert(format!("special app {name}"), calls(limit));
    }
    said.extend(limits.special_owners.iter().map(|(owner, limit)| (format!("special user {owner:?}"), calls(*limit))));
    said
}

fn by_parameters(limits: &ByParameters) -> Said {
    let retry = |seconds: Option<u32>| seconds.map(|seconds| format!(", retry after {seconds} s")).unwrap_or_default();
    let scope = if limits.scope == Scope::Policy { "policy" } else { "api" };
    let default = format!("{} {}{}", limits.limit, limits.period.in_words(), retry(limits.retry_after_s));
    let mut said = Said::from([("scope".into(), scope.into()), ("default".into(), default)]);
    for parameter in &limits.parameters {
        said.insert(format!("parameter {}", parameter.name), format!("{:?}", parameter.location));
    }
    for rule in &limits.rules {
        let names = rule.by.iter().filter_map(|&place| limits.parameters.get(place)).map(|parameter| parameter.name.as_str());
        let by: String = names.map(|name| format!(" by {name}")).collect();
        let bypass = if rule.bypass_empty_value { ", empty values pass" } else { "" };
        let words = format!("{} {}{by}{bypass}{}", rule.limit, rule.period.in_words(), retry(rule.retry_after_s));
        said.insert(format!("rule {}", rule.name), words);
        if let Some(condition) = &rule.condition {
            said.insert(format!("condition of rule {}", rule.name), format!("{condition:?}"));
        }
    }
    said
}

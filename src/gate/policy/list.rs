//! Every rule by what its counters are known by, for those who look at them from outside.

use ahash::AHashMap;

use super::{Bound, Callers, Compiled, Counters, Limit, Limits, Policies};
use crate::catalog::{ApiId, Catalog, GroupId};
use crate::gate::quota::Quotas;
use crate::gate::quota::quotas::{DEFAULT_DOMAIN, counter};
use crate::gate::quota::table::SUBJECT_BYTES;

/// One rule, at what it is bound to.
pub struct Listed<'t> {
    /// What its counters are known by.
    pub id: u64,
    /// `default-domain` for the quotas of default domains.
    pub policy: &'t str,
    counts: Counts<'t>,
    /// `GROUP/API` or `GROUP`; empty: all that the policy is bound to.
    pub target: String,
    pub stage: &'t str,
    limit: &'t Limit,
}

#[derive(Clone, Copy)]
enum Counts<'t> {
    /// All calls of the target.
    Everyone,
    /// Calls of each owner.
    Users(&'t Callers),
    Apps(&'t Callers),
    /// Calls of each value, or list of values, of parameters.
    Values,
    /// Calls of each group.
    DefaultDomains(&'t Policies, &'t Catalog),
}

impl Policies {
    /// Every rule, once.
    pub fn list<'t>(&'t self, catalog: &'t Catalog) -> AHashMap<u64, Listed<'t>> {
        let mut listed = AHashMap::new();
        for (id, api) in (0..).map(ApiId).zip(&catalog.apis) {
            let Some((bound, compiled)) = self.bound(id) else { continue };
            let group = catalog.groups.get(api.group.index()).map_or("", |group| &group.name);
            let stage = catalog.stages.get(api.stage.index()).map_or("", String::as_str);
            rules(bound, compiled, group, &api.name, stage, &mut |rule: Listed<'t>| drop(listed.insert(rule.id, rule)));
        }
        if let Some(limit) = self.default_domains.first() {
            let counts = Counts::DefaultDomains(self, catalog);
            let rule = Listed { id: DEFAULT_DOMAIN, policy: "default-domain", counts, target: String::new(), stage: "", limit };
            listed.insert(DEFAULT_DOMAIN, rule);
        }
        listed
    }
}

fn rules<'t>(bound: &'t Bound, compiled: &'t Compiled, group: &str, api: &str, stage: &'t str, add: &mut impl FnMut(Listed<'t>)) {
    let policy = compiled.name.as_str();
    let target = format!("{group}/{api}");
    match (&compiled.limits, &bound.counters) {
        (Limits::Callers(callers), Counters::Callers { api, user, app, group: of_group }) => {
            let mut rule = |id: u64, counts, target: &str, limit: Option<&'t Limit>| {
                if let Some(limit) = limit {
                    add(Listed { id, policy, counts, target: target.to_owned(), stage, limit });
                }
            };
            rule(*api, Counts::Everyone, &target, Some(&callers.api));
            // Where only specials are limited, they are listed by what the API allows.
            let some_owner = || callers.special_owners.values().next();
            let some_app = || callers.special_apps.values().next();
            rule(*user, Counts::Users(callers), &target, callers.user.as_ref().or_else(some_owner));
            rule(*app, Counts::Apps(callers), &target, callers.app.as_ref().or_else(some_app));
            if let Some((id, limit)) = of_group {
                rule(*id, Counts::Everyone, group, Some(limit));
            }
        }
        (Limits::Parameters(limits), Counters::Parameters { default, rules }) => {
            let named = rules.iter().zip(&limits.rules);
            let named =
                named.map(|(&id, (rule, limit))| (id, if rule.by.is_empty() { Counts::Everyone } else { Counts::Values }, limit));
            for (id, counts, limit) in named.chain([(*default, Counts::Everyone, &limits.default)]) {
                add(Listed { id, policy, counts, target: target.clone(), stage, limit });
            }
        }
        _ => {}
    }
}

impl<'t> Listed<'t> {
    /// The policy, and which of its rules.
    pub fn name(&self) -> &'t str {
        &self.limit.name
    }

    /// Whom it counts: `app`, ...
    pub fn whom(&self) -> &'static str {
        match self.counts {
            Counts::Everyone if self.target.contains('/') || self.target.is_empty() => "api",
            Counts::Everyone | Counts::DefaultDomains(..) => "group",
            Counts::Users(_) => "user",
            Counts::Apps(_) => "app",
            Counts::Values => "value",
        }
    }

    /// The limit for one subject, by its name.
    pub fn limit(&self, subject: &[u8], catalog: &Catalog) -> &'t Limit {
        let special = match self.counts {
            Counts::Apps(callers) => callers.special_apps.iter().find_map(|(&app, limit)| {
                let of = catalog.apps.get(app)?;
                is(&of.name, subject).then_some(limit)
            }),
            Counts::Users(callers) => {
                callers.special_owners.iter().find_map(|(owner, limit)| is(owner, subject).then_some(limit))
            }
            Counts::DefaultDomains(policies, catalog) => {
                let group = catalog.groups.iter().position(|group| is(&group.name, subject));
                group.and_then(|group| policies.default_domain(GroupId(group as u32)))
            }
            Counts::Everyone | Counts::Values => None,
        };
        special.unwrap_or(self.limit)
    }

    /// The counters that a subject of this name may have.
    pub fn counters_of(&self, subject: &[&[u8]], quotas: &Quotas) -> Vec<u64> {
        let one = match subject {
            [one] => one,
            _ if matches!(self.counts, Counts::Values) => return vec![counter(self.id, quotas.id(subject))],
            _ => return Vec::new(),
        };
        match self.counts {
            Counts::Everyone if self.target.as_bytes() == *one => vec![counter(self.id, super::draw::EVERYONE)],
            Counts::Everyone => Vec::new(),
            Counts::Apps(_) => vec![counter(self.id, quotas.app(one))],
            // An app without an owner is a user by itself.
            Counts::Users(_) => [quotas.owner(one), quotas.app(one)].map(|subject| counter(self.id, subject)).to_vec(),
            Counts::Values => vec![counter(self.id, quotas.id(subject))],
            Counts::DefaultDomains(..) => vec![quotas.default_domain(one)],
        }
    }
}

/// Whether a counter's subject, of which the first bytes are kept, is this one.
fn is(name: &str, subject: &[u8]) -> bool {
    name.as_bytes() == subject || (subject.len() == SUBJECT_BYTES && name.as_bytes().starts_with(subject))
}

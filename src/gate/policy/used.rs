//! How much of their budgets policies have given out, over all whom they count: what metrics show.

use std::ops::AddAssign;
use std::sync::Arc;

use ahash::AHashMap;

use super::{Callers, Counters, Limit, Limits, Pace, Policies};
use crate::catalog::{App, Catalog};
use crate::gate::quota::bucket;
use crate::gate::quota::look::{Level, Seen};
use crate::gate::quota::table::SUBJECT_BYTES;

/// How one subject stands under a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub used: u64,
    pub left: u64,
    /// Until all of it is there again.
    pub whole_in_ms: u64,
}

impl Limit {
    /// `None`: nothing is used of it now: the window is over, or it was counted before the policy was changed.
    pub fn standing(&self, level: Level, now_ms: u64) -> Option<Standing> {
        let standing = match (level, self.pace) {
            (Level::Window { window, used }, Pace::Window { zone_ms }) => {
                let whole_in_ms = window.end_ms(zone_ms).checked_sub(now_ms).filter(|&ms| ms > 0)?;
                Standing { used, left: self.limit.saturating_sub(used), whole_in_ms }
            }
            (Level::Bucket(word), Pace::Bucket { .. }) => {
                let left = bucket::left(word, self.limit, now_ms);
                let used = self.limit - left;
                Standing { used, left, whole_in_ms: (used * 1000).checked_div(self.limit).unwrap_or(0) }
            }
            _ => return None,
        };
        (standing.used > 0).then_some(standing)
    }
}

/// What a rule of a policy has given out in the windows under way, at all that it is bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub calls: u64,
    /// Whom it counts, and who has used some.
    pub subjects: u64,
    /// Those of them who have nothing left.
    pub exhausted: u64,
}

impl AddAssign for Used {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.subjects += other.subjects;
        self.exhausted += other.exhausted;
    }
}

/// The policies in force, for those who look at what they have given out.
#[derive(Clone)]
pub struct InForce {
    pub catalog: Arc<Catalog>,
    pub policies: Arc<Policies>,
}

/// What counters add up to, rule by rule.
pub struct Sums<'t> {
    /// Places in `rules`, by what counters are known by.
    places: AHashMap<u64, u32>,
    rules: Vec<Rule<'t>>,
}

struct Rule<'t> {
    policy: &'t str,
    name: &'t str,
    /// `None`: of specials alone.
    limit: Option<&'t Limit>,
    /// By as much of a name as a counter keeps.
    specials: AHashMap<&'t [u8], &'t Limit>,
    used: Used,
}

impl InForce {
    /// Nothing yet: a place for each rule, of which there are few, whatever it is bound to.
    pub fn sums(&self) -> Sums<'_> {
        let Policies { policies, bound, .. } = &*self.policies;
        let (mut first, mut rules) = (Vec::with_capacity(policies.len()), Vec::new());
        for compiled in policies {
            first.push(rules.len() as u32);
            let rule =
                |name, limit| Rule { policy: &compiled.name, name, limit, specials: AHashMap::new(), used: Used::default() };
            match &compiled.limits {
                Limits::Callers(callers) => {
                    rules.push(rule("api", Some(&callers.api)));
                    rules.push(Rule { specials: owners(callers), ..rule("user", callers.user.as_ref()) });
                    rules.push(Rule { specials: apps(callers, &self.catalog), ..rule("app", callers.app.as_ref()) });
                    rules.push(rule("group", None));
                }
                Limits::Parameters(parameters) => {
                    let limits = std::iter::once(&parameters.default).chain(parameters.rules.iter().map(|(_, limit)| limit));
                    rules.extend(limits.map(|limit| rule(limit.rule(), Some(limit))));
                }
            }
        }
        let mut places = AHashMap::with_capacity(bound.len());
        for one in bound {
            let Some(&first) = first.get(one.policy as usize) else { continue };
            match &one.counters {
                Counters::Callers { api, user, app, group } => {
                    places.extend([(*api, first), (*user, first + 1), (*app, first + 2)]);
                    if let Some((id, limit)) = group {
                        places.insert(*id, first + 3);
                        // As high for every group.
                        rules[first as usize + 3].limit = Some(limit);
                    }
                }
                Counters::Parameters { default, rules } => {
                    places.extend(std::iter::once(default).chain(rules).copied().zip(first..));
                }
            }
        }
        Sums { places, rules }
    }
}

impl<'t> Sums<'t> {
    /// Adds a counter, if it is one of these policies'.
    pub fn add(&mut self, seen: &Seen, now_ms: u64) {
        let place = self.places.get(&seen.rule).map(|&place| place as usize);
        let Some(rule) = place.and_then(|place| self.rules.get_mut(place)) else { return };
        let limit = rule.specials.get(&*seen.subject).copied().or(rule.limit);
        if let Some(Standing { used, left, .. }) = limit.and_then(|limit| limit.standing(seen.level, now_ms)) {
            rule.used += Used { calls: used, subjects: 1, exhausted: u64::from(left == 0) };
        }
    }

    /// Policy, rule, and what was given out; a rule that has given out nothing is left out.
    pub fn used(&self) -> impl Iterator<Item = (&'t str, &'t str, Used)> {
        self.rules.iter().filter(|rule| rule.used.subjects > 0).map(|rule| (rule.policy, rule.name, rule.used))
    }
}

impl Limit {
    /// Which rule of its policy it is.
    fn rule(&self) -> &str {
        self.name.split_once("; ").map_or("", |(_, rule)| rule)
    }
}

fn apps<'t>(callers: &'t Callers, catalog: &'t Catalog) -> AHashMap<&'t [u8], &'t Limit> {
    let name = |app: &'t App| kept(&app.name);
    callers.special_apps.iter().filter_map(|(&app, limit)| Some((name(catalog.apps.get(app)?), limit))).collect()
}

fn owners(callers: &Callers) -> AHashMap<&[u8], &Limit> {
    callers.special_owners.iter().map(|(owner, limit)| (kept(owner), limit)).collect()
}

/// As much of a name as a counter keeps.
fn kept(name: &str) -> &[u8] {
    name.as_bytes().get(..SUBJECT_BYTES).unwrap_or(name.as_bytes())
}

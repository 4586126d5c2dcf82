//! What has been used of quotas, for the metrics: every counter is looked at once, where workers count.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use super::Sources;
use super::scrape::OTHER;
use crate::gate::policy::used::Used;
use crate::gate::quota::look::{Level, Seen};
use crate::gate::quota::quotas::DEFAULT_DOMAIN;
use crate::net::clock;

/// Groups whose default domains have a sample of their own.
const DEFAULT_DOMAINS: usize = 1000;
/// Rules of policies that have.
const RULES: usize = 1000;

/// What this gateway has admitted in the windows under way.
pub struct Quotas {
    /// By group.
    pub default_domains: BTreeMap<String, u64>,
    /// By policy and rule.
    pub policies: BTreeMap<[String; 2], Used>,
}

impl Quotas {
    pub fn of(sources: &Sources) -> Self {
        let (in_force, quotas) = ((sources.policies)(), &sources.shared.quotas);
        let now_ms = quotas.now_ms(clock::unix_ms());
        let (mut rules, mut default_domains) = (in_force.sums(), Vec::new());
        for seen in quotas.counters() {
            match seen.rule {
                DEFAULT_DOMAIN => default_domains.extend(of_today(seen, now_ms)),
                _ => rules.add(&seen, now_ms),
            }
        }
        let rules = rules.used().map(|(policy, rule, used)| ([policy, rule].map(String::from), used));
        Self {
            default_domains: bounded(default_domains.into_iter(), DEFAULT_DOMAINS, OTHER.to_owned()),
            policies: bounded(rules, RULES, [OTHER; 2].map(String::from)),
        }
    }
}

/// The group of a default domain, and its calls of today.
fn of_today(seen: Seen, now_ms: u64) -> Option<(String, u64)> {
    match seen.level {
        Level::Window { window, used } if used > 0 && window.end_ms(0) > now_ms => {
            Some((String::from_utf8_lossy(&seen.subject).into_owned(), used))
        }
        _ => None,
    }
}

/// Sums by name: of the names that come first, so many; the rest together, as `other`.
fn bounded<K: Ord, V: AddAssign + Default>(all: impl Iterator<Item = (K, V)>, names: usize, other: K) -> BTreeMap<K, V> {
    let mut sums = BTreeMap::<K, V>::new();
    let mut others = None;
    for (name, used) in all {
        match sums.len() < names || sums.contains_key(&name) {
            true => *sums.entry(name).or_default() += used,
            false => *others.get_or_insert_with(V::default) += used,
        }
    }
    sums.extend(others.map(|others| (other, others)));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_one_sample() {
        let used = (0..2_500).map(|n| (format!("group-{}", n % 1_250), 1_u64));
        let sums = bounded(used, 1_000, OTHER.to_owned());
        assert_eq!(sums.len(), 1_001);
        assert_eq!((sums["group-0"], sums["group-999"], sums[OTHER]), (2, 2, 500));
        let one = bounded([("g".to_owned(), 3_u64)].into_iter(), 1_000, OTHER.to_owned());
        assert_eq!(one.into_iter().collect::<Vec<_>>(), [("g".to_owned(), 3)]);
    }
}

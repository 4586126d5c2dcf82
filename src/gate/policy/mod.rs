//! Traffic control policies, compiled: which counters a call draws from, and what it is told when one is empty.
//!
//! A counter is known by its rule and its subject ([`super::quota::quotas::counter`]). What the rule is (policy, API, stage, period) and what an app
//! or an owner is known by are computed when tables are built; a call mixes two numbers. Only values of parameters are
//! hashed when they come. As names are what is hashed, a counter goes on where it was when its limit is changed.

mod build;
mod draw;
pub mod list;
mod told;
pub mod used;
mod values;

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::sync::Arc;

use ahash::AHashMap;

use super::ErrorCode;
use crate::catalog::policy::{Fields, Rule};
use crate::catalog::{ApiId, AppId, EngineLoss, GroupId, Parameter, Period};

pub use draw::Draw;
pub use told::Told;
pub use values::Values;

/// What calls of each API are counted by.
pub struct Policies {
    /// Place in `bound`, and one, by `ApiId`; empty where nothing is bound.
    by_api: Box<[Option<NonZeroU32>]>,
    bound: Box<[Bound]>,
    policies: Box<[Compiled]>,
    /// What each app and its owner are known by, by `AppId`; empty where nothing counts them. A list is shared with the
    /// policies before, as long as its apps are the same.
    callers: Box<[Arc<[Caller]>]>,
    /// The quotas of default domains, by `GroupId`.
    default_domains: Box<[Limit]>,
}

/// One API in its stage.
struct Bound {
    /// Place in `policies`.
    policy: u32,
    counters: Counters,
}

/// What the rules of a policy are known by, at one API.
enum Counters {
    Callers { api: u64, user: u64, app: u64, group: Option<(u64, Limit)> },
    Parameters { default: u64, rules: Box<[u64]> },
}

struct Compiled {
    name: String,
    limits: Limits,
}

enum Limits {
    Callers(Box<Callers>),
    Parameters(Parameters),
}

struct Callers {
    api: Limit,
    user: Option<Limit>,
    app: Option<Limit>,
    special_apps: AHashMap<AppId, Limit>,
    special_owners: AHashMap<String, Limit>,
}

struct Parameters {
    default: Limit,
    parameters: Box<[Parameter]>,
    /// Some of them are found in forms.
    need_form: bool,
    rules: Box<[(Rule, Limit)]>,
}

#[derive(Clone, Copy)]
struct Caller {
    app: u64,
    owner: u64,
}

/// One limit: how it is counted, and what a call is told that it refuses.
#[derive(Clone, Debug)]
pub struct Limit {
    pub limit: u64,
    pub period: Period,
    pub pace: Pace,
    /// In a cluster: what happens without its engine.
    pub loss: EngineLoss,
    pub code: ErrorCode,
    /// For the message.
    pub reason: Arc<str>,
    /// `None`: until the window ends.
    pub retry_after_s: Option<u32>,
    pub fields: Fields,
    /// The policy, and which of its rules.
    pub name: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    Window {
        zone_ms: i64,
    },
    /// So many calls wait.
    Bucket {
        queue: u64,
    },
}

impl Limit {
    /// How far the clock by which its windows begin is ahead of UTC.
    pub fn zone_ms(&self) -> i64 {
        match self.pace {
            Pace::Window { zone_ms } => zone_ms,
            Pace::Bucket { .. } => 0,
        }
    }

    /// What answers say of it, if anything.
    pub fn told(&self, remaining: u64, reset_s: u64) -> Option<Told> {
        let told = || Told {
            fields: self.fields,
            name: self.name.clone(),
            limit: self.limit,
            remaining,
            reset_s,
            window_s: self.period.ms() / 1000,
        };
        (self.fields != Fields::None).then(told)
    }
}

impl Policies {
    #[inline]
    fn bound(&self, api: ApiId) -> Option<(&Bound, &Compiled)> {
        let place = self.by_api.get(api.index()).copied().flatten()?;
        let bound = self.bound.get(place.get() as usize - 1)?;
        Some((bound, self.policies.get(bound.policy as usize)?))
    }

    /// Whether calls of an API are counted.
    #[inline]
    pub fn apply_to(&self, api: ApiId) -> bool {
        self.by_api.get(api.index()).is_some_and(Option::is_some)
    }

    /// Whether what they are counted by may stand in a form.
    #[inline]
    pub fn need_form(&self, api: ApiId) -> bool {
        self.bound(api)
            .is_some_and(|(_, compiled)| matches!(&compiled.limits, Limits::Parameters(parameters) if parameters.need_form))
    }

    /// The quota of a group's default domain.
    pub fn default_domain(&self, group: GroupId) -> Option<&Limit> {
        self.default_domains.get(group.index())
    }

    /// The name of the policy that calls of an API are counted by.
    pub fn of(&self, api: ApiId) -> Option<&str> {
        self.bound(api).map(|(_, compiled)| compiled.name.as_str())
    }
}

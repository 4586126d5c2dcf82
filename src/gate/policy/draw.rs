//! What one call draws from which counters.

use super::{Caller, Callers, Counters, Limit, Limits, Pace, Policies, Values};
use crate::catalog::{App, AppId, Catalog};
use crate::gate::condition::holds;
use crate::gate::quota::quotas::counter;
use crate::gate::quota::{Budget, Quotas, Want, Wants};
use crate::gate::{Call, Forward};

/// A counter for all calls of a rule.
pub(super) const EVERYONE: u64 = 0;
/// Values that a rule may count by, at most.
const MOST_VALUES: usize = 16;

/// The units that a call needs, each with the limit it is of.
#[derive(Default)]
pub struct Draw<'a> {
    pub wants: Wants<'a>,
    limits: [Option<&'a Limit>; crate::gate::quota::want::MOST_WANTS],
}

impl<'a> Draw<'a> {
    /// `None`: there is no room, and the call cannot be counted.
    pub fn push(&mut self, limit: &'a Limit, want: Want<'a>) -> Option<()> {
        *self.limits.get_mut(self.wants.len())? = Some(limit);
        self.wants.push(want).then_some(())
    }

    /// The limit of a want.
    pub fn limit(&self, n: usize) -> Option<&'a Limit> {
        self.limits.get(n).copied().flatten()
    }

    pub fn remove(&mut self, n: usize) {
        self.wants.remove(n);
        self.limits.copy_within(n + 1.., n);
    }

    fn of(&mut self, limit: &'a Limit, rule: u64, subject: u64, name: &'a [u8], now_ms: u64) -> Option<()> {
        let budget = match limit.pace {
            Pace::Window { zone_ms } => Budget::window(limit.period, now_ms, zone_ms),
            Pace::Bucket { queue } => Budget::Bucket { queue },
        };
        self.push(
            limit,
            Want {
                id: counter(rule, subject),
                budget,
                limit: limit.limit,
                rule,
                subject: name,
                loss: limit.loss,
                wait_ms: 0,
                turn: None,
            },
        )
    }
}

impl Policies {
    /// Adds what a call needs of the policy that its API is bound to; the narrowest limit first, as it is the first to be
    /// empty. `None`: the call cannot be counted.
    pub fn draw<'a>(
        &'a self,
        call: &Call<'_>,
        forward: &Forward,
        catalog: &'a Catalog,
        quotas: &Quotas,
        values: &'a mut Values,
        draw: &mut Draw<'a>,
    ) -> Option<()> {
        let Some((bound, compiled)) = self.bound(forward.api) else { return Some(()) };
        let now_ms = quotas.now_ms(call.now_ms);
        let caller = forward.app.and_then(|app| Some((self.caller(app)?, app, catalog.apps.get(app)?)));
        match (&compiled.limits, &bound.counters) {
            (Limits::Callers(limits), counters) => by_caller(limits, counters, caller, now_ms, draw),
            (Limits::Parameters(limits), Counters::Parameters { default, rules }) => {
                values.read(&limits.parameters, call, forward, catalog);
                let values = &*values;
                for ((rule, limit), &id) in limits.rules.iter().zip(rules) {
                    let value = |place| values.of(place);
                    if rule.condition.as_ref().is_some_and(|condition| !holds(condition, &value)) {
                        continue;
                    }
                    let empty = |&place: &usize| values.of(place).is_none_or(<[u8]>::is_empty);
                    if rule.bypass_empty_value && rule.by.iter().any(empty) {
                        continue;
                    }
                    let (subject, name) = subject(&rule.by, values, quotas);
                    draw.of(limit, id, subject, name, now_ms)?;
                }
                draw.of(&limits.default, *default, EVERYONE, b"", now_ms)
            }
            _ => None,
        }
    }
}

impl Policies {
    fn caller(&self, app: AppId) -> Option<Caller> {
        self.callers.get(app.list as usize)?.get(app.nth as usize).copied()
    }
}

fn by_caller<'a>(
    limits: &'a Callers,
    counters: &'a Counters,
    caller: Option<(Caller, AppId, &'a App)>,
    now_ms: u64,
    draw: &mut Draw<'a>,
) -> Option<()> {
    let Counters::Callers { api, user, app, group } = counters else { return None };
    if let Some((known, id, of)) = caller {
        let name = of.name.as_bytes();
        if let Some(limit) = limits.special_apps.get(&id) {
            // Neither the limit of apps nor that of users is for it.
            draw.of(limit, *app, known.app, name, now_ms)?;
        } else {
            if let Some(limit) = &limits.app {
                draw.of(limit, *app, known.app, name, now_ms)?;
            }
            let special = of.owner.as_ref().and_then(|owner| limits.special_owners.get(&**owner));
            if let Some(limit) = special.or(limits.user.as_ref()) {
                let owner = of.owner.as_deref().unwrap_or(&of.name);
                draw.of(limit, *user, known.owner, owner.as_bytes(), now_ms)?;
            }
        }
    }
    draw.of(&limits.api, *api, EVERYONE, b"", now_ms)?;
    match group {
        Some((id, limit)) => draw.of(limit, *id, EVERYONE, b"", now_ms),
        None => Some(()),
    }
}

/// What the values of a rule's parameters are known by, and the first of them to be shown.
fn subject<'v>(by: &[usize], values: &'v Values, quotas: &Quotas) -> (u64, &'v [u8]) {
    if by.is_empty() {
        return (EVERYONE, b"");
    }
    // A value that is missing counts as an empty one.
    let mut parts = [&b""[..]; MOST_VALUES];
    for (part, &place) in parts.iter_mut().zip(by) {
        *part = values.counted(place).unwrap_or_default();
    }
    let parts = parts.get(..by.len()).unwrap_or_default();
    (quotas.id(parts), parts.first().copied().unwrap_or_default())
}

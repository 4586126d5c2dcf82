//! The last step of a decision: access rules, then quotas, and quotas last of all, so that a refused call uses up nothing.

use super::quota::quotas::DEFAULT_DOMAIN;
use super::quota::window::Period;
use super::quota::{Budget, Lessee, Quotas, Take, Want, Wants};
use super::{Call, ErrorCode, Forward, Refusal, Tables};
use crate::catalog::CounterFull;

/// A worker's part in the counting.
pub struct Counting {
    lessee: Lessee,
    /// Calls that needed a counter for which there was no room.
    pub without_room: u64,
}

impl Counting {
    pub fn new(quotas: &Quotas, worker: usize) -> Self {
        Self { lessee: quotas.lessee(worker), without_room: 0 }
    }
}

/// What a decision counts with.
pub struct Counted<'a> {
    pub quotas: &'a Quotas,
    pub counting: &'a mut Counting,
}

pub enum Admitted {
    Now,
    /// Whether there is a unit of every quota left hangs on a worker that may give one back: ask again in a moment.
    InDoubt,
}

/// Costs nothing where no quota applies.
#[inline]
pub fn admit(call: &Call<'_>, tables: &Tables, forward: &Forward, counted: &mut Counted<'_>) -> Result<Admitted, Refusal> {
    match forward.default_domain {
        false => Ok(Admitted::Now),
        true => count(call, tables, forward, counted),
    }
}

/// Takes a unit of every quota that the call needs, or of none.
fn count(call: &Call<'_>, tables: &Tables, forward: &Forward, counted: &mut Counted<'_>) -> Result<Admitted, Refusal> {
    let mut wants = wants(call, tables, forward).ok_or(Refusal::new(ErrorCode::X500ER))?;
    let Counted { quotas, counting } = counted;
    loop {
        match quotas.take(&mut counting.lessee, &mut wants, call.now_ms) {
            Ok(()) => return Ok(Admitted::Now),
            Err((_, Take::InDoubt)) => return Ok(Admitted::InDoubt),
            Err((n, Take::Full)) => {
                counting.without_room += 1;
                match tables.catalog.quota.counter_full {
                    // It is counted by the other rules.
                    CounterFull::Accept => wants.remove(n),
                    CounterFull::Refuse => {
                        return Err(Refusal::because(ErrorCode::T429ID, "no room for another counter"));
                    }
                }
            }
            Err((_, Take::Dry | Take::Taken)) => {
                return Err(Refusal::because(ErrorCode::T429ID, "daily quota of the default domain is used up"));
            }
        }
    }
}

/// The units that a call needs: of which counters. `None`: of more than may be.
fn wants<'a>(call: &Call<'_>, tables: &'a Tables, forward: &Forward) -> Option<Wants<'a>> {
    let mut wants = Wants::default();
    if forward.default_domain {
        let group = tables.catalog.apis.get(forward.api.index())?.group;
        let (id, group) = (tables.default_domain_counters.get(group.index())?, tables.catalog.groups.get(group.index())?);
        let want = Want {
            id: *id,
            budget: Budget::window(Period::Day, call.now_ms, 0),
            limit: group.default_domain_calls_per_day,
            rule: DEFAULT_DOMAIN,
            subject: group.name.as_bytes(),
            wait_ms: 0,
        };
        wants.push(want).then_some(())?;
    }
    Some(wants)
}

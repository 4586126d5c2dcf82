//! The last step of a decision: access rules, then quotas, and quotas last of all, so that a refused call uses up nothing.

use super::error::{Detail, Limited};
use super::policy::{Draw, Limit, Told, Values};
use super::quota::allowance::Need;
use super::quota::bucket;
use super::quota::look::Level;
use super::quota::quotas::DEFAULT_DOMAIN;
use super::quota::window::Period;
use super::quota::{Budget, Lessee, Quotas, Take, Want};
use super::{Call, ErrorCode, Forward, Refusal, Tables};
use crate::catalog::CounterFull;
use crate::catalog::policy::Fields;

/// A worker's part in the counting.
pub struct Counting {
    lessee: Lessee,
    values: Values,
    /// Calls that needed a counter for which there was no room.
    pub without_room: u64,
    /// The call that is decided waits for the cluster's engine no longer.
    pub late: bool,
}

impl Counting {
    pub fn new(quotas: &Quotas, worker: usize) -> Self {
        Self { lessee: quotas.lessee(worker), values: Values::default(), without_room: 0, late: false }
    }

    /// What the cluster's engine is to be asked for.
    pub fn needs(&mut self) -> std::vec::Drain<'_, Need> {
        self.lessee.needs.drain(..)
    }
}

/// What a decision counts with.
pub struct Counted<'a> {
    pub quotas: &'a Quotas,
    pub counting: &'a mut Counting,
}

pub enum Admitted {
    /// `wait_ms`: until its turn comes. `told`: of the limit that is nearest to its end, where its policy wants that.
    Passes { wait_ms: u64, told: Option<Told> },
    /// Whether there is a unit of every quota left hangs on a worker that may give one back: ask again in a moment.
    InDoubt,
    /// Units are asked of the cluster's engine.
    Awaited,
}

/// Costs nothing where no quota applies.
#[inline]
pub fn admit(call: &Call<'_>, tables: &Tables, forward: &Forward, counted: &mut Counted<'_>) -> Result<Admitted, Refusal> {
    match forward.default_domain || tables.policies.apply_to(forward.api) {
        false => Ok(Admitted::Passes { wait_ms: 0, told: None }),
        true => count(call, tables, forward, counted),
    }
}

/// Takes a unit of every quota that the call needs, or of none.
fn count(call: &Call<'_>, tables: &Tables, forward: &Forward, counted: &mut Counted<'_>) -> Result<Admitted, Refusal> {
    let Counted { quotas, counting } = counted;
    let Counting { lessee, values, without_room, late } = &mut **counting;
    let now_ms = quotas.now_ms(call.now_ms);
    let mut draw = draw(call, tables, forward, quotas, values, now_ms).ok_or(Refusal::new(ErrorCode::X500ER))?;
    loop {
        let (n, why) = match quotas.take(lessee, &mut draw.wants, now_ms, *late) {
            Ok(()) => {
                let wait_ms = draw.wants.iter().map(|want| want.wait_ms).max().unwrap_or(0);
                return Ok(Admitted::Passes { wait_ms, told: told(quotas, &draw, now_ms) });
            }
            Err((_, Take::InDoubt)) => return Ok(Admitted::InDoubt),
            Err((_, Take::Awaited)) => return Ok(Admitted::Awaited),
            Err(refused) => refused,
        };
        if why == Take::Full {
            *without_room += 1;
            if tables.catalog.quota.counter_full == CounterFull::Accept {
                // It is counted by the other rules.
                draw.remove(n);
                continue;
            }
        }
        let (Some(limit), Some(want)) = (draw.limit(n), draw.wants.get(n)) else { return Err(Refusal::new(ErrorCode::X500ER)) };
        return Err(refusal(limit, want, why, now_ms));
    }
}

/// A call that waited for its turn has left: its place is for others. What it has drawn from windows stays counted.
pub fn give_place_up(call: &Call<'_>, tables: &Tables, forward: &Forward, counted: &mut Counted<'_>) {
    let Counted { quotas, counting } = counted;
    let Counting { lessee, values, .. } = &mut **counting;
    let now_ms = quotas.now_ms(call.now_ms);
    let Some(draw) = draw(call, tables, forward, quotas, values, now_ms) else { return };
    let tokens = draw.wants.iter().filter(|want| matches!(want.budget, Budget::Bucket { .. }));
    tokens.for_each(|want| quotas.give_place_up(lessee, want, now_ms));
}

/// The units that a call needs: of which counters. `None`: of more than may be.
fn draw<'a>(
    call: &Call<'_>,
    tables: &'a Tables,
    forward: &Forward,
    quotas: &Quotas,
    values: &'a mut Values,
    now_ms: u64,
) -> Option<Draw<'a>> {
    let mut draw = Draw::default();
    tables.policies.draw(call, forward, &tables.catalog, quotas, values, &mut draw)?;
    if forward.default_domain {
        let group = tables.catalog.apis.get(forward.api.index())?.group;
        let (id, name) = (*tables.default_domain_counters.get(group.index())?, &tables.catalog.groups.get(group.index())?.name);
        let limit = tables.policies.default_domain(group)?;
        let budget = Budget::window(Period::Day, now_ms, 0);
        let want = Want {
            id,
            budget,
            limit: limit.limit,
            rule: DEFAULT_DOMAIN,
            subject: name.as_bytes(),
            loss: limit.loss,
            wait_ms: 0,
            turn: None,
        };
        draw.push(limit, want)?;
    }
    Some(draw)
}

/// What is told of the limits of a call that passes: of the one that has the least left. Others may count meanwhile, so that
/// it is what was left a moment ago; in a cluster, when the engine was last asked for some of it.
fn told(quotas: &Quotas, draw: &Draw<'_>, now_ms: u64) -> Option<Told> {
    let standing = quotas.standing();
    let of = |(n, want): (usize, &Want<'_>)| {
        let limit = draw.limit(n).filter(|limit| limit.fields != Fields::None)?;
        let (left, whole_in_ms) = match (quotas.level(want.id), want.budget) {
            (Some(Level::Window { window, used }), Budget::Window(own)) if window == own => {
                let elsewhere = standing.and_then(|standing| standing.heard(want.id, Some(own))).unwrap_or(0);
                (want.limit.saturating_sub(used + elsewhere), own.end_ms(limit.zone_ms()).saturating_sub(now_ms))
            }
            (Some(Level::Bucket(word)), Budget::Bucket { .. }) => {
                let left = match standing {
                    Some(standing) => standing.heard(want.id, None).unwrap_or(want.limit),
                    None => bucket::left(word, want.limit, now_ms),
                };
                (left, Period::Second.ms())
            }
            // Its window has ended since.
            _ => (want.limit, 0),
        };
        limit.told(left, whole_in_ms.div_ceil(1000))
    };
    draw.wants.iter().enumerate().filter_map(of).min_by_key(|told| told.remaining)
}

/// What a call is told that a limit refuses.
fn refusal(limit: &Limit, want: &Want<'_>, why: Take, now_ms: u64) -> Refusal {
    match why {
        Take::Full => return Refusal::because(limit.code, "no room for another counter"),
        Take::Lost => return Refusal::because(limit.code, "the counters of the cluster cannot be reached"),
        _ => {}
    }
    let free_in_ms = match want.budget {
        Budget::Window(window) => window.end_ms(limit.zone_ms()).saturating_sub(now_ms),
        Budget::Bucket { .. } => want.wait_ms,
    };
    let free_in_s = free_in_ms.div_ceil(1000).max(1);
    let limited = Limited {
        reason: limit.reason.clone(),
        retry_after_s: limit.retry_after_s.map_or(free_in_s, u64::from),
        told: limit.told(0, free_in_s),
    };
    Refusal { code: limit.code, detail: Detail::Limited(limited) }
}

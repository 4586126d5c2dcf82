//! What a call is counted by, in words.

use super::places::Places;
use crate::catalog::ApiId;
use crate::document::Place;
use crate::gate::policy::{Draw, Values};
use crate::gate::{Call, Forward, Shared, Tables};

/// The limits that a call which passes draws from, and what bound it to them.
pub fn told(
    call: &Call<'_>,
    forward: &Forward,
    tables: &Tables,
    shared: &Shared,
    places: &Places<'_>,
) -> (String, Option<Place>) {
    let (mut values, mut draw) = (Values::default(), Draw::default());
    // What cannot be counted has been refused.
    let _ = tables.policies.draw(call, forward, &tables.catalog, &shared.quotas, &mut values, &mut draw);
    let mut limits: Vec<String> = Vec::new();
    for (n, want) in draw.wants.iter().enumerate() {
        let Some(limit) = draw.limit(n) else { continue };
        let subject = String::from_utf8_lossy(want.subject);
        limits.push(if subject.is_empty() { limit.reason.to_string() } else { format!("{} (`{subject}`)", limit.reason) });
    }
    if forward.default_domain {
        limits.push("the daily quota of the default domain".to_owned());
    }
    let says = match limits.is_empty() {
        true => "no rule stands against it".to_owned(),
        false => format!("within {}; if nothing of that is used up, which is not known here", limits.join(", ")),
    };
    (says, policy(forward.api, tables, places))
}

/// Where an API is bound to the policy that counts its calls.
pub fn policy(api: ApiId, tables: &Tables, places: &Places<'_>) -> Option<Place> {
    places.policy(tables.policies.of(api)?, tables.catalog.apis.get(api.index())?)
}

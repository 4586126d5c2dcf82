//! The decision: may this call pass, and as what request to which backend? Pure: bytes, tables, counters and the
//! time come in, a [`Verdict`] goes out.
//!
//! Start at [`decide`]: its body is the list of steps, in order.

pub mod authenticate;
pub mod authorize;
pub mod client;
pub mod error;
pub mod map;
pub mod quota;
pub mod route;
pub mod tables;
pub mod trace;
pub mod verdict;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::catalog::{Api, ApiId, AppId, Scheme, SiteId};
use crate::http::field::FieldId;
use crate::http::head::RequestView;
use crate::http::target::Target;
use crate::tls::server::Peer;

use authenticate::recorded::Recorded;
use authenticate::{Credential, Outcome};
use route::Route;
use trace::{Observer, Seen};

pub use error::{ErrorCode, Refusal};
pub use tables::{Shared, Tables};
pub use verdict::{Decision, Forward, Verdict};

/// A request as the gate sees it.
pub struct Call<'a> {
    pub request: RequestView<'a>,
    pub target: Target<'a>,
    /// Of the listener.
    pub scheme: Scheme,
    pub peer: IpAddr,
    /// What a client has shown of itself in its handshake; `None` over HTTP.
    pub client: Option<&'a Peer>,
    /// The decoded body, once [`Verdict::NeedForm`] asked for it.
    pub form: Option<&'a [u8]>,
    /// Unix time, in milliseconds.
    pub now_ms: u64,
}

/// Buffers that a worker keeps for the gate, so that a decision allocates nothing.
#[derive(Default)]
pub struct Scratch {
    pub authenticate: authenticate::Scratch,
}

/// Decides one call: each step of [`steps`] lets it pass or refuses it.
pub fn decide(call: &Call<'_>, tables: &Tables, shared: &Shared, scratch: &mut Scratch) -> Decision {
    decide_watched(call, tables, shared, scratch, &mut ())
}

/// The same, and `observer` is told what each step found.
pub fn decide_watched<O: Observer>(
    call: &Call<'_>,
    tables: &Tables,
    shared: &Shared,
    scratch: &mut Scratch,
    observer: &mut O,
) -> Decision {
    decision(call, tables, |api| authenticate(call, tables, shared, scratch, api), observer)
}

/// Decides on the record of a call. Only who calls is taken from the record, which has no secrets to check; every other
/// step is the live one.
pub fn decide_recorded(call: &Call<'_>, tables: &Tables, recorded: &mut Recorded<'_>) -> Decision {
    decision(call, tables, |api| recorded.authenticate(tables, api), &mut ())
}

#[inline]
fn decision<O: Observer>(
    call: &Call<'_>,
    tables: &Tables,
    authenticate: impl FnOnce(ApiId) -> Result<Outcome, Refusal>,
    observer: &mut O,
) -> Decision {
    let mut known = Known::default();
    let verdict = steps(call, tables, authenticate, &mut known, observer).unwrap_or_else(Verdict::Refuse);
    let Known { api, caller } = known;
    let (app, credential) = caller.unzip();
    Decision { verdict, api, app, credential, debug: wants_debug(call) }
}

/// What was learnt on the way, however it ended.
#[derive(Default)]
struct Known {
    api: Option<ApiId>,
    caller: Option<(AppId, Credential)>,
}

#[inline]
fn steps<O: Observer>(
    call: &Call<'_>,
    tables: &Tables,
    authenticate: impl FnOnce(ApiId) -> Result<Outcome, Refusal>,
    known: &mut Known,
    observer: &mut O,
) -> Result<Verdict, Refusal> {
    let route = tables.router.route_watched(call, observer)?;
    let api = &tables.catalog.apis[route.api.index()];
    known.api = Some(route.api);

    if call.scheme == Scheme::Http && route.redirect {
        return Ok(Verdict::Redirect);
    }
    protocol(call.scheme, api)?;
    if let Some(site) = route.site {
        vouched(call, tables, site)?;
    }
    observer.saw(Seen::Protocol);

    let body_md5 = match authenticate(route.api)? {
        Outcome::NeedForm => return Ok(Verdict::NeedForm),
        Outcome::Anonymous => {
            observer.saw(Seen::Caller(None));
            None
        }
        Outcome::App { app, credential, body_md5 } => {
            known.caller = Some((app, credential));
            observer.saw(Seen::Caller(known.caller));
            authorize::check(&tables.catalog, app, route.api, call.now_ms)?;
            body_md5
        }
    };
    observer.saw(Seen::Authorized);

    admit(call, tables, &route)?;
    observer.saw(Seen::Admitted);
    Ok(Verdict::Forward(Forward { api: route.api, path: route.path, body_md5 }))
}

/// The API takes calls over the listener's protocol.
fn protocol(scheme: Scheme, api: &Api) -> Result<(), Refusal> {
    match scheme {
        Scheme::Http if !api.protocols.http => Err(Refusal::because(ErrorCode::I403PT, "HTTP")),
        Scheme::Https if !api.protocols.https => Err(Refusal::because(ErrorCode::I403PT, "HTTPS")),
        Scheme::Http | Scheme::Https => Ok(()),
    }
}

/// A domain that asks for certificates is not reached over the handshake of another that does not.
fn vouched(call: &Call<'_>, tables: &Tables, site: SiteId) -> Result<(), Refusal> {
    let demanded = tables.catalog.sites.get(site.index()).and_then(|site| site.demands());
    match demanded.is_none() || call.client.and_then(|client| client.vouched.as_ref()) == demanded {
        true => Ok(()),
        false => Err(Refusal::because(ErrorCode::X403DG, "a client certificate is required")),
    }
}

fn authenticate(
    call: &Call<'_>,
    tables: &Tables,
    shared: &Shared,
    scratch: &mut Scratch,
    api: ApiId,
) -> Result<Outcome, Refusal> {
    let (catalog, rules) = (&*tables.catalog, &tables.catalog.apis[api.index()].authentication);
    authenticate::authenticate(call, api, rules, catalog, &tables.apps, &shared.nonces, &mut scratch.authenticate)
}

/// Access rules, then quotas. Last of the steps, and quotas last in it: a refused call uses up nothing.
fn admit(call: &Call<'_>, tables: &Tables, route: &Route) -> Result<(), Refusal> {
    if route.default_domain {
        let budget = tables.catalog.groups[route.group.index()].default_domain_calls_per_day;
        let calls = tables.default_domain_calls.get(route.group.index());
        if !calls.is_some_and(|calls| calls.take(budget, call.now_ms)) {
            return Err(Refusal::because(ErrorCode::T429ID, "daily quota of the default domain is used up"));
        }
    }
    Ok(())
}

fn wants_debug(call: &Call<'_>) -> bool {
    call.request.field(FieldId::XCaRequestMode).is_some_and(|mode| mode.eq_ignore_ascii_case(b"debug"))
}

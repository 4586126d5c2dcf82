//! The decision: may this call pass, and as what request to which backend? Pure: bytes, tables, counters and the
//! time come in, a [`Verdict`] goes out.
//!
//! Start at [`decide`]: its body is the list of steps, in order.

pub mod admit;
pub mod authenticate;
pub mod authorize;
pub mod client;
pub mod condition;
pub mod error;
pub mod fingerprint;
pub mod hops;
pub mod map;
pub mod policy;
pub mod quota;
pub mod route;
pub mod tables;
pub mod trace;
pub mod verdict;

#[cfg(test)]
pub mod sample;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::catalog::{Api, ApiId, AppId, Scheme, SiteId};
use crate::http::connection::offered;
use crate::http::field::FieldId;
use crate::http::head::RequestView;
use crate::http::target::{self, Target};
use crate::tls::server::Peer;

use admit::{Admitted, Counted, admit};
use authenticate::recorded::Recorded;
use authenticate::{Credential, Outcome};
use quota::Quotas;
use route::Route;
use trace::{Observer, Seen};

pub use admit::Counting;
pub use error::{ErrorCode, Refusal};
pub use tables::{Shared, Tables};
pub use verdict::{Decision, Forward, Verdict};

/// A request as the gate sees it.
pub struct Call<'a> {
    pub request: RequestView<'a>,
    pub target: Target<'a>,
    /// Bytes of the body, where they are known beforehand; 0 otherwise.
    pub body_bytes: u64,
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

/// What a worker keeps for the gate: buffers, so that a decision allocates nothing, and its part in the counting.
pub struct Scratch {
    pub authenticate: authenticate::Scratch,
    pub counting: Counting,
}

impl Scratch {
    /// Of a worker, by its number, which nobody else has.
    pub fn new(shared: &Shared, worker: usize) -> Self {
        Self { authenticate: Default::default(), counting: Counting::new(&shared.quotas, worker) }
    }
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
    let Scratch { authenticate: buffers, counting } = scratch;
    let authenticate = |api| authenticate(call, tables, shared, buffers, api);
    decision(call, tables, authenticate, &mut Counted { quotas: &shared.quotas, counting }, observer)
}

/// Decides on the record of a call. Only who calls is taken from the record, which has no secrets to check; every other
/// step is the live one.
pub fn decide_recorded(
    call: &Call<'_>,
    tables: &Tables,
    quotas: &Quotas,
    counting: &mut Counting,
    recorded: &mut Recorded<'_>,
) -> Decision {
    decision(call, tables, |api| recorded.authenticate(tables, api), &mut Counted { quotas, counting }, &mut ())
}

/// Decides what [`Verdict::InDoubt`] and its like left open; everything else stands. `late`: the call waits for
/// the cluster's engine no longer.
pub fn admit_again(
    call: &Call<'_>,
    tables: &Tables,
    shared: &Shared,
    scratch: &mut Scratch,
    forward: Forward,
    late: bool,
) -> Verdict {
    scratch.counting.late = late;
    let counted = &mut Counted { quotas: &shared.quotas, counting: &mut scratch.counting };
    let verdict = admitted(call, tables, forward, counted).unwrap_or_else(Verdict::Refuse);
    scratch.counting.late = false;
    verdict
}

/// A call that was to be forwarded after a while has left before.
pub fn give_place_up(call: &Call<'_>, tables: &Tables, shared: &Shared, scratch: &mut Scratch, forward: &Forward) {
    let counted = &mut Counted { quotas: &shared.quotas, counting: &mut scratch.counting };
    admit::give_place_up(call, tables, forward, counted);
}

#[inline]
fn admitted(call: &Call<'_>, tables: &Tables, forward: Forward, counted: &mut Counted<'_>) -> Result<Verdict, Refusal> {
    Ok(match admit(call, tables, &forward, counted)? {
        Admitted::Passes { wait_ms, told } => passed(call, Forward { wait_ms, told, ..forward }),
        Admitted::InDoubt => Verdict::InDoubt(forward),
        Admitted::Awaited => Verdict::Awaited(forward),
    })
}

#[inline]
fn decision<O: Observer>(
    call: &Call<'_>,
    tables: &Tables,
    authenticate: impl FnOnce(ApiId) -> Result<Outcome, Refusal>,
    counted: &mut Counted<'_>,
    observer: &mut O,
) -> Decision {
    let mut known = Known::default();
    let verdict = steps(call, tables, authenticate, counted, &mut known, observer).unwrap_or_else(Verdict::Refuse);
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
    counted: &mut Counted<'_>,
    known: &mut Known,
    observer: &mut O,
) -> Result<Verdict, Refusal> {
    let route = tables.router.route_watched(call, observer)?;
    let api = &tables.catalog.apis[route.api.index()];
    known.api = Some(route.api);

    if call.scheme == Scheme::Http && route.redirect {
        return Ok(Verdict::Redirect);
    }
    protocol(call, tables, api)?;
    if let Some(own) = &tables.catalog.instance.via {
        hops::no_loop(&call.request, own.as_bytes())?;
    }
    if let Some(site) = route.site {
        vouched(call, tables, site)?;
    }
    observer.saw(Seen::Protocol);

    if call.body_bytes > tables.catalog.body_bytes(route.api) {
        return Err(Refusal::new(ErrorCode::I413RL));
    }
    observer.saw(Seen::Body);

    // A form is asked for before who calls: a nonce is not used up twice.
    if tables.policies.need_form(route.api) && authenticate::needs_form(call) {
        return Ok(Verdict::NeedForm);
    }
    let (body_md5, nonce) = match authenticate(route.api)? {
        Outcome::NeedForm => return Ok(Verdict::NeedForm),
        Outcome::Anonymous => {
            observer.saw(Seen::Caller(None));
            (None, None)
        }
        Outcome::App { app, credential, body_md5, nonce } => {
            known.caller = Some((app, credential));
            observer.saw(Seen::Caller(known.caller));
            authorize::check(&tables.catalog, app, route.api, call.now_ms)?;
            (body_md5, nonce)
        }
    };
    observer.saw(Seen::Authorized);

    let upgrade = upgrade(call, api);
    let Route { api, path, default_domain, .. } = route;
    let app = known.caller.map(|(app, _)| app);
    let forward = Forward { api, app, path, default_domain, body_md5, upgrade, wait_ms: 0, told: None };
    if let Some(nonce) = nonce {
        return Ok(Verdict::Unconfirmed(forward, nonce));
    }
    let verdict = admitted(call, tables, forward, counted)?;
    if !matches!(verdict, Verdict::InDoubt(_) | Verdict::Awaited(_)) {
        observer.saw(Seen::Admitted);
    }
    Ok(verdict)
}

/// Whether the caller may switch to another protocol, and to which: the first it offers that the API knows. A request
/// with a body is sent as any other (RFC 9110, section 7.8, lets a server ignore the offer).
fn upgrade(call: &Call<'_>, api: &Api) -> Option<usize> {
    if api.upgrades.is_empty() || call.body_bytes > 0 || call.request.field(FieldId::TransferEncoding).is_some() {
        return None;
    }
    let of_api = |offer: &[u8]| api.upgrades.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(offer));
    offered(&call.request).find_map(of_api)
}

/// Every step has let the call pass.
fn passed(call: &Call<'_>, forward: Forward) -> Verdict {
    if hops::ends_here(&call.request) { Verdict::Options(forward.api) } else { Verdict::Forward(forward) }
}

/// The API takes calls over the listener's protocol. A call to an `https` URI that came without TLS is refused, unless it is
/// a proxy's that is trusted to have had it (RFC 9110, section 7.4).
fn protocol(call: &Call<'_>, tables: &Tables, api: &Api) -> Result<(), Refusal> {
    match call.scheme {
        Scheme::Http if !api.protocols.http => Err(Refusal::because(ErrorCode::I403PT, "HTTP")),
        Scheme::Https if !api.protocols.https => Err(Refusal::because(ErrorCode::I403PT, "HTTPS")),
        Scheme::Http if call.target.authority.is_some() && target::is_https(call.request.target()) => {
            match client::is_trusted(&tables.catalog.security.trusted_proxies, call.peer) {
                true => Ok(()),
                false => Err(Refusal::because(ErrorCode::I403PT, "HTTP")),
            }
        }
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
    buffers: &mut authenticate::Scratch,
    api: ApiId,
) -> Result<Outcome, Refusal> {
    let (catalog, rules) = (&*tables.catalog, &tables.catalog.apis[api.index()].authentication);
    authenticate::authenticate(call, api, rules, catalog, &tables.apps, &shared.nonces, buffers)
}

fn wants_debug(call: &Call<'_>) -> bool {
    call.request.field(FieldId::XCaRequestMode).is_some_and(|mode| mode.eq_ignore_ascii_case(b"debug"))
}

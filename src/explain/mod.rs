//! One call, decided as the gateway decides it: each step with what it found and the place in the documents that made it
//! so, and the backend request that would go out.
//!
//! The decision is the gate's ([`crate::gate::decide_watched`]); here is only the telling. Not told is what no document
//! decides: whether a nonce was seen before, what quotas have been used up, which instance would be picked.

mod backend;
mod limits;
mod places;
mod report;
mod request;
mod steps;

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::document::{Layout, Place};
use crate::gate::authenticate::explain as signature;
use crate::gate::{Refusal, Scratch, Shared, Tables, Verdict, decide_watched};
use places::Places;
use steps::Watch;

pub use request::{Circumstances, RawRequest, Unreadable};
pub use steps::message;

/// What a call came to, and how.
pub struct Explanation {
    pub steps: Vec<Step>,
    /// Of a signed call: the server's string to sign, and what is wrong with the signature.
    pub signature: Option<signature::Explanation>,
    pub outcome: Outcome,
}

pub enum Outcome {
    /// It passes; the head of the backend request, to the first instance.
    Forward {
        backend_request: String,
    },
    /// The gateway answers it, with the options of the API.
    Options,
    /// The domain is called over HTTP, and answers over HTTPS.
    Redirect,
    Refuse(Refusal),
}

/// A step of the spine.
pub struct Step {
    pub name: &'static str,
    pub passed: bool,
    /// What it found.
    pub says: String,
    /// What made it so.
    pub place: Option<Place>,
}

/// Explains a call by the catalog of `layout`.
pub fn explain(
    request: &RawRequest,
    circumstances: Circumstances,
    catalog: Arc<Catalog>,
    layout: &Layout,
) -> Result<Explanation, Refusal> {
    let shared = Shared::for_preview(&catalog);
    let tables = Tables::build(catalog, &shared);
    let mut scratch = Scratch::new(&shared, 0);
    let (mut call, mut watch) = (request.call(circumstances, false)?, Watch::default());
    let mut decision = decide_watched(&call, &tables, &shared, &mut scratch, &mut watch);
    if matches!(decision.verdict, Verdict::NeedForm) {
        (call, watch) = (request.call(circumstances, true)?, Watch::default());
        decision = decide_watched(&call, &tables, &shared, &mut scratch, &mut watch);
    }
    let places = Places { layout, catalog: &tables.catalog };
    let admitted = match &decision.verdict {
        Verdict::Forward(forward) => Some(limits::told(&call, forward, &tables, &shared, &places)),
        _ => None,
    };
    let mut steps = steps::told(&watch, &call, admitted, &tables.catalog, &places);
    let signed = request.call(circumstances, true)?;
    let signature = match steps::is_signed(&signed) {
        true => signature::explain(&signed, &tables.catalog, &tables.apps, &mut scratch.authenticate).ok(),
        false => None,
    };
    let outcome = match decision.verdict {
        Verdict::Forward(forward) if request.body().len() as u64 > tables.catalog.body_bytes(forward.api) => {
            let refusal = Refusal::new(crate::gate::ErrorCode::I413RL);
            steps.push(steps::too_large(&refusal, forward.api, &places));
            Outcome::Refuse(refusal)
        }
        Verdict::Forward(forward) => {
            let (of_backend, backend_request) = backend::request(&call, &forward, &tables, request, &places)?;
            steps.extend(of_backend);
            Outcome::Forward { backend_request }
        }
        Verdict::Refuse(refusal) => {
            let policy = decision.api.and_then(|api| limits::policy(api, &tables, &places));
            steps.push(steps::refused(&refusal, &watch, &decision.api, &decision.app, policy, &places));
            Outcome::Refuse(refusal)
        }
        Verdict::Options(_) => Outcome::Options,
        Verdict::Redirect => {
            steps.push(steps::redirected(&watch, &call, &tables.catalog, &places));
            Outcome::Redirect
        }
        // The form was there the second time, and nobody else counts.
        Verdict::NeedForm | Verdict::InDoubt(_) | Verdict::Awaited(_) | Verdict::Unconfirmed(..) => {
            Outcome::Refuse(Refusal::new(crate::gate::ErrorCode::X500ER))
        }
    };
    Ok(Explanation { steps, signature, outcome })
}

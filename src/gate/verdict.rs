//! What the gate says of a call.

use super::Refusal;
use super::authenticate::Credential;
use super::policy::Told;
use super::route::PathMatch;
use crate::catalog::{ApiId, AppId};

/// The result of [`super::decide`], with what was learnt on the way: a refused call is logged with its API and app too.
pub struct Decision {
    pub verdict: Verdict,
    pub api: Option<ApiId>,
    /// Who calls, once authenticated.
    pub app: Option<AppId>,
    /// By what the caller was known.
    pub credential: Option<Credential>,
    /// The caller asked for `X-Ca-Debug-Info`.
    pub debug: bool,
}

impl Decision {
    /// There is something to wait for yet: the body, a word of the cluster, a unit of a quota, or a turn.
    pub fn is_open(&self) -> bool {
        match &self.verdict {
            Verdict::NeedForm | Verdict::InDoubt(_) | Verdict::Awaited(_) | Verdict::Unconfirmed(..) => true,
            Verdict::Forward(forward) => forward.wait_ms > 0,
            Verdict::Options(_) | Verdict::Redirect | Verdict::Refuse(_) => false,
        }
    }
}

pub enum Verdict {
    /// The call may pass; [`super::map`] writes its backend request.
    Forward(Forward),
    /// The signature covers the form body: read it (at most `limits.form_bytes`), then decide again with `Call::form`.
    NeedForm,
    /// Whether there is a unit of every quota left hangs on a worker that is giving some back: ask
    /// [`super::admit_again`] in a moment.
    InDoubt(Forward),
    /// Units are asked of the cluster's engine: ask [`super::admit_again`] when it has answered.
    Awaited(Forward),
    /// Its nonce is new to this gateway: whether it is new to the others of the cluster, too, is asked of its engine. If it is,
    /// ask [`super::admit_again`].
    Unconfirmed(Forward, u128),
    /// A call for the options of an API, that is to go no further.
    Options(ApiId),
    /// The domain is called over HTTP, and answers over HTTPS.
    Redirect,
    Refuse(Refusal),
}

pub struct Forward {
    pub api: ApiId,
    /// Who calls.
    pub app: Option<AppId>,
    pub path: PathMatch,
    /// The call came under the group's default domain.
    pub default_domain: bool,
    /// MD5 that the body must have (`Content-MD5`), to be checked while it streams.
    pub body_md5: Option<[u8; 16]>,
    /// The protocol that the caller offers to switch to, and the API lets it: its place among those of the API.
    pub upgrade: Option<usize>,
    /// How long until its turn comes, by the limits that calls wait for, in milliseconds.
    pub wait_ms: u64,
    /// What its answer says of a limit.
    pub told: Option<Told>,
}

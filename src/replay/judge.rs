//! What the tables of one side make of a record.

use std::sync::Arc;

use ahash::AHashMap;

use super::line::{Line, Recorded as Call};
use crate::catalog::{ApiId, AppId, Catalog};
use crate::gate::authenticate::recorded::{REFUSALS, Recorded};
use crate::gate::quota::Quotas;
use crate::gate::{Counting, ErrorCode, Shared, Tables, Verdict, decide_recorded};

/// The word for [`Outcome::Redirect`].
pub const REDIRECT: &str = "redirect";

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Forward(ApiId),
    /// To the same address over HTTPS.
    Redirect,
    Refuse(ErrorCode),
    /// It hangs on what the record does not say.
    Unknown(&'static str),
}

/// Tables, and the apps of their catalog by name.
pub struct Side {
    tables: Tables,
    quotas: Quotas,
    counting: Counting,
    apps: AHashMap<String, AppId>,
}

/// What a side makes of one record: the outcome, with its names.
pub struct Judged<'s> {
    pub outcome: Outcome,
    /// Group, API and version, where the call found one.
    pub api: Option<(&'s str, &'s str, &'s str)>,
}

impl Side {
    pub fn new(catalog: Arc<Catalog>) -> Self {
        let apps = catalog.apps.ids().map(|(id, app)| (app.name.to_string(), id)).collect();
        let shared = Shared::for_preview(&catalog);
        let tables = Tables::build(catalog, &shared);
        let Shared { quotas, .. } = shared;
        Self { tables, counting: Counting::new(&quotas, 0), quotas, apps }
    }

    pub fn judge(&mut self, line: &Line<'_>, recorded: &Call) -> Judged<'_> {
        let Some(call) = recorded.call() else {
            return Judged { outcome: Outcome::Unknown("the record is not a call"), api: None };
        };
        let refused = line.refusal();
        let at_authentication = |code: &ErrorCode| REFUSALS.contains(code) || *code == ErrorCode::I400HD;
        let mut caller = Recorded {
            app: self.apps.get(&*line.app).copied(),
            credential: line.credential(),
            app_key: line.app_key.as_bytes(),
            has_nonce: !line.nonce.is_empty(),
            refused: refused.filter(at_authentication).filter(|_| line.app.is_empty()),
            unknown: None,
        };
        let decision = decide_recorded(&call, &self.tables, &self.quotas, &mut self.counting, &mut caller);
        let outcome = match (caller.unknown, decision.verdict) {
            (Some(why), _) => Outcome::Unknown(why),
            (None, Verdict::Forward(forward)) => Outcome::Forward(forward.api),
            (None, Verdict::Refuse(refusal)) => Outcome::Refuse(refusal.code),
            (None, Verdict::Redirect) => Outcome::Redirect,
            // A record has no `Max-Forwards`.
            (None, Verdict::Options(api)) => Outcome::Forward(api),
            // A record asks for no form, and nobody else counts.
            (None, Verdict::NeedForm | Verdict::InDoubt(_) | Verdict::Awaited(_) | Verdict::Unconfirmed(..)) => {
                Outcome::Unknown("the record has no body")
            }
        };
        let catalog = &self.tables.catalog;
        let api = decision.api.and_then(|id| catalog.apis.get(id.index()));
        let api = api.map(|api| (catalog.groups[api.group.index()].name.as_str(), api.name.as_str(), api.version.as_str()));
        Judged { outcome, api }
    }
}

impl Judged<'_> {
    /// The same in the eyes of a caller.
    pub fn is(&self, other: &Judged<'_>) -> bool {
        match (self.outcome, other.outcome) {
            (Outcome::Forward(_), Outcome::Forward(_)) => self.name() == other.name(),
            (one, other) => one == other,
        }
    }

    /// `GROUP/API`.
    pub fn name(&self) -> Option<(&str, &str)> {
        self.api.map(|(group, api, _)| (group, api))
    }

    /// `g/a`, `A403EP`, `redirect`, `unknown`.
    pub fn words(&self) -> String {
        match self.outcome {
            Outcome::Forward(_) => self.api.map(|(group, api, _)| format!("{group}/{api}")).unwrap_or_default(),
            Outcome::Redirect => REDIRECT.to_owned(),
            Outcome::Refuse(code) => code.as_str().to_owned(),
            Outcome::Unknown(_) => "unknown".to_owned(),
        }
    }
}

//! Who calls, by a record of the call. A record has neither AppCode nor signature: what was proven when the call was made
//! stands, as far as the rules and the apps of now still ask for that proof. What cannot be known is said to be so.

use super::signature::Method;
use super::{Credential, Outcome, allowed_method, unknown_app_code};
use crate::catalog::{ApiId, AppCodePlace, AppId, Authentication};
use crate::gate::{ErrorCode, Refusal, Tables};

/// What a record says of the caller.
pub struct Recorded<'a> {
    /// The app that it names, if there still is one.
    pub app: Option<AppId>,
    pub credential: Option<Credential>,
    pub app_key: &'a [u8],
    pub has_nonce: bool,
    /// The credentials were refused.
    pub refused: Option<ErrorCode>,
    /// Set by a decision that hangs on what the record does not say.
    pub unknown: Option<&'static str>,
}

/// The codes by which [`super::authenticate`] refuses.
pub const REFUSALS: [ErrorCode; 10] = {
    use ErrorCode::*;
    [A400MA, A401AC, A400AC, A400IK, A403IS, I400I5, I400NC, S403NU, S403TE, I400CT]
};

impl Recorded<'_> {
    /// As [`super::authenticate`], in its order.
    pub(in crate::gate) fn authenticate(&mut self, tables: &Tables, api: ApiId) -> Result<Outcome, Refusal> {
        let api = tables.catalog.apis.get(api.index()).ok_or(Refusal::new(ErrorCode::X500ER))?;
        let Authentication::App { app_code, methods, require_nonce } = api.authentication else {
            return Ok(Outcome::Anonymous);
        };
        match (self.refused, self.credential) {
            (Some(code), _) => Err(self.still_refused(code, app_code, tables)),
            (None, Some(Credential::Signature(method))) => {
                let (app, _) = tables.apps.by_key(&tables.catalog, self.app_key).ok_or(Refusal::new(ErrorCode::A400IK))?;
                allowed_method(method, methods)?;
                self.nonce(require_nonce)?;
                Ok(self.app(app))
            }
            (None, Some(credential)) => {
                let is_looked_for = match app_code {
                    AppCodePlace::Off => false,
                    AppCodePlace::Header => credential == Credential::AppCodeInHeader,
                    AppCodePlace::HeaderQuery => true,
                };
                if !is_looked_for {
                    return Err(Refusal::new(ErrorCode::A400MA));
                }
                self.with_app_code(tables).map(|app| self.app(app)).ok_or(unknown_app_code())
            }
            (None, None) => {
                self.unknown = Some("the API asked for no credentials when it was called, and asks for them here");
                Err(Refusal::new(ErrorCode::A400MA))
            }
        }
    }

    fn app(&self, app: AppId) -> Outcome {
        let credential = self.credential.unwrap_or(Credential::Signature(Method::HmacSha256));
        Outcome::App { app, credential, body_md5: None, nonce: None }
    }

    /// The app of the record, if it is still there with an AppCode. Which of its codes was sent is not recorded.
    fn with_app_code(&self, tables: &Tables) -> Option<AppId> {
        self.app.filter(|app| tables.catalog.apps.get(*app).is_some_and(|app| !app.app_codes.is_empty()))
    }

    fn nonce(&self, required: bool) -> Result<(), Refusal> {
        if required && !self.has_nonce { Err(Refusal::new(ErrorCode::I400NC)) } else { Ok(()) }
    }

    /// Credentials that were refused: by their key, if that is gone; otherwise as they were, unless the key is new.
    fn still_refused(&mut self, code: ErrorCode, app_code: AppCodePlace, tables: &Tables) -> Refusal {
        let has_key = !self.app_key.is_empty();
        let known = has_key && tables.apps.by_key(&tables.catalog, self.app_key).is_some();
        match code {
            ErrorCode::A400IK if known => {
                self.unknown =
                    Some("the app key was unknown when it was called, and is known here: its signature was not checked");
            }
            ErrorCode::A403IS | ErrorCode::S403TE | ErrorCode::S403NU | ErrorCode::I400NC if has_key && !known => {
                return Refusal::new(ErrorCode::A400IK);
            }
            ErrorCode::A401AC if app_code == AppCodePlace::Off && !has_key => return Refusal::new(ErrorCode::A400MA),
            _ => {}
        }
        Refusal::new(code)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::SignatureMethods;
    use crate::gate::sample::{Request, Sample};
    use crate::gate::{Counting, Shared, Verdict, decide_recorded};

    /// The code by which a recorded call of `g/a` is refused, or "passes", and what cannot be known.
    fn judged(rules: Authentication, mut recorded: Recorded<'_>) -> (&'static str, bool) {
        let mut sample = Sample::default();
        let group = sample.group("g", "", &["*"]);
        let api = sample.api(group, "a", 0, "GET", "/a");
        sample.api_mut(api).authentication = rules;
        let app = sample.app("app");
        sample.authorize(app, group, "a", 0, None);
        let key = crate::catalog::AppKey::new("key".into(), "secret".into());
        sample.catalog.apps.change(app, |app| app.keys = Box::new([key]));
        let shared = Shared::new(&sample.catalog, 0, [7; 16]);
        let tables = Tables::build(Arc::new(sample.catalog), &shared);
        let request = Request::new("GET", "/a").field("Host", "h");
        let counting = &mut Counting::new(&shared.quotas, 0);
        match decide_recorded(&request.call(), &tables, &shared.quotas, counting, &mut recorded).verdict {
            Verdict::Refuse(refusal) => (refusal.code.as_str(), recorded.unknown.is_some()),
            _ => ("passes", recorded.unknown.is_some()),
        }
    }

    fn rules(app_code: AppCodePlace, require_nonce: bool) -> Authentication {
        let methods = SignatureMethods { hmac_sha256: true, hmac_sha1: false };
        Authentication::App { app_code, methods, require_nonce }
    }

    fn recorded<'a>(credential: Option<Credential>, app_key: &'a str) -> Recorded<'a> {
        Recorded {
            app: Some(AppId { list: 0, nth: 0 }),
            credential,
            app_key: app_key.as_bytes(),
            has_nonce: false,
            refused: None,
            unknown: None,
        }
    }

    #[test]
    fn what_was_proven_stands_where_it_is_still_asked_for() {
        let sha256 = Some(Credential::Signature(Method::HmacSha256));
        let off = || rules(AppCodePlace::Off, false);
        assert_eq!(judged(off(), recorded(sha256, "key")), ("passes", false));
        assert_eq!(judged(off(), recorded(sha256, "gone")), ("A400IK", false));
        assert_eq!(judged(off(), recorded(Some(Credential::Signature(Method::HmacSha1)), "key")), ("I400HD", false));
        assert_eq!(judged(rules(AppCodePlace::Off, true), recorded(sha256, "key")), ("I400NC", false));
        assert_eq!(judged(off(), recorded(Some(Credential::AppCodeInHeader), "")), ("A400MA", false));
        let header = || rules(AppCodePlace::Header, false);
        assert_eq!(judged(header(), recorded(Some(Credential::AppCodeInHeader), "")), ("passes", false));
        assert_eq!(judged(header(), recorded(Some(Credential::AppCodeInQuery), "")), ("A400MA", false));
        let gone = Recorded { app: None, ..recorded(Some(Credential::AppCodeInHeader), "") };
        assert_eq!(judged(header(), gone), ("A401AC", false));
        assert_eq!(judged(Authentication::None, recorded(None, "")), ("passes", false));
    }

    #[test]
    fn what_was_refused_stays_so_and_what_cannot_be_known_is_said() {
        let header = || rules(AppCodePlace::Header, false);
        let refused = |code, key| Recorded { refused: Some(code), ..recorded(None, key) };
        assert_eq!(judged(header(), refused(ErrorCode::A403IS, "key")), ("A403IS", false));
        assert_eq!(judged(header(), refused(ErrorCode::A403IS, "gone")), ("A400IK", false));
        assert_eq!(judged(header(), refused(ErrorCode::A400IK, "key")), ("A400IK", true));
        assert_eq!(judged(rules(AppCodePlace::Off, false), refused(ErrorCode::A401AC, "")), ("A400MA", false));
        assert_eq!(judged(header(), recorded(None, "")), ("A400MA", true));
        assert_eq!(judged(Authentication::None, refused(ErrorCode::A403IS, "key")), ("passes", false));
    }
}

//! App, API, stage, expiry: may this app call?

use super::{ErrorCode, Refusal};
use crate::catalog::{ApiId, AppId, Catalog};

/// Refuses an app without an authorization (`I403AA`) and one whose authorization has ended (`A403EP`). An app brings what it
/// may call with it: no table of all apps and APIs is built anew with every generation.
pub fn check(catalog: &Catalog, app: AppId, api: ApiId, now_ms: u64) -> Result<(), Refusal> {
    let api = catalog.apis.get(api.index());
    let known = api.zip(catalog.apps.get(app)).and_then(|(api, app)| app.authorization(api.id, api.stage));
    match known {
        None => Err(Refusal::new(ErrorCode::I403AA)),
        Some(known) if known.expires_ms.is_some_and(|ends| ends <= now_ms) => Err(Refusal::new(ErrorCode::A403EP)),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::sample::Sample;

    fn code(result: Result<(), Refusal>) -> Option<ErrorCode> {
        result.err().map(|refusal| refusal.code)
    }

    #[test]
    fn an_app_may_call_what_it_is_authorized_for_in_that_stage() {
        let mut sample = Sample::default();
        let group = sample.group("g", "", &[]);
        let release = sample.api(group, "a", 0, "GET", "/a");
        let test = sample.api(group, "a", 2, "GET", "/a");
        let other = sample.api(group, "b", 0, "GET", "/b");
        let app = sample.app("app");
        let stranger = sample.app("stranger");
        sample.authorize(app, group, "a", 0, Some(1_000));
        sample.authorize(app, group, "not published", 0, None);
        let may = |app, api, now_ms| code(check(&sample.catalog, app, api, now_ms));

        assert_eq!(may(app, release, 999), None);
        assert_eq!(may(app, release, 1_000), Some(ErrorCode::A403EP));
        assert_eq!(may(app, test, 0), Some(ErrorCode::I403AA));
        assert_eq!(may(app, other, 0), Some(ErrorCode::I403AA));
        assert_eq!(may(stranger, release, 0), Some(ErrorCode::I403AA));
    }
}

//! App, API, stage, expiry: may this app call?

use ahash::AHashMap;

use super::{ErrorCode, Refusal};
use crate::catalog::{ApiId, AppId, Catalog, GroupId, StageId};

/// Never expires.
const NEVER: u64 = u64::MAX;

/// When each authorization ends, by app and published API (which is one API in one stage).
pub struct Authorizations {
    /// Unix time in milliseconds.
    expires_ms: AHashMap<(AppId, ApiId), u64>,
}

impl Authorizations {
    /// Names become places here. An authorization for what is not published has nothing to open, and is left out.
    pub fn build(catalog: &Catalog) -> Self {
        let published: AHashMap<(GroupId, StageId, &str), ApiId> = catalog
            .apis
            .iter()
            .enumerate()
            .map(|(index, api)| ((api.group, api.stage, api.name.as_str()), ApiId(index as u32)))
            .collect();
        let count = catalog.apps.iter().map(|app| app.authorizations.len()).sum();
        let mut expires_ms = AHashMap::with_capacity(count);
        for (index, app) in catalog.apps.iter().enumerate() {
            for authorization in &app.authorizations {
                let Some(&api) = published.get(&(authorization.group, authorization.stage, authorization.api.as_str())) else {
                    continue;
                };
                let ends = expires_ms.entry((AppId(index as u32), api)).or_insert(0);
                *ends = authorization.expires_ms.unwrap_or(NEVER).max(*ends);
            }
        }
        expires_ms.shrink_to_fit();
        Self { expires_ms }
    }

    /// Refuses an app without an authorization (`I403AA`) and one whose authorization has ended (`A403EP`).
    pub fn check(&self, app: AppId, api: ApiId, now_ms: u64) -> Result<(), Refusal> {
        match self.expires_ms.get(&(app, api)) {
            None => Err(Refusal::new(ErrorCode::I403AA)),
            Some(&ends) if ends <= now_ms => Err(Refusal::new(ErrorCode::A403EP)),
            Some(_) => Ok(()),
        }
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
        let authorizations = Authorizations::build(&sample.catalog);

        assert_eq!(code(authorizations.check(app, release, 999)), None);
        assert_eq!(code(authorizations.check(app, release, 1_000)), Some(ErrorCode::A403EP));
        assert_eq!(code(authorizations.check(app, test, 0)), Some(ErrorCode::I403AA));
        assert_eq!(code(authorizations.check(app, other, 0)), Some(ErrorCode::I403AA));
        assert_eq!(code(authorizations.check(stranger, release, 0)), Some(ErrorCode::I403AA));
    }

    #[test]
    fn the_longest_of_several_authorizations_counts() {
        let mut sample = Sample::default();
        let group = sample.group("g", "", &[]);
        let api = sample.api(group, "a", 0, "GET", "/a");
        let app = sample.app("app");
        sample.authorize(app, group, "a", 0, None);
        sample.authorize(app, group, "a", 0, Some(1_000));
        assert_eq!(code(Authorizations::build(&sample.catalog).check(app, api, u64::MAX - 1)), None);
    }
}

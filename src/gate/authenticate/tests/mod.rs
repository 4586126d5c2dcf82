//! The whole of [`super::authenticate`], on requests made by hand and on those that real clients sent.

mod request;
mod vectors;

use super::*;
use request::{NOW_MS, Request, WINDOW_MS, catalog};

/// Everything that judges a request.
pub struct Gate {
    pub catalog: Catalog,
    pub apps: Apps,
    pub nonces: NonceSet,
    pub scratch: Scratch,
    pub api: ApiId,
    pub rules: Authentication,
}

impl Gate {
    pub fn new() -> Self {
        let catalog = catalog();
        let apps = Apps::build(&catalog);
        let nonces = NonceSet::new(catalog.security.nonce_capacity, WINDOW_MS, NOW_MS);
        Self { catalog, apps, nonces, scratch: Scratch::default(), api: ApiId(0), rules: request::RULES }
    }

    pub fn judge(&mut self, request: &Request) -> Result<Outcome, Refusal> {
        let Self { catalog, apps, nonces, scratch, api, rules } = self;
        request.call(|call| authenticate(call, *api, rules, catalog, apps, nonces, scratch))
    }
}

/// The message of a refusal, as the product words it.
pub fn message(refusal: &Refusal) -> String {
    let detail = match &refusal.detail {
        Detail::None => String::new(),
        Detail::Text(text) => text.to_string(),
        Detail::Named { name, reason } => format!("`{name}` {reason}"),
        Detail::Owned(text) => String::from_utf8_lossy(text).into_owned(),
    };
    refusal.code.template().replace("{}", &detail)
}

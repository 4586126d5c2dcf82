//! The whole of [`super::authenticate`], on requests made by hand and on those that real clients sent.

mod checks;
mod oracle;
pub mod request;
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
        let nonces = NonceSet::new(catalog.security.nonce_capacity, WINDOW_MS, NOW_MS, [7; 16]);
        Self { catalog, apps, nonces, scratch: Scratch::default(), api: ApiId(0), rules: request::RULES }
    }

    pub fn judge(&mut self, request: &Request) -> Result<Outcome, Refusal> {
        let Self { catalog, apps, nonces, scratch, api, rules } = self;
        request.call(|call| authenticate(call, *api, rules, catalog, apps, nonces, scratch))
    }
}

/// The request as the first app signs it, with neither time nor nonce but those it brings itself.
pub fn signed(mut request: Request) -> Request {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (method, target) = (text(&request.method), text(&request.target));
    let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| (text(name), text(value))).collect();
    let body = request.form.as_deref().unwrap_or_default();
    let unsigned = sign::Unsigned { method: &method, path, query, headers: &headers, body };
    let signing = sign::Signing {
        app_key: "24601001",
        app_secret: "sEcReT-Alpha-0123456789abcdef",
        method: Method::HmacSha256,
        timestamp_ms: None,
        nonce: None,
    };
    for (name, value) in sign::sign(&unsigned, &signing).unwrap() {
        request = request.header(&name, value);
    }
    request
}

/// The message of a refusal, as the product words it.
pub fn message(refusal: &Refusal) -> String {
    let detail = match &refusal.detail {
        Detail::None => String::new(),
        Detail::Text(text) => text.to_string(),
        Detail::Named { name, reason } => format!("`{name}` {reason}"),
        Detail::Limited(limited) => limited.reason.to_string(),
        Detail::Owned(text) => String::from_utf8_lossy(text).into_owned(),
    };
    refusal.code.template().replace("{}", &detail)
}

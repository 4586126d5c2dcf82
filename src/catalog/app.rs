//! Apps: who may call.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::{ApiName, StageId};

pub struct App {
    pub name: Box<str>,
    /// Whose calls are counted together; `None`: those of this app alone.
    pub owner: Option<Box<str>>,
    /// Keys in force; several while one is being replaced.
    pub keys: Box<[AppKey]>,
    pub app_codes: Box<[Secret]>,
    /// In order, each API and stage once.
    pub authorizations: Box<[Authorization]>,
}

impl App {
    /// What it may call: where there are many, found without a look at each.
    pub fn authorization(&self, api: ApiName, stage: StageId) -> Option<&Authorization> {
        let place = self.authorizations.binary_search_by_key(&(api, stage), |known| (known.api, known.stage)).ok()?;
        self.authorizations.get(place)
    }
}

pub struct AppKey {
    pub key: Box<str>,
    pub secret: Secret,
    /// The HMAC-SHA256 key schedule of `secret`, made once.
    pub schedule: Hmac<Sha256>,
}

impl AppKey {
    pub fn new(key: String, secret: String) -> Self {
        let schedule = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
        Self { key: key.into(), secret: Secret::new(secret), schedule }
    }
}

/// A secret: wiped when dropped, never printed.
pub struct Secret(Box<str>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(text.into())
    }
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.0.as_bytes().ct_eq(other.0.as_bytes()))
    }
}
impl Eq for Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// An app may call an API in a stage. The API need not be published there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorization {
    pub api: ApiName,
    pub stage: StageId,
    /// Unix time in milliseconds; `None`: does not expire.
    pub expires_ms: Option<u64>,
}

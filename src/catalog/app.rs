//! Apps: who may call.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

use super::{GroupId, StageId};

pub struct App {
    pub name: String,
    /// Whose calls are counted together; `None`: those of this app alone.
    pub owner: Option<String>,
    /// Keys in force; several while one is being replaced.
    pub keys: Vec<AppKey>,
    pub app_codes: Vec<Secret>,
    pub authorizations: Vec<Authorization>,
}

pub struct AppKey {
    pub key: String,
    pub secret: Secret,
    /// The HMAC-SHA256 key schedule of `secret`, made once.
    pub schedule: Hmac<Sha256>,
}

impl AppKey {
    pub fn new(key: String, secret: String) -> Self {
        let schedule = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
        Self { key, secret: Secret::new(secret), schedule }
    }
}

/// A secret: wiped when dropped, never printed.
pub struct Secret(String);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(text)
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

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// An app may call an API in a stage. The API need not be published there yet.
pub struct Authorization {
    pub group: GroupId,
    pub api: String,
    pub stage: StageId,
    /// Unix time in milliseconds; `None`: does not expire.
    pub expires_ms: Option<u64>,
}

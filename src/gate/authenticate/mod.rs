//! Who calls: AppCode or signature.

pub mod apps;
pub mod nonce;

use super::{Call, Refusal};
use crate::catalog::{ApiId, AppId, Authentication, Catalog};
use apps::Apps;
use nonce::NonceSet;

/// Buffers kept between calls.
#[derive(Default)]
pub struct Scratch {}

#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `body_md5`: what the body must have, from `Content-MD5`.
    App { app: AppId, body_md5: Option<[u8; 16]> },
    /// The API takes calls without authentication.
    Anonymous,
    /// The signature covers the form body, which has not been read yet (`Call::form` is `None`).
    NeedForm,
}

/// Finds who calls. A nonce is recorded only after its signature is good.
pub fn authenticate(
    _call: &Call<'_>,
    _api: ApiId,
    _rules: &Authentication,
    _catalog: &Catalog,
    _apps: &Apps,
    _nonces: &NonceSet,
    _scratch: &mut Scratch,
) -> Result<Outcome, Refusal> {
    todo!()
}

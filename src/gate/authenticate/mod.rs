//! Who calls: AppCode or signature.
//!
//! Start at [`authenticate`]; its steps are in the order of the product. [`string_to_sign`] holds the canonical rule,
//! [`variant`] the departures from it that are tolerated, [`nonce`] what was seen before. [`explain`] runs the same code
//! for a person who wonders why a signature is refused, and [`sign`] for a client.

pub mod apps;
pub mod echo;
pub mod explain;
pub mod nonce;
pub mod parameters;
pub mod recorded;
pub mod sign;
pub mod signature;
pub mod signed_headers;

mod app_code;
pub(super) mod charset;
mod content_md5;
mod percent;
mod sink;
mod string_to_sign;
mod variant;

#[cfg(test)]
pub(crate) mod tests;

use super::error::Detail;
use super::{Call, ErrorCode, Refusal};
use crate::catalog::{ApiId, AppCodePlace, AppId, AppKey, Authentication, Catalog, NonceFull, SignatureMethods};
use crate::http::field::FieldId;
use apps::Apps;
use echo::Echo;
use nonce::{Insert, NonceKey, NonceSet, Sought};
use parameters::Parameters;
use signature::{Method, Signature, Signer};
use signed_headers::SignedHeaders;
use string_to_sign::StringToSign;
use variant::Variant;

/// Buffers kept between calls.
#[derive(Default)]
pub struct Scratch {
    headers: SignedHeaders,
    parameters: Parameters,
    /// Nonces so far for which there was no room.
    pub nonces_without_room: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `body_md5`: what the body must have, from `Content-MD5`. `nonce`: new to this gateway, and to be looked for at the
    /// others of its cluster.
    App { app: AppId, credential: Credential, body_md5: Option<[u8; 16]>, nonce: Option<u128> },
    /// The API takes calls without authentication.
    Anonymous,
    /// The signature covers the form body, which has not been read yet (`Call::form` is `None`).
    NeedForm,
}

/// By what a caller was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    AppCodeInHeader,
    AppCodeInQuery,
    Signature(Method),
}

impl Credential {
    pub const ALL: [Self; 4] =
        [Self::AppCodeInHeader, Self::AppCodeInQuery, Self::Signature(Method::HmacSha256), Self::Signature(Method::HmacSha1)];

    /// As the access log has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AppCodeInHeader => "AppCode",
            Self::AppCodeInQuery => "AppCode-query",
            Self::Signature(method) => method.as_str(),
        }
    }
}

/// Finds who calls. A nonce is recorded only after its signature is good.
///
/// A call that names an app key is judged by its signature, unless it has none and brings an AppCode instead: front ends
/// of the product's market send `X-Ca-Key` beside an AppCode.
pub fn authenticate(
    call: &Call<'_>,
    api: ApiId,
    rules: &Authentication,
    catalog: &Catalog,
    apps: &Apps,
    nonces: &NonceSet,
    scratch: &mut Scratch,
) -> Result<Outcome, Refusal> {
    let (place, methods, require_nonce) = match *rules {
        Authentication::None => return Ok(Outcome::Anonymous),
        Authentication::App { app_code, methods, require_nonce } => (app_code, methods, require_nonce),
    };
    let key = call.request.field(FieldId::XCaKey);
    let is_signed = key.is_some() && call.request.field(FieldId::XCaSignature).is_some();
    if !is_signed && let Some((app, credential)) = by_app_code(call, place, catalog, apps, scratch)? {
        return Ok(Outcome::App { app, credential, body_md5: None, nonce: None });
    }
    let key = key.ok_or(Refusal::new(ErrorCode::A400MA))?;
    let (app, app_key) = apps.by_key(catalog, key).ok_or(Refusal::new(ErrorCode::A400IK))?;
    let method = method(call, methods)?;
    if needs_form(call) {
        return Ok(Outcome::NeedForm);
    }
    // Its place in memory is on its way while the signature is computed.
    let nonce = seek_nonce(call, api, key, catalog, nonces);
    check_signature(call, method, app_key, catalog, scratch)?;
    check_timestamp(call, catalog)?;
    let nonce = check_nonce(nonce, require_nonce, catalog, nonces, &mut scratch.nonces_without_room)?;
    let body_md5 = content_md5::check(call)?;
    Ok(Outcome::App { app, credential: Credential::Signature(method), body_md5, nonce })
}

/// `None`: the call brings no AppCode, or none where the API looks for one.
fn by_app_code(
    call: &Call<'_>,
    place: AppCodePlace,
    catalog: &Catalog,
    apps: &Apps,
    scratch: &mut Scratch,
) -> Result<Option<(AppId, Credential)>, Refusal> {
    match app_code::find(call, place, &mut scratch.parameters) {
        None => Ok(None),
        Some((code, credential)) => match apps.by_app_code(catalog, code) {
            None => Err(unknown_app_code()),
            Some(app) => Ok(Some((app, credential))),
        },
    }
}

fn unknown_app_code() -> Refusal {
    Refusal::because(ErrorCode::A401AC, "not found")
}

fn method(call: &Call<'_>, allowed: SignatureMethods) -> Result<Method, Refusal> {
    let name = call.request.field(FieldId::XCaSignatureMethod).unwrap_or_default();
    let method = Method::named(name).ok_or(invalid_header("X-Ca-Signature-Method", "unknown method"))?;
    allowed_method(method, allowed)
}

fn allowed_method(method: Method, allowed: SignatureMethods) -> Result<Method, Refusal> {
    let refused = invalid_header("X-Ca-Signature-Method", "not allowed by this API");
    if method.is_allowed(allowed) { Ok(method) } else { Err(refused) }
}

/// The call announces a form body, which its signature or a policy goes by, and it has not been read.
pub(super) fn needs_form(call: &Call<'_>) -> bool {
    let content_type = call.request.field(FieldId::ContentType).unwrap_or_default();
    call.form.is_none() && charset::is_form(content_type) && content_md5::has_body(call)
}

fn check_signature(
    call: &Call<'_>,
    method: Method,
    key: &AppKey,
    catalog: &Catalog,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let mut string = StringToSign::read(call, &mut scratch.headers, &mut scratch.parameters)?;
    let given = call.request.field(FieldId::XCaSignature).unwrap_or_default();
    let matched = Signature::decode(given, method)
        .and_then(|given| signature::verify(&Signer::new(method, key), &given, &mut string, &catalog.security.tolerances));
    match matched {
        Some(_) => Ok(()),
        None => {
            let mut echo = Echo::default();
            string.write(Variant::CANONICAL, &mut echo);
            Err(Refusal { code: ErrorCode::A403IS, detail: Detail::Owned(echo.finish()) })
        }
    }
}

fn check_timestamp(call: &Call<'_>, catalog: &Catalog) -> Result<(), Refusal> {
    let Some(text) = call.request.field(FieldId::XCaTimestamp) else { return Ok(()) };
    let timestamp_ms = milliseconds(text).ok_or(invalid_header("X-Ca-Timestamp", "not a number of milliseconds"))?;
    match call.now_ms.abs_diff(timestamp_ms) <= catalog.security.signature_window_ms {
        true => Ok(()),
        false => Err(Refusal::new(ErrorCode::S403TE)),
    }
}

/// Decimal digits; a number beyond 64 bits is the largest, which no clock reaches.
fn milliseconds(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, digit| {
        digit.is_ascii_digit().then(|| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// `None`: the call has no nonce.
fn seek_nonce(call: &Call<'_>, api: ApiId, app_key: &[u8], catalog: &Catalog, nonces: &NonceSet) -> Option<Sought> {
    let nonce = call.request.field(FieldId::XCaNonce).filter(|nonce| !nonce.is_empty())?;
    let api = &catalog.apis[api.index()];
    let group = &catalog.groups[api.group.index()].name;
    Some(nonces.seek(&NonceKey { app_key, group: group.as_bytes(), api: api.name.as_bytes(), nonce }))
}

/// What all gateways of a cluster know the nonce by, where there is one.
fn check_nonce(
    nonce: Option<Sought>,
    required: bool,
    catalog: &Catalog,
    nonces: &NonceSet,
    without_room: &mut u64,
) -> Result<Option<u128>, Refusal> {
    let Some(nonce) = nonce else {
        return if required { Err(Refusal::new(ErrorCode::I400NC)) } else { Ok(None) };
    };
    match nonces.record(nonce) {
        Insert::Fresh => Ok(nonce.shared),
        Insert::Full => {
            *without_room += 1;
            match catalog.security.nonce_full {
                NonceFull::Accept => Ok(nonce.shared),
                NonceFull::Refuse => Err(Refusal::because(ErrorCode::S403NU, "no room to remember another")),
            }
        }
        Insert::Seen => Err(Refusal::new(ErrorCode::S403NU)),
    }
}

fn invalid_header(name: &'static str, reason: &'static str) -> Refusal {
    Refusal { code: ErrorCode::I400HD, detail: Detail::Named { name, reason } }
}

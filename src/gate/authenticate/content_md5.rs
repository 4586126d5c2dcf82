//! `Content-MD5`: the one part of a signature that covers a body which is not a form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use crate::gate::{Call, ErrorCode, Refusal};
use crate::http::field::FieldId;

/// The MD5 that the body still has to be checked against while it streams; `None` when nothing is left to check.
pub(super) fn check(call: &Call<'_>) -> Result<Option<[u8; 16]>, Refusal> {
    let encoded = call.request.field(FieldId::ContentMd5).unwrap_or_default();
    if encoded.is_empty() {
        return Ok(None);
    }
    let expected = decode(encoded).ok_or(wrong("not the Base64 of an MD5 digest"))?;
    match call.form {
        Some([]) => Err(wrong("the body is empty")),
        Some(form) if Md5::digest(form)[..] == expected => Ok(None),
        Some(_) => Err(wrong("does not match the body")),
        None if !has_body(call) => Err(wrong("the body is empty")),
        None => Ok(Some(expected)),
    }
}

/// A body is announced. A chunked one may yet turn out to be empty.
pub(super) fn has_body(call: &Call<'_>) -> bool {
    let length = call.request.field(FieldId::ContentLength).unwrap_or_default();
    length.iter().any(|digit| (b'1'..=b'9').contains(digit)) || call.request.field(FieldId::TransferEncoding).is_some()
}

fn decode(encoded: &[u8]) -> Option<[u8; 16]> {
    // 24 characters are 18 bytes at most.
    let mut decoded = [0; 18];
    if encoded.len() != 24 {
        return None;
    }
    let len = STANDARD.decode_slice(encoded, &mut decoded).ok()?;
    decoded[..len].try_into().ok()
}

fn wrong(reason: &'static str) -> Refusal {
    Refusal::because(ErrorCode::I400I5, reason)
}

//! The string to sign: what client and gateway both compute, and only the holder of the app secret can sign.
//!
//! ```text
//! METHOD \n Accept \n Content-MD5 \n Content-Type \n Date \n
//! Name:Value \n            (one line for each signed header)
//! Path?k=v&k2              (decoded, in order)
//! ```

use super::charset::{Charset, UnknownCharset, is_form};
use super::parameters::{BadParameters, Parameters};
use super::percent::{BadEscape, decode_path};
use super::signed_headers::{SignedHeaders, TooManyHeaders};
use super::sink::Sink;
use super::variant::Variant;
use crate::gate::error::Detail;
use crate::gate::{Call, ErrorCode, Refusal};
use crate::http::field::FieldId;

/// A call read for signing. Nothing is joined: [`StringToSign::write`] hands the pieces on, one after the other.
pub(super) struct StringToSign<'a> {
    call: &'a Call<'a>,
    headers: &'a SignedHeaders,
    parameters: &'a mut Parameters,
}

impl<'a> StringToSign<'a> {
    pub fn read(call: &'a Call<'a>, headers: &'a mut SignedHeaders, parameters: &'a mut Parameters) -> Result<Self, Refusal> {
        headers.read(call.request)?;
        let content_type = call.request.field(FieldId::ContentType).unwrap_or_default();
        let form = match call.form {
            Some(form) if is_form(content_type) => Some((form, Charset::of(content_type)?)),
            _ => None,
        };
        parameters.read(call.target.query, form)?;
        decode_path(call.target.path, &mut Nowhere)?;
        Ok(Self { call, headers, parameters })
    }

    /// The tolerances that would write this call in another way.
    pub fn sensitive_to(&self) -> Variant {
        Variant { raw_path: self.call.target.path.contains(&b'%'), ..self.parameters.sensitive_to() }
    }

    pub fn write(&mut self, variant: Variant, out: &mut impl Sink) {
        self.write_fields(out);
        self.write_headers(out);
        self.write_resource(variant, out);
    }

    /// Method, `Accept`, `Content-MD5`, `Content-Type` and `Date`, each with its line end.
    pub fn write_fields(&self, out: &mut impl Sink) {
        put_upper_case(self.call.request.method(), out);
        out.put(b"\n");
        for id in [FieldId::Accept, FieldId::ContentMd5, FieldId::ContentType, FieldId::Date] {
            out.put(self.call.request.field(id).unwrap_or_default());
            out.put(b"\n");
        }
    }

    /// The lines of the signed headers.
    pub fn write_headers(&self, out: &mut impl Sink) {
        self.headers.write(self.call.request.buffer, out);
    }

    /// Path and parameters.
    pub fn write_resource(&mut self, variant: Variant, out: &mut impl Sink) {
        match variant.raw_path {
            true => out.put(self.call.target.path),
            // Cannot fail: `read` has decoded it once.
            false => decode_path(self.call.target.path, out).unwrap_or_default(),
        }
        if variant.byte_order {
            self.parameters.arrange(variant);
        }
        self.parameters.write(variant, out);
        if variant.byte_order {
            self.parameters.arrange(Variant::CANONICAL);
        }
    }
}

/// Methods are signed in upper case.
fn put_upper_case(method: &[u8], out: &mut impl Sink) {
    if !method.iter().any(u8::is_ascii_lowercase) {
        return out.put(method);
    }
    for byte in method {
        out.put(&[byte.to_ascii_uppercase()]);
    }
}

/// For a decoding that only has to be possible.
struct Nowhere;

impl Sink for Nowhere {
    fn put(&mut self, _bytes: &[u8]) {}
}

impl From<TooManyHeaders> for Refusal {
    fn from(_: TooManyHeaders) -> Self {
        let detail = Detail::Named { name: "X-Ca-Signature-Headers", reason: "too many names" };
        Self { code: ErrorCode::I400HD, detail }
    }
}

impl From<UnknownCharset> for Refusal {
    fn from(_: UnknownCharset) -> Self {
        Self::because(ErrorCode::I400CT, "unknown charset")
    }
}

impl From<BadParameters> for Refusal {
    fn from(bad: BadParameters) -> Self {
        match bad {
            BadParameters::Query(reason) => Self::because(ErrorCode::I400RU, reason),
            BadParameters::Form(reason) => Self::because(ErrorCode::I400BD, reason),
        }
    }
}

impl From<BadEscape> for Refusal {
    fn from(_: BadEscape) -> Self {
        Self::because(ErrorCode::I400PA, "malformed percent-encoding")
    }
}

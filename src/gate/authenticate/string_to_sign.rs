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

/// The parts of a message that are signed, as they stand in it.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub method: &'a [u8],
    /// `Accept`, `Content-MD5`, `Content-Type` and `Date`; empty when absent.
    pub fields: [&'a [u8]; 4],
    /// Percent-encoded.
    pub path: &'a [u8],
    pub query: Option<&'a [u8]>,
    /// The body, decoded; its parameters are signed if the content type is that of a form.
    pub body: Option<&'a [u8]>,
}

/// A message read for signing. Nothing is joined: [`StringToSign::write`] hands the pieces on, one after the other.
pub(super) struct StringToSign<'a> {
    message: Message<'a>,
    headers: &'a SignedHeaders,
    /// What the ranges of `headers` are of.
    buffer: &'a [u8],
    parameters: &'a mut Parameters,
    /// Nothing in the path is escaped.
    path_is_plain: bool,
}

impl<'a> Message<'a> {
    pub fn of(call: &Call<'a>) -> Self {
        let field = |id| call.request.field(id).unwrap_or_default();
        Self {
            method: call.request.method(),
            fields: [FieldId::Accept, FieldId::ContentMd5, FieldId::ContentType, FieldId::Date].map(field),
            path: call.target.path,
            query: call.target.query,
            body: call.form,
        }
    }

    /// The body, if it is a form, and its charset.
    fn form(&self) -> Result<Option<(&'a [u8], Charset)>, UnknownCharset> {
        let [_, _, content_type, _] = self.fields;
        match self.body {
            Some(body) if is_form(content_type) => Ok(Some((body, Charset::of(content_type)?))),
            _ => Ok(None),
        }
    }
}

impl<'a> StringToSign<'a> {
    /// Reads a call, into buffers that are kept.
    pub fn read(call: &Call<'a>, headers: &'a mut SignedHeaders, parameters: &'a mut Parameters) -> Result<Self, Refusal> {
        headers.read(call.request)?;
        Self::new(Message::of(call), headers, call.request.buffer, parameters)
    }

    pub fn new(
        message: Message<'a>,
        headers: &'a SignedHeaders,
        buffer: &'a [u8],
        parameters: &'a mut Parameters,
    ) -> Result<Self, Refusal> {
        parameters.read(message.query, message.form()?)?;
        let path_is_plain = memchr::memchr(b'%', message.path).is_none();
        if !path_is_plain {
            decode_path(message.path, &mut Nowhere)?;
        }
        Ok(Self { message, headers, buffer, parameters, path_is_plain })
    }

    /// The tolerances that would write this message in another way.
    pub fn sensitive_to(&self) -> Variant {
        Variant { raw_path: !self.path_is_plain, ..self.parameters.sensitive_to() }
    }

    pub fn write(&mut self, variant: Variant, out: &mut impl Sink) {
        put_upper_case(self.message.method, out);
        out.put(b"\n");
        for field in self.message.fields {
            out.put(field);
            out.put(b"\n");
        }
        self.write_headers(out);
        self.write_resource(variant, out);
    }

    /// A line for each signed header.
    pub fn write_headers(&self, out: &mut impl Sink) {
        self.headers.write(self.buffer, out);
    }

    /// Path and parameters.
    pub fn write_resource(&mut self, variant: Variant, out: &mut impl Sink) {
        match variant.raw_path || self.path_is_plain {
            true => out.put(self.message.path),
            // Cannot fail: `new` has decoded it once.
            false => decode_path(self.message.path, out).unwrap_or_default(),
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

//! Where a body ends (RFC 9112, section 6), and whether a connection goes on (section 9).
//!
//! One length, said once, or none: every disagreement between the framing fields is refused, because the next hop might
//! settle it the other way and find a second message in the body of the first.

use super::connection::Persistence;
use super::field::{FieldId, is_token, trim};
use super::head::{Fields, HeadError, RequestView, ResponseView, Version};

/// How the length of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    None,
    /// `Content-Length`, at least 1.
    Exact(u64),
    Chunked,
    /// A response that ends where its connection does.
    UntilClose,
}

impl BodyLength {
    /// The length, where it is said beforehand; 0 otherwise.
    pub fn declared(self) -> u64 {
        match self {
            Self::Exact(length) => length,
            Self::None | Self::Chunked | Self::UntilClose => 0,
        }
    }
}

/// What the framing fields of a request say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFraming {
    pub body: BodyLength,
    /// The client allows another request after this one.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFraming {
    pub body: BodyLength,
    /// The backend allows another request on this connection.
    pub keep_alive: bool,
}

/// The framing of a request. Any method may have a body (RFC 9110, section 9.3.1: content of `GET` has no meaning of its
/// own, but is framed like any other). `CONNECT` and `TRACE` are refused here, before their framing could matter.
pub fn request_framing(request: &RequestView<'_>) -> Result<RequestFraming, HeadError> {
    if matches!(request.method(), b"CONNECT" | b"TRACE") {
        return Err(HeadError::UnsupportedMethod);
    }
    let fields = &request.head.fields;
    let version = request.head.version;
    let persistence = Persistence::read(request.buffer, fields)?;
    let body = match declared(request.buffer, fields, version)? {
        Declared::Nothing | Declared::Length(0) => BodyLength::None,
        Declared::Length(length) => BodyLength::Exact(length),
        Declared::Chunked => BodyLength::Chunked,
    };
    // RFC 9110, section 10.1.1: an HTTP/1.0 client cannot expect; without a body there is nothing to wait for.
    let expects_continue = version == Version::Http11 && expects_continue(request)? && body != BodyLength::None;
    Ok(RequestFraming { body, keep_alive: persistence.goes_on(version), expects_continue })
}

/// The framing of a response. `to_head`: the request was `HEAD`.
///
/// `101 Switching Protocols` is refused: a gateway that forwards no `Upgrade` has nothing to switch to
/// (RFC 9110, section 15.2.2).
pub fn response_framing(response: &ResponseView<'_>, to_head: bool) -> Result<ResponseFraming, HeadError> {
    let fields = &response.head.fields;
    let version = response.head.version;
    let persistence = Persistence::read(response.buffer, fields)?;
    let declared = declared(response.buffer, fields, version)?;
    let keep_alive = persistence.goes_on(version);

    match (response.head.status, declared) {
        (101, _) => Err(HeadError::BadStatusLine("101 to a request without Upgrade")),
        // RFC 9112, section 6.3, rule 1: these end with their head, whatever their fields say. A server that frames a
        // body for a 1xx or 204 (forbidden by RFC 9110, section 8.6, and RFC 9112, section 6.1) may well send it, too.
        (100..=199 | 204, Declared::Nothing | Declared::Length(0)) => Ok(ResponseFraming { body: BodyLength::None, keep_alive }),
        (100..=199 | 204, _) => Ok(ResponseFraming { body: BodyLength::None, keep_alive: false }),
        (304, _) => Ok(ResponseFraming { body: BodyLength::None, keep_alive }),
        _ if to_head => Ok(ResponseFraming { body: BodyLength::None, keep_alive }),
        // RFC 9110, section 15.3.6: no content, though framed like any other answer.
        (205, Declared::Length(1..)) => Err(HeadError::BadContentLength("says that a 205 has content")),
        (_, Declared::Length(0)) => Ok(ResponseFraming { body: BodyLength::None, keep_alive }),
        (_, Declared::Length(length)) => Ok(ResponseFraming { body: BodyLength::Exact(length), keep_alive }),
        (_, Declared::Chunked) => Ok(ResponseFraming { body: BodyLength::Chunked, keep_alive }),
        // Rule 8.
        (_, Declared::Nothing) => Ok(ResponseFraming { body: BodyLength::UntilClose, keep_alive: false }),
    }
}

/// What `Content-Length` and `Transfer-Encoding` say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    Nothing,
    Length(u64),
    Chunked,
}

fn declared(buffer: &[u8], fields: &Fields, version: Version) -> Result<Declared, HeadError> {
    match (fields.first(FieldId::TransferEncoding), fields.first(FieldId::ContentLength)) {
        (None, None) => Ok(Declared::Nothing),
        (None, Some(_)) if fields.is_repeated(FieldId::ContentLength) => {
            // RFC 9112, section 6.3, rule 5 would let identical values pass; a reader that adds them up, or takes the
            // first of a list, is not worth meeting.
            Err(HeadError::BadContentLength("stands more than once"))
        }
        (None, Some(length)) => content_length(length.value.of(buffer)).map(Declared::Length),
        // RFC 9112, section 6.1: the mark of request smuggling.
        (Some(_), Some(_)) => Err(HeadError::BadTransferEncoding("stands beside Content-Length")),
        // RFC 9112, section 6.1: HTTP/1.0 has no transfer codings; framing is faulty.
        (Some(_), None) if version == Version::Http10 => Err(HeadError::BadTransferEncoding("stands in an HTTP/1.0 message")),
        (Some(_), None) if fields.is_repeated(FieldId::TransferEncoding) => {
            Err(HeadError::BadTransferEncoding("stands more than once"))
        }
        (Some(coding), None) => transfer_encoding(coding.value.of(buffer)).map(|()| Declared::Chunked),
    }
}

/// `Content-Length = 1*DIGIT` (RFC 9110, section 8.6): no sign, no list, no number that a reader with 63 bits would see
/// as another one.
fn content_length(value: &[u8]) -> Result<u64, HeadError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(HeadError::BadContentLength("is not one decimal number"));
    }
    let mut length: u64 = 0;
    for digit in value {
        length = length
            .checked_mul(10)
            .and_then(|n| n.checked_add(u64::from(digit - b'0')))
            .filter(|&n| n <= i64::MAX as u64)
            .ok_or(HeadError::BadContentLength("is larger than any body"))?;
    }
    Ok(length)
}

/// A lone `chunked`, the one coding that every HTTP/1.1 recipient must know (RFC 9112, section 7.1).
fn transfer_encoding(value: &[u8]) -> Result<(), HeadError> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    // Other codings before a final `chunked` frame the body well enough, but we cannot take them off (section 6.1: 501).
    // Without `chunked` at the end the length of a request is unknown (section 6.3, rule 4: 400).
    let mut chunked = 0;
    let mut last_is_chunked = false;
    for coding in value.split(|&b| b == b',').map(trim) {
        if !is_token(coding) {
            return Err(HeadError::BadTransferEncoding("is not a list of transfer codings"));
        }
        last_is_chunked = coding.eq_ignore_ascii_case(b"chunked");
        chunked += usize::from(last_is_chunked);
    }
    match (chunked, last_is_chunked) {
        (1, true) => Err(HeadError::UnsupportedTransferEncoding),
        (0 | 1, _) => Err(HeadError::BadTransferEncoding("does not end with chunked")),
        _ => Err(HeadError::BadTransferEncoding("names chunked more than once")),
    }
}

/// `Expect: 100-continue` is the one expectation there is (RFC 9110, section 10.1.1).
fn expects_continue(request: &RequestView<'_>) -> Result<bool, HeadError> {
    match request.field(FieldId::Expect) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") && !request.head.fields.is_repeated(FieldId::Expect) => {
            Ok(true)
        }
        Some(_) => Err(HeadError::BadExpect),
    }
}

#[cfg(test)]
mod tests;

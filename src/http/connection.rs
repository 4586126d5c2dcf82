//! The `Connection` field: whether the connection goes on, and which fields are for this connection only
//! (RFC 9110, section 7.6.1; RFC 9112, section 9).

use super::field::{FieldId, is, is_token, trim};
use super::head::{Field, Fields, HeadError, RequestView, ResponseView, Version};

/// What `Connection` says of the connection: checked, so that it can be acted on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Persistence {
    close: bool,
    keep_alive: bool,
}

impl Persistence {
    /// Reads all `Connection` lines. An option that names a field which frames, routes or authenticates the message is
    /// refused: the next hop would drop that field and read another message than we do.
    pub(super) fn read(buffer: &[u8], fields: &Fields) -> Result<Self, HeadError> {
        let mut found = Self::default();
        if fields.first(FieldId::Connection).is_none() {
            return Ok(found);
        }
        // As nearly everyone writes it.
        if let Some(only) = only(buffer, fields) {
            if is(only, b"keep-alive") {
                return Ok(Self { keep_alive: true, close: false });
            }
            if is(only, b"close") {
                return Ok(Self { keep_alive: false, close: true });
            }
        }
        for option in options(buffer, fields) {
            if option.eq_ignore_ascii_case(b"close") {
                found.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                found.keep_alive = true;
            } else if !is_token(option) {
                return Err(HeadError::BadConnection("has an option that is not a token"));
            } else if must_reach_the_other_side(option) {
                return Err(HeadError::BadConnection("names a field that frames, routes or authenticates the message"));
            }
        }
        Ok(found)
    }

    /// RFC 9112, section 9.3: `close` wins; HTTP/1.1 goes on unless told otherwise, HTTP/1.0 only when told.
    pub(super) fn goes_on(self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

/// The protocols that a client offers to switch to (RFC 9110, section 7.8), the most wanted first; none, unless
/// `Connection` says that the offer is for this connection.
pub fn offered<'a>(request: &RequestView<'a>) -> impl Iterator<Item = &'a [u8]> {
    let (buffer, fields) = (request.buffer, &request.head.fields);
    let meant = request.head.version == Version::Http11 && fields.first(FieldId::Upgrade).is_some();
    let meant = meant && options(buffer, fields).any(|option| is(option, b"upgrade"));
    meant.then(|| protocols(buffer, fields)).into_iter().flatten()
}

/// A backend switches to this protocol, and to no other.
pub fn switches_to(answer: &ResponseView<'_>, protocol: &[u8]) -> bool {
    let (buffer, fields) = (answer.buffer, &answer.head.fields);
    let mut named = protocols(buffer, fields);
    answer.head.version == Version::Http11
        && options(buffer, fields).any(|option| is(option, b"upgrade"))
        && named.next().is_some_and(|name| name.eq_ignore_ascii_case(protocol))
        && named.next().is_none()
}

fn protocols<'a>(buffer: &'a [u8], fields: &'a Fields) -> impl Iterator<Item = &'a [u8]> {
    list(buffer, fields, FieldId::Upgrade)
}

fn must_reach_the_other_side(name: &[u8]) -> bool {
    match FieldId::of(name) {
        FieldId::Authorization
        | FieldId::ContentLength
        | FieldId::ContentMd5
        | FieldId::ContentType
        | FieldId::Date
        | FieldId::Expect
        | FieldId::Host
        | FieldId::TransferEncoding
        | FieldId::XForwardedFor
        | FieldId::XClientSDn
        | FieldId::XForwardedProto => true,
        _ => name.len() >= 5 && name[..5].eq_ignore_ascii_case(b"x-ca-"),
    }
}

/// The value of the `Connection` line, when there is just one.
fn only<'a>(buffer: &'a [u8], fields: &'a Fields) -> Option<&'a [u8]> {
    let field = fields.first(FieldId::Connection)?;
    (!fields.is_repeated(FieldId::Connection)).then(|| field.value.of(buffer))
}

/// `Content_Length` and the like: CGI and its successors read it as the field that frames the message (RFC 3875, section
/// 4.1.18, makes the two names one).
#[inline]
fn imitates_framing(name: &[u8]) -> bool {
    let framing: &[u8] = match name.len() {
        14 => b"content-length",
        17 => b"transfer-encoding",
        _ => return false,
    };
    name.iter().zip(framing).all(|(&a, &b)| a.eq_ignore_ascii_case(&b) || a == b'_' && b == b'-')
}

/// The options of all `Connection` lines; empty list elements are skipped (RFC 9110, section 5.6.1.2).
fn options<'a>(buffer: &'a [u8], fields: &'a Fields) -> impl Iterator<Item = &'a [u8]> {
    list(buffer, fields, FieldId::Connection)
}

/// The elements of all lines of a field.
fn list<'a>(buffer: &'a [u8], fields: &'a Fields, id: FieldId) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.id == id)
        .flat_map(move |field| field.value.of(buffer).split(|&b| b == b','))
        .map(trim)
        .filter(|option| !option.is_empty())
}

/// Tells which fields of one head stay behind when the message is sent on. Costs nothing where `Connection` is absent
/// or names no field.
pub struct HopByHop<'a> {
    buffer: &'a [u8],
    fields: &'a Fields,
    /// `Connection` has options that name fields.
    names_fields: bool,
}

impl<'a> HopByHop<'a> {
    pub fn of_request(request: &RequestView<'a>) -> Self {
        Self::new(request.buffer, &request.head.fields)
    }

    pub fn of_response(response: &ResponseView<'a>) -> Self {
        Self::new(response.buffer, &response.head.fields)
    }

    fn new(buffer: &'a [u8], fields: &'a Fields) -> Self {
        let usual = |value: &[u8]| is(value, b"keep-alive") || is(value, b"close");
        let names_fields = fields.first(FieldId::Connection).is_some()
            && !only(buffer, fields).is_some_and(usual)
            && options(buffer, fields)
                .any(|option| !option.eq_ignore_ascii_case(b"close") && !FieldId::of(option).is_hop_by_hop());
        Self { buffer, fields, names_fields }
    }

    /// The field must not be sent on: it is for one connection by its nature, `Connection` names it, or it would frame
    /// the message for a reader that takes `_` for `-`.
    #[inline(always)]
    pub fn drops(&self, field: &Field) -> bool {
        field.id.is_hop_by_hop()
            || self.names_fields && self.is_named(field.name.of(self.buffer))
            // A plain line has no `_` in its name.
            || !field.plain && field.id == FieldId::Other && imitates_framing(field.name.of(self.buffer))
    }

    fn is_named(&self, name: &[u8]) -> bool {
        options(self.buffer, self.fields).any(|option| option.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::{HeadLimits, Parsed, RequestHead, parse_request};

    /// Found by the fuzzer: `Content_Length` was sent on, and frames the message for some readers.
    #[test]
    fn a_name_that_some_read_as_framing_stays_behind() {
        let dropped = |name: &str| {
            let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: 1\r\nX-Last: 1\r\n\r\n");
            let mut head = RequestHead::default();
            let limits = HeadLimits { start_line_bytes: 100, head_bytes: 1000, fields: 9 };
            assert_eq!(parse_request(bytes.as_bytes(), 0, &limits, &mut head), Ok(Parsed::Complete), "{name}");
            let request = RequestView { buffer: bytes.as_bytes(), head: &head };
            head.fields.iter().filter(|field| HopByHop::of_request(&request).drops(field)).count() == 1
        };
        for name in ["Content_Length", "content_length", "Transfer_Encoding", "TRANSFER_ENCODING"] {
            assert!(dropped(name), "{name}");
        }
        for name in ["Content_Lengths", "Content_Type", "X_Length", "Content.Length", "X-Transfer-Encode"] {
            assert!(!dropped(name), "{name}");
        }
    }
}

//! Heads of answers, from their spelling in HTTP/1.1 to fields of a stream (RFC 9113, section 8.3.2).

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

use crate::http::field::FieldId;
use crate::http::head::{Field, ResponseView, parse_field_line};

/// The answer of this head; `None`: it has something that no field of a stream may have.
pub fn response(view: &ResponseView<'_>) -> Option<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(view.head.status).ok()?;
    let fields = response.headers_mut();
    fields.reserve(view.head.fields.len());
    let values = Values::of(view.buffer, view.head.len);
    for field in view.head.fields.iter() {
        // What is about a connection is about none that the client has (section 8.2.2).
        if field.id.is_hop_by_hop() || field.id == FieldId::TransferEncoding {
            continue;
        }
        let mut value = values.value(field)?;
        // No answer has that of another: in the table of packed fields it would take the place of those that come again.
        value.set_sensitive(field.id == FieldId::XCaRequestId);
        fields.try_append(HeaderName::from_bytes(field.name.of(view.buffer)).ok()?, value).ok()?;
    }
    Some(response)
}

/// The values of a head's fields: one copy for all of them.
pub struct Values(Bytes);

impl Values {
    /// Of the head that `buffer` begins with, which has so many bytes.
    pub fn of(buffer: &[u8], len: usize) -> Self {
        Self(Bytes::copy_from_slice(buffer.get(..len).unwrap_or_default()))
    }

    pub fn value(&self, field: &Field) -> Option<HeaderValue> {
        let range = usize::from(field.value.start)..usize::from(field.value.end);
        (range.end <= self.0.len()).then(|| HeaderValue::from_maybe_shared(self.0.slice(range)).ok()).flatten()
    }
}

/// The trailers of these lines.
pub fn trailers(lines: &[u8]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let field = parse_field_line(line).ok()?;
        let (name, value) = (field.name.of(line), field.value.of(line));
        fields.try_append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?).ok()?;
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::{HeadLimits, Parsed, ResponseHead, parse_response};

    #[test]
    fn a_head_loses_what_is_about_its_connection() {
        let bytes =
            b"HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nx-a: 2\r\nKeep-Alive: 5\r\n\r\n";
        let mut head = ResponseHead::default();
        let limits = HeadLimits { start_line_bytes: 100, head_bytes: 500, fields: 9 };
        assert_eq!(parse_response(bytes, 0, &limits, &mut head), Ok(Parsed::Complete));
        let response = response(&ResponseView { buffer: bytes, head: &head }).unwrap();
        let fields: Vec<_> = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(fields, [("x-a", &b"1"[..]), ("x-a", b"2")]);
    }

    #[test]
    fn a_number_of_a_request_is_kept_out_of_the_table_of_fields() {
        let bytes = b"HTTP/1.1 200 OK\r\nX-Ca-Request-Id: 1\r\nX-A: 2\r\n\r\n";
        let mut head = ResponseHead::default();
        let limits = HeadLimits { start_line_bytes: 100, head_bytes: 500, fields: 9 };
        assert_eq!(parse_response(bytes, 0, &limits, &mut head), Ok(Parsed::Complete));
        let response = response(&ResponseView { buffer: bytes, head: &head }).unwrap();
        let kept_out: Vec<_> = response.headers().values().map(HeaderValue::is_sensitive).collect();
        assert_eq!(kept_out, [true, false]);
    }

    #[test]
    fn trailers_are_lines() {
        assert_eq!(trailers(b"Grpc-Status: 0\r\nX: \r\n").unwrap().len(), 2);
        assert!(trailers(b"").unwrap().is_empty());
        assert_eq!(trailers(b"no colon\r\n"), None);
    }
}

//! Heads of answers, from their spelling in HTTP/1.1 to fields of a stream (RFC 9113, section 8.3.2).

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Response};

use crate::http::field::FieldId;
use crate::http::head::{ResponseView, parse_field_line};

/// The answer of this head; `None`: it has something that no field of a stream may have.
pub fn response(view: &ResponseView<'_>) -> Option<Response<()>> {
    let mut response = Response::builder().status(view.head.status).body(()).ok()?;
    let fields = response.headers_mut();
    fields.reserve(view.head.fields.len());
    for (id, name, value) in view.fields() {
        // What is about a connection is about none that the client has (section 8.2.2).
        if !id.is_hop_by_hop() && id != FieldId::TransferEncoding {
            append(fields, name, value)?;
        }
    }
    Some(response)
}

/// The trailers of these lines.
pub fn trailers(lines: &[u8]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let field = parse_field_line(line).ok()?;
        append(&mut fields, field.name.of(line), field.value.of(line))?;
    }
    Some(fields)
}

fn append(fields: &mut HeaderMap, name: &[u8], value: &[u8]) -> Option<()> {
    fields.try_append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?).ok()?;
    Some(())
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
    fn trailers_are_lines() {
        assert_eq!(trailers(b"Grpc-Status: 0\r\nX: \r\n").unwrap().len(), 2);
        assert!(trailers(b"").unwrap().is_empty());
        assert_eq!(trailers(b"no colon\r\n"), None);
    }
}

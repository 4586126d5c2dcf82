//! The path of the backend request: the backend's template, filled with the client's parameters.

use crate::catalog::{PathTemplate, Segment};
use crate::gate::route::{PathMatch, decoded};
use crate::http::percent::is_unreserved;
use crate::http::serialise::HeadWriter;

/// Writes `backend` with each `[name]` replaced by the call's parameter of that name in `api`, and `*` by the rest.
///
/// The rest goes out as it came: its escapes are well-formed and it holds no dot segment (`parse_target`). Templates
/// without segments are `/`.
pub(super) fn write(path: &[u8], found: &PathMatch, api: &PathTemplate, backend: &PathTemplate, writer: &mut HeadWriter<'_>) {
    if backend.segments.is_empty() {
        return writer.bytes(b"/");
    }
    for segment in &backend.segments {
        writer.bytes(b"/");
        match segment {
            Segment::Literal(text) if text.bytes().all(is_segment_byte) => writer.bytes(text.as_bytes()),
            Segment::Literal(text) => write_encoded(text.bytes(), is_segment_byte, writer),
            Segment::Parameter(name) => {
                let span = place(api, name).and_then(|place| found.parameters.get(place));
                // In a caller's word all but the unreserved is escaped: `/` and `%` above all, and the sub-delimiters too,
                // for what some backends read into them (`;`).
                let raw = span.map_or(&b""[..], |span| span.of(path));
                if raw.iter().all(|&byte| is_unreserved(byte)) {
                    writer.bytes(raw);
                } else {
                    write_encoded(decoded(raw), is_unreserved, writer);
                }
            }
            Segment::Rest => writer.bytes(found.rest.map_or(b"", |span| span.of(path))),
        }
    }
}

/// Which parameter of the template has this name.
fn place(template: &PathTemplate, name: &str) -> Option<usize> {
    let mut names = template.segments.iter().filter_map(|segment| match segment {
        Segment::Parameter(name) => Some(name),
        Segment::Literal(_) | Segment::Rest => None,
    });
    names.position(|parameter| parameter == name)
}

/// May stand in a segment (RFC 3986, section 3.3, `pchar`): the operator's own words keep their look.
fn is_segment_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

fn write_encoded(bytes: impl Iterator<Item = u8>, is_plain: fn(u8) -> bool, writer: &mut HeadWriter<'_>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        if is_plain(byte) {
            writer.bytes(&[byte]);
        } else {
            writer.bytes(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

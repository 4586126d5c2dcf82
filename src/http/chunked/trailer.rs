//! The trailer section (RFC 9112, section 7.1.2): checked like the fields of a head; what is harmless is kept.

use super::ChunkError;
use crate::http::field::FieldId;
use crate::http::head::{HeadError, parse_field_line};

/// The trailer section of one message. Allocates only when there is one.
#[derive(Debug, Default)]
pub(super) struct Trailers {
    /// Lines kept, whole, then the line being read.
    bytes: Vec<u8>,
    /// Where the line being read starts.
    line: usize,
    /// Bytes of the section so far, kept or not.
    seen: usize,
}

impl Trailers {
    /// Takes the next bytes of the section: how many belong to it, and whether it has ended.
    pub(super) fn take(&mut self, input: &[u8], limit: usize) -> Result<(usize, bool), ChunkError> {
        let mut consumed = 0;
        while let Some(rest) = input.get(consumed..).filter(|rest| !rest.is_empty()) {
            let line_end = memchr::memchr(b'\n', rest).map(|at| at + 1);
            let piece = &rest[..line_end.unwrap_or(rest.len())];
            consumed += piece.len();
            self.seen += piece.len();
            // The empty line that ends the section is no part of what the limit is for.
            if self.seen > limit.saturating_add(2) {
                return Err(ChunkError::TrailersTooLarge);
            }
            // The common case: no trailers at all.
            if piece == b"\r\n" && self.bytes.len() == self.line {
                return Ok((consumed, true));
            }
            self.bytes.extend_from_slice(piece);
            if line_end.is_some() && self.end_line()? {
                return Ok((consumed, true));
            }
        }
        Ok((consumed, false))
    }

    /// The lines kept, when the section has ended.
    pub(super) fn lines(&self) -> &[u8] {
        &self.bytes[..self.line]
    }

    /// Judges the line just read; true when it is the empty one.
    fn end_line(&mut self) -> Result<bool, ChunkError> {
        let line = &self.bytes[self.line..];
        if line == b"\r\n" {
            self.bytes.truncate(self.line);
            return Ok(true);
        }
        let field = parse_field_line(line).map_err(|error| match error {
            HeadError::BadField(reason) => ChunkError::Malformed(reason),
            _ => ChunkError::TrailersTooLarge,
        })?;
        if is_harmless(field.id, field.name.of(line)) {
            self.line = self.bytes.len();
        } else {
            self.bytes.truncate(self.line);
        }
        Ok(false)
    }
}

/// The field may stand in a trailer section that is sent on (RFC 9110, section 6.5.1): it does not frame, route,
/// authenticate, modify or control the message, and is not about its content's form. All names that the gateway acts on
/// are of those kinds.
fn is_harmless(id: FieldId, name: &[u8]) -> bool {
    const HARMFUL: &[&str] = &[
        "age",
        "cache-control",
        "cookie",
        "expires",
        "forwarded",
        "location",
        "pragma",
        "range",
        "retry-after",
        "set-cookie",
        "vary",
        "warning",
        "www-authenticate",
    ];
    const HARMFUL_PREFIXES: &[&str] = &["content-", "if-", "proxy-", "x-ca-", "x-forwarded-", "x-real-"];

    let starts_with = |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
    id == FieldId::Other
        && !HARMFUL.iter().any(|harmful| name.eq_ignore_ascii_case(harmful.as_bytes()))
        && !HARMFUL_PREFIXES.iter().any(starts_with)
}

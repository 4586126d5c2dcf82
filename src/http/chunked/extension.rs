//! Chunk extensions (RFC 9112, section 7.1.1): checked against their grammar, then dropped.
//!
//! `chunk-ext = *( ";" chunk-ext-name [ "=" chunk-ext-val ] )`. The white space that the RFC tolerates around `;` and `=`
//! is refused: it is obsolete, and readers differ on it.

use super::ChunkError;
use crate::http::field::{is_token_byte, is_value_byte};

/// A place in the extensions of one chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Extension {
    /// After `;`.
    #[default]
    NameStart,
    Name,
    /// After `=`.
    ValueStart,
    Value,
    Quoted,
    /// After a backslash in a quoted string.
    QuotedPair,
    /// After the closing quote.
    QuotedEnd,
}

impl Extension {
    /// The place after `byte`, or `None` when it is the CR that ends the line.
    pub(super) fn next(self, byte: u8) -> Result<Option<Extension>, ChunkError> {
        use Extension::*;
        let next = match (self, byte) {
            (NameStart | Name, b) if is_token_byte(b) => Name,
            (Name, b'=') => ValueStart,
            (Name | Value | QuotedEnd, b';') => NameStart,
            (Name | Value | QuotedEnd, b'\r') => return Ok(None),
            (ValueStart, b'"') => Quoted,
            (ValueStart | Value, b) if is_token_byte(b) => Value,
            (Quoted, b'"') => QuotedEnd,
            (Quoted, b'\\') => QuotedPair,
            (Quoted | QuotedPair, b) if is_value_byte(b) => Quoted,
            _ => return Err(ChunkError::Malformed("a chunk extension is not well-formed")),
        };
        Ok(Some(next))
    }
}

//! Field lines as nearly every sender writes them: a name of letters, digits and hyphens, a colon and one space, a value
//! without a tab, CRLF. They are read by masks over many bytes at once; any other line is left to the parser, which reads
//! byte by byte and knows what is wrong.

use super::{Field, Span};
use crate::http::field::FieldId;
use crate::sys::lanes;

/// Names longer than this are left to the parser.
const LANE_BYTES: usize = 16;
const BLOCK_BYTES: usize = 64;

/// A walk over the lines of a head, always forward.
pub(super) struct PlainLines<'a> {
    bytes: &'a [u8],
    /// Where the block begins that `controls` is the mask of.
    block: usize,
    controls: u64,
}

impl<'a> PlainLines<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, block: at, controls: controls(bytes, at) }
    }

    /// The line at `at`, if it is a plain one and whole, and where the next begins. `at` never goes back.
    #[inline]
    pub fn next(&mut self, at: usize) -> Option<(Field, usize)> {
        let line = self.bytes.get(at..)?;
        let name_len = name_len(line)?;
        let [b':', b' ', first, ..] = *line.get(name_len..)? else { return None };
        let start = at + name_len + 2;
        let end = self.control(start);
        let [last, b'\r', b'\n', ..] = *self.bytes.get(end - 1..)? else { return None };
        // White space around the value is no part of it: the parser takes it off.
        if first == b' ' || last == b' ' && end > start {
            return None;
        }
        let span = |start: usize, end: usize| Span { start: start as u16, end: end as u16 };
        let name = span(at, at + name_len);
        let id = FieldId::of_plain(line, name_len);
        Some((Field { name, value: span(start, end), id, plain: true }, end + 2))
    }

    /// The first control byte from `at` on, or a place behind the last byte.
    #[inline]
    fn control(&mut self, at: usize) -> usize {
        let mut skip = at - self.block;
        loop {
            if let Some(rest) = u32::try_from(skip).ok().and_then(|skip| self.controls.checked_shr(skip))
                && rest != 0
            {
                return self.block + skip + rest.trailing_zeros() as usize;
            }
            // Nothing from `at` on in this block.
            self.block += BLOCK_BYTES;
            skip = skip.saturating_sub(BLOCK_BYTES);
            self.controls = controls(self.bytes, self.block);
        }
    }
}

/// How many letters, digits and hyphens the line begins with; `None`: none, too many, or too little of the line is there.
#[inline]
fn name_len(line: &[u8]) -> Option<usize> {
    let (lane, rest) = line.split_first_chunk::<LANE_BYTES>()?;
    match lanes::words_end::<b'-', b'-', b'-'>(lane) {
        0 => match lanes::words_end::<b'-', b'-', b'-'>(rest.first_chunk()?) {
            0 => None,
            end => Some(LANE_BYTES + end.trailing_zeros() as usize),
        },
        end => Some(end.trailing_zeros() as usize).filter(|&len| len > 0),
    }
}

/// The mask of the block at `at`. What lies behind the last byte counts as a control byte, so that every search ends.
#[inline]
fn controls(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return lanes::controls(block);
    }
    let mut block = [0; BLOCK_BYTES];
    block[..rest.len()].copy_from_slice(rest);
    lanes::controls(&block)
}

#[cfg(test)]
mod tests {
    use super::super::{HeadLimits, Parsed, RequestHead, parse_field_line, parse_request};

    const LIMITS: HeadLimits = HeadLimits { start_line_bytes: 1000, head_bytes: 10_000, fields: 50 };

    /// What passes here passes the parser that reads byte by byte, and reads the same to it: every byte in every place of a
    /// head with short and long names and values, across the edges of blocks.
    #[test]
    fn a_plain_line_is_what_the_parser_says_it_is() {
        let long = "v".repeat(130);
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nAccept:\r\nX: 1\r\nX-Empty: \r\nX-Ca-Signature-Headers: {long}\r\n\
             A-Name-Longer-Than-One-Lane: b c\r\nA-Name-Longer-Than-Two-Lanes-Together: d\r\nX-Last: e\r\n\r\n"
        );
        let mut parsed = RequestHead::default();
        let mut accepted = 0;
        for place in 0..head.len() {
            for byte in 0..=255 {
                let mut bytes = head.clone().into_bytes();
                bytes[place] = byte;
                if parse_request(&bytes, 0, &LIMITS, &mut parsed) != Ok(Parsed::Complete) {
                    continue;
                }
                accepted += 1;
                for field in parsed.fields.iter().filter(|field| field.plain) {
                    let line = &bytes[usize::from(field.name.start)..usize::from(field.value.end) + 2];
                    let slow = parse_field_line(line).unwrap_or_else(|e| panic!("{e:?}: {}", line.escape_ascii()));
                    let (name, value) = (field.name.of(&bytes), field.value.of(&bytes));
                    assert_eq!((slow.name.of(line), slow.value.of(line), slow.id), (name, value, field.id));
                    assert!(name.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-'));
                }
            }
        }
        assert!(accepted > 10_000 && parsed.fields.iter().filter(|field| field.plain).count() >= 5);
    }
}

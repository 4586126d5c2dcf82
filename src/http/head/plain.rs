//! Field lines as nearly every sender writes them: a name of letters, digits and hyphens, a colon and one space, a value
//! without a tab, CRLF. They are read by masks over sixteen bytes at once; any other line is left to the parser, which reads
//! byte by byte and knows what is wrong.

use super::{Field, Span};
use crate::http::field::FieldId;
use crate::sys::lanes;

/// Names of this length and longer are left to the parser.
const NAME_BYTES: usize = 32;
const LANE_BYTES: usize = 16;
/// A name, what follows it, and the beginning of a value.
const WINDOW_BYTES: usize = 64;

/// The line at `at`, if it is a plain one and whole, and where the next begins.
#[inline]
pub(super) fn plain_line(bytes: &[u8], at: usize) -> Option<(Field, usize)> {
    let line = bytes.get(at..)?;
    let Some(window) = line.first_chunk() else {
        // The zeros are no part of a plain line, and end it.
        let mut window = [0; WINDOW_BYTES];
        window[..line.len()].copy_from_slice(line);
        return plain_in(&window, line, at);
    };
    plain_in(window, line, at)
}

/// `window`: what the line begins with.
#[inline(always)]
fn plain_in(window: &[u8; WINDOW_BYTES], line: &[u8], at: usize) -> Option<(Field, usize)> {
    let name_len = name_len(window)?;
    let [colon, space, first] = [0, 1, 2].map(|n| window[name_len + n]);
    let start = name_len + 2;
    let end = match lanes::controls(window[start..].first_chunk()?) {
        0 => control(line, start + LANE_BYTES),
        controls => start + controls.trailing_zeros() as usize,
    };
    let [last, b'\r', b'\n', ..] = *line.get(end - 1..)? else { return None };
    // White space around the value is no part of it: the parser takes it off.
    if colon != b':' || space != b' ' || first == b' ' || last == b' ' && end > start {
        return None;
    }
    let span = |start: usize, end: usize| Span { start: (at + start) as u16, end: (at + end) as u16 };
    let id = FieldId::of_plain(window.first_chunk()?, name_len);
    Some((Field { name: span(0, name_len), value: span(start, end), id, plain: true }, at + end + 2))
}

/// How many letters, digits and hyphens the line begins with; `None`: none, or too many.
#[inline(always)]
fn name_len(window: &[u8; WINDOW_BYTES]) -> Option<usize> {
    let ([one, two, ..], _) = window.as_chunks() else { return None };
    let len = match lanes::words_end::<b'-', b'-', b'-'>(one) {
        0 => LANE_BYTES as u32 + lanes::words_end::<b'-', b'-', b'-'>(two).trailing_zeros(),
        end => end.trailing_zeros(),
    } as usize;
    (1..NAME_BYTES).contains(&len).then_some(len)
}

/// The first control byte from `at` on, or the end of the bytes.
fn control(bytes: &[u8], at: usize) -> usize {
    let (lanes, rest) = bytes.get(at..).unwrap_or_default().as_chunks();
    for (place, lane) in lanes.iter().enumerate() {
        match lanes::controls(lane) {
            0 => {}
            controls => return at + place * LANE_BYTES + controls.trailing_zeros() as usize,
        }
    }
    let found = rest.iter().position(|&byte| byte < 0x20 || byte == 0x7f);
    bytes.len() - rest.len() + found.unwrap_or(rest.len())
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

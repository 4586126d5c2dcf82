//! The parser of heads: one pass over the bytes, as strict as RFC 9112 lets a recipient be.
//!
//! Where the RFC allows a recipient to repair (a bare LF for CRLF, white space in odd places, folded lines), this one
//! refuses: what two parsers could read differently does not pass a gateway. Faults are found as early as the bytes
//! allow, so that what is no HTTP is refused at once and not waited for.

use super::plain::plain_line;
use super::{Field, Fields, HeadError, HeadLimits, Parsed, RequestHead, ResponseHead, Span, Version};
use crate::http::field::{FieldId, is_token_byte};

/// Parses a request head at the start of `buffer`. `scanned` is how many bytes an earlier call has already found
/// not to hold the end of the head, so that a slow head is not searched from its start again and again.
///
/// One empty line before the request line is skipped and counted in `head.len` (RFC 9112, section 2.2). What `head`
/// holds is of use only after [`Parsed::Complete`].
pub fn parse_request(buffer: &[u8], scanned: usize, limits: &HeadLimits, head: &mut RequestHead) -> Result<Parsed, HeadError> {
    head.fields.clear();
    let start = match buffer {
        b"\r" => return Ok(Parsed::Partial),
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    };
    let mut cursor = Cursor::new(buffer, start, limits);
    let outcome = match next(cursor.bytes, start, scanned) {
        Next::Wait => Err(Stop::More),
        Next::StartLine => cursor.start_line(limits, |line| request_line(line, head)).and(Err(Stop::More)),
        Next::Whole => {
            cursor.start_line(limits, |line| request_line(line, head)).and_then(|()| cursor.fields(limits, &mut head.fields))
        }
    };
    conclude(outcome, buffer.len(), cursor.at, limits, &mut head.len)
}

/// Parses a response head at the start of `buffer`, like [`parse_request`]. No empty line may stand before it.
pub fn parse_response(buffer: &[u8], scanned: usize, limits: &HeadLimits, head: &mut ResponseHead) -> Result<Parsed, HeadError> {
    head.fields.clear();
    let mut cursor = Cursor::new(buffer, 0, limits);
    let outcome = match next(cursor.bytes, 0, scanned) {
        Next::Wait => Err(Stop::More),
        Next::StartLine => cursor.start_line(limits, |line| status_line(line, head)).and(Err(Stop::More)),
        Next::Whole => {
            cursor.start_line(limits, |line| status_line(line, head)).and_then(|()| cursor.fields(limits, &mut head.fields))
        }
    };
    conclude(outcome, buffer.len(), cursor.at, limits, &mut head.len)
}

/// Why parsing stopped before the end of the head.
enum Stop {
    /// The bytes ended first.
    More,
    Refuse(HeadError),
}

/// What is worth doing with the bytes at hand.
enum Next {
    /// Parse: the end of the head may be there, or something that cannot be right.
    Whole,
    /// Only the start line has anything new.
    StartLine,
    Wait,
}

/// Looks at the bytes after `scanned` only, but for the search of the first line end.
fn next(bytes: &[u8], start: usize, scanned: usize) -> Next {
    if scanned == 0 {
        return Next::Whole;
    }
    let old = scanned.min(bytes.len());
    for offset in memchr::memchr_iter(b'\n', &bytes[old..]) {
        let before = &bytes[..old + offset];
        // A line end that is no CRLF, or an empty line: the parser will say which.
        if !before.ends_with(b"\r") || before.ends_with(b"\r\n\r") {
            return Next::Whole;
        }
    }
    match memchr::memchr(b'\n', bytes.get(start..old).unwrap_or_default()) {
        Some(_) => Next::Wait,
        None => Next::StartLine,
    }
}

fn conclude(
    outcome: Result<(), Stop>,
    available: usize,
    at: usize,
    limits: &HeadLimits,
    len: &mut usize,
) -> Result<Parsed, HeadError> {
    match outcome {
        Ok(()) => {
            *len = at;
            Ok(Parsed::Complete)
        }
        // The head needs at least one byte more than its limit.
        Err(Stop::More) if available >= most_bytes(limits) => Err(HeadError::HeadTooLarge),
        Err(Stop::More) => Ok(Parsed::Partial),
        Err(Stop::Refuse(error)) => Err(error),
    }
}

fn most_bytes(limits: &HeadLimits) -> usize {
    limits.head_bytes.min(HeadLimits::MOST_HEAD_BYTES)
}

/// `request-line = method SP request-target SP HTTP-version` (RFC 9112, section 3), single spaces only.
fn request_line(line: &mut Cursor<'_>, head: &mut RequestHead) -> Result<(), Stop> {
    let refuse = |reason| Err(Stop::Refuse(HeadError::BadRequestLine(reason)));

    let start = line.at;
    line.skip(is_token_byte);
    head.method = line.span(start);
    match line.byte()? {
        b' ' if !head.method.is_empty() => {}
        _ => return refuse("the method is not a token"),
    }

    let start = line.at;
    line.skip(is_target_byte);
    head.target = line.span(start);
    match line.byte()? {
        b' ' if !head.target.is_empty() => {}
        b'\r' | b'\n' => return refuse("the version is missing"),
        b' ' | b'\t' => return refuse("not exactly one space between method, target and version"),
        _ => return refuse("a byte that no target may hold"),
    }

    head.version = match line.version()? {
        Some(version) => version,
        None => return refuse("the version is not HTTP/1.1"),
    };
    match line.line_end()? {
        true => Ok(()),
        false => refuse("the line does not end after its version with CRLF"),
    }
}

/// `status-line = HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112, section 4). Servers are common that leave
/// out the second space together with the phrase; nothing can be mistaken in that, and the line is not sent on.
fn status_line(line: &mut Cursor<'_>, head: &mut ResponseHead) -> Result<(), Stop> {
    let refuse = |reason| Err(Stop::Refuse(HeadError::BadStatusLine(reason)));

    head.version = match line.version()? {
        Some(version) => version,
        None => return refuse("the version is not HTTP/1.1"),
    };
    if line.byte()? != b' ' {
        return refuse("not exactly one space after the version");
    }
    let mut status = 0;
    for _ in 0..3 {
        match line.byte()? {
            digit @ b'0'..=b'9' => status = status * 10 + u16::from(digit - b'0'),
            _ => return refuse("the status is not three digits"),
        }
    }
    // RFC 9110, section 15: other values are invalid.
    if !(100..=599).contains(&status) {
        return refuse("the status is not between 100 and 599");
    }
    head.status = status;
    head.reason = line.span(line.at);
    match line.peek()? {
        b' ' => {
            line.at += 1;
            let start = line.at;
            line.skip_value();
            head.reason = line.span(start);
        }
        b'\r' => {}
        _ => return refuse("not exactly three digits of status"),
    }
    match line.line_end()? {
        true => Ok(()),
        false => refuse("a byte that no reason phrase may hold, or a line end that is not CRLF"),
    }
}

/// Visible ASCII without `#`: a target has no fragment (RFC 9112, section 3.2; RFC 3986, section 3.5), and bytes beyond
/// ASCII are read in more than one way (RFC 3986, section 2).
#[inline]
fn is_target_byte(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && byte != b'#'
}

/// How many visible bytes, bytes beyond ASCII and spaces stand at the start; eight at a time.
#[inline]
fn visible_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = ONES << 7;
    let mut at = 0;
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*block);
        let delete = word ^ ONES.wrapping_mul(0x7f);
        // The high bit of a byte below 0x20 and of 0x7f; the lowest one set is exact.
        let found = (word.wrapping_sub(ONES.wrapping_mul(0x20)) & !word | delete.wrapping_sub(ONES) & !delete) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|&byte| byte < 0x20 || byte == 0x7f).unwrap_or(rest.len())
}

/// A place in the bytes of a head, cut off at the head's limit.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(buffer: &'a [u8], at: usize, limits: &HeadLimits) -> Self {
        Self { bytes: &buffer[..buffer.len().min(most_bytes(limits))], at }
    }

    #[inline]
    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::More)
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn span(&self, start: usize) -> Span {
        // Both fit: `bytes` has at most 65,535 of them.
        Span { start: start as u16, end: self.at as u16 }
    }

    /// Skips bytes that are wanted.
    #[inline]
    fn skip(&mut self, wanted: impl Fn(u8) -> bool) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|&byte| !wanted(byte)).unwrap_or(rest.len());
    }

    /// Skips what a field value may hold.
    fn skip_value(&mut self) {
        loop {
            self.at += visible_len(self.bytes.get(self.at..).unwrap_or_default());
            match self.bytes.get(self.at) {
                Some(b'\t') => self.at += 1,
                _ => return,
            }
        }
    }

    /// Takes a line end; false when the bytes here are none. Only CRLF is one: a bare CR or LF is a line end to some
    /// recipients and not to others (RFC 9112, section 2.2).
    #[inline]
    fn line_end(&mut self) -> Result<bool, Stop> {
        Ok(self.byte()? == b'\r' && self.byte()? == b'\n')
    }

    /// `HTTP-version = "HTTP" "/" DIGIT "." DIGIT` (RFC 9112, section 2.3), case-sensitive; `None` when it is none.
    fn version(&mut self) -> Result<Option<Version>, Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(version) = rest.first_chunk::<8>() else {
            // As much as is there must be the start of one.
            return if b"HTTP/1.".starts_with(rest) || rest.starts_with(b"HTTP/") { Err(Stop::More) } else { Ok(None) };
        };
        self.at += 8;
        match version {
            b"HTTP/1.1" => Ok(Some(Version::Http11)),
            b"HTTP/1.0" => Ok(Some(Version::Http10)),
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Stop::Refuse(HeadError::UnsupportedVersion)),
            _ => Ok(None),
        }
    }

    /// Runs `parse` over the start line, cut off at its limit.
    fn start_line(&mut self, limits: &HeadLimits, parse: impl FnOnce(&mut Cursor<'a>) -> Result<(), Stop>) -> Result<(), Stop> {
        let longest = self.at.saturating_add(limits.start_line_bytes).saturating_add(2);
        let mut line = Cursor { bytes: &self.bytes[..self.bytes.len().min(longest)], at: self.at };
        let outcome = parse(&mut line);
        self.at = line.at;
        match outcome {
            Err(Stop::More) if self.bytes.len() >= longest => Err(Stop::Refuse(HeadError::StartLineTooLong)),
            outcome => outcome,
        }
    }

    /// `*( field-line CRLF ) CRLF` (RFC 9112, section 5).
    fn fields(&mut self, limits: &HeadLimits, fields: &mut Fields) -> Result<(), Stop> {
        let most = limits.fields;
        loop {
            let field = match plain_line(self.bytes, self.at) {
                Some((field, next)) => {
                    self.at = next;
                    field
                }
                None if self.peek()? == b'\r' => {
                    return match self.line_end()? {
                        true => Ok(()),
                        false => Err(Stop::Refuse(HeadError::BadField("a bare CR"))),
                    };
                }
                None => self.field_line()?,
            };
            if fields.len() >= most || !fields.push(field) {
                return Err(Stop::Refuse(HeadError::TooManyFields));
            }
        }
    }

    /// `field-name ":" OWS field-value OWS` and its line end (RFC 9112, section 5).
    fn field_line(&mut self) -> Result<Field, Stop> {
        let refuse = |reason| Err(Stop::Refuse(HeadError::BadField(reason)));

        let start = self.at;
        self.skip(is_token_byte);
        let name = self.span(start);
        match self.byte()? {
            b':' if !name.is_empty() => {}
            b':' => return refuse("a field without a name"),
            // Section 5.2: a line that starts with white space would go on with the value before it.
            b' ' | b'\t' if name.is_empty() => return refuse("a folded line"),
            // Section 5.1: such a message must be refused.
            b' ' | b'\t' => return refuse("white space between a name and its colon"),
            b'\r' | b'\n' => return refuse("a line without a colon"),
            _ => return refuse("a field name is not a token"),
        }

        while let Some(b' ' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
        let start = self.at;
        self.skip_value();
        let mut value = self.span(start);
        match self.byte()? {
            b'\r' if self.byte()? == b'\n' => {}
            b'\r' => return refuse("a bare CR"),
            b'\n' => return refuse("a bare LF"),
            _ => return refuse("a control byte in a value"),
        }
        while let Some(b' ' | b'\t') = value.of(self.bytes).last() {
            value.end -= 1;
        }
        Ok(Field { name, value, id: FieldId::of(name.of(self.bytes)), plain: false })
    }
}

/// One field line, its line end included, as in the trailer section of a chunked message (RFC 9112, section 7.1.2): the
/// same rules as in a head.
pub(crate) fn parse_field_line(line: &[u8]) -> Result<Field, HeadError> {
    if line.len() > HeadLimits::MOST_HEAD_BYTES {
        return Err(HeadError::HeadTooLarge);
    }
    let mut cursor = Cursor { bytes: line, at: 0 };
    match cursor.field_line() {
        Ok(field) if cursor.at == line.len() => Ok(field),
        Ok(_) | Err(Stop::More) => Err(HeadError::BadField("not one field line")),
        Err(Stop::Refuse(error)) => Err(error),
    }
}

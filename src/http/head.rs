//! Heads of requests and responses as ranges over one buffer (RFC 9112, sections 2 to 5).
//!
//! A head is parsed once, in place. [`RequestHead`] and [`ResponseHead`] hold no bytes: they are small tables of
//! [`Span`]s, made to be kept and reused by a worker, and are read together with their buffer through
//! [`RequestView`] and [`ResponseView`].

mod parse;
mod plain;

use super::field::FieldId;

pub(crate) use parse::parse_field_line;
pub use parse::{parse_request, parse_response};

/// A range of the buffer a head was parsed from. Heads are at most 65,535 bytes long (`HeadLimits::check`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u16,
    pub end: u16,
}

impl Span {
    #[inline(always)]
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.start as usize..self.end as usize]
    }
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One field line: name and value as received (value without the white space around it).
#[derive(Clone, Copy, Debug, Default)]
pub struct Field {
    pub name: Span,
    pub value: Span,
    pub id: FieldId,
    /// Spelt `name: value` and CRLF, the name of letters, digits and hyphens alone.
    pub plain: bool,
}

/// The most field lines a head may have, whatever the configured limit.
pub const MAX_FIELDS: usize = 128;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    #[default]
    Http11,
}

/// The field lines of a head, in order, with the place of the first line of each known name.
pub struct Fields {
    count: u8,
    list: [Field; MAX_FIELDS],
    first: [u8; FieldId::COUNT],
    /// Known names that stand on more than one line: bit `id`.
    repeated: u64,
}

const _: () = assert!(FieldId::COUNT <= 64, "Fields::repeated has a bit for each known name");

#[derive(Default)]
pub struct RequestHead {
    pub method: Span,
    pub target: Span,
    pub version: Version,
    /// Bytes of the head, its empty line included. The body starts here.
    pub len: usize,
    pub fields: Fields,
}

#[derive(Default)]
pub struct ResponseHead {
    pub version: Version,
    pub status: u16,
    pub reason: Span,
    pub len: usize,
    pub fields: Fields,
}

/// Sizes a head must keep to, in bytes and lines.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    pub start_line_bytes: usize,
    pub head_bytes: usize,
    pub fields: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The head is whole: `head.len` bytes.
    Complete,
    /// More bytes are needed; nothing received so far is wrong.
    Partial,
}

/// Why a head is refused. The connection closes after any of these: what follows cannot be trusted to be a message.
/// The texts name the rule that was broken and never hold bytes of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The request line does not keep to `method SP target SP version CRLF` (RFC 9112, section 3).
    BadRequestLine(&'static str),
    /// The request target is none of the forms a gateway answers, or not a URI (RFC 9112, section 3.2; RFC 3986).
    BadTarget(&'static str),
    /// `CONNECT` and `TRACE`: a gateway to named APIs is no tunnel (RFC 9110, section 9.3.6), and an echo of the request
    /// would show credentials (section 9.3.8).
    UnsupportedMethod,
    /// A well-formed version other than HTTP/1.0 and HTTP/1.1 (RFC 9110, section 15.6.6).
    UnsupportedVersion,
    /// The status line of a response (RFC 9112, section 4), or a status that may not come here.
    BadStatusLine(&'static str),
    /// A field line: name, colon, value or line end (RFC 9112, section 5).
    BadField(&'static str),
    /// `Host` missing, repeated or invalid (RFC 9112, section 3.2).
    BadHost(&'static str),
    /// `Connection` is no list of tokens, or names a field that must reach the other side (RFC 9110, section 7.6.1).
    BadConnection(&'static str),
    /// `Content-Length` is not one decimal number (RFC 9112, section 6.2; RFC 9110, section 8.6).
    BadContentLength(&'static str),
    /// `Transfer-Encoding` leaves the length of the body unknown or disputed (RFC 9112, sections 6.1 and 6.3).
    BadTransferEncoding(&'static str),
    /// A transfer coding beside `chunked` (RFC 9112, section 6.1: 501).
    UnsupportedTransferEncoding,
    /// An expectation other than `100-continue` (RFC 9110, section 10.1.1: 417).
    BadExpect,
    /// The start line is longer than [`HeadLimits::start_line_bytes`] (RFC 9112, section 3: 414).
    StartLineTooLong,
    /// The head is longer than [`HeadLimits::head_bytes`] (RFC 6585, section 5: 431).
    HeadTooLarge,
    /// More field lines than [`HeadLimits::fields`] (RFC 6585, section 5: 431).
    TooManyFields,
}

impl HeadLimits {
    /// The largest head that [`Span`]s can describe.
    pub const MOST_HEAD_BYTES: usize = u16::MAX as usize;

    /// What is wrong with these limits, if anything. The parser keeps to [`Self::MOST_HEAD_BYTES`] and [`MAX_FIELDS`]
    /// whatever the limits say.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.start_line_bytes == 0 || self.head_bytes == 0 || self.fields == 0 {
            return Err("a limit of a head is zero");
        }
        if self.head_bytes > Self::MOST_HEAD_BYTES {
            return Err("a head may have at most 65,535 bytes");
        }
        if self.start_line_bytes >= self.head_bytes {
            return Err("the start line is part of the head: its limit must be below the head's");
        }
        if self.fields > MAX_FIELDS {
            return Err("a head may have at most 128 field lines");
        }
        Ok(())
    }
}

impl Fields {
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Field> {
        self.list[..self.count as usize].iter()
    }
    /// The first line of a known name.
    pub fn first(&self, id: FieldId) -> Option<&Field> {
        match self.first[id as usize] {
            0 => None,
            n => Some(&self.list[n as usize - 1]),
        }
    }
    /// More than one line has this known name.
    pub fn is_repeated(&self, id: FieldId) -> bool {
        self.repeated & 1 << id as u32 != 0
    }
    pub fn clear(&mut self) {
        self.count = 0;
        self.first = [0; FieldId::COUNT];
        self.repeated = 0;
    }
    /// False when the table is full.
    #[inline]
    pub fn push(&mut self, field: Field) -> bool {
        if self.count as usize == MAX_FIELDS {
            return false;
        }
        self.list[self.count as usize] = field;
        self.count += 1;
        let first = &mut self.first[field.id as usize];
        if *first == 0 {
            *first = self.count;
        } else {
            self.repeated |= 1 << field.id as u32;
        }
        true
    }
    pub fn len(&self) -> usize {
        self.count as usize
    }
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self { count: 0, list: [Field::default(); MAX_FIELDS], first: [0; FieldId::COUNT], repeated: 0 }
    }
}

/// A parsed request head together with the bytes it was parsed from.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    pub buffer: &'a [u8],
    pub head: &'a RequestHead,
}

impl<'a> RequestView<'a> {
    pub fn method(&self) -> &'a [u8] {
        self.head.method.of(self.buffer)
    }
    pub fn target(&self) -> &'a [u8] {
        self.head.target.of(self.buffer)
    }
    /// The value of the first line of a known name.
    pub fn field(&self, id: FieldId) -> Option<&'a [u8]> {
        self.head.fields.first(id).map(|f| f.value.of(self.buffer))
    }
    /// The value of the first line with this name, compared without regard to case.
    pub fn named(&self, name: &[u8]) -> Option<&'a [u8]> {
        match FieldId::of(name) {
            FieldId::Other => self
                .head
                .fields
                .iter()
                .find(|f| f.id == FieldId::Other && f.name.of(self.buffer).eq_ignore_ascii_case(name))
                .map(|f| f.value.of(self.buffer)),
            id => self.field(id),
        }
    }
    pub fn fields(&self) -> impl Iterator<Item = (FieldId, &'a [u8], &'a [u8])> + use<'a> {
        let buffer = self.buffer;
        self.head.fields.iter().map(move |f| (f.id, f.name.of(buffer), f.value.of(buffer)))
    }
}

/// A parsed response head together with the bytes it was parsed from.
#[derive(Clone, Copy)]
pub struct ResponseView<'a> {
    pub buffer: &'a [u8],
    pub head: &'a ResponseHead,
}

impl<'a> ResponseView<'a> {
    pub fn reason(&self) -> &'a [u8] {
        self.head.reason.of(self.buffer)
    }
    pub fn field(&self, id: FieldId) -> Option<&'a [u8]> {
        self.head.fields.first(id).map(|f| f.value.of(self.buffer))
    }
    pub fn fields(&self) -> impl Iterator<Item = (FieldId, &'a [u8], &'a [u8])> + use<'a> {
        let buffer = self.buffer;
        self.head.fields.iter().map(move |f| (f.id, f.name.of(buffer), f.value.of(buffer)))
    }
}

#[cfg(test)]
mod tests;

//! Heads of requests and responses as ranges over one buffer (RFC 9112, sections 2 to 5).
//!
//! A head is parsed once, in place. [`RequestHead`] and [`ResponseHead`] hold no bytes: they are small tables of
//! [`Span`]s, made to be kept and reused by a worker, and are read together with their buffer through
//! [`RequestView`] and [`ResponseView`].

use super::field::FieldId;

/// A range of the buffer a head was parsed from. Heads are at most 65,535 bytes long (`HeadLimits::check`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u16,
    pub end: u16,
}

impl Span {
    pub fn of<'a>(self, buffer: &'a [u8]) -> &'a [u8] {
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
}

pub struct RequestHead {
    pub method: Span,
    pub target: Span,
    pub version: Version,
    /// Bytes of the head, its empty line included. The body starts here.
    pub len: usize,
    pub fields: Fields,
}

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

/// Why a head is refused. The connection closes after any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    // to be extended by the parser; each variant documented with its RFC section
    Malformed(&'static str),
    StartLineTooLong,
    HeadTooLarge,
    TooManyFields,
}

/// Parses a request head at the start of `buffer`. `scanned` is how many bytes an earlier call has already found
/// not to hold the end of the head, so that a slow head is not searched from its start again and again.
pub fn parse_request(
    _buffer: &[u8],
    _scanned: usize,
    _limits: &HeadLimits,
    _head: &mut RequestHead,
) -> Result<Parsed, HeadError> {
    todo!()
}

pub fn parse_response(
    _buffer: &[u8],
    _scanned: usize,
    _limits: &HeadLimits,
    _head: &mut ResponseHead,
) -> Result<Parsed, HeadError> {
    todo!()
}

impl Fields {
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.list[..self.count as usize].iter()
    }
    /// The first line of a known name.
    pub fn first(&self, id: FieldId) -> Option<&Field> {
        match self.first[id as usize] {
            0 => None,
            n => Some(&self.list[n as usize - 1]),
        }
    }
    pub fn clear(&mut self) {
        self.count = 0;
        self.first = [0; FieldId::COUNT];
    }
    /// False when the table is full.
    pub fn push(&mut self, field: Field) -> bool {
        if self.count as usize == MAX_FIELDS {
            return false;
        }
        self.list[self.count as usize] = field;
        self.count += 1;
        let first = &mut self.first[field.id as usize];
        if *first == 0 {
            *first = self.count;
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
        Self { count: 0, list: [Field::default(); MAX_FIELDS], first: [0; FieldId::COUNT] }
    }
}

impl Default for RequestHead {
    fn default() -> Self {
        Self { method: Span::default(), target: Span::default(), version: Version::default(), len: 0, fields: Fields::default() }
    }
}

impl Default for ResponseHead {
    fn default() -> Self {
        Self { version: Version::default(), status: 0, reason: Span::default(), len: 0, fields: Fields::default() }
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

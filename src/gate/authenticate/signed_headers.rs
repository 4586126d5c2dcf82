//! The header lines of a string to sign, chosen by `X-Ca-Signature-Headers`.

use super::sink::Sink;
use crate::http::field::FieldId;
use crate::http::head::{Field, RequestView};

/// The most names that `X-Ca-Signature-Headers` may list.
pub const MAX_SIGNED_HEADERS: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyHeaders;

/// The listed names and the values they have, as ranges of the buffer of the head. Kept and reused.
#[derive(Default)]
pub(super) struct SignedHeaders {
    list: Vec<SignedHeader>,
}

#[derive(Clone, Copy)]
struct SignedHeader {
    name: Range,
    value: Range,
}

#[derive(Clone, Copy, Default)]
struct Range {
    start: u32,
    end: u32,
}

impl SignedHeaders {
    /// Reads the list of a request: names trimmed, sorted by their bytes, each once, in the letter case of the list; the
    /// value of a name is that of its first line, or empty.
    pub fn read(&mut self, request: RequestView<'_>) -> Result<(), TooManyHeaders> {
        self.list.clear();
        let Some(field) = request.head.fields.first(FieldId::XCaSignatureHeaders) else { return Ok(()) };
        let mut start = u32::from(field.value.start);
        let list = field.value.of(request.buffer);
        let ends = memchr::memchr_iter(b',', list).chain([list.len()]);
        for end in ends.map(|end| u32::from(field.value.start) + end as u32) {
            let item = Range { start, end }.of(request.buffer);
            let name = item.trim_ascii();
            let name_start = start + (item.len() - item.trim_ascii_start().len()) as u32;
            start = end + 1;
            let id = FieldId::of(name);
            if name.is_empty() || is_excluded_id(id) {
                continue;
            }
            if self.list.len() == MAX_SIGNED_HEADERS {
                return Err(TooManyHeaders);
            }
            let is_named = |line: &&Field| line.id == id && line.name.of(request.buffer).eq_ignore_ascii_case(name);
            let line = match id {
                // Ids of many names.
                FieldId::Other | FieldId::XCaProxy => request.head.fields.iter().find(is_named),
                id => request.head.fields.first(id),
            };
            let value = line.map(|line| Range { start: line.value.start.into(), end: line.value.end.into() });
            let name = Range { start: name_start, end: name_start + name.len() as u32 };
            self.list.push(SignedHeader { name, value: value.unwrap_or_default() });
        }
        self.arrange(request.buffer);
        Ok(())
    }

    /// The headers that a client signs, their names and values put one after the other into `buffer`.
    pub fn of_client<'h>(headers: impl Iterator<Item = (&'h str, &'h str)>, buffer: &mut Vec<u8>) -> Self {
        let mut put = |text: &str| {
            let start = buffer.len() as u32;
            buffer.extend_from_slice(text.trim().as_bytes());
            Range { start, end: buffer.len() as u32 }
        };
        let list = headers.map(|(name, value)| SignedHeader { name: put(name), value: put(value) }).collect();
        let mut headers = Self { list };
        headers.arrange(buffer);
        headers
    }

    /// Writes a line `Name:Value` for each header.
    pub fn write(&self, buffer: &[u8], out: &mut impl Sink) {
        for header in &self.list {
            out.put(header.name.of(buffer));
            out.put(b":");
            out.put(header.value.of(buffer));
            out.put(b"\n");
        }
    }

    /// The names, in their order.
    pub fn names<'b>(&self, buffer: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        self.list.iter().map(|header| header.name.of(buffer))
    }

    fn arrange(&mut self, buffer: &[u8]) {
        // As nearly every client lists them.
        if self.list.is_sorted_by(|a, b| a.name.of(buffer) < b.name.of(buffer)) {
            return;
        }
        self.list.sort_unstable_by_key(|header| (header.name.of(buffer), header.name.start));
        self.list.dedup_by(|a, b| a.name.of(buffer) == b.name.of(buffer));
    }
}

/// A listed name that contributes no line.
pub(super) fn is_excluded(name: &[u8]) -> bool {
    name.is_empty() || is_excluded_id(FieldId::of(name))
}

/// Never part of the header lines, even if listed: they have a line of their own, or are the signature itself.
fn is_excluded_id(id: FieldId) -> bool {
    use FieldId::*;
    matches!(id, Accept | ContentMd5 | ContentType | Date | XCaSignature | XCaSignatureHeaders)
}

impl Range {
    fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

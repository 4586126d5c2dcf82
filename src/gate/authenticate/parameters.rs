//! The parameters of a string to sign: those of the query and of a form, decoded, in order, each name once.

use std::cmp::Ordering;

use super::charset::Charset;
use super::percent::{BadEscape, decode_parameter};
use super::sink::Sink;
use super::variant::Variant;

/// The most parameters that one call may sign, query and form together.
pub const MAX_PARAMETERS: usize = 1024;

/// Decoded text kept between calls, in bytes; what a larger call needed is given back at the next one.
const RETAINED_BYTES: usize = 64 * 1024;

/// Parameters of one call. The buffers are reused from call to call.
#[derive(Default)]
pub(super) struct Parameters {
    /// Decoded names and values, one after the other.
    text: Vec<u8>,
    list: Vec<Parameter>,
    /// A name or value of a form in its own charset.
    encoded: Vec<u8>,
}

/// Name `text[start..middle]`, value `text[middle..end]`.
#[derive(Clone, Copy)]
struct Parameter {
    start: u32,
    middle: u32,
    end: u32,
    /// Place among all parameters, those of the form first.
    nth: u32,
    of_form: bool,
}

/// Why parameters cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadParameters {
    Query(&'static str),
    Form(&'static str),
}

impl Parameters {
    /// Reads the parameters of a query and of a form. `&` alone separates; a parameter without a name is ignored.
    pub fn read(&mut self, query: Option<&[u8]>, form: Option<(&[u8], Charset)>) -> Result<(), BadParameters> {
        self.text.clear();
        self.list.clear();
        self.text.shrink_to(RETAINED_BYTES);
        self.encoded.shrink_to(RETAINED_BYTES);
        if let Some((form, charset)) = form {
            self.append(form, charset, true).map_err(BadParameters::Form)?;
        }
        if let Some(query) = query {
            self.append(query, Charset::Utf8, false).map_err(BadParameters::Query)?;
        }
        self.sort_by(utf16_order);
        Ok(())
    }

    /// Writes `?k=v&k2=v2...`, or nothing when there are none, as `variant` says; the canonical rule takes the first value
    /// of a name, the form's before the query's, and a bare name for an empty value.
    pub fn write(&self, variant: Variant, out: &mut impl Sink) {
        let mut separator: &[u8] = b"?";
        for same_name in self.names() {
            let Some(first) = same_name.first() else { continue };
            let chosen = if variant.query_first { same_name.iter().find(|p| !p.of_form).unwrap_or(first) } else { first };
            out.put(separator);
            separator = b"&";
            out.put(self.name(chosen));
            let mut joint: &[u8] = b"=";
            let joined = same_name.iter().filter(|p| variant.comma_joined && p.of_form == chosen.of_form && p.nth != chosen.nth);
            for (nth, parameter) in std::iter::once(chosen).chain(joined).enumerate() {
                let value = self.value(parameter);
                if nth > 0 || !value.is_empty() || variant.empty_equals {
                    out.put(joint);
                }
                out.put(value);
                joint = b",";
            }
        }
    }

    /// Puts the parameters into the order that `variant` wants.
    pub fn arrange(&mut self, variant: Variant) {
        self.sort_by(if variant.byte_order { <[u8]>::cmp } else { utf16_order });
    }

    /// The tolerances that would write these parameters in another way.
    pub fn sensitive_to(&self) -> Variant {
        let mut variant =
            Variant { byte_order: !self.list.is_sorted_by(|a, b| self.name(a) <= self.name(b)), ..Variant::CANONICAL };
        for same_name in self.names() {
            variant.empty_equals |= same_name.iter().any(|p| p.middle == p.end);
            variant.query_first |= same_name.windows(2).any(|pair| pair[0].of_form != pair[1].of_form);
            variant.comma_joined |= same_name.windows(2).any(|pair| pair[0].of_form == pair[1].of_form);
        }
        variant
    }

    /// The decoded value of the first query parameter with one of these names.
    pub fn first_of(&mut self, query: &[u8], names: &[&[u8]]) -> Option<&[u8]> {
        let (_, value) = pairs(query).find(|(name, _)| names.contains(name))?;
        self.text.clear();
        decode_parameter(value, &mut self.text).ok()?;
        Some(&self.text)
    }

    fn append(&mut self, pairs_of: &[u8], charset: Charset, of_form: bool) -> Result<(), &'static str> {
        for (name, value) in pairs(pairs_of) {
            let start = self.text.len();
            self.decode(name, charset)?;
            let middle = self.text.len();
            if start == middle {
                continue;
            }
            self.decode(value, charset)?;
            if self.list.len() == MAX_PARAMETERS {
                return Err("too many parameters");
            }
            let nth = self.list.len() as u32;
            let [start, middle, end] = [start, middle, self.text.len()].map(u32::try_from);
            let (Ok(start), Ok(middle), Ok(end)) = (start, middle, end) else { return Err("too long") };
            self.list.push(Parameter { start, middle, end, nth, of_form });
        }
        Ok(())
    }

    fn decode(&mut self, text: &[u8], charset: Charset) -> Result<(), &'static str> {
        let decoded = match charset {
            Charset::Utf8 => decode_parameter(text, &mut self.text),
            _ => {
                self.encoded.clear();
                let decoded = decode_parameter(text, &mut self.encoded);
                charset.decode(&self.encoded, &mut self.text);
                decoded
            }
        };
        decoded.map_err(|BadEscape| "malformed percent-encoding")
    }

    /// Runs of parameters with the same name, in order.
    fn names(&self) -> impl Iterator<Item = &[Parameter]> {
        self.list.chunk_by(|a, b| self.name(a) == self.name(b))
    }

    fn sort_by(&mut self, order: impl Fn(&[u8], &[u8]) -> Ordering) {
        let Self { text, list, .. } = self;
        if list.len() < 2 {
            return;
        }
        let name = |p: &Parameter| &text[p.start as usize..p.middle as usize];
        list.sort_unstable_by(|a, b| order(name(a), name(b)).then(a.nth.cmp(&b.nth)));
    }

    fn name(&self, parameter: &Parameter) -> &[u8] {
        &self.text[parameter.start as usize..parameter.middle as usize]
    }

    fn value(&self, parameter: &Parameter) -> &[u8] {
        &self.text[parameter.middle as usize..parameter.end as usize]
    }
}

/// Appends the decoded value of the first parameter of this name, however that is escaped. `None`: there is none.
pub fn first_value(text: &[u8], charset: Charset, name: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    for (key, value) in pairs(text) {
        // Without an escape a name is what it seems.
        let is_plain = memchr::memchr2(b'%', b'+', key).is_none() && charset == Charset::Utf8;
        if is_plain && key != name {
            continue;
        }
        decode_into(key, charset, out).ok()?;
        let is_it = out.get(start..) == Some(name);
        out.truncate(start);
        if is_it {
            return decode_into(value, charset, out).ok();
        }
    }
    None
}

fn decode_into(text: &[u8], charset: Charset, out: &mut Vec<u8>) -> Result<(), BadEscape> {
    if charset == Charset::Utf8 {
        return decode_parameter(text, out);
    }
    let mut encoded = Vec::new();
    decode_parameter(text, &mut encoded)?;
    charset.decode(&encoded, out);
    Ok(())
}

/// Names and values as sent.
pub(super) fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|&byte| byte == b'&').map(|pair| match memchr::memchr(b'=', pair) {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, &[][..]),
    })
}

/// The order of UTF-16 code units (Java's `String.compareTo`) of two UTF-8 texts. It is the order of their bytes, but
/// that U+E000 to U+FFFF (lead bytes EE and EF) come after everything beyond (lead bytes from F0), which UTF-16 writes
/// with surrogates (D800 to DFFF). On bytes that are not UTF-8 it is some total order.
pub(super) fn utf16_order(a: &[u8], b: &[u8]) -> Ordering {
    let rank = |byte: u8| match byte {
        0xEE | 0xEF => (0xFF, byte),
        _ => (byte, byte),
    };
    match a.iter().zip(b).find(|(a, b)| a != b) {
        Some((&a, &b)) => rank(a).cmp(&rank(b)),
        None => a.len().cmp(&b.len()),
    }
}

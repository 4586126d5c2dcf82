//! The charset of a form (product document 154721: forms are decoded with the charset of their `Content-Type`).

use encoding_rs::{DecoderResult, Encoding, UTF_8};

/// How the bytes of a form's names and values become the UTF-8 that is signed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Charset {
    /// Taken as they are; also for bytes that are not valid UTF-8, as in a query.
    Utf8,
    /// ISO-8859-1 proper: 0x80 to 0x9F are controls, not the letters that browsers (and `encoding_rs`) read there.
    Latin1,
    Other(&'static Encoding),
}

/// A charset that nobody here can decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCharset;

/// The media type of a `Content-Type` is that of a form (compared without parameters and without regard to case).
pub(super) fn is_form(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

impl Charset {
    /// The `charset` parameter of a `Content-Type`; UTF-8 without one.
    pub fn of(content_type: &[u8]) -> Result<Self, UnknownCharset> {
        let mut parameters = content_type.split(|&byte| byte == b';').skip(1);
        let label = parameters.find_map(|parameter| {
            let (name, value) = parameter.split_at(parameter.iter().position(|&byte| byte == b'=')?);
            name.trim_ascii().eq_ignore_ascii_case(b"charset").then_some(unquote(value.get(1..)?.trim_ascii()))
        });
        match label {
            None | Some(b"") => Ok(Self::Utf8),
            Some(label) if LATIN1.iter().any(|name| label.eq_ignore_ascii_case(name)) => Ok(Self::Latin1),
            Some(label) => match Encoding::for_label_no_replacement(label) {
                None => Err(UnknownCharset),
                Some(encoding) if encoding == UTF_8 => Ok(Self::Utf8),
                Some(encoding) => Ok(Self::Other(encoding)),
            },
        }
    }

    /// Appends the text of `bytes`, as UTF-8. What the charset has no character for becomes U+FFFD.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Utf8 => out.extend_from_slice(bytes),
            Self::Latin1 => {
                for &byte in bytes {
                    out.extend_from_slice(char::from(byte).encode_utf8(&mut [0; 2]).as_bytes());
                }
            }
            Self::Other(encoding) => decode(encoding, bytes, out),
        }
    }
}

/// Names of ISO-8859-1 (IANA character sets, and how Java and Python also spell it).
const LATIN1: [&[u8]; 6] = [b"iso-8859-1", b"iso8859-1", b"iso_8859-1", b"latin1", b"latin-1", b"l1"];

fn unquote(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

fn decode(encoding: &'static Encoding, mut bytes: &[u8], out: &mut Vec<u8>) {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    loop {
        // Room for all of it: three bytes for each byte is the most any encoding of the standard makes, plus one character.
        let start = out.len();
        out.resize(start + 3 * bytes.len() + 4, 0);
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, &mut out[start..], true);
        out.truncate(start + written);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::Malformed(..) => out.extend_from_slice("\u{FFFD}".as_bytes()),
            DecoderResult::OutputFull => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content_type: &str, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        Charset::of(content_type.as_bytes()).unwrap().decode(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn forms_are_known_by_their_media_type_alone() {
        for form in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded ; charset=UTF-8"] {
            assert!(is_form(form.as_bytes()));
        }
        for other in ["", "application/json", "application/x-www-form-urlencodedcharset=utf-8", "multipart/form-data"] {
            assert!(!is_form(other.as_bytes()));
        }
    }

    #[test]
    fn each_charset_gives_the_same_text() {
        assert_eq!(text("application/x-www-form-urlencoded", "é".as_bytes()), "é");
        assert_eq!(text("f; charset=utf8", "é".as_bytes()), "é");
        assert_eq!(text("f; charset=", "é".as_bytes()), "é");
        assert_eq!(text("f;CHARSET=\"ISO-8859-1\"", b"\xE9\x80"), "é\u{80}");
        assert_eq!(text("f; a=b; charset = gbk", b"\xB1\xB1\xBE\xA9"), "北京");
        assert_eq!(text("f; charset=GB18030", b"\xB1\xB1\x94\x39\xDA\x33"), "北💩");
        assert_eq!(text("f; charset=Shift_JIS", b"\x93\xFA\x96\x7B"), "日本");
        assert_eq!(text("f; charset=windows-1252", b"\x80"), "€");
    }

    #[test]
    fn bytes_without_a_character_are_replaced_not_dropped() {
        assert_eq!(text("f; charset=gbk", b"a\xFFb\xFF"), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(text("f; charset=gbk", b"a\x81"), "a\u{FFFD}");
    }

    #[test]
    fn an_unknown_charset_is_said_to_be_so() {
        assert_eq!(Charset::of(b"f; charset=klingon"), Err(UnknownCharset));
    }
}

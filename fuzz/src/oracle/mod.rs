//! A slow reader of HTTP/1.1 written from the RFCs alone, one production a function: what is right, said as plainly as
//! possible. It shares no code with the gateway.
//!
//! It reads the strict subset of RFC 9112 that leaves nothing to the reader's taste: lines end with CRLF, values are not
//! folded, one `Content-Length` of digits or one list of transfer codings, never both. Two things beside the grammar
//! pass, because the gateway passes them and no reader finds another boundary in them: bytes that RFC 3986 leaves out of
//! its grammar in paths and queries (`"<>[]^\`{|}`), and a status line without the space before an empty phrase.
//!
//! Start at [`message::request`] and [`message::response`].

pub mod chunked;
pub mod grammar;
pub mod message;
pub mod uri;

/// What reading came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The bytes end before the production does.
    More,
    Bad(&'static str),
}

/// A production found at a place, and the place behind it.
pub type Parse<T> = Result<(T, usize), Stop>;

/// The line at `at`, without its CRLF, and the place behind it.
pub fn line(bytes: &[u8], at: usize) -> Parse<&[u8]> {
    let rest = &bytes[at..];
    let len = rest.windows(2).position(|pair| pair == b"\r\n").ok_or(Stop::More)?;
    Ok((&rest[..len], at + len + 2))
}

/// `( field-line CRLF )* CRLF`: the fields, and the place behind the empty line.
pub fn field_section(bytes: &[u8], mut at: usize) -> Parse<Vec<Field>> {
    let mut lines = Vec::new();
    loop {
        let (line, after) = line(bytes, at)?;
        at = after;
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let fields: Option<Vec<Field>> = lines.into_iter().map(grammar::field_line).collect();
    fields.map(|fields| (fields, at)).ok_or(Stop::Bad("field-line"))
}

/// Name and value as received.
pub type Field = (Vec<u8>, Vec<u8>);

/// The values of all lines with this name.
pub fn values<'a>(fields: &'a [Field], name: &str) -> Vec<&'a [u8]> {
    fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| &value[..]).collect()
}

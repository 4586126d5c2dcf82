//! The fields of a connection's requests, packed (RFC 7541): spelled out the first time, and named by their places from then on.

use crate::mark::{self, Mark};
use anyhow::{Context, Result, bail};

/// Places of the static table.
const AUTHORITY: u8 = 1;
const GET: u8 = 2;
const POST: u8 = 3;
const PATH: u8 = 4;
const HTTP: u8 = 6;
const HTTPS: u8 = 7;
const STATUS_200: u8 = 0x88;
/// Where those that were spelled out stand, the last first.
const FIRST_PLACE: usize = 62;
/// What the table holds by default, and what a field takes of it beside its bytes.
const TABLE_BYTES: usize = 4096;
const FIELD_BYTES: usize = 32;

pub struct Fields {
    first: Vec<u8>,
    later: Vec<u8>,
    begun: bool,
}

impl Fields {
    /// Of a head as HTTP/1.1 has it.
    pub fn of(head: &[u8], https: bool) -> Result<Self> {
        let mut lines = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut lines);
        request.parse(head)?;
        let method = match request.method {
            Some("GET") => GET,
            Some("POST") => POST,
            _ => bail!("over HTTP/2, requests are GET or POST"),
        };
        let host = request.headers.iter().find(|field| field.name == "Host").context("a host")?.value;
        let path = request.path.unwrap_or_default();
        let start = [0x80 | method, 0x80 | if https { HTTPS } else { HTTP }];
        let (mut first, mut count, mut table) = (start.to_vec(), 0, 0);
        let mut add = |name: Result<&str, u8>, value: &[u8]| {
            first.push(0x40 | name.err().unwrap_or_default());
            if let Ok(name) = name {
                text(&mut first, name.to_ascii_lowercase().as_bytes());
            }
            text(&mut first, value);
            count += 1;
            table += value.len() + name.map_or(10, str::len) + FIELD_BYTES;
        };
        add(Err(PATH), path.as_bytes());
        add(Err(AUTHORITY), host);
        for field in request.headers.iter().filter(|field| !["Host", "Connection", mark::FIELD].contains(&field.name)) {
            add(Ok(field.name), field.value);
        }
        if table > TABLE_BYTES || FIRST_PLACE + count > 0x7f {
            bail!("the fields of a request do not fit into the table");
        }
        // The first that was put in stands last.
        let places = (0..count).map(|n| 0x80 | (FIRST_PLACE + count - 1 - n) as u8);
        let mut later: Vec<u8> = start.into_iter().chain(places).collect();
        // The mark is another one each time: it is kept out of the table.
        for fields in [&mut first, &mut later] {
            fields.push(0);
            text(fields, mark::FIELD.as_bytes());
            text(fields, &[b'0'; mark::BYTES]);
        }
        Ok(Self { first, later, begun: false })
    }

    /// Those of the next request.
    pub fn next(&mut self, mark: &Mark) -> &[u8] {
        let fields = if std::mem::replace(&mut self.begun, true) { &mut self.later } else { &mut self.first };
        let place = fields.len() - mark::BYTES;
        fields[place..].copy_from_slice(mark);
        fields
    }
}

/// A text as it is, behind its length.
fn text(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        out.push(text.len() as u8);
    } else {
        out.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            out.push(rest as u8 | 128);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    out.extend_from_slice(text);
}

/// The fields of an answer begin with status 200, which all peers name by its place, behind sizes of the table.
pub fn is_ok(fields: &[u8]) -> Result<(), String> {
    let mut rest = fields;
    while let [size, behind @ ..] = rest
        && size & 0xe0 == 0x20
    {
        let long = size & 0x1f == 0x1f;
        rest = behind;
        while long && let [byte, behind @ ..] = rest {
            rest = behind;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    match rest {
        [STATUS_200, ..] => Ok(()),
        _ => Err(format!("not status 200: {}", fields.escape_ascii())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_spelled_once() {
        let head = b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nX-B: 1\r\n\r\n";
        let mut fields = Fields::of(head, true).unwrap();
        let mark = |n: u8| [b'0' + n; mark::BYTES];
        let marked = |fields: &[u8], n: u8| [fields, b"\x00\x06x-mark\x10", &mark(n)].concat();
        assert_eq!(fields.next(&mark(1)), marked(b"\x82\x87\x44\x02/a\x41\x01h\x40\x03x-b\x011", 1));
        assert_eq!(fields.next(&mark(2)), marked(b"\x82\x87\xc0\xbf\xbe", 2));
        assert_eq!(fields.next(&mark(3)), marked(b"\x82\x87\xc0\xbf\xbe", 3));
        assert!(Fields::of(b"PUT / HTTP/1.1\r\nHost: h\r\n\r\n", true).is_err());
    }

    #[test]
    fn a_long_text_has_a_long_length() {
        let mut out = Vec::new();
        text(&mut out, &[b'x'; 300]);
        assert_eq!(out[..3], [127, 0xad, 1]);
    }

    #[test]
    fn status_200_is_known() {
        assert!(is_ok(&[0x88, 1, 2]).is_ok() && is_ok(&[0x20, 0x3f, 0xe1, 0x1f, 0x88]).is_ok());
        assert!(is_ok(&[0x8d]).is_err() && is_ok(&[]).is_err() && is_ok(&[0x48, 3]).is_err());
    }
}

//! Whole messages: their parts, where their bodies end (RFC 9112, section 6), and whether the connection goes on.

use super::chunked::{Chunked, chunked_body};
use super::grammar::{self, list};
use super::uri::{self, Host, Target};
use super::{Field, Parse, Stop, field_section, line, values};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u128),
    Chunked,
    /// Transfer codings before a last `chunked`.
    OtherCodings,
    UntilClose,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub method: Vec<u8>,
    pub target_text: Vec<u8>,
    pub target: Target,
    pub version: (u8, u8),
    pub fields: Vec<Field>,
    /// Of the `Host` field.
    pub host: Option<Host>,
    pub framing: Framing,
    pub body: Chunked,
    pub keep_alive: bool,
    /// Bytes of the request line, of the head, of the whole request.
    pub line_len: usize,
    pub head_len: usize,
    pub len: usize,
}

/// One request at the start of `bytes`.
pub fn request(bytes: &[u8]) -> Result<Request, Stop> {
    // RFC 9112, section 2.2: one empty line before it is skipped.
    let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let (first, at) = line(bytes, start)?;
    let (fields, head_len) = field_section(bytes, at)?;
    let (method, target_text, version) = grammar::request_line(first).ok_or(Stop::Bad("request-line"))?;
    let target = uri::request_target(method, target_text).ok_or(Stop::Bad("request-target"))?;
    if !matches!(version, (1, _)) {
        return Err(Stop::Bad("HTTP-version"));
    }
    let host = host(&fields, version)?;
    let framing = match declared(&fields, version)? {
        Framing::UntilClose => Framing::None,
        framing => framing,
    };
    let keep_alive = keep_alive(&fields, version)?;
    let (body, len) = body(bytes, head_len, &framing, false)?;
    let (method, target_text, line_len) = (method.to_vec(), target_text.to_vec(), first.len());
    Ok(Request { method, target_text, target, version, fields, host, framing, body, keep_alive, line_len, head_len, len })
}

/// RFC 9112, section 3.2: exactly one in HTTP/1.1, at most one in HTTP/1.0, and valid.
fn host(fields: &[Field], version: (u8, u8)) -> Result<Option<Host>, Stop> {
    match values(fields, "Host")[..] {
        [] if version == (1, 0) => Ok(None),
        [value] => uri::host_and_port(value).map(Some).ok_or(Stop::Bad("Host")),
        _ => Err(Stop::Bad("Host")),
    }
}

/// What the framing fields say; `UntilClose` when there are none (RFC 9112, sections 6.1 to 6.3).
fn declared(fields: &[Field], version: (u8, u8)) -> Result<Framing, Stop> {
    let (codings, lengths) = (values(fields, "Transfer-Encoding"), values(fields, "Content-Length"));
    match (&codings[..], &lengths[..]) {
        ([], []) => Ok(Framing::UntilClose),
        ([], [length]) => grammar::content_length(length).map(Framing::Length).ok_or(Stop::Bad("Content-Length")),
        ([], _) => Err(Stop::Bad("Content-Length")),
        ([_, ..], []) if version == (1, 0) => Err(Stop::Bad("Transfer-Encoding in HTTP/1.0")),
        ([_, ..], []) => transfer_encoding(&codings.join(&b", "[..])),
        ([_, ..], [_, ..]) => Err(Stop::Bad("Transfer-Encoding with Content-Length")),
    }
}

/// `Transfer-Encoding = #transfer-coding`, the last of which is `chunked`, once, without parameters.
fn transfer_encoding(value: &[u8]) -> Result<Framing, Stop> {
    let codings = list(value);
    let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    match codings.split_last() {
        Some((last, [])) if is_chunked(last) => Ok(Framing::Chunked),
        Some((last, before)) if is_chunked(last) && !before.iter().any(is_chunked) => Ok(Framing::OtherCodings),
        _ => Err(Stop::Bad("Transfer-Encoding")),
    }
}

/// RFC 9112, section 9.3. `Connection = #connection-option`
fn keep_alive(fields: &[Field], version: (u8, u8)) -> Result<bool, Stop> {
    let options = values(fields, "Connection").join(&b","[..]);
    let options = list(&options);
    if !options.iter().all(|option| grammar::token(option)) {
        return Err(Stop::Bad("Connection"));
    }
    let has = |name: &str| options.iter().any(|option| option.eq_ignore_ascii_case(name.as_bytes()));
    Ok(!has("close") && (version >= (1, 1) || has("keep-alive")))
}

fn body(bytes: &[u8], at: usize, framing: &Framing, closed: bool) -> Parse<Chunked> {
    let plain = |content: &[u8]| Chunked { content: content.to_vec(), ..Chunked::default() };
    match framing {
        Framing::None => Ok((Chunked::default(), at)),
        Framing::Length(length) => {
            let end = usize::try_from(*length).ok().and_then(|length| at.checked_add(length)).ok_or(Stop::More)?;
            Ok((plain(bytes.get(at..end).ok_or(Stop::More)?), end))
        }
        Framing::Chunked => chunked_body(bytes, at),
        Framing::OtherCodings => Ok((Chunked::default(), at)),
        Framing::UntilClose if closed => Ok((plain(&bytes[at..]), bytes.len())),
        Framing::UntilClose => Err(Stop::More),
    }
}

#[derive(Clone, Debug)]
pub struct Response {
    /// Interim answers before this one.
    pub interim: usize,
    /// The highest of all heads.
    pub highest_version: (u8, u8),
    pub status: u16,
    pub reason: Vec<u8>,
    pub fields: Vec<Field>,
    pub framing: Framing,
    pub body: Chunked,
    pub keep_alive: bool,
    /// Bytes of the longest line and head, and of everything up to the end of the body.
    pub line_len: usize,
    pub head_len: usize,
    pub len: usize,
    /// Field lines of the head with the most of them.
    pub most_fields: usize,
}

/// The answer at the start of `bytes`, interim ones before it. `closed`: the connection ends where the bytes do.
pub fn response(bytes: &[u8], to_head: bool, closed: bool) -> Result<Response, Stop> {
    let (mut at, mut interim, mut line_len, mut longest, mut most_fields, mut highest_version) = (0, 0, 0, 0, 0, (0, 0));
    loop {
        let (first, fields_at) = line(bytes, at)?;
        let (fields, end) = field_section(bytes, fields_at)?;
        let (version, status, reason) = grammar::status_line(first).ok_or(Stop::Bad("status-line"))?;
        if !matches!(version, (1, _)) {
            return Err(Stop::Bad("HTTP-version"));
        }
        highest_version = highest_version.max(version);
        (line_len, longest) = (line_len.max(first.len()), longest.max(end - at));
        most_fields = most_fields.max(fields.len());
        at = end;
        if status < 200 {
            // Section 15.2.2 of RFC 9110: nothing here asked for another protocol.
            if status == 101 {
                return Err(Stop::Bad("101"));
            }
            interim += 1;
            continue;
        }
        let keep_alive = keep_alive(&fields, version)?;
        let framing = match declared(&fields, version)? {
            // RFC 9112, section 6.3, rule 1.
            _ if to_head || status == 204 || status == 304 => Framing::None,
            framing => framing,
        };
        let (body, len) = body(bytes, at, &framing, closed)?;
        let reason = reason.to_vec();
        return Ok(Response {
            interim,
            highest_version,
            status,
            reason,
            fields,
            framing,
            body,
            keep_alive,
            line_len,
            head_len: longest,
            len,
            most_fields,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let bytes = b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET";
        let read = request(bytes).unwrap();
        assert_eq!((&read.body.content[..], read.len, read.keep_alive), (&b"hi"[..], bytes.len() - 3, true));
        for bad in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
            "GET /\r\nHost: a\r\n\r\n",
        ] {
            assert!(matches!(request(bad.as_bytes()), Err(Stop::Bad(_))), "{bad:?}");
        }
        assert_eq!(request(b"GET / HTTP/1.1\r\nHost: a\r\n").err(), Some(Stop::More));
    }

    #[test]
    fn responses() {
        let bytes = b"HTTP/1.1 103 \r\n\r\nHTTP/1.1 200 OK\r\n\r\nall of it";
        let read = response(bytes, false, true).unwrap();
        assert_eq!((read.interim, read.status, &read.body.content[..]), (1, 200, &b"all of it"[..]));
        assert_eq!(response(bytes, false, false).err(), Some(Stop::More));
        assert_eq!(response(b"HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", false, false).unwrap().framing, Framing::None);
    }
}

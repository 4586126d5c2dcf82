//! What the RFC allows and the gateway refuses, on purpose. A refusal of what the oracle accepts must be in this list.

use crate::gateway::{CHUNKED, HEAD};
use crate::oracle::Field;
use crate::oracle::chunked::Chunked;
use crate::oracle::grammar::{content_length, list};
use crate::oracle::message::{Framing, Request, Response};
use crate::oracle::uri::{Target, misleads};
use crate::oracle::values;

/// Lengths up to this are counted; the largest that a reader with 63 bits counts too.
const MOST_LENGTH: u128 = i64::MAX as u128;

/// Why the gateway may refuse this request.
pub fn of_request(request: &Request) -> Option<&'static str> {
    let (path, called) = match &request.target {
        Target::Origin { path, .. } => (&path[..], None),
        Target::Absolute { path, host, .. } => (&path[..], Some(host)),
        Target::OtherScheme => return Some("a target that is no http URI"),
        Target::Authority => return Some("CONNECT"),
        Target::Asterisk => (&b"*"[..], None),
    };
    let unusual = |host: &Option<_>| host.as_ref().is_none_or(|host: &crate::oracle::uri::Host| host.unusual);
    match () {
        () if request.method == b"TRACE" || request.method == b"CONNECT" => Some("a method that no gateway serves"),
        () if misleads(path) => Some("a path that servers resolve differently"),
        () if called.is_some_and(unusual) || (request.host.is_some() && unusual(&request.host)) => Some("an unusual host"),
        () if request.line_len > HEAD.start_line_bytes => Some("the limit of the request line"),
        () if expects_more(request) => Some("an expectation that is not one 100-continue"),
        () => of_both(&request.fields, request.version, request.head_len, &request.body),
    }
}

/// Why the gateway may refuse this answer of a backend.
pub fn of_response(response: &Response) -> Option<&'static str> {
    match () {
        () if response.line_len > HEAD.start_line_bytes => Some("the limit of the status line"),
        () if response.most_fields > HEAD.fields => Some("the limits of a head"),
        () if response.status == 205 && matches!(response.framing, Framing::Length(1..)) => Some("205 with content"),
        () => of_both(&response.fields, response.highest_version, response.head_len, &response.body),
    }
}

/// Why the gateway may refuse this body.
pub fn of_body(body: &Chunked) -> Option<&'static str> {
    match () {
        () if body.bad_white_space => Some("white space in chunk extensions"),
        () if body.digits > 32 => Some("a chunk size with many zeros"),
        () if body.extension_bytes > CHUNKED.extension_bytes => Some("the limit of chunk extensions"),
        () if body.trailer_bytes > CHUNKED.trailer_bytes => Some("the limit of trailers"),
        () => None,
    }
}

fn of_both(fields: &[Field], version: (u8, u8), head_len: usize, body: &Chunked) -> Option<&'static str> {
    let codings = values(fields, "Transfer-Encoding");
    match () {
        () if version > (1, 1) => Some("a version after HTTP/1.1"),
        () if head_len > HEAD.head_bytes || fields.len() > HEAD.fields => Some("the limits of a head"),
        () if values(fields, "Connection").iter().flat_map(|v| list(v)).any(must_pass) => {
            Some("Connection names a field that must pass")
        }
        () if codings.len() > 1 || codings.first().is_some_and(|c| !c.eq_ignore_ascii_case(b"chunked")) => {
            Some("transfer codings other than a lone chunked")
        }
        // Also where the length is of a body that is not sent.
        () if values(fields, "Content-Length").iter().filter_map(|v| content_length(v)).any(|n| n > MOST_LENGTH) => {
            Some("a length beyond 63 bits")
        }
        () => of_body(body),
    }
}

fn must_pass(option: &[u8]) -> bool {
    const FIELDS: &[&str] = &[
        "authorization",
        "content-length",
        "content-md5",
        "content-type",
        "date",
        "expect",
        "host",
        "transfer-encoding",
        "x-forwarded-for",
        "x-forwarded-proto",
    ];
    let option = option.to_ascii_lowercase();
    option.starts_with(b"x-ca-") || FIELDS.iter().any(|field| field.as_bytes() == option)
}

fn expects_more(request: &Request) -> bool {
    let expectations = values(&request.fields, "Expect");
    request.version >= (1, 1)
        && !expectations.is_empty()
        && !(expectations.len() == 1 && expectations[0].eq_ignore_ascii_case(b"100-continue"))
}

//! Requests on a client's connection. What the gateway accepts, the oracle and `httparse` accept and read alike; what the
//! oracle accepts, the gateway accepts or refuses on purpose; and what would be forwarded has the same boundaries for
//! every reader.

use super::{Judgement, same};
use crate::deliberate;
use crate::gateway::{Gateway, Request, Requests};
use crate::lenient::{READERS, requests as lenient};
use crate::oracle::message::{self, Framing};
use crate::oracle::uri::Target;
use crate::oracle::{Field, Stop, grammar, values};
use crate::random::Random;

pub fn judge(gateway: &mut Gateway, input: &[u8]) -> Judgement {
    let whole = gateway.requests(input, &[input.len()], false);
    let mut random = Random::of(input);
    for bare in [false, true] {
        let cuts = random.cuts(input.len());
        let pieces = gateway.requests(input, &cuts, bare);
        same_in_pieces(&whole, &pieces).map_err(|fault| format!("cut at {cuts:?}: {fault}"))?;
        forwarded_alike(input, &pieces).map_err(|fault| format!("cut at {cuts:?}, bare {bare}: {fault}"))?;
    }
    let end = agree(input, &whole)?;
    forwarded_alike(input, &whole)?;
    let shapes: Vec<String> = whole
        .whole
        .iter()
        .map(|r| format!("{} by {}{}", r.framing, r.readers, if r.keep_alive { "" } else { ", last" }))
        .collect();
    Ok(format!("{} | {end} | {}", shapes.join(", "), whole.refused.as_deref().unwrap_or_default()))
}

/// However the bytes arrive, the same requests are found in them. What is wrong may be found later when they come slowly.
fn same_in_pieces(whole: &Requests, pieces: &Requests) -> Result<(), String> {
    let read = |requests: &Requests| -> Vec<Request> {
        requests
            .whole
            .iter()
            .map(|r| Request { forwarded: r.forwarded.as_ref().map(|_| Vec::new()), readers: "", ..r.clone() })
            .collect()
    };
    same("requests", read(pieces), read(whole))?;
    if pieces.refused.is_some() && whole.refused.is_none() {
        return Err(format!("refused in pieces only: {:?}", pieces.refused));
    }
    Ok(())
}

/// The oracle and httparse read what we read. Returns how the oracle finds the bytes behind the last request.
fn agree(input: &[u8], ours: &Requests) -> Result<&'static str, String> {
    let mut at = 0;
    for request in &ours.whole {
        let oracle = message::request(&input[at..]).map_err(|stop| format!("accepted at {at}, but to the oracle: {stop:?}"))?;
        compare(request, &oracle)?;
        compare_httparse(request, &input[at..])?;
        at += request.len;
        if !request.keep_alive {
            return Ok("ended");
        }
    }
    if at == input.len() {
        return Ok("all read");
    }
    match message::request(&input[at..]) {
        Err(Stop::More) => Ok("not whole"),
        Err(Stop::Bad(production)) if ours.refused.is_some() => Ok(production),
        Err(Stop::Bad(_)) => Ok("waiting for more of what is wrong"),
        Ok(request) => deliberate::of_request(&request)
            .filter(|_| ours.refused.is_some())
            .ok_or_else(|| format!("the oracle accepts at {at}, ours says {:?}", ours.refused)),
    }
}

fn compare(ours: &Request, oracle: &message::Request) -> Result<(), String> {
    same("method", &ours.method, &oracle.method)?;
    same("target", &ours.target, &oracle.target_text)?;
    same("version", ours.http11, oracle.version == (1, 1))?;
    same("fields", &ours.fields, &oracle.fields)?;
    same("head", ours.head_len, oracle.head_len)?;
    same("length", ours.len, oracle.len)?;
    same("keep-alive", ours.keep_alive, oracle.keep_alive)?;
    let framing = match oracle.framing {
        Framing::None | Framing::Length(0) => "none",
        Framing::Length(_) => "length",
        Framing::Chunked => "chunked",
        Framing::OtherCodings | Framing::UntilClose => "no request is framed so",
    };
    same("framing", ours.framing, framing)?;
    let host = match (&oracle.target, &oracle.host) {
        (Target::Absolute { host: Some(host), .. }, _) | (_, Some(host)) => host.name.clone(),
        _ => Vec::new(),
    };
    same("host", &ours.host, &host)
}

fn compare_httparse(ours: &Request, input: &[u8]) -> Result<(), String> {
    let mut room = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut room);
    match head.parse(input) {
        Ok(httparse::Status::Complete(len)) => same("httparse: head", ours.head_len, len)?,
        other => return Err(format!("httparse: {other:?}")),
    }
    same("httparse: method", Some(&ours.method[..]), head.method.map(str::as_bytes))?;
    same("httparse: target", Some(&ours.target[..]), head.path.map(str::as_bytes))?;
    same("httparse: version", u8::from(ours.http11), head.version.unwrap_or(9))?;
    let fields = head.headers.iter().map(|field| (field.name.as_bytes().to_vec(), field.value.to_vec()));
    same("httparse: fields", &ours.fields, &fields.collect())
}

/// All requests that would reach one backend connection, read by the oracle and by every lenient reader.
fn forwarded_alike(input: &[u8], ours: &Requests) -> Result<(), String> {
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    let mut at = 0;
    for request in &ours.whole {
        let body = message::request(&input[at..]).map_err(|stop| format!("{stop:?}"))?;
        at += request.len;
        let Some(forwarded) = &request.forwarded else { continue };
        let read = message::request(forwarded)
            .map_err(|stop| format!("forwarded what the oracle refuses ({stop:?}): {}", forwarded.escape_ascii()))?;
        same("forwarded length", read.len, forwarded.len())?;
        same("forwarded content", &read.body.content, &body.body.content)?;
        same("forwarded method", &read.method, &request.method)?;
        passing_fields(&body, &read)?;
        stream.extend_from_slice(forwarded);
        expected.push((stream.len(), body.body.content));
    }
    stream.extend_from_slice(&ours.partial);
    for &reader in READERS {
        let seen = lenient(&stream, reader);
        if seen.messages != expected || seen.rest == ours.partial.is_empty() {
            let expected = expected.iter().map(|(end, _)| end).collect::<Vec<_>>();
            return Err(format!("{reader:?} sees {seen:?}, not ends at {expected:?}, in {}", stream.escape_ascii()));
        }
    }
    Ok(())
}

/// Fields of the client reach the backend, in order, but for those that must not.
fn passing_fields(received: &message::Request, forwarded: &message::Request) -> Result<(), String> {
    let options = values(&received.fields, "Connection").join(&b","[..]).to_ascii_lowercase();
    let options = grammar::list(&options);
    let passes = |(name, value): &&Field| {
        let name = name.to_ascii_lowercase();
        let counted_down = name == b"max-forwards" && received.method == b"OPTIONS";
        let app_code = name == b"authorization" && value.to_ascii_lowercase().starts_with(b"appcode");
        !STAYS.contains(&&*String::from_utf8_lossy(&name).replace('_', "-"))
            && !name.starts_with(b"x-ca-proxy-")
            && !options.contains(&&name[..])
            && !counted_down
            && !app_code
    };
    let mut rest = forwarded.fields.iter();
    for field in received.fields.iter().filter(passes) {
        if !rest.any(|f| f == field) {
            return Err(format!("{} was not forwarded, or not in order", field.0.escape_ascii()));
        }
    }
    let hop = |(name, _): &&Field| HOP_BY_HOP.contains(&&*String::from_utf8_lossy(&name.to_ascii_lowercase()));
    match forwarded.fields.iter().find(hop) {
        Some((name, value)) if !(name == b"Transfer-Encoding" && value == b"chunked") => {
            Err(format!("{} was forwarded", name.escape_ascii()))
        }
        _ => Ok(()),
    }
}

/// RFC 9110, section 7.6.1.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Hop by hop, or the gateway's own to say; `_` is compared as `-`.
const STAYS: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "host",
    "content-length",
    "x-ca-request-id",
    "x-ca-signature",
    "x-ca-signature-headers",
    "x-ca-signature-method",
    "x-forwarded-for",
    "x-forwarded-proto",
];

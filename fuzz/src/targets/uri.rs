//! Request targets, hosts and escapes: `METHOD target`, in one line.

use lockgate::http::head::HeadError;
use lockgate::http::percent;
use lockgate::http::serialise::HeadWriter;
use lockgate::http::target::{authority, parse_target};

use super::{Judgement, same};
use crate::gateway::Gateway;
use crate::oracle::grammar::{token, vchar};
use crate::oracle::message;
use crate::oracle::uri::{Target, decoded, host_and_port, misleads, request_target};

pub fn judge(gateway: &mut Gateway, input: &[u8]) -> Judgement {
    let (method, text) = match input.iter().position(|&b| b == b' ') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (&b"GET"[..], input),
    };
    escapes(text)?;
    hosts(text)?;
    let judged = targets(method, text)?;
    if token(method) && !text.is_empty() && text.iter().all(|&b| vchar(b)) {
        mapped(gateway, method, text)?;
    }
    Ok(judged)
}

/// Decoding, its strictness, its inverse, and pairs.
fn escapes(text: &[u8]) -> Result<(), String> {
    let ours = |form: bool| {
        let mut out = Vec::new();
        let decode = if form { percent::decode_form } else { percent::decode_path_segment };
        decode(text, &mut out).ok().map(|()| out)
    };
    same("decoded as a path", ours(false), decoded(text, false))?;
    same("decoded as a form", ours(true), decoded(text, true))?;
    same("well-formed", percent::is_well_formed(text), decoded(text, false).is_some())?;
    let mut buffer = vec![0; text.len() * 3];
    let mut writer = HeadWriter::new(&mut buffer);
    percent::encode_segment(text, &mut writer);
    let len = writer.finish().ok_or("no escape has more than three bytes")?;
    same("encoded and decoded", decoded(&buffer[..len], true), Some(text.to_vec()))?;

    let mut expected = Vec::new();
    for pair in text.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
        let mut parts = pair.splitn(2, |&b| b == b'=');
        expected.push((parts.next().unwrap_or_default(), parts.next()));
    }
    same("pairs", percent::pairs(text).collect(), expected)
}

fn hosts(text: &[u8]) -> Result<(), String> {
    match (authority(text), host_and_port(text)) {
        (Ok(name), Some(host)) if !host.unusual => same("host", name, &host.name),
        (Err(_), None) => Ok(()),
        (Err(_), Some(host)) if host.unusual => Ok(()),
        (ours, oracle) => Err(format!("host: ours {ours:?}, the oracle {oracle:?}")),
    }
}

fn targets(method: &[u8], text: &[u8]) -> Judgement {
    // `parse_target` is given what the parser of heads lets through.
    if !text.iter().all(|&b| vchar(b) && b != b'#') {
        return Ok("no target".into());
    }
    let oracle = request_target(method, text);
    let ours = match parse_target(method, text) {
        Ok(target) => target,
        Err(error) => {
            return match oracle {
                None => Ok(format!("not a target, {error:?}")),
                Some(Target::Origin { path, .. } | Target::Absolute { path, .. }) if misleads(&path) => Ok(format!("{error:?}")),
                Some(Target::OtherScheme | Target::Authority) => Ok(format!("{error:?}")),
                Some(_) if error == HeadError::UnsupportedMethod => Ok(format!("{error:?}")),
                Some(target) => Err(format!("a target to the oracle ({target:?}): {error:?}")),
            };
        }
    };
    let mine = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let (path, query) = match oracle {
        Some(Target::Origin { path, query }) => {
            same("authority", ours.authority, None)?;
            (path, query)
        }
        Some(Target::Absolute { authority, path, query, .. }) => {
            same("authority", ours.authority, Some(&authority[..]))?;
            (path, query)
        }
        Some(Target::Asterisk) => (b"*".to_vec(), None),
        other => return Err(format!("ours {ours:?}, to the oracle {other:?}")),
    };
    same("path", ours.path, &path[..])?;
    same("query", mine(ours.query), query)?;
    if path != b"*" && misleads(&path) {
        return Err("a path that servers resolve differently was accepted".into());
    }
    Ok(format!("authority {}, query {}", ours.authority.is_some(), ours.query.is_some()))
}

/// What a call with this target becomes on its way through an API with a parameter, and through one without.
fn mapped(gateway: &mut Gateway, method: &[u8], text: &[u8]) -> Result<(), String> {
    let request = [method, b" ", text, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
    let read = gateway.requests(&request, &[request.len()], false);
    let Some(forwarded) = read.whole.first().and_then(|request| request.forwarded.as_ref()) else { return Ok(()) };
    let forwarded = message::request(forwarded).map_err(|stop| format!("forwarded what the oracle refuses: {stop:?}"))?;
    let Some(Target::Origin { path, query } | Target::Absolute { path, query, .. }) = request_target(method, text) else {
        return Err("no such target is forwarded".into());
    };
    let Target::Origin { path: sent_path, query: sent_query } = forwarded.target else {
        return Err(format!("not in origin form: {:?}", forwarded.target));
    };
    same("query forwarded", sent_query, query)?;
    let expected = match path.strip_prefix(b"/p/").filter(|rest| !rest.is_empty() && !rest.contains(&b'/')) {
        None => decoded(&path, false),
        // The parameter is decoded, and encoded anew as one segment.
        Some(_) if sent_path.iter().filter(|&&b| b == b'/').count() != 3 => return Err("a parameter grew a segment".into()),
        Some(one) => decoded(one, false).map(|one| [b"/q/", &one[..], b"/r"].concat()),
    };
    same("path forwarded", decoded(&sent_path, false), expected)
}

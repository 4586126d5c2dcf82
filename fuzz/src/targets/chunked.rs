//! Chunked bodies, in both outputs of the decoder, against the oracle; what is sent on is read again by every reader.

use lockgate::http::chunked::{Decoder, Output};
use lockgate::http::serialise::LAST_CHUNK_LINE;

use super::{Judgement, same};
use crate::deliberate;
use crate::gateway::CHUNKED;
use crate::lenient::{READERS, requests as lenient};
use crate::oracle::chunked::{Chunked, chunked_body};
use crate::oracle::{Field, Stop, field_section};
use crate::random::Random;

/// What the decoder made of the bytes.
struct Decoded {
    out: Vec<u8>,
    consumed: usize,
    content: usize,
    done: bool,
    trailers: Vec<u8>,
}

fn decode(input: &[u8], cuts: &[usize], output: Output) -> Result<Decoded, String> {
    let mut decoder = Decoder::new();
    let mut decoded = Decoded { out: Vec::new(), consumed: 0, content: 0, done: false, trailers: Vec::new() };
    for &cut in cuts {
        let mut piece = input[decoded.consumed..cut].to_vec();
        let step = decoder.decode(&mut piece, output, &CHUNKED).map_err(|error| format!("{error:?}"))?;
        decoded.out.extend_from_slice(&piece[step.output]);
        decoded.consumed += step.consumed;
        decoded.content += step.content;
        decoded.done = step.done;
        if step.done {
            break;
        }
        if decoded.consumed != cut {
            return Err("bytes were left though the body is not done".into());
        }
    }
    decoded.trailers = decoder.trailers().to_vec();
    Ok(decoded)
}

pub fn judge(input: &[u8]) -> Judgement {
    let oracle = chunked_body(input, 0);
    let mut random = Random::of(input);
    let mut outcome = None;
    for output in [Output::Chunks, Output::Content] {
        for cuts in [vec![input.len()], random.cuts(input.len()), random.cuts(input.len())] {
            let judged = judge_decoding(input, &oracle, decode(input, &cuts, output), output)
                .map_err(|fault| format!("{output:?}, cut at {cuts:?}: {fault}"))?;
            same("in pieces and at once", &judged, outcome.get_or_insert_with(|| judged.clone()))
                .map_err(|fault| format!("{output:?}, cut at {cuts:?}: {fault}"))?;
        }
    }
    Ok(outcome.unwrap_or_default())
}

fn judge_decoding(
    input: &[u8],
    oracle: &Result<(Chunked, usize), Stop>,
    decoded: Result<Decoded, String>,
    output: Output,
) -> Judgement {
    match (oracle, decoded) {
        (Ok((body, end)), Ok(decoded)) if decoded.done => {
            same("end", decoded.consumed, *end)?;
            same("content", decoded.content, body.content.len())?;
            trailers(&body.trailers, &decoded.trailers)?;
            match output {
                Output::Content => same("content", &decoded.out, &body.content)?,
                Output::Chunks => read_again(body, &decoded)?,
            }
            Ok(format!("whole, {} trailers", body.trailers.len().min(3)))
        }
        (oracle, Ok(decoded)) if decoded.done => Err(format!("accepted {} bytes, the oracle says {oracle:?}", decoded.consumed)),
        (Ok(_), Ok(_)) => Err("whole to the oracle, and we wait".into()),
        (Ok((body, _)), Err(error)) => {
            deliberate::of_body(body).map(str::to_owned).ok_or_else(|| format!("whole to the oracle, refused: {error}"))
        }
        (Err(Stop::More), Ok(decoded)) => {
            same("consumed of a partial body", decoded.consumed, input.len())?;
            Ok("partial".into())
        }
        (Err(Stop::More), Err(error)) => Ok(format!("partial, {error}")),
        (Err(Stop::Bad(production)), Err(error)) => Ok(format!("{production}, {error}")),
        (Err(Stop::Bad(production)), Ok(_)) => Ok(format!("{production}, not seen yet")),
    }
}

/// The canonical spelling, ended as the proxy ends it, has the same content and end for all.
fn read_again(body: &Chunked, decoded: &Decoded) -> Result<(), String> {
    let mut sent = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let start = sent.len();
    for part in [&decoded.out[..], LAST_CHUNK_LINE, &decoded.trailers, b"\r\n"] {
        sent.extend_from_slice(part);
    }
    let (again, end) = chunked_body(&sent, start).map_err(|stop| format!("sent on what the oracle refuses: {stop:?}"))?;
    same("content sent on", &again.content, &body.content)?;
    same("end sent on", end, sent.len())?;
    same("extensions sent on", again.extension_bytes, 0)?;
    for &reader in READERS {
        let seen = lenient(&sent, reader);
        if seen.rest || seen.messages != [(sent.len(), body.content.clone())] {
            return Err(format!("{reader:?} sees {seen:?} in {}", sent.escape_ascii()));
        }
    }
    Ok(())
}

/// Those kept are of those received, in order, and none of them may change what the message means (RFC 9110, 6.5.1).
fn trailers(received: &[Field], kept: &[u8]) -> Result<(), String> {
    let (kept, _) = field_section(&[kept, b"\r\n"].concat(), 0).map_err(|stop| format!("trailers kept: {stop:?}"))?;
    let mut rest = received.iter();
    for field in &kept {
        if !rest.any(|other| other == field) {
            return Err(format!("a trailer that was not received: {field:?}"));
        }
        let name = String::from_utf8_lossy(&field.0).to_ascii_lowercase();
        if HARMFUL.contains(&&*name) || ["content-", "x-ca-", "x-forwarded-"].iter().any(|prefix| name.starts_with(prefix)) {
            return Err(format!("the trailer {name} was kept"));
        }
    }
    match received.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"X-Checksum")).count() {
        n if n == kept.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"X-Checksum")).count() => Ok(()),
        _ => Err("a harmless trailer was dropped".into()),
    }
}

const HARMFUL: &[&str] =
    &["transfer-encoding", "host", "authorization", "connection", "te", "trailer", "set-cookie", "cookie", "expect", "upgrade"];

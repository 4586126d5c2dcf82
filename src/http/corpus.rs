//! The HTTP/1.1 corpora, read by the pure code alone: which messages of each case would be forwarded.
//!
//! Two corpora are part of the project (`tests/corpus`). Four more, of the tests of other HTTP implementations, are read
//! from the directory `LOCKGATE_CORPUS`, or from `../shared/http1-corpus`, where there is one.

use std::path::Path;

use base64::Engine;
use serde_json::Value;

use super::chunked::{ChunkLimits, Decoder, Output};
use super::framing::{BodyLength, request_framing, response_framing};
use super::head::{HeadLimits, Parsed, RequestHead, RequestView, ResponseHead, ResponseView, parse_request, parse_response};
use super::target::{host_of, parse_target};

const HEAD: HeadLimits = HeadLimits { start_line_bytes: 8 * 1024, head_bytes: 32 * 1024, fields: 100 };
const CHUNKED: ChunkLimits = ChunkLimits { extension_bytes: 4 * 1024, trailer_bytes: 8 * 1024 };

struct Case {
    id: String,
    raw: Vec<u8>,
    json: Value,
}

fn cases(text: &str) -> Vec<Case> {
    let corpus: Value = serde_json::from_str(text).unwrap();
    let cases: Vec<Case> = corpus["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| Case {
            id: case["id"].as_str().unwrap().to_owned(),
            raw: base64::engine::general_purpose::STANDARD.decode(case["raw_b64"].as_str().unwrap()).unwrap(),
            json: case.clone(),
        })
        .collect();
    assert_eq!(corpus["count"], cases.len());
    cases
}

fn debug(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

/// The bytes of a body at the start of `rest`, or `None` when it is not whole.
fn body(rest: &[u8], length: BodyLength) -> Result<Option<usize>, String> {
    match length {
        BodyLength::None => Ok(Some(0)),
        BodyLength::UntilClose => Ok(Some(rest.len())),
        BodyLength::Exact(length) => Ok((rest.len() as u64 >= length).then_some(length as usize)),
        BodyLength::Chunked => {
            let step = Decoder::new().decode(&mut rest.to_vec(), Output::Chunks, &CHUNKED).map_err(debug)?;
            Ok(step.done.then_some(step.consumed))
        }
    }
}

/// How many whole requests would be forwarded, and why it ended there, if for a reason.
fn requests(raw: &[u8]) -> (u64, Option<String>) {
    let mut rest = raw;
    let mut whole = 0;
    loop {
        match request(rest) {
            Ok(Some((consumed, keep_alive))) => {
                whole += 1;
                rest = &rest[consumed..];
                if !keep_alive {
                    return (whole, None);
                }
            }
            Ok(None) => return (whole, None),
            Err(reason) => return (whole, Some(reason)),
        }
    }
}

/// The bytes of the first request and whether the connection goes on; `None` when it is not whole.
fn request(bytes: &[u8]) -> Result<Option<(usize, bool)>, String> {
    let mut head = RequestHead::default();
    if parse_request(bytes, 0, &HEAD, &mut head).map_err(debug)? == Parsed::Partial {
        return Ok(None);
    }
    let request = RequestView { buffer: bytes, head: &head };
    let framing = request_framing(&request).map_err(debug)?;
    let target = parse_target(request.method(), request.target()).map_err(debug)?;
    host_of(&request, &target).map_err(debug)?;
    let body = body(&bytes[head.len..], framing.body)?;
    Ok(body.map(|len| (head.len + len, framing.keep_alive)))
}

/// Judges every case of a corpus: how many requests must and may be forwarded, and none of those that are at fault.
fn judge_requests(name: &str, text: &str) {
    let cases = cases(text);
    let mut failures = Vec::new();
    for case in &cases {
        let (whole, reason) = requests(&case.raw);
        let number = |key: &str| case.json[key].as_u64().unwrap();
        let expect = case.json["expect"].as_str().unwrap();
        let right = (number("min_forward")..=number("max_forward")).contains(&whole)
            && match expect {
                "must-accept" => whole > 0,
                // Also where a repaired forward would be tolerated.
                "must-reject" | "should-reject" => whole == 0,
                _ => true,
            };
        if !right {
            failures.push(format!("{} ({expect}): {whole} forwarded, {reason:?}", case.id));
        }
    }
    println!("{name}: {} cases", cases.len());
    assert!(failures.is_empty(), "{name}:\n{}", failures.join("\n"));
}

#[test]
fn requests_of_the_rfc_corpus() {
    judge_requests("rfc9112", include_str!("../../tests/corpus/rfc9112.json"));
}

#[test]
fn requests_of_other_corpora() {
    for name in ["gunicorn", "llhttp", "h11", "cowboy"] {
        if let Some(text) = shared(name) {
            judge_requests(name, &text);
        }
    }
}

fn shared(name: &str) -> Option<String> {
    let directory =
        std::env::var("LOCKGATE_CORPUS").unwrap_or_else(|_| format!("{}/../shared/http1-corpus", env!("CARGO_MANIFEST_DIR")));
    let text = std::fs::read_to_string(Path::new(&directory).join(format!("{name}.json"))).ok();
    if text.is_none() {
        println!("{name}: no such corpus here, left out (LOCKGATE_CORPUS names its directory)");
    }
    text
}

/// The answer that would be relayed: bytes of interim answers and of the answer; `None` when it is not whole.
fn response(bytes: &[u8], closes: bool) -> Result<Option<usize>, String> {
    let mut start = 0;
    loop {
        let mut head = ResponseHead::default();
        if parse_response(&bytes[start..], 0, &HEAD, &mut head).map_err(debug)? == Parsed::Partial {
            return Ok(None);
        }
        let framing = response_framing(&ResponseView { buffer: &bytes[start..], head: &head }, false).map_err(debug)?;
        start += head.len;
        if head.status < 200 {
            continue;
        }
        if framing.body == BodyLength::UntilClose && !closes {
            return Ok(None);
        }
        return Ok(body(&bytes[start..], framing.body)?.map(|len| start + len));
    }
}

#[test]
fn backend_answers() {
    judge_responses(include_str!("../../tests/corpus/responses.json"), PASSED);
}

#[test]
fn backend_answers_of_another_corpus() {
    let Some(text) = shared("responses-llhttp") else { return };
    for case in cases(&text) {
        let closes = case.json["close"].as_bool().unwrap();
        // All are free to be refused; what is relayed must be framed one way, which is what `response` found.
        let _ = response(&case.raw, closes);
    }
}

/// The answers that are free to be relayed or refused, and are relayed; all others are refused or never whole.
const PASSED: &[&str] =
    &["hand/chunk-8", "hand/status-0", "hand/status-20", "hand/header-11", "hand/header-17", "hand/header-19"];

fn judge_responses(text: &str, passed: &[&str]) {
    let mut relayed = Vec::new();
    for case in cases(text) {
        let outcome = response(&case.raw, case.json["close"].as_bool().unwrap());
        match case.json["expect"].as_str().unwrap() {
            "pass-through" => assert_eq!(outcome, Ok(Some(case.raw.len())), "{}", case.id),
            // Bytes follow the one answer: the connection is not used again.
            "one" => assert!(matches!(outcome, Ok(Some(len)) if len < case.raw.len()), "{}: {outcome:?}", case.id),
            _ if matches!(outcome, Ok(Some(_))) => relayed.push(case.id.clone()),
            _ => {}
        }
    }
    assert_eq!(relayed, passed);
}

//! Answers of backends: what the client is sent is one answer to every reader, with the content that the oracle finds in
//! the backend's; one that broke off is whole to none.

use super::{Judgement, same};
use crate::deliberate;
use crate::gateway::{Answer, Client, relay};
use crate::lenient::{READERS, response as lenient};
use crate::oracle::grammar::content_length;
use crate::oracle::message::{self, Response};
use crate::oracle::{Stop, values};
use crate::random::Random;

pub fn judge(input: &[u8]) -> Judgement {
    let mut outcomes = Vec::new();
    let mut random = Random::of(input);
    for (to_head, http11, closed) in [(false, true, true), (false, true, false), (false, false, true), (true, true, false)] {
        let client = Client { to_head, http11 };
        let oracle = message::response(input, to_head, closed);
        for cuts in [vec![input.len()], random.cuts(input.len())] {
            let relayed = relay(input, &cuts, closed, client);
            let outcome = judge_answer(input, relayed, &oracle, client, closed)
                .map_err(|fault| format!("{client:?}, closed {closed}, cut at {cuts:?}: {fault}"))?;
            if cuts.len() == 1 {
                outcomes.push(outcome);
            }
        }
    }
    outcomes.dedup();
    Ok(outcomes.join(" | "))
}

fn judge_answer(
    input: &[u8],
    relayed: Result<Option<Answer>, String>,
    oracle: &Result<Response, Stop>,
    client: Client,
    closed: bool,
) -> Judgement {
    match (relayed, oracle) {
        (Ok(Some(answer)), Ok(response)) if answer.ended => {
            same("status", answer.status, response.status)?;
            same("length", answer.len, response.len)?;
            // A server that frames a body for a 204 may send it, too; no bytes are no body.
            let lengths = values(&response.fields, "Content-Length");
            let bodied = lengths.iter().any(|length| content_length(length) != Some(0)) || has(response, "Transfer-Encoding");
            let unasked = response.status == 204 && bodied;
            if answer.reusable && (unasked || !response.keep_alive || response.len != input.len()) {
                return Err("the backend's connection would be used again".into());
            }
            read_again(&answer, response, client)?;
            Ok(format!("{} {}", answer.framing, response.interim.min(2)))
        }
        (Ok(Some(answer)), oracle) => match oracle {
            Err(stop) if answer.ended => Err(format!("whole to us, the oracle says {stop:?}")),
            Ok(response) => match deliberate::of_response(response) {
                Some(reason) if answer.broken => {
                    broken_off(&answer, client)?;
                    Ok(reason.into())
                }
                _ => Err("whole to the oracle, not to us".into()),
            },
            Err(stop) => {
                broken_off(&answer, client)?;
                Ok(format!("broken off: {stop:?}"))
            }
        },
        (Ok(None), Ok(response)) => Err(format!("the oracle reads {} bytes, we wait", response.len)),
        (Err(error), Ok(response)) => {
            deliberate::of_response(response).map(str::to_owned).ok_or_else(|| format!("refused: {error}, closed {closed}"))
        }
        (Ok(None), Err(stop)) => Ok(format!("waiting: {stop:?}")),
        (Err(error), Err(Stop::Bad(production))) => Ok(format!("{production}: {error}")),
        (Err(error), Err(Stop::More)) => Ok(format!("not whole: {error}")),
    }
}

fn has(response: &Response, name: &str) -> bool {
    !values(&response.fields, name).is_empty()
}

/// One answer, whole, with the same content, to the oracle and to every lenient reader.
fn read_again(answer: &Answer, backend: &Response, client: Client) -> Result<(), String> {
    // Only a connection that ends may end a body.
    let closed = !answer.client_keep_alive;
    let read = message::response(&answer.sent, client.to_head, closed)
        .map_err(|stop| format!("the client is sent what the oracle refuses ({stop:?}): {}", answer.sent.escape_ascii()))?;
    same("status sent", read.status, backend.status)?;
    same("content sent", &read.body.content, &backend.body.content)?;
    same("end sent", read.len, answer.sent.len())?;
    same("reason sent", &read.reason, &backend.reason)?;
    if client.http11 {
        same("keep-alive sent", read.keep_alive, answer.client_keep_alive)?;
    }
    for name in ["Content-Length", "Transfer-Encoding", "X-Ca-Request-Id"] {
        if values(&read.fields, name).len() > 1 {
            return Err(format!("{name} is sent more than once"));
        }
    }
    for &reader in READERS {
        let seen = lenient(&answer.sent, client.to_head, closed, reader);
        if seen.rest || seen.messages != [(answer.sent.len(), backend.body.content.clone())] {
            return Err(format!("{reader:?} sees {seen:?} in {}", answer.sent.escape_ascii()));
        }
    }
    Ok(())
}

/// What was sent of an answer that broke off is no whole answer. Where only the end of the connection ends it, the client
/// is sent a reset.
fn broken_off(answer: &Answer, client: Client) -> Result<(), String> {
    if !answer.client_keep_alive {
        return Ok(());
    }
    let whole = message::response(&answer.sent, client.to_head, false).is_ok();
    let seen = READERS.iter().find(|&&reader| !lenient(&answer.sent, client.to_head, false, reader).messages.is_empty());
    match (whole, seen) {
        (false, None) => Ok(()),
        (_, reader) => Err(format!("a broken answer is whole to {reader:?}: {}", answer.sent.escape_ascii())),
    }
}

//! What is said to the engine: scripts, their keys and arguments, and what their answers mean.
//!
//! ```text
//! PREFIX:{quota}:c:ID:WINDOW   a counter in one window. g: given out in all; a:NODE of it to a node; m:PROCESS what a process
//!                              has had of it; u:PROCESS it may have unused units; z: how often it was begun anew
//! PREFIX:{quota}:b:ID          a bucket. w: the last turn given out, of l a second; f: turns that came back; u:PROCESS since when
//!                              a process may have unused ones
//! PREFIX:{quota}:nodes         run, since: which start of the engine this is; n:PROCESS when it was last heard, and its node
//! PREFIX:{quota}:calls         a stream: counters whose unused units are needed elsewhere, or that were begun anew
//! PREFIX:n:NONCE               a nonce that has been used
//! ```
//! All but the nonces are in one slot of a Redis Cluster, because one script reads them together.

use redis::{Cmd, Value, cmd};

use super::ledger::{Answer, Ask};
use super::turns;
use crate::gate::quota::turn::{Turns, comes_ms};
use crate::gate::quota::window::{Period, Window};

pub const LEASE: &str = concat!(include_str!("engine.lua"), include_str!("lease.lua"));
pub const TURNS: &str = concat!(include_str!("engine.lua"), include_str!("turns.lua"));
pub const BEAT: &str = concat!(include_str!("engine.lua"), include_str!("beat.lua"));
pub const RESET: &str = include_str!("reset.lua");

/// How long an engine that was started anew gives nothing, so that all nodes have told it what they have.
pub const SETTLE_MS: u64 = 1000;
/// A process that has not been heard for so long is not waited for.
pub const SILENT_MS: u64 = 3000;

/// Turns are numbered from here on in the engine, whose numbers are exact up to 2^53.
const SINCE_S: u64 = 1_600_000_000;
/// A bucket without use is full long before.
const BUCKET_KEPT_MS: u64 = 120_000;

/// Names of keys and of this process.
#[derive(Clone, Debug)]
pub struct Names {
    prefix: String,
    /// Of the state directory that this process shares with its predecessors.
    node: String,
    /// Of this process alone.
    process: String,
}

/// What the engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    pub now_ms: u64,
    pub nodes: u64,
    pub settled: bool,
    /// Which start of the engine this is.
    pub run: String,
}

/// A counter that other nodes have something to say of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    GiveBack { id: u64, window: Window },
    Reset { id: u64, window: Window, resets: u64 },
}

impl Names {
    pub fn new(prefix: &str, node: u64, process: u64) -> Self {
        Self { prefix: prefix.to_owned(), node: format!("{node:016x}"), process: format!("{process:016x}") }
    }

    fn nodes(&self) -> String {
        format!("{}:{{quota}}:nodes", self.prefix)
    }

    pub fn calls(&self) -> String {
        format!("{}:{{quota}}:calls", self.prefix)
    }

    fn counter(&self, id: u64, window: Window) -> String {
        format!("{}:{{quota}}:c:{id:016x}:{}", self.prefix, text(window))
    }

    fn bucket(&self, id: u64) -> String {
        format!("{}:{{quota}}:b:{id:016x}", self.prefix)
    }

    pub fn turns(&self, digest: &str, ask: &turns::Ask) -> Cmd {
        let since = SINCE_S * ask.limit;
        let back: Vec<String> =
            ask.back.iter().map(|turns| format!("{}:{}", turns.first.saturating_sub(since), turns.n)).collect();
        let mut command = cmd("EVALSHA");
        command.arg(digest).arg(2).arg(self.bucket(ask.id)).arg(self.nodes());
        command.arg(&self.process).arg(&self.node).arg(ask.seq).arg(ask.limit).arg(ask.queue).arg(ask.calls).arg(ask.ahead);
        command.arg(u8::from(ask.holds)).arg(ask.left).arg(ask.last.saturating_sub(since)).arg(back.join(" "));
        command.arg(BUCKET_KEPT_MS + ask.queue * 1000 / ask.limit.max(1)).arg(SETTLE_MS);
        command
    }

    /// Begins a bucket anew: it is full.
    pub fn fill(&self, id: u64) -> Cmd {
        let mut command = cmd("DEL");
        command.arg(self.bucket(id));
        command
    }

    /// How far a bucket has come.
    pub fn level(&self, id: u64) -> Cmd {
        let mut command = cmd("HMGET");
        command.arg(self.bucket(id)).arg("w").arg("l");
        command
    }

    pub fn nonce(&self, nonce: u128) -> String {
        format!("{}:n:{nonce:032x}", self.prefix)
    }

    pub fn lease(&self, digest: &str, ask: &Ask) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(digest).arg(3).arg(self.counter(ask.id, ask.window)).arg(self.nodes()).arg(self.calls());
        command.arg(&self.process).arg(&self.node).arg(ask.seq).arg(ask.wanted).arg(ask.limit).arg(ask.have).arg(ask.allowed);
        command.arg(u8::from(ask.empty)).arg(u8::from(ask.urgent)).arg(ask.resets).arg(kept_ms(ask.window));
        command.arg(format!("{:016x}", ask.id)).arg(text(ask.window)).arg(SETTLE_MS).arg(SILENT_MS);
        command
    }

    pub fn beat(&self, digest: &str) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(digest).arg(1).arg(self.nodes()).arg(&self.process).arg(&self.node).arg(SETTLE_MS).arg(SILENT_MS);
        command
    }

    pub fn reset(&self, digest: &str, id: u64, window: Window) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(digest).arg(2).arg(self.counter(id, window)).arg(self.calls());
        command.arg(format!("{id:016x}")).arg(text(window)).arg(kept_ms(window));
        command
    }

    /// How much of a window has been given out, in all and to this node.
    pub fn given(&self, id: u64, window: Window) -> Cmd {
        let mut command = cmd("HMGET");
        command.arg(self.counter(id, window)).arg("g").arg(format!("a:{}", self.node));
        command
    }
}

/// A window is of use until it is over by every node's clock, and in every zone.
fn kept_ms(window: Window) -> u64 {
    2 * window.period.ms() + 60_000
}

fn text(window: Window) -> String {
    format!("{}-{}", window.period.name(), window.number)
}

fn window(text: &str) -> Option<Window> {
    let (period, number) = text.split_once('-')?;
    let period = Period::ALL.into_iter().find(|known| known.name() == period)?;
    Some(Window { period, number: number.parse().ok()? })
}

/// `None`: it is no answer of the script.
pub fn answer(value: &Value) -> Option<Answer> {
    let Value::Array(parts) = value else { return None };
    let number = |n: usize| number(parts.get(n)?);
    Some(match number(0)? {
        0 => Answer::Granted(number(2)?),
        1 => Answer::Dry,
        2 => Answer::Recalling,
        3 => Answer::Settling,
        4 => Answer::Stale,
        5 => Answer::Reset(number(3)?),
        6 => Answer::Noted,
        _ => return None,
    })
}

/// How much of a window has been given to other nodes, where an answer says it.
pub fn elsewhere(value: &Value) -> Option<u64> {
    let Value::Array(parts) = value else { return None };
    number(parts.get(4)?)
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// What the engine says to a request for turns, and how many tokens it has left. `None`: it is no answer of the script.
pub fn turns(value: &Value, limit: u64) -> Option<(turns::Answer, u64)> {
    let Value::Array(parts) = value else { return None };
    let numbers: Option<Vec<u64>> = parts.iter().map(number).collect();
    let numbers = numbers?;
    let (&[status, left], given) = numbers.split_first_chunk()?;
    let turns = given.as_chunks().0.iter().map(|&[first, n]| Turns { first: first + SINCE_S * limit, n }).collect();
    let answer = match status {
        0 => turns::Answer::Granted(turns),
        5 => turns::Answer::Last(turns),
        1 => turns::Answer::Dry,
        2 => turns::Answer::Recalling,
        3 => turns::Answer::Settling,
        4 | 6 => turns::Answer::Noted,
        _ => return None,
    };
    Some((answer, left))
}

/// When the last turn of a bucket comes that has been given out.
pub fn taken_until_ms(value: &Value) -> Option<u64> {
    let (given, limit): (Option<u64>, Option<u64>) = redis::from_redis_value_ref(value).ok()?;
    let (given, limit) = (given?, limit.filter(|&limit| limit > 0)?);
    Some(comes_ms(given + SINCE_S * limit, limit))
}

pub fn beat(value: &Value) -> Option<Beat> {
    let (now_ms, nodes, settled, run) = redis::from_redis_value_ref(value).ok()?;
    let settled: u8 = settled;
    Some(Beat { now_ms, nodes, settled: settled == 1, run })
}

/// What a stream has of calls by others after `last`, which is moved on.
pub fn calls(value: Value, names: &Names, last: &mut String) -> Vec<Call> {
    type Entry = (String, Vec<(String, String)>);
    let streams: Vec<(String, Vec<Entry>)> = redis::from_redis_value(value).unwrap_or_default();
    let mut calls = Vec::new();
    for (at, fields) in streams.into_iter().flat_map(|(_, entries)| entries) {
        *last = at;
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        if field("m") == Some(&names.process) {
            continue;
        }
        let id = field("i").and_then(|id| u64::from_str_radix(id, 16).ok());
        let (Some(id), Some(window)) = (id, field("w").and_then(window)) else { continue };
        calls.push(match field("z").and_then(|resets| resets.parse().ok()) {
            Some(resets) => Call::Reset { id, window, resets },
            None => Call::GiveBack { id, window },
        });
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_reads_back_as_it_was_written() {
        for period in Period::ALL {
            let of = Window { period, number: 29_000_000 };
            assert_eq!(window(&text(of)), Some(of));
        }
        assert_eq!(window("week-1"), None);
    }

    #[test]
    fn answers_that_are_none_are_told_from_those_that_are() {
        let of = |numbers: &[i64]| answer(&Value::Array(numbers.iter().map(|&number| Value::Int(number)).collect()));
        assert_eq!(of(&[0, 1, 17, 0]), Some(Answer::Granted(17)));
        assert_eq!(of(&[5, 1, 0, 3]), Some(Answer::Reset(3)));
        assert_eq!(of(&[9, 1, 0, 0]), None);
        assert_eq!(of(&[0, 1, -1, 0]), None);
        assert_eq!(answer(&Value::Nil), None);
    }
}

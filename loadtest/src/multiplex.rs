//! A connection of HTTP/2 that has many requests under way. Frames and fields are written here, as little as a client needs: it
//! shares its core with the backend. Fields are spelled out once, and named by their place in the table from then on, as browsers do.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::clock;
use crate::mark::{self, Mark};
use crate::payload::Pattern;
use crate::transport::{Route, Transport};

mod fields;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// Of `DATA` and `HEADERS`; of `SETTINGS` and `PING` it is `ACK`.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const LARGEST_WINDOW: u32 = 0x7fff_ffff;
const FIRST_WINDOW: u32 = 65_535;
/// A frame has at most so much payload, either way.
const FRAME_BYTES: usize = 16_384;
/// Received at once; more than a frame.
const BUFFER_BYTES: usize = 128 * 1024;

/// What each request has, and what each answer must.
pub struct Wanted {
    pub body: Vec<u8>,
    pub answer_bytes: usize,
    pub pattern: Rc<Pattern>,
}

pub struct Multiplexed {
    transport: Transport,
    wanted: Rc<Wanted>,
    /// Requests under way at most.
    streams: usize,
    fields: fields::Fields,
    next_stream: u32,
    open: HashMap<u32, Open>,
    /// What may be sent of bodies.
    window: i64,
    /// Data taken, of which the proxy has not been told.
    taken: u32,
    outgoing: Vec<u8>,
    received: Vec<u8>,
}

struct Open {
    start: Instant,
    answered: bool,
    got: usize,
    mark: Mark,
}

impl Multiplexed {
    /// `head`: of each request, as HTTP/1.1 has it.
    pub async fn open(route: &Route, streams: usize, head: &[u8], wanted: &Rc<Wanted>) -> Result<Self> {
        let transport = Transport::open(route).await?;
        let mut outgoing = PREFACE.to_vec();
        // No pushes, and room for every answer.
        frame(&mut outgoing, SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff]);
        frame(&mut outgoing, WINDOW_UPDATE, 0, 0, &(LARGEST_WINDOW - FIRST_WINDOW).to_be_bytes());
        let fields = fields::Fields::of(head, route.secure.is_some())?;
        Ok(Self {
            transport,
            wanted: wanted.clone(),
            streams,
            fields,
            next_stream: 1,
            open: HashMap::with_capacity(streams),
            window: FIRST_WINDOW.into(),
            taken: 0,
            outgoing,
            received: Vec::with_capacity(BUFFER_BYTES),
        })
    }

    /// Begins requests while `take` gives leave, and tells `done` how long each took, until all have been answered.
    pub async fn run(&mut self, mut take: impl FnMut() -> Option<Mark>, mut done: impl FnMut(Duration)) -> Result<(), String> {
        let wanted = self.wanted.clone();
        let mut spent = false;
        loop {
            while !spent && self.open.len() < self.streams && self.window >= wanted.body.len() as i64 {
                match take() {
                    Some(mark) => self.begin(&wanted.body, mark),
                    None => spent = true,
                }
            }
            if spent && self.open.is_empty() {
                return Ok(());
            }
            if !self.outgoing.is_empty() {
                let (sent, outgoing) = self.transport.send(std::mem::take(&mut self.outgoing)).await;
                sent.map_err(|error| format!("send: {error}"))?;
                self.outgoing = outgoing;
                self.outgoing.clear();
            }
            let (received, buffer) = self.transport.receive(std::mem::take(&mut self.received)).await;
            self.received = buffer;
            match received {
                Ok(0) => return Err(format!("the connection was closed with {} requests under way", self.open.len())),
                Ok(_) => self.take_frames(&wanted, &mut done)?,
                Err(error) => return Err(format!("receive: {error}")),
            }
        }
    }

    fn begin(&mut self, body: &[u8], mark: Mark) {
        let stream = self.next_stream;
        self.next_stream += 2;
        let end = if body.is_empty() { END_STREAM } else { 0 };
        frame(&mut self.outgoing, HEADERS, END_HEADERS | end, stream, self.fields.next(&mark));
        let mut parts = body.chunks(FRAME_BYTES).peekable();
        while let Some(part) = parts.next() {
            let end = if parts.peek().is_none() { END_STREAM } else { 0 };
            frame(&mut self.outgoing, DATA, end, stream, part);
        }
        self.window -= body.len() as i64;
        self.open.insert(stream, Open { start: clock::now(), answered: false, got: 0, mark });
    }

    fn take_frames(&mut self, wanted: &Wanted, done: &mut impl FnMut(Duration)) -> Result<(), String> {
        let received = std::mem::take(&mut self.received);
        let mut at = 0;
        while let Some(&[high, middle, low, kind, flags, a, b, c, d]) = received.get(at..at + HEADER_BYTES) {
            let end = at + HEADER_BYTES + (usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low));
            let Some(payload) = received.get(at + HEADER_BYTES..end) else { break };
            self.take_frame(kind, flags, u32::from_be_bytes([a, b, c, d]), payload, wanted, done)?;
            at = end;
        }
        self.received = received;
        self.received.drain(..at);
        if self.taken > LARGEST_WINDOW / 2 {
            frame(&mut self.outgoing, WINDOW_UPDATE, 0, 0, &std::mem::take(&mut self.taken).to_be_bytes());
        }
        Ok(())
    }

    fn take_frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
        wanted: &Wanted,
        done: &mut impl FnMut(Duration),
    ) -> Result<(), String> {
        match kind {
            SETTINGS if flags & END_STREAM == 0 => frame(&mut self.outgoing, SETTINGS, END_STREAM, 0, &[]),
            PING if flags & END_STREAM == 0 => frame(&mut self.outgoing, PING, END_STREAM, 0, payload),
            WINDOW_UPDATE if stream == 0 => {
                let grown = payload.try_into().map_or(0, u32::from_be_bytes);
                self.window += i64::from(grown);
            }
            RST_STREAM | GOAWAY => return Err(format!("frame {kind} of stream {stream}: {payload:?}")),
            HEADERS | DATA if flags & PADDED != 0 => return Err("padding".into()),
            HEADERS | DATA => {
                let open = self.open.get_mut(&stream).ok_or("an answer that nobody has asked for")?;
                if kind == HEADERS {
                    fields::is_ok(payload)?;
                    open.answered = true;
                } else {
                    self.taken += payload.len() as u32;
                    if !open.answered {
                        return Err("a body before its head".into());
                    }
                    open.take(payload, wanted)?;
                }
                if flags & END_STREAM != 0 {
                    if open.got != wanted.answer_bytes {
                        return Err(format!("a body of {} bytes", open.got));
                    }
                    done(open.start.elapsed());
                    self.open.remove(&stream);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Open {
    /// More of the body: its mark, where it is long enough for one, and then as the backend's is.
    fn take(&mut self, payload: &[u8], wanted: &Wanted) -> Result<(), String> {
        let marked = if mark::is_in_body(wanted.answer_bytes) { mark::BYTES } else { 0 };
        let (said, rest) = payload.split_at(marked.saturating_sub(self.got).min(payload.len()));
        if self.mark.get(self.got..self.got + said.len()) != Some(said) && !said.is_empty() {
            return Err(format!("somebody else's answer: its mark has {:?}", String::from_utf8_lossy(said)));
        }
        if !wanted.pattern.matches(self.got + said.len(), rest) {
            return Err("the body is not the backend's".into());
        }
        self.got += payload.len();
        Ok(())
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// What a body may have to be sent before any room has been granted for it.
pub fn check_body(bytes: usize) -> Result<()> {
    if bytes > FIRST_WINDOW as usize {
        bail!("a body over HTTP/2 has at most {FIRST_WINDOW} bytes: a stream's room is not waited for");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_mark_of_its_request_however_it_comes() {
        let pattern = Rc::new(Pattern::new());
        let body = pattern.body(128);
        let wanted = Wanted { body: Vec::new(), answer_bytes: 128, pattern };
        let (own, other) = (*b"0000000000000001", *b"0000000000000002");
        let taken = |mark: Mark, parts: [usize; 2]| {
            let answer = [&mark, &body[mark::BYTES..]].concat();
            let mut open = Open { start: clock::now(), answered: true, got: 0, mark: own };
            let [first, second] = parts;
            let ranges = [0..first, first..second, second..128];
            ranges.into_iter().try_for_each(|range| open.take(&answer[range], &wanted)).map(|()| open.got)
        };
        for parts in [[0, 128], [5, 9], [16, 100], [15, 17]] {
            assert_eq!(taken(own, parts), Ok(128), "{parts:?}");
            assert!(taken(other, parts).is_err_and(|fault| fault.contains("somebody else's")), "{parts:?}");
        }
    }
}

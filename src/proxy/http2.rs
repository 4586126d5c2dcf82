//! A client's connection that speaks HTTP/2: each of its streams takes the steps that a request over HTTP/1.1 takes, as a
//! task of its own ([`exchange`]), on a lane that spells it so ([`crate::http2`]).

use std::cell::Cell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;

use super::connection::{After, Connection};
use super::core::Core;
use super::exchange::exchange;
use crate::catalog::{Limits, Scheme};
use crate::http::frames::Frames;
use crate::http::frames::sent::Said;
use crate::http::serialise::HeadWriter;
use crate::http2::FIELD_BYTES;
use crate::http2::carrier::{Carrier, Io};
use crate::http2::drive::Pumps;
use crate::http2::lane::Lane;
use crate::http2::request::{comes_in_chunks, write_head};
use crate::net::admission::Ticket;
use crate::net::readiness::readiness;
use crate::net::{Block, Ready, Stream, Wait, Watch};
use crate::sys::Direction;

/// What a client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a connection have been found to be.
pub enum First {
    Http1(Block),
    Http2(Block),
    Gone,
}

/// Receives as much as it takes to know which version a client speaks on a listener for both.
pub async fn first(c: &Connection, ready: Pin<&mut dyn Ready>) -> First {
    if !c.wait(ready).await {
        return First::Gone;
    }
    let mut block = c.core.blocks.small();
    loop {
        let (received, back) = c.stream.recv(block).await;
        block = back;
        let ended = !matches!(received, Ok(n) if n > 0);
        if block.len() >= PREFACE.len() && block.filled().starts_with(PREFACE) {
            return First::Http2(block);
        }
        if ended || !PREFACE.starts_with(block.filled()) {
            return First::Http1(block);
        }
        if c.watch.from_client.wait() != Wait::Head {
            c.watch.from_client.arm(Wait::Head, c.core.clock.coarse_ms(), c.core.limits().head_timeout);
        }
    }
}

/// Serves a client until the connection ends. `first`: what has been received.
pub async fn serve(c: &Connection, first: Option<Block>) {
    let core = &c.core;
    core.counters.http2.connections.add(1);
    let limits = core.limits().clone();
    let told = |said| match said {
        Said::Reset(code) => core.counters.http2.reset(code),
        Said::GoAway(code) => core.counters.http2.goaway(code),
        Said::Message => {}
    };
    let carrier = Carrier::new(&c.stream, &core.blocks, &core.clock, Frames::of_client(), limits.http2.frames, &told, first);
    c.watch.from_client.arm(Wait::Head, core.clock.coarse_ms(), limits.head_timeout);
    let mut receiving = pin!(carrier.receive());
    let mut sending = pin!(carrier.send(&c.watch.to_client, Wait::Send, || core.limits().send_timeout));
    let mut pumps = Pumps::new(receiving.as_mut(), sending.as_mut());
    pumps.run(&carrier, talk(core, c, &carrier, &limits)).await;
    // As after any last answer: what the client still sends is taken for a moment, so that it gets what it was told.
    c.stream.end();
    c.watch.from_client.arm(Wait::Linger, core.clock.coarse_ms(), limits.linger_timeout);
    let mut taken = 0;
    let enough = |n| {
        taken += n;
        if taken >= limits.linger_bytes {
            c.stream.shutdown(Direction::Both);
        }
    };
    pumps.run_dry(&carrier, enough).await;
}

/// Takes streams until the connection is over; the last word is then with the carrier.
async fn talk(core: &Rc<Core>, c: &Connection, carrier: &Carrier<'_>, limits: &Limits) {
    let watch = c.watch.share();
    let streams = Rc::new(Streams { open: Cell::new(0), watch, core: core.clone() });
    let Ok(mut connection) = builder(limits).handshake::<_, Bytes>(Io(carrier)).await else { return };
    c.watch.from_client.clear();
    let (mut over, mut leaving) = (false, false);
    poll_fn(|context| {
        if core.draining.get() && !leaving {
            leaving = true;
            connection.graceful_shutdown();
        }
        c.watch.keep_task(context.waker());
        loop {
            match connection.poll_accept(context) {
                Poll::Ready(Some(Ok((request, mut respond)))) => match respond.poll_reset(context) {
                    // It came and went at once: nothing is done for it.
                    Poll::Ready(_) => core.counters.http2.given_up.add(1),
                    Poll::Pending => begin(core, c, &streams, limits, request, respond),
                },
                Poll::Ready(Some(Err(error))) => {
                    let calm = error.reason() == Some(Reason::ENHANCE_YOUR_CALM) && !error.is_remote();
                    core.counters.http2.floods.add(u64::from(calm && !over));
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending if !over && let Some(breach) = carrier.breach() => {
                    over = true;
                    core.counters.http2.floods.add(u64::from(breach.is_flood()));
                    connection.abrupt_shutdown(Reason::from(breach.code()));
                }
                // It was ended because it waited for too long, or to make room: once the last answer has gone out.
                Poll::Pending if c.watch.from_client.expired() == Wait::Idle && !over => {
                    over = true;
                    connection.abrupt_shutdown(Reason::NO_ERROR);
                }
                Poll::Pending => {
                    // Ends of answers may still be on their way to a client that is slow to take them.
                    if !over && !connection.has_streams() {
                        streams.rest();
                    }
                    return Poll::Pending;
                }
            }
        }
    })
    .await;
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    builder
        .max_concurrent_streams(size(limits.http2.streams))
        .initial_window_size(size(limits.http2.stream_window_bytes))
        .initial_connection_window_size(size(limits.http2.connection_window_bytes))
        .max_send_buffer_size(limits.http2.send_buffer_bytes)
        .max_header_list_size(size(limits.head.head_bytes + FIELD_BYTES * limits.head.fields))
        .max_pending_accept_reset_streams(limits.http2.frames.resets)
        .max_concurrent_reset_streams(limits.http2.frames.resets);
    builder
}

/// The streams of a connection that are being served.
struct Streams {
    open: Cell<usize>,
    watch: Rc<Watch>,
    core: Rc<Core>,
}

/// One of them; dropping it is its end.
struct Open {
    streams: Rc<Streams>,
    /// Where it is not the only one: its place among all clients.
    _ticket: Option<Ticket>,
}

impl Streams {
    /// One more. As long as it is the only one, it has the place of its connection; each further one needs one of its own: an address has no more
    /// calls under way than it could have connections.
    fn open(self: &Rc<Self>, peer: IpAddr) -> Option<Open> {
        let ticket = match self.open.get() {
            0 => None,
            _ => Some(self.core.admit(peer).ok()?),
        };
        self.open.set(self.open.get() + 1);
        self.watch.from_client.clear();
        Some(Open { streams: self.clone(), _ticket: ticket })
    }

    /// Where none is left, the connection waits for the next request, like any other.
    fn rest(&self) {
        if self.open.get() == 0 && self.watch.from_client.wait() == Wait::Nothing {
            self.watch.from_client.arm(Wait::Idle, self.core.clock.coarse_ms(), self.core.limits().idle_timeout);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let streams = &self.streams;
        streams.open.set(streams.open.get() - 1);
        streams.watch.answer_begins();
        // The connection looks whether it rests.
        streams.watch.wake();
    }
}

fn begin(
    core: &Rc<Core>,
    c: &Connection,
    streams: &Rc<Streams>,
    limits: &Limits,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let (parts, body) = request.into_parts();
    let ended = body.is_end_stream();
    let write = |room: &mut [u8]| {
        let mut writer = HeadWriter::new(room);
        write_head(&parts, ended, &mut writer);
        writer.finish()
    };
    let mut block = core.blocks.small();
    if !block.fill_with(write) {
        core.blocks.put(block);
        block = core.blocks.large();
        block.fill_with(write);
    }
    // Streams that the client has reset are being cleared away: more of them wait for others to be done.
    let is_crowded = streams.open.get() >= limits.http2.streams.saturating_mul(2);
    let open = (!is_crowded && !block.is_empty()).then(|| streams.open(c.peer)).flatten();
    let Some(open) = open else {
        core.blocks.put(block);
        return respond.send_reset(Reason::REFUSED_STREAM);
    };
    core.counters.http2.requests.add(1);
    let chunked = comes_in_chunks(&parts.headers, ended);
    let lane = Lane::new(body, chunked, respond, parts.method == http::Method::HEAD, c.stream.session().cloned());
    core.spawn(serve_stream(core.clone(), lane, block, c.peer, c.scheme, open));
}

async fn serve_stream(core: Rc<Core>, lane: Rc<Lane>, head: Block, peer: IpAddr, scheme: Scheme, _open: Open) {
    let stream = Stream::of_lane(lane.clone());
    let watch = core.streams.add(stream.handle(), None);
    let connection = Connection::new(core.clone(), watch, stream, peer, scheme);
    let mut ready = pin!(readiness(|| connection.stream.readable()));
    if let After::Next(Some(surplus)) = exchange(&connection, ready.as_mut(), head).await {
        core.blocks.put(surplus);
    }
    lane.finish();
}

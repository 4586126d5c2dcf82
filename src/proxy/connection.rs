//! A client connection's life: wait, exchange, again, until either side ends it.

use std::cell::Cell;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use super::core::Core;
use super::exchange::exchange;
use super::http2::{self, First};
use super::request::Request;
use super::secure::secure;
use crate::catalog::{Listener, Scheme};
use crate::http::head::Version;
use crate::net::admission::Ticket;
use crate::net::deadline::HALF_CLOSE_PROBE;
use crate::net::{Block, Ready, Stream, Wait, Watched, readiness::readiness};
use crate::sys::Peeked;

/// What every step of an exchange is given.
pub struct Connection {
    pub core: Rc<Core>,
    /// Before the stream: its place is given up before the descriptor is closed.
    pub watch: Watched,
    pub stream: Stream,
    pub peer: IpAddr,
    pub scheme: Scheme,
    /// Requests in a row that came before the one ahead of them was answered.
    pipelined: Cell<usize>,
}

/// What an exchange leaves.
pub enum After {
    /// The connection goes on, perhaps with bytes of the next request.
    Next(Option<Block>),
    Close,
    /// The answer has been sent, but the client may still be sending: closing at once could cost it the answer.
    Linger,
}

/// Serves a client until the connection ends. Made here, so that what it lives on is not held twice, as given and as used.
pub fn serve(core: Rc<Core>, stream: Stream, peer: IpAddr, listener: Listener, ticket: Ticket) -> impl Future<Output = ()> {
    let watch = core.watches.add(stream.handle(), Some(ticket));
    let connection = Connection::new(core, watch, stream, peer, listener.scheme);
    let http2 = listener.http2;
    // What is not alive between two requests is in boxes: a connection is a small thing while it waits.
    async move {
        let c = &connection;
        if c.scheme == Scheme::Https {
            if !Box::pin(secure(c, http2)).await {
                return;
            }
            if c.stream.session().is_some_and(|session| session.peer.http2) {
                return Box::pin(http2::serve(c, None)).await;
            }
        }
        let mut ready = pin!(readiness(|| c.stream.readable()));
        let mut received = None;
        if c.scheme == Scheme::Http && http2 {
            match Box::pin(http2::first(c, ready.as_mut())).await {
                First::Http1(block) => received = Some(block),
                First::Http2(block) => return Box::pin(http2::serve(c, Some(block))).await,
                First::Gone => return,
            }
        }
        while received.is_some() || c.wait(ready.as_mut()).await {
            let block = c.begin(received.take());
            match c.core.exchanges.hold(|| last_or_not(c, ready.as_mut(), block)).await {
                Some(next) => received = next,
                None => return,
            }
        }
    }
}

/// One exchange, and what ends the connection after the last: then there is nothing to go on with.
async fn last_or_not(c: &Connection, ready: Pin<&mut dyn Ready>, block: Block) -> Option<Option<Block>> {
    match exchange(c, ready, block).await {
        After::Next(block) => return Some(block),
        After::Close => {}
        After::Linger => c.linger().await,
    }
    None
}

impl Connection {
    pub fn new(core: Rc<Core>, watch: Watched, stream: Stream, peer: IpAddr, scheme: Scheme) -> Self {
        Self { core, watch, stream, peer, scheme, pipelined: Cell::new(0) }
    }

    /// The block that the next request is received into: the one that holds its beginning already, or an empty one.
    fn begin(&self, received: Option<Block>) -> Block {
        self.pipelined.set(if received.is_some() { self.pipelined.get() + 1 } else { 0 });
        received.unwrap_or_else(|| self.core.blocks.small())
    }

    /// Waits for the next request without holding a buffer; false when the connection ends instead.
    ///
    /// The deadline stays until the first byte is received: what was readable may have been taken meanwhile.
    pub async fn wait(&self, mut ready: Pin<&mut dyn Ready>) -> bool {
        // A request that is here already is still served.
        if self.core.draining.get() {
            return self.stream.peek() == Peeked::Bytes;
        }
        if self.stream.has_more() {
            return self.stream.peek() == Peeked::Bytes;
        }
        self.watch.from_client.arm(Wait::Idle, self.core.clock.coarse_ms(), self.core.limits().idle_timeout);
        std::future::poll_fn(|context| ready.as_mut().poll_ready(context)).await;
        self.watch.from_client.expired() == Wait::Nothing || self.stream.peek() == Peeked::Bytes
    }

    /// Another request may follow the one at hand, as far as the gateway is concerned.
    pub fn may_go_on(&self) -> bool {
        let in_bounds = || self.pipelined.get() < self.core.limits().pipelined_requests;
        !self.core.draining.get() && !self.watch.is_leaving() && (self.pipelined.get() == 0 || in_bounds())
    }

    /// Sends to the client within its deadline.
    pub async fn send(&self, block: Block) -> (io::Result<()>, Block) {
        self.watch.to_client.arm(Wait::Send, self.core.clock.coarse_ms(), self.core.limits().send_timeout);
        let sent = self.stream.send(block).await;
        self.watch.to_client.clear();
        sent
    }

    /// Looks whether the client has broken its connection; what was being waited for on its behalf is then over.
    pub fn is_gone(&self) -> bool {
        let gone = self.stream.peek() == Peeked::Broken;
        if gone {
            self.watch.client_gone.set(true);
        }
        gone
    }

    /// Where the client has only ended its side, it may have left: the sweeper asks it, and this is true.
    pub fn is_asked_whether_it_is_there(&self, version: Version) -> bool {
        let ask = !self.is_gone() && version == Version::Http11 && self.stream.peek() == Peeked::End;
        if ask {
            self.watch.from_client.arm(Wait::HalfClosed, self.core.clock.coarse_ms(), HALF_CLOSE_PROBE);
        }
        ask
    }

    /// The client has sent, or may be sending, more than the request just answered: a connection closed on it would be
    /// reset, and its answer with it.
    pub fn sends_more(&self, request: &Request) -> bool {
        request.framing.keep_alive || self.stream.peek() == Peeked::Bytes
    }

    /// Looks whether the client has sent something, or has left.
    pub fn stirs(&self, ready: Pin<&mut dyn Ready>, context: &mut Context<'_>) -> Poll<()> {
        if self.stream.has_more() { Poll::Ready(()) } else { ready.poll_ready(context) }
    }

    /// Ends our side, then takes what the client still sends for a moment (RFC 9112, section 9.6).
    async fn linger(&self) {
        let limits = self.core.limits();
        self.stream.end();
        self.watch.from_client.arm(Wait::Linger, self.core.clock.coarse_ms(), limits.linger_timeout);
        let mut block = self.core.blocks.small();
        let mut taken = 0;
        while taken < limits.linger_bytes {
            block.clear(0);
            let (result, back) = self.stream.recv(block).await;
            block = back;
            match result {
                Ok(n) if n > 0 => taken += n,
                _ => break,
            }
        }
        self.core.blocks.put(block);
    }
}

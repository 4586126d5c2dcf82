//! The bytes of an HTTP/2 connection between its socket and the `h2` crate.
//!
//! `h2` asks for bytes and gives bytes away in calls that may not wait; operations on a socket run to their end, each
//! with a block of its own ([`crate::net::stream`]). Two futures, one for each direction, hand blocks over to those
//! calls. Whoever drives a connection polls all of them as one task, until nobody has moved anything
//! ([`Carrier::has_stirred`]).

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::frames::sent::{Said, Sent};
use crate::http::frames::{Breach, FrameLimits, Frames};
use crate::net::{Block, Blocks, Clock, Stream, Timer, Wait};

/// Room kept before and behind what is sent, so that it can be sealed where it lies.
const SEAL_ROOM: usize = 64;

pub struct Carrier<'a> {
    stream: &'a Stream,
    blocks: &'a Blocks,
    clock: &'a Clock,
    received: Cell<Option<Block>>,
    end: Cell<Option<End>>,
    frames: RefCell<Frames>,
    limits: FrameLimits,
    breach: Cell<Option<Breach>>,
    /// What came before a breach has been taken; nothing more is.
    deaf: Cell<bool>,
    sent: RefCell<Sent>,
    /// Hears of resets and farewells that are sent.
    listener: &'a dyn Fn(Said),
    outgoing: Cell<Option<Block>>,
    sending: Cell<bool>,
    broken: Cell<bool>,
    stirred: Cell<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Proper,
    Broken,
}

/// What `h2` is given in the place of a socket.
pub struct Io<'a>(pub &'a Carrier<'a>);

impl<'a> Carrier<'a> {
    /// `first`: what has been received already. `listener` hears of resets and farewells that are sent.
    pub fn new(
        stream: &'a Stream,
        blocks: &'a Blocks,
        clock: &'a Clock,
        frames: Frames,
        limits: FrameLimits,
        listener: &'a dyn Fn(Said),
        first: Option<Block>,
    ) -> Self {
        let carrier = Self {
            stream,
            blocks,
            clock,
            received: Cell::default(),
            end: Cell::default(),
            frames: RefCell::new(frames),
            limits,
            breach: Cell::default(),
            deaf: Cell::new(false),
            sent: RefCell::default(),
            listener,
            outgoing: Cell::default(),
            sending: Cell::new(false),
            broken: Cell::new(false),
            stirred: Cell::new(false),
        };
        first.into_iter().for_each(|first| carrier.hand_over(first));
        carrier
    }

    /// Receives for as long as anything comes. Holds no block while nothing does.
    pub async fn receive(&self) {
        let mut large = false;
        loop {
            poll_fn(|_| if self.has_received() { Poll::Pending } else { Poll::Ready(()) }).await;
            if !large && !self.stream.has_more() {
                let _ = self.stream.readable().await;
            }
            let block = if large { self.blocks.large() } else { self.blocks.small() };
            let (received, block) = self.stream.recv(block).await;
            large = block.room() == 0;
            match received {
                Ok(n) if n > 0 => self.hand_over(block),
                outcome => {
                    self.blocks.put(block);
                    self.end.set(Some(if outcome.is_ok() { End::Proper } else { End::Broken }));
                    return self.stirred.set(true);
                }
            }
        }
    }

    /// Sends what `h2` gives away, as much at a time as there is. `timer`: of the direction.
    pub async fn send(&self, timer: &Timer, wait: Wait, timeout: impl Fn() -> Duration) {
        loop {
            let next = poll_fn(|_| self.outgoing.take().map_or(Poll::Pending, Poll::Ready)).await;
            self.sending.set(true);
            self.stirred.set(true);
            timer.arm(wait, self.clock.coarse_ms(), timeout());
            let (sent, block) = self.stream.send(next).await;
            timer.clear();
            self.blocks.put(block);
            self.sending.set(false);
            self.stirred.set(true);
            if sent.is_err() {
                return self.broken.set(true);
            }
        }
    }

    /// Something has been handed over since this was last asked.
    pub fn has_stirred(&self) -> bool {
        self.stirred.replace(false)
    }

    /// All that was given away has been sent, or cannot be.
    pub fn is_sent(&self) -> bool {
        let next = self.outgoing.take();
        let sent = next.is_none() && !self.sending.get() || self.broken.get();
        self.outgoing.set(next);
        sent
    }

    /// The other side will send no more.
    pub fn has_ended(&self) -> bool {
        self.end.get().is_some()
    }

    /// What the other side did wrong, once all that came before has been taken; nothing more is read.
    pub fn breach(&self) -> Option<Breach> {
        self.breach.get().filter(|_| self.deaf.get())
    }

    /// Throws away what has been received; returns how much that was.
    pub fn discard(&self) -> usize {
        let received = self.received.take();
        received.map_or(0, |block| {
            let n = block.len();
            self.blocks.put(block);
            self.stirred.set(true);
            n
        })
    }

    fn has_received(&self) -> bool {
        let received = self.received.take();
        let has = received.is_some();
        self.received.set(received);
        has
    }

    fn hand_over(&self, mut block: Block) {
        if self.breach.get().is_none()
            && let Err((good, breach)) = self.frames.borrow_mut().see(block.filled(), self.clock.coarse_ms(), &self.limits)
        {
            self.breach.set(Some(breach));
            self.deaf.set(good == 0);
            block.narrow(0..if good == 0 { block.len() } else { good });
        }
        self.received.set(Some(block));
        self.stirred.set(true);
    }

    /// Puts as much as there is room for behind what is to be sent.
    fn give_away(&self, bytes: &[u8]) -> usize {
        let mut block = self.outgoing.take().unwrap_or_else(|| {
            let mut block = self.blocks.small();
            block.clear(SEAL_ROOM);
            block
        });
        // What waits for the socket may grow, once.
        if block.room().saturating_sub(SEAL_ROOM) < bytes.len() && self.sending.get() && block.is_small() {
            block = self.blocks.enlarged(block, SEAL_ROOM);
        }
        let n = bytes.len().min(block.room().saturating_sub(SEAL_ROOM));
        self.sent.borrow_mut().see(&bytes[..n], |said| match said {
            Said::Message => self.frames.borrow_mut().sent(1),
            said => (self.listener)(said),
        });
        block.append(&bytes[..n]);
        self.stirred.set(self.stirred.get() || n > 0);
        self.outgoing.set(Some(block));
        n
    }
}

impl Drop for Carrier<'_> {
    fn drop(&mut self) {
        [self.received.take(), self.outgoing.take()].into_iter().flatten().for_each(|block| self.blocks.put(block));
    }
}

impl AsyncRead for Io<'_> {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let carrier = self.0;
        if carrier.deaf.get() {
            return Poll::Pending;
        }
        let Some(mut block) = carrier.received.take() else {
            return match carrier.end.get() {
                None => Poll::Pending,
                Some(End::Proper) => Poll::Ready(Ok(())),
                Some(End::Broken) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            };
        };
        let n = block.len().min(buffer.remaining());
        buffer.put_slice(&block.filled()[..n]);
        block.advance(n);
        if block.is_empty() {
            carrier.deaf.set(carrier.breach.get().is_some());
            carrier.blocks.put(block);
            carrier.stirred.set(true);
        } else {
            carrier.received.set(Some(block));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io<'_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, _: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.0.broken.get() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut written = 0;
        for part in parts {
            let n = self.0.give_away(part);
            written += n;
            if n < part.len() {
                break;
            }
        }
        match written {
            0 if parts.iter().any(|part| !part.is_empty()) => Poll::Pending,
            written => Poll::Ready(Ok(written)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Who drives the connection sends what there is.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

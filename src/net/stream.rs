//! A TCP connection of a worker, over monoio: receive, send, wait, cancel.
//!
//! Hazards this facade stands for: a future of [`Stream::recv`] or [`Stream::send`] must run to its end (dropping it
//! loses what the kernel has already taken or given); the way to cancel is [`Stream::shutdown`]. Only
//! [`Stream::readable`] may be dropped: it moves no bytes.
//!
//! Once a handshake has made it secure, what is received and sent goes through its session ([`super::secure`]).

use std::cell::{Cell, OnceCell, UnsafeCell};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use monoio::io::{AsyncReadRent, AsyncWriteRent};
use monoio::net::TcpStream;
use monoio::time::Sleep;
use pin_project_lite::pin_project;
use socket2::SockRef;

use super::block::{Block, Receiving, Sending, SendingTwo, Vectors};
use super::runtime::PAUSE;
use super::secure::{Reading, Received, Secure};
use crate::sys::{self, Direction, Peeked};

pub struct Stream {
    tcp: UnsafeCell<TcpStream>,
    spare_vectors: Cell<Option<Box<Vectors>>>,
    /// Operations in a row that were done at once.
    run: Cell<u32>,
    tls: OnceCell<Rc<Secure>>,
}

/// Operations of one stream that may be done at once in a row: then others have their turn. On a ring every operation
/// waits for the ring, and none is; on epoll a fast pair of peers would otherwise keep a worker for itself.
const LONGEST_RUN: u32 = 16;

impl Stream {
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp: UnsafeCell::new(tcp), spare_vectors: Cell::new(None), run: Cell::new(0), tls: OnceCell::new() }
    }

    /// The stream as monoio's operations want it.
    #[allow(clippy::mut_from_ref)]
    fn operate(&self) -> &mut TcpStream {
        // SAFETY: monoio's read and write use the reference only to clone the descriptor while the operation is made;
        // nothing keeps it across an await, the type is neither Send nor Sync, and no call here re-enters another.
        unsafe { &mut *self.tcp.get() }
    }

    pub fn fd(&self) -> RawFd {
        // SAFETY: a shared borrow for the time of one call that reads an integer; see `operate`.
        unsafe { &*self.tcp.get() }.as_raw_fd()
    }

    /// Runs an operation, after a pause where it is time for one.
    #[inline]
    fn in_turn<F: Future>(&self, operation: F) -> InTurn<'_, F> {
        InTurn { run: &self.run, operation, pause: None, begun: false, waited: false }
    }

    /// From now on everything goes through the session.
    pub fn secure(&self, session: Rc<Secure>) {
        let _ = self.tls.set(session);
    }

    /// The address that the peer has called.
    pub fn local_address(&self) -> Option<std::net::IpAddr> {
        Some(SockRef::from(self).local_addr().ok()?.as_socket()?.ip().to_canonical())
    }

    /// The session, where there is one.
    pub fn session(&self) -> Option<&Rc<Secure>> {
        self.tls.get()
    }

    /// Receives into the room behind the block's bytes. `Ok(0)`: the peer has ended its side, or the read side was shut.
    pub async fn recv(&self, mut block: Block) -> (io::Result<usize>, Block) {
        let mut reading = None;
        if let Some(tls) = self.tls.get() {
            match tls.begin(block) {
                Received::Done(result, block) => return (result, block),
                Received::More(more) => {
                    block = more.wire;
                    reading = Some(more.rest);
                }
            }
        }
        loop {
            let (result, Receiving(back)) = self.in_turn(self.operate().read(Receiving(block))).await;
            let (Some(tls), Some(rest)) = (self.tls.get(), reading.take()) else { return (result, back) };
            match tls.received(result, Reading { wire: back, rest }) {
                Received::Done(result, block) => return (result, block),
                Received::More(more) => {
                    block = more.wire;
                    reading = Some(more.rest);
                }
            }
        }
    }

    /// Sends all of the block's bytes. The block comes back with the same range in use; through a session, its bytes are
    /// no longer what they were.
    pub async fn send(&self, mut block: Block) -> (io::Result<()>, Block) {
        let mut sealing = None;
        if let Some(tls) = self.tls.get() {
            match tls.seal(block) {
                Ok((wire, more)) => {
                    block = wire;
                    sealing = Some(more);
                }
                Err((error, block)) => return (Err(error), block),
            }
        }
        loop {
            let mut sent = 0;
            let result = loop {
                let (result, Sending(back)) = self.in_turn(self.operate().write(Sending(block))).await;
                block = back;
                match progress(result, &mut block, &mut sent) {
                    Ok(()) if block.is_empty() => break Ok(()),
                    Ok(()) => {}
                    Err(error) => break Err(error),
                }
            };
            block.retreat(sent);
            let (Some(tls), Some(more)) = (self.tls.get(), sealing.take()) else { return (result, block) };
            match tls.sealed(result, block, more) {
                Ok((wire, more)) => {
                    block = wire;
                    sealing = Some(more);
                }
                Err((result, block)) => return (result, block),
            }
        }
    }

    /// Sends all bytes of two blocks, in one operation where the kernel takes them at once.
    /// Both come back as they were given.
    pub async fn send_two(&self, first: Block, second: Block) -> (io::Result<()>, Block, Block) {
        if let Some(tls) = self.tls.get() {
            return self.send_two_sealed(tls, first, second).await;
        }
        let whole = SendingTwo::new(first, second, self.spare_vectors.take());
        let (result, SendingTwo { blocks: [first, second], vectors }) = self.in_turn(self.operate().writev(whole)).await;
        self.spare_vectors.set(Some(vectors));
        let n = match result {
            Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), first, second),
            Ok(n) => n,
            Err(error) => return (Err(error), first, second),
        };
        let (of_first, of_second) = (n.min(first.len()), n.saturating_sub(first.len()));
        let mut blocks = [(first, of_first), (second, of_second)];
        let mut result = Ok(());
        for (block, sent) in &mut blocks {
            block.advance(*sent);
            while result.is_ok() && !block.is_empty() {
                let rest = std::mem::replace(block, Block::with_room(0));
                let (written, Sending(back)) = self.in_turn(self.operate().write(Sending(rest))).await;
                *block = back;
                result = progress(written, block, sent);
            }
            block.retreat(*sent);
        }
        let [(first, _), (second, _)] = blocks;
        (result, first, second)
    }

    /// Sends two blocks as records of one more, which is sent as it is.
    async fn send_two_sealed(&self, tls: &Secure, first: Block, second: Block) -> (io::Result<()>, Block, Block) {
        let (mut of_first, mut of_second) = (0, 0);
        while of_first < first.len() || of_second < second.len() {
            let mut wire = tls.wire(first.len() - of_first + second.len() - of_second);
            let sealed = tls.seal_behind(&mut wire, &first.filled()[of_first..]).and_then(|n| {
                of_first += n;
                if of_first < first.len() { Ok(0) } else { tls.seal_behind(&mut wire, &second.filled()[of_second..]) }
            });
            match sealed {
                Ok(n) => of_second += n,
                Err(error) => {
                    tls.put(wire);
                    return (Err(error.into()), first, second);
                }
            }
            let mut sent = 0;
            while !wire.is_empty() {
                let (result, Sending(back)) = self.in_turn(self.operate().write(Sending(wire))).await;
                wire = back;
                if let Err(error) = progress(result, &mut wire, &mut sent) {
                    tls.abandon();
                    tls.put(wire);
                    return (Err(error), first, second);
                }
            }
            tls.put(wire);
        }
        (Ok(()), first, second)
    }

    /// Waits until bytes, the end or an error can be received. Holds no buffer, and may be dropped.
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> + use<'_> {
        // SAFETY: a shared borrow; nothing ever takes an exclusive one across an await (see `operate`).
        unsafe { &*self.tcp.get() }.readable(false)
    }

    /// Waits until bytes can be sent: for a connection being made, until it is made or has failed.
    pub async fn writable(&self) -> io::Result<()> {
        // SAFETY: as in `readable`.
        unsafe { &*self.tcp.get() }.writable(false).await
    }

    /// The error that a connection attempt ended with.
    pub fn take_error(&self) -> io::Result<()> {
        SockRef::from(self).take_error()?.map_or(Ok(()), Err)
    }

    /// Closing will reset the connection, so that its peer does not take the end for a proper one.
    pub fn reset_on_close(&self) {
        if let Some(tls) = self.tls.get() {
            tls.abandon();
        }
        let _ = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }

    pub(super) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        SockRef::from(self).set_nonblocking(nonblocking)
    }

    /// Looks what is there to be received; not while a receive is under way.
    pub fn peek(&self) -> Peeked {
        match self.tls.get() {
            None => sys::peek(self.fd()),
            Some(tls) => tls.look(),
        }
    }

    /// There is something to receive, the end perhaps, for which the stream will not become readable: a look has taken
    /// it off the socket.
    pub fn has_more(&self) -> bool {
        self.tls.get().is_some_and(|tls| tls.has_more())
    }

    /// Ends our side, and says so to a peer that would take less for a connection that broke.
    pub fn end(&self) {
        if let Some(tls) = self.tls.get() {
            tls.end();
        }
        self.shutdown(Direction::Write);
    }

    /// Ends traffic in one direction or both, and with it the operations in flight.
    pub fn shutdown(&self, direction: Direction) {
        sys::shutdown(self.fd(), direction);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(tls) = self.tls.get() {
            tls.end();
        }
    }
}

pin_project! {
    /// An operation that has its turn. By hand, because an `async` function would hold the operation twice: as it was given,
    /// and where it is pinned.
    struct InTurn<'s, F> {
        run: &'s Cell<u32>,
        #[pin]
        operation: F,
        // Boxed, because it is rare, and would make every operation as large as a timer.
        pause: Option<Pin<Box<Sleep>>>,
        begun: bool,
        waited: bool,
    }
}

impl<F: Future> Future for InTurn<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if !*this.begun {
            if this.pause.is_none() && this.run.get() == LONGEST_RUN {
                this.run.set(0);
                *this.pause = Some(Box::pin(monoio::time::sleep(PAUSE)));
            }
            if let Some(pause) = this.pause {
                ready!(pause.as_mut().poll(context));
            }
            *this.begun = true;
        }
        match this.operation.poll(context) {
            Poll::Ready(done) => {
                this.run.set(if *this.waited { 0 } else { this.run.get() + 1 });
                Poll::Ready(done)
            }
            Poll::Pending => {
                *this.waited = true;
                Poll::Pending
            }
        }
    }
}

/// Takes off the block what one operation has sent of it.
fn progress(written: io::Result<usize>, block: &mut Block, sent: &mut usize) -> io::Result<()> {
    match written? {
        0 if !block.is_empty() => Err(io::ErrorKind::WriteZero.into()),
        n => {
            block.advance(n);
            *sent += n;
            Ok(())
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as `self`, which the borrow is bound to.
        unsafe { BorrowedFd::borrow_raw(self.fd()) }
    }
}

/// A wait for a stream to become readable that outlives the question: it can be asked, left, and asked again later.
pub trait Ready {
    /// Ready once for each time the stream was seen readable.
    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()>;
}

pin_project! {
    pub struct Readiness<M, F> {
        make: M,
        #[pin]
        pending: Option<F>,
    }
}

/// `make` starts a wait: [`Stream::readable`].
pub fn readiness<M: FnMut() -> F, F: Future>(make: M) -> Readiness<M, F> {
    Readiness { make, pending: None }
}

impl<M: FnMut() -> F, F: Future> Ready for Readiness<M, F> {
    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.pending.is_none() {
            this.pending.set(Some((this.make)()));
        }
        if let Some(pending) = this.pending.as_mut().as_pin_mut() {
            ready!(pending.poll(context));
        }
        this.pending.set(None);
        Poll::Ready(())
    }
}

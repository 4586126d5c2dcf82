//! A TCP connection of a worker, over monoio: receive, send, wait, cancel.
//!
//! Hazards this facade stands for: a future of [`Stream::recv`] or [`Stream::send`] must run to its end (dropping it
//! loses what the kernel has already taken or given); the way to cancel is [`Stream::shutdown`]. Only
//! [`Stream::readable`] may be dropped: it moves no bytes.
//!
//! Once a handshake has made it secure, what is received and sent goes through its session ([`super::secure`]).
//!
//! A stream may have no socket of its own, but be one of many that share a connection ([`Lane`]); nobody above sees a
//! difference.

use std::cell::{Cell, OnceCell, UnsafeCell};
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
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
use super::readiness::Readable;
use super::runtime::PAUSE;
use super::secure::{Reading, Received, Secure};
use crate::sys::{self, Direction, Peeked};

pub struct Stream {
    wire: Wire,
    spare_vectors: Cell<Option<Box<Vectors>>>,
    /// Operations in a row that were done at once.
    run: Cell<u32>,
    tls: OnceCell<Rc<Secure>>,
}

/// What carries a stream.
enum Wire {
    Tcp(UnsafeCell<TcpStream>),
    Lane(Rc<dyn Lane>),
}

/// A stream among others of one connection, as if it had a socket of its own.
pub trait Lane {
    /// As [`Stream::recv`]; here, too, the future runs to its end.
    fn recv(&self, block: Block) -> Pin<Box<dyn Future<Output = (io::Result<usize>, Block)> + '_>>;
    /// As [`Stream::send`]; the bytes may have moved within the block.
    fn send(&self, block: Block) -> Pin<Box<dyn Future<Output = (io::Result<()>, Block)> + '_>>;
    /// Ready when the other side has given the stream up, and nothing of what is exchanged shows it.
    fn poll_stirred(&self, context: &mut Context<'_>) -> Poll<()>;
    fn peek(&self) -> Peeked;
    /// Ends waits in this direction.
    fn shutdown(&self, direction: Direction);
    /// What has been sent is not whole: the other side is told so.
    fn break_off(&self);
    /// The session of the connection, where it has one.
    fn session(&self) -> Option<&Rc<Secure>>;
}

/// What to shut down for a stream to end, kept by whoever watches over it.
#[derive(Default)]
pub enum Handle {
    #[default]
    Nothing,
    Socket(RawFd),
    Lane(Rc<dyn Lane>),
}

impl Handle {
    pub fn shutdown(&self, direction: Direction) {
        match self {
            Self::Nothing => {}
            Self::Socket(fd) => sys::shutdown(*fd, direction),
            Self::Lane(lane) => lane.shutdown(direction),
        }
    }
}

/// Operations of one stream that may be done at once in a row: then others have their turn. On a ring every operation
/// waits for the ring, and none is; on epoll a fast pair of peers would otherwise keep a worker for itself.
const LONGEST_RUN: u32 = 16;

impl Stream {
    pub fn new(tcp: TcpStream) -> Self {
        Self::on(Wire::Tcp(UnsafeCell::new(tcp)))
    }

    /// One of the streams of a connection.
    pub fn of_lane(lane: Rc<dyn Lane>) -> Self {
        Self::on(Wire::Lane(lane))
    }

    fn on(wire: Wire) -> Self {
        Self { wire, spare_vectors: Cell::new(None), run: Cell::new(0), tls: OnceCell::new() }
    }

    /// The descriptor; of a lane there is none.
    pub fn fd(&self) -> RawFd {
        match &self.wire {
            // SAFETY: a shared borrow for the time of one call that reads an integer; see `operate`.
            Wire::Tcp(tcp) => unsafe { &*tcp.get() }.as_raw_fd(),
            Wire::Lane(_) => -1,
        }
    }

    /// Its socket; of a lane there is none.
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: the descriptor is open as long as `self`, which the borrow is bound to.
        (!self.is_lane()).then(|| unsafe { BorrowedFd::borrow_raw(self.fd()) })
    }

    /// For whoever may have to end it.
    pub fn handle(&self) -> Handle {
        match &self.wire {
            Wire::Tcp(_) => Handle::Socket(self.fd()),
            Wire::Lane(lane) => Handle::Lane(lane.clone()),
        }
    }

    /// It shares its connection with others.
    pub fn is_lane(&self) -> bool {
        matches!(self.wire, Wire::Lane(_))
    }

    /// A socket of its own, and nothing between it and us.
    pub fn is_bare(&self) -> bool {
        !self.is_lane() && self.tls.get().is_none()
    }

    /// Runs an operation, after a pause where it is time for one.
    #[inline]
    pub(super) fn in_turn<F: Future>(&self, operation: F) -> InTurn<'_, F> {
        InTurn { run: &self.run, operation, pause: None, begun: false, waited: false }
    }

    /// From now on everything goes through the session.
    pub fn secure(&self, session: Rc<Secure>) {
        let _ = self.tls.set(session);
    }

    /// The address that the peer has called.
    pub fn local_address(&self) -> Option<std::net::IpAddr> {
        Some(SockRef::from(&self.socket()?).local_addr().ok()?.as_socket()?.ip().to_canonical())
    }

    /// The session, where there is one.
    pub fn session(&self) -> Option<&Rc<Secure>> {
        match &self.wire {
            Wire::Tcp(_) => self.tls.get(),
            Wire::Lane(lane) => lane.session(),
        }
    }

    /// Receives into the room behind the block's bytes. `Ok(0)`: the peer has ended its side, or the read side was shut.
    pub async fn recv(&self, mut block: Block) -> (io::Result<usize>, Block) {
        let tcp = match &self.wire {
            Wire::Tcp(tcp) => tcp,
            Wire::Lane(lane) => return lane.recv(block).await,
        };
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
            let (result, Receiving(back)) = self.in_turn(operate(tcp).read(Receiving(block))).await;
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
        let tcp = match &self.wire {
            Wire::Tcp(tcp) => tcp,
            Wire::Lane(lane) => return lane.send(block).await,
        };
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
                let (result, Sending(back)) = self.in_turn(operate(tcp).write(Sending(block))).await;
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
        let tcp = match &self.wire {
            Wire::Tcp(tcp) => tcp,
            Wire::Lane(lane) => return send_two_on(&**lane, first, second).await,
        };
        if let Some(tls) = self.tls.get() {
            return self.send_two_sealed(tcp, tls, first, second).await;
        }
        let whole = SendingTwo::new(first, second, self.spare_vectors.take());
        let (result, SendingTwo { blocks: [first, second], vectors }) = self.in_turn(operate(tcp).writev(whole)).await;
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
                let (written, Sending(back)) = self.in_turn(operate(tcp).write(Sending(rest))).await;
                *block = back;
                result = progress(written, block, sent);
            }
            block.retreat(*sent);
        }
        let [(first, _), (second, _)] = blocks;
        (result, first, second)
    }

    /// Sends two blocks as records of one more, which is sent as it is.
    async fn send_two_sealed(
        &self,
        tcp: &UnsafeCell<TcpStream>,
        tls: &Secure,
        first: Block,
        second: Block,
    ) -> (io::Result<()>, Block, Block) {
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
                let (result, Sending(back)) = self.in_turn(operate(tcp).write(Sending(wire))).await;
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
        match &self.wire {
            // SAFETY: a shared borrow; nothing ever takes an exclusive one across an await (see `operate`).
            Wire::Tcp(tcp) => Readable { socket: Some(unsafe { &*tcp.get() }.readable(false)), lane: None },
            Wire::Lane(lane) => Readable { socket: None, lane: Some(&**lane) },
        }
    }

    /// Waits until bytes can be sent: for a connection being made, until it is made or has failed.
    pub async fn writable(&self) -> io::Result<()> {
        match &self.wire {
            // SAFETY: as in `readable`.
            Wire::Tcp(tcp) => unsafe { &*tcp.get() }.writable(false).await,
            Wire::Lane(_) => Ok(()),
        }
    }

    /// The error that a connection attempt ended with.
    pub fn take_error(&self) -> io::Result<()> {
        self.socket().map_or(Ok(None), |socket| SockRef::from(&socket).take_error())?.map_or(Ok(()), Err)
    }

    /// Closing will reset the connection, so that its peer does not take the end for a proper one.
    pub fn reset_on_close(&self) {
        if let Wire::Lane(lane) = &self.wire {
            return lane.break_off();
        }
        if let Some(tls) = self.tls.get() {
            tls.abandon();
        }
        let _ = self.socket().map(|socket| SockRef::from(&socket).set_linger(Some(Duration::ZERO)));
    }

    pub(super) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket().map_or(Ok(()), |socket| SockRef::from(&socket).set_nonblocking(nonblocking))
    }

    /// Looks what is there to be received; not while a receive is under way.
    pub fn peek(&self) -> Peeked {
        match (&self.wire, self.tls.get()) {
            (Wire::Lane(lane), _) => lane.peek(),
            (Wire::Tcp(_), None) => sys::peek(self.fd()),
            (Wire::Tcp(_), Some(tls)) => tls.look(),
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
        self.handle().shutdown(direction);
    }
}

/// The stream as monoio's operations want it.
#[allow(clippy::mut_from_ref)]
fn operate(tcp: &UnsafeCell<TcpStream>) -> &mut TcpStream {
    // SAFETY: monoio's read and write use the reference only to clone the descriptor while the operation is made;
    // nothing keeps it across an await, the type is neither Send nor Sync, and no call here re-enters another.
    unsafe { &mut *tcp.get() }
}

async fn send_two_on(lane: &dyn Lane, first: Block, second: Block) -> (io::Result<()>, Block, Block) {
    let (sent, first) = lane.send(first).await;
    if sent.is_err() {
        return (sent, first, second);
    }
    let (sent, second) = lane.send(second).await;
    (sent, first, second)
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
    pub(super) struct InTurn<'s, F> {
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

//! Pipes of a worker, through which the kernel moves a body from one socket to another: its bytes never come to us.
//!
//! A connection has a pipe only while there are bytes in it: as long as its peer takes them as fast as they come, the same
//! pipe serves all connections in turn. One that is left with bytes in it is closed, so that nobody gets another's.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use super::admission::Admission;
use super::runtime::on_ring;
use super::stream::Stream;
use crate::sys::pipe::{pipe, splice};

/// What is put into a pipe at once, in bytes: as much as a large block holds, so that a peer is given the same time for it.
pub const FILL_BYTES: usize = 128 * 1024;
/// Room of a pipe. It is counted in pages, of which a small packet takes one as well.
const ROOM_BYTES: usize = 512 * 1024;
/// Empty pipes that a worker keeps for later.
const KEPT: usize = 16;
/// After so long without use all that are empty are closed.
const UNUSED_MS: u64 = 1000;
/// Pipes of a worker with bytes in them: those of clients that take their answers slowly.
const AT_MOST: usize = 512;

/// A worker's pipes.
#[derive(Default)]
pub struct Pipes {
    free: RefCell<Vec<Ends>>,
    taken: Rc<Cell<usize>>,
    /// One has been taken since the last tidying.
    used: Cell<bool>,
    tidied_at_ms: Cell<u64>,
}

struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

/// A pipe, and how many bytes there are in it.
pub struct Pipe {
    ends: Option<Ends>,
    held: usize,
    taken: Rc<Cell<usize>>,
}

impl Pipes {
    /// An empty pipe; `None` where there is none to be had: then bytes have to be copied. The last descriptors are for others.
    pub fn take(&self, admission: &Admission) -> Option<Pipe> {
        if self.taken.get() >= AT_MOST {
            return None;
        }
        let free = self.free.borrow_mut().pop();
        let ends = free.or_else(|| Ends::new().ok().filter(|new| !admission.is_one_of_the_last(new.last())))?;
        self.taken.set(self.taken.get() + 1);
        self.used.set(true);
        Some(Pipe { ends: Some(ends), held: 0, taken: self.taken.clone() })
    }

    /// Gives a pipe back; one that is not empty is closed.
    pub fn put(&self, mut pipe: Pipe) {
        let mut free = self.free.borrow_mut();
        if pipe.held == 0 && free.len() < KEPT {
            free.extend(pipe.ends.take());
        }
    }

    /// Closes those that nobody has wanted for a while.
    pub fn sweep(&self, now_ms: u64) {
        if now_ms.saturating_sub(self.tidied_at_ms.get()) >= UNUSED_MS {
            self.tidied_at_ms.set(now_ms);
            if !self.used.replace(false) {
                self.close_free();
            }
        }
    }

    /// Closes those that nobody uses: descriptors have run out.
    pub fn close_free(&self) {
        self.free.borrow_mut().clear();
    }
}

impl Ends {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe(ROOM_BYTES)?;
        Ok(Self { read, write })
    }

    fn last(&self) -> i32 {
        self.read.as_raw_fd().max(self.write.as_raw_fd())
    }
}

impl Pipe {
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes what a stream has received, at most so many bytes. `Ok(0)`: its peer has ended its side.
    pub fn fill(&mut self, from: &Unblocked<'_>, at_most: usize) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let n = splice(from.stream.fd(), ends.write.as_raw_fd(), at_most)?;
        self.held += n;
        Ok(n)
    }

    /// Gives a stream what it has room for.
    pub fn drain(&mut self, to: &Unblocked<'_>) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let n = splice(ends.read.as_raw_fd(), to.stream.fd(), self.held)?;
        self.held = self.held.saturating_sub(n);
        Ok(n)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.taken.set(self.taken.get().saturating_sub(1));
    }
}

/// A stream whose socket does not block, for the time of plain calls on it. A ring's own receives and sends would fail on
/// it meanwhile; waiting until it is readable or writable does not.
pub struct Unblocked<'s> {
    stream: &'s Stream,
}

impl<'s> Unblocked<'s> {
    /// `None`: there is more to the stream than its socket.
    pub fn new(stream: &'s Stream) -> Option<Self> {
        (stream.is_bare() && (!on_ring() || stream.set_nonblocking(true).is_ok())).then_some(Self { stream })
    }

    /// Waits until it is readable; others have their turn.
    pub async fn readable(&self) {
        let _ = self.stream.in_turn(self.stream.readable()).await;
    }

    /// Waits until it is writable; others have their turn.
    pub async fn writable(&self) {
        let _ = self.stream.in_turn(self.stream.writable()).await;
    }
}

impl Drop for Unblocked<'_> {
    fn drop(&mut self) {
        if on_ring() {
            let _ = self.stream.set_nonblocking(false);
        }
    }
}

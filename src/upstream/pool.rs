//! Idle connections to an instance: last in, first out, bounded, and looked at before they are trusted.

use super::Instance;
use crate::net::stream::Stream;
use crate::sys::Peeked;

/// A connection unused for longer than this is looked at before it is used: its backend may have closed it, or sent a
/// second answer meanwhile that the next client would get. A look is a system call, which costs as much as a twentieth
/// of a request: a worker with as much to do as it can, which uses its warmest connections again at once, is spared it.
const TRUSTED_FOR_US: u64 = 1000;

/// What is known of a connection whose last exchange has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    Clean,
    /// Bytes may be on their way that nobody asked for, or the answer came before its request can have been read: it is
    /// looked at before it is used, however soon. So one answer too many is found out at the next request.
    Look,
}

pub(super) struct Idle {
    stream: Stream,
    trust: Trust,
    since_us: u64,
}

impl Instance {
    /// The warmest idle connection. `careful`: the request could not be sent again, so even a connection used a moment
    /// ago is looked at first.
    pub fn take_idle(&self, now_us: u64, careful: bool) -> Option<Stream> {
        loop {
            let idle = self.idle.borrow_mut().pop()?;
            let trusted = !careful && idle.trust == Trust::Clean && now_us.saturating_sub(idle.since_us) <= TRUSTED_FOR_US;
            // Bytes that nobody asked for are as bad as the end: they would be read as the next answer.
            if trusted || idle.stream.peek() == Peeked::Nothing {
                return Some(idle.stream);
            }
        }
    }

    /// Keeps a connection whose last exchange ended cleanly.
    pub fn keep(&self, stream: Stream, trust: Trust, now_us: u64, at_most: usize) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < at_most {
            idle.push(Idle { stream, trust, since_us: now_us });
        }
    }

    /// Closes connections that have waited longer than `timeout_ms`: the oldest are at the front.
    pub(super) fn end_idle(&self, now_ms: u64, timeout_ms: u64) {
        let mut idle = self.idle.borrow_mut();
        let old = idle.iter().take_while(|i| now_ms.saturating_sub(i.since_us / 1000) > timeout_ms).count();
        idle.drain(..old);
    }

    /// Closes idle connections, the oldest first, so that those in use and idle are together no more than may be.
    pub(super) fn make_room(&self) {
        let mut idle = self.idle.borrow_mut();
        let surplus = (idle.len() + self.turns.taken()).saturating_sub(self.settings.connections).min(idle.len());
        idle.drain(..surplus);
    }
}

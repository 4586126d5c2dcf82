//! Whether what is received on a connection had come before anything was sent on it.
//!
//! The receive is started before the send, in one poll. A ring takes them in this order: what lies in the socket is received
//! before the send begins, what comes later is received after it, and a task is told which of its operations ended first
//! ([`tasks::cause`]). On epoll, what lies in the socket is received within that first poll. So nothing has to be looked at
//! before a connection is used again, which would cost a system call.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::runtime::on_ring;
use super::tasks::{self, Cause};

/// Of a receive and a send that are started together.
pub struct Early {
    started: Cell<bool>,
    settled: Cell<Option<bool>>,
}

impl Early {
    /// To be found out.
    pub fn unknown() -> Self {
        Self { started: Cell::new(false), settled: Cell::new(None) }
    }

    /// Not to be found out: nothing is said to be early.
    pub fn untold() -> Self {
        Self { started: Cell::new(false), settled: Cell::new(Some(false)) }
    }

    /// A poll of both begins. True: it is the first, and the receive is to be started first.
    pub fn begin_poll(&self) -> bool {
        if self.settled.get().is_some() {
            return false;
        }
        let first = !self.started.replace(true);
        if !first {
            self.settled.set(match tasks::cause() {
                _ if !on_ring() => Some(false),
                Cause::Sent => Some(false),
                Cause::Received => Some(true),
                Cause::Unsaid => None,
            });
        }
        first
    }

    /// What has now been received had come before.
    pub fn came(&self) -> bool {
        self.settled.get().unwrap_or(true)
    }
}

pin_project! {
    /// An operation that says what its task is woken for.
    pub struct Saying<F> {
        waker: fn(&Waker) -> Waker,
        #[pin]
        operation: F,
    }
}

/// The send of the two.
pub fn sends<F: Future>(operation: F) -> Saying<F> {
    Saying { waker: tasks::sender, operation }
}

/// The receive of the two.
pub fn receives<F: Future>(operation: F) -> Saying<F> {
    Saying { waker: tasks::receiver, operation }
}

impl<F: Future> Future for Saying<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.operation.poll(&mut Context::from_waker(&(this.waker)(context.waker())))
    }
}

//! Waits for a stream to become readable.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::stream::Lane;

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

/// `make` starts a wait: [`super::Stream::readable`].
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

pin_project! {
    /// A wait for a stream to become readable. By hand, because every connection that waits for its next request holds one,
    /// and an `async` function would hold the wait of the socket twice.
    pub(super) struct Readable<'s, F> {
        #[pin]
        pub(super) socket: Option<F>,
        pub(super) lane: Option<&'s dyn Lane>,
    }
}

impl<F: Future<Output = io::Result<()>>> Future for Readable<'_, F> {
    type Output = io::Result<()>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        match (this.socket.as_pin_mut(), this.lane) {
            (Some(socket), _) => socket.poll(context),
            (None, Some(lane)) => lane.poll_stirred(context).map(Ok),
            (None, None) => Poll::Ready(Ok(())),
        }
    }
}

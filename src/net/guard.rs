//! A panic in one connection ends that connection alone.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// Polls a future; a panic in it is its end, with `None`.
    pub struct CatchPanic<F> {
        #[pin]
        future: F,
    }
}

impl<F> CatchPanic<F> {
    pub fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future> Future for CatchPanic<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // What the future shares with the rest of the worker are cells and free lists, whole after every statement.
        match catch_unwind(AssertUnwindSafe(|| self.project().future.poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn a_panic_is_an_end() {
        let future = CatchPanic::new(async { panic!("one connection's bug") });
        let poll = std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(poll, Poll::Ready(None::<()>)));
    }
}

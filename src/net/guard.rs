//! A panic in one connection ends that connection alone.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// Polls a future; a panic in it is its end, and is told. It holds the future itself, so that a connection costs its
    /// size once.
    pub struct CatchPanic<F, P> {
        #[pin]
        future: F,
        panicked: P,
    }
}

impl<F, P> CatchPanic<F, P> {
    pub fn new(future: F, panicked: P) -> Self {
        Self { future, panicked }
    }
}

impl<F: Future<Output = ()>, P: Fn()> Future for CatchPanic<F, P> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // What the future shares with the rest of the worker are cells and free lists, whole after every statement.
        catch_unwind(AssertUnwindSafe(|| this.future.poll(context))).unwrap_or_else(|_| {
            (this.panicked)();
            Poll::Ready(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::task::Waker;

    #[test]
    fn a_panic_is_an_end() {
        let panics = Cell::new(0);
        let future = CatchPanic::new(async { panic!("one connection's bug") }, || panics.set(panics.get() + 1));
        let poll = std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_ready());
        assert_eq!(panics.get(), 1);
    }
}

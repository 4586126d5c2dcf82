//! Boxes for futures that come and go, used again: a connection has one only while it has a request under way, so that one
//! that waits between two requests is a small thing, and no request asks the allocator for anything.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

/// Boxes a worker keeps for later.
const KEPT: usize = 1024;

/// A worker's free boxes for one kind of future: all have the layout of the first.
#[derive(Default)]
pub struct Boxes {
    free: RefCell<Vec<NonNull<u8>>>,
    layout: Cell<Option<Layout>>,
}

/// A future in a box, which is given back with it.
pub struct Boxed<'b, F> {
    future: NonNull<F>,
    boxes: &'b Boxes,
    /// It owns the future, and drops it.
    owned: PhantomData<F>,
}

impl Boxes {
    /// Puts a future where it stays until its end. It is made there, and not moved.
    #[inline]
    pub fn hold<F: Future>(&self, make: impl FnOnce() -> F) -> Boxed<'_, F> {
        let future = self.place(Layout::new::<F>()).cast::<F>();
        // SAFETY: the place has the layout of `F`, and nobody else has it.
        unsafe { future.write(make()) };
        Boxed { future, boxes: self, owned: PhantomData }
    }

    #[inline]
    fn place(&self, layout: Layout) -> NonNull<u8> {
        if self.layout.get() == Some(layout)
            && let Some(free) = self.free.borrow_mut().pop()
        {
            return free;
        }
        if self.layout.get().is_none() {
            self.layout.set(Some(layout));
        }
        assert!(layout.size() > 0, "a future has a state");
        // SAFETY: the layout is not empty.
        NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
    }

    #[inline]
    fn put(&self, place: NonNull<u8>, layout: Layout) {
        let mut free = self.free.borrow_mut();
        if self.layout.get() == Some(layout) && free.len() < KEPT {
            return free.push(place);
        }
        // SAFETY: `place` was allocated with this layout, and is used no more.
        unsafe { dealloc(place.as_ptr(), layout) };
    }
}

// It is no more than where the future is.
impl<F> Unpin for Boxed<'_, F> {}

impl<F: Future> Future for Boxed<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is alive, borrowed through `self` alone, and does not move until it is dropped in its place.
        unsafe { Pin::new_unchecked(self.future.as_mut()) }.poll(context)
    }
}

impl<F> Drop for Boxed<'_, F> {
    fn drop(&mut self) {
        // SAFETY: it is alive until here, and not used again. Where its drop panics the place is lost, and not used again.
        unsafe { self.future.drop_in_place() };
        self.boxes.put(self.future.cast(), Layout::new::<F>());
    }
}

impl Drop for Boxes {
    fn drop(&mut self) {
        let Some(layout) = self.layout.get() else { return };
        for place in self.free.get_mut().drain(..) {
            // SAFETY: each was allocated with this layout; nobody has it.
            unsafe { dealloc(place.as_ptr(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::rc::Rc;
    use std::task::Waker;

    use super::*;

    fn poll<F: Future>(boxed: &mut Boxed<'_, F>) -> Poll<F::Output> {
        Pin::new(boxed).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Pends once, with something on either side of the wait; `kept` counts who is alive.
    async fn twice(kept: Rc<()>) -> usize {
        let bytes = [1u8; 1000];
        let mut waited = false;
        poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() + Rc::strong_count(&kept)
    }

    #[test]
    fn a_future_runs_to_its_end_and_its_box_is_used_again() {
        let (boxes, kept) = (Boxes::default(), Rc::new(()));
        let mut places = Vec::new();
        for _ in 0..3 {
            let mut boxed = boxes.hold(|| twice(kept.clone()));
            places.push(boxed.future.as_ptr().addr());
            assert!(poll(&mut boxed).is_pending());
            assert_eq!(poll(&mut boxed), Poll::Ready(1002));
        }
        assert!(places.iter().all(|place| *place == places[0]));
        assert_eq!((boxes.free.borrow().len(), Rc::strong_count(&kept)), (1, 1));
    }

    #[test]
    fn one_that_is_given_up_is_dropped() {
        let (boxes, kept) = (Boxes::default(), Rc::new(()));
        let mut both = [boxes.hold(|| twice(kept.clone())), boxes.hold(|| twice(kept.clone()))];
        assert!(poll(&mut both[0]).is_pending());
        drop(both);
        assert_eq!((boxes.free.borrow().len(), Rc::strong_count(&kept)), (2, 1));
    }

    #[test]
    fn another_kind_has_a_box_of_its_own() {
        let boxes = Boxes::default();
        drop(boxes.hold(|| twice(Rc::default())));
        let mut other = boxes.hold(|| std::future::ready(7u64));
        assert_eq!(poll(&mut other), Poll::Ready(7));
        drop(other);
        assert_eq!(boxes.free.borrow().len(), 1);
    }
}

//! The tasks of a worker, polled by one task of the runtime.
//!
//! To be woken and to run takes a task of the runtime some five locked instructions, for the case that another thread
//! wakes it. What a worker does is woken by the worker's own thread alone, four or five times a request: here a wake is a
//! mark and a place in a queue. The runtime knows one task, [`Tasks::run`], which is woken by the first that comes into the
//! queue, and polls all that are in it.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// A worker's tasks; one for its thread.
#[derive(Default)]
pub struct Tasks {
    places: RefCell<Vec<Option<Task>>>,
    free: RefCell<Vec<usize>>,
    /// What was in the queue when the round began; empty between two rounds.
    round: Cell<Vec<usize>>,
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Who is to be polled next. Of the thread, because a waker may stand anywhere, for longer than its task lives: it is no
/// more than a place. One that outlives its task may wake the next at that place, which polls in vain.
#[derive(Default)]
struct Queue {
    waiting: Vec<usize>,
    /// By place: it is in the queue, and what for.
    marks: Vec<Option<Cause>>,
    /// What the task at hand was woken for.
    at_hand: Cause,
    /// Of the runtime's task. Kept to the end of the process, as the runtime is: with the last waker of its task would go
    /// every task here, and with them buffers that the kernel may still write to.
    runner: Option<ManuallyDrop<Waker>>,
}

/// What a task is woken for, as far as its wakers say ([`sender`], [`receiver`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    #[default]
    Unsaid,
    Sent,
    Received,
}

thread_local! {
    static QUEUE: RefCell<Queue> = const {
        RefCell::new(Queue { waiting: Vec::new(), marks: Vec::new(), at_hand: Cause::Unsaid, runner: None })
    };
}

/// What the task that is being polled was woken for: the first that was said since it was polled last. Operations are told of
/// in the order in which the kernel has ended them.
pub fn cause() -> Cause {
    QUEUE.with_borrow(|queue| queue.at_hand)
}

/// A waker of the same task, for an operation that sends.
pub fn sender(waker: &Waker) -> Waker {
    saying(waker, &SENT)
}

/// A waker of the same task, for an operation that receives.
pub fn receiver(waker: &Waker) -> Waker {
    saying(waker, &RECEIVED)
}

/// Of tasks that are not a worker's the waker says nothing.
fn saying(waker: &Waker, table: &'static RawWakerVTable) -> Waker {
    if std::ptr::eq(waker.vtable(), &UNSAID) { with_table(waker.data().addr(), table) } else { waker.clone() }
}

impl Tasks {
    /// Starts a task. It is polled for the first time when the event loop comes round to it.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let mut places = self.places.borrow_mut();
        let place = self.free.borrow_mut().pop().unwrap_or_else(|| {
            places.push(None);
            places.len() - 1
        });
        if let Some(free) = places.get_mut(place) {
            *free = Some(Box::pin(task));
        }
        QUEUE.with_borrow_mut(|queue| {
            queue.marks.resize(places.len(), None);
            queue.push(place, Cause::Unsaid);
        });
    }

    /// Polls whoever is woken, for ever. `turn` is told of each round.
    pub async fn run(self: Rc<Self>, turn: impl Fn()) -> Infallible {
        poll_fn(|context| {
            turn();
            self.poll_round(context);
            Poll::Pending
        })
        .await
    }

    /// Those who are woken meanwhile are for the next round, so that the event loop looks at the rest in between.
    fn poll_round(&self, context: &Context<'_>) {
        let mut round = self.round.take();
        QUEUE.with_borrow_mut(|queue| queue.take(context.waker(), &mut round));
        for place in round.drain(..) {
            QUEUE.with_borrow_mut(|queue| queue.take_up(place));
            // Taken out while it is polled: it may start others.
            let task = self.places.borrow_mut().get_mut(place).and_then(Option::take);
            let Some(mut task) = task else { continue };
            let pending = task.as_mut().poll(&mut Context::from_waker(&waker(place))).is_pending();
            if pending && let Some(own) = self.places.borrow_mut().get_mut(place) {
                *own = Some(task);
            } else {
                drop(task);
                self.free.borrow_mut().push(place);
            }
        }
        self.round.set(round);
    }
}

impl Queue {
    #[inline]
    fn push(&mut self, place: usize, cause: Cause) {
        let Some(mark) = self.marks.get_mut(place) else { return };
        match mark {
            Some(Cause::Unsaid) => *mark = Some(cause),
            Some(_) => {}
            None => {
                *mark = Some(cause);
                self.waiting.push(place);
                if self.waiting.len() == 1
                    && let Some(runner) = &self.runner
                {
                    runner.wake_by_ref();
                }
            }
        }
    }

    /// Its task is about to be polled.
    fn take_up(&mut self, place: usize) {
        self.at_hand = self.marks.get_mut(place).and_then(Option::take).unwrap_or_default();
    }

    /// Swaps the queue for an empty one. `runner` is woken by the next that comes.
    fn take(&mut self, runner: &Waker, round: &mut Vec<usize>) {
        if self.runner.as_ref().is_none_or(|known| !known.will_wake(runner)) {
            self.runner = Some(ManuallyDrop::new(runner.clone()));
        }
        std::mem::swap(&mut self.waiting, round);
    }
}

/// A waker of the task at this place, for the thread it is made on; on another it wakes nobody it is meant for.
fn waker(place: usize) -> Waker {
    with_table(place, &UNSAID)
}

fn with_table(place: usize, table: &'static RawWakerVTable) -> Waker {
    // SAFETY: the pointer is a number that is never followed, owned by nobody; what the tables' functions change is their
    // own thread's.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::without_provenance(place), table)) }
}

static UNSAID: RawWakerVTable = RawWakerVTable::new(|place| RawWaker::new(place, &UNSAID), unsaid, unsaid, |_| {});
static SENT: RawWakerVTable = RawWakerVTable::new(|place| RawWaker::new(place, &SENT), sent, sent, |_| {});
static RECEIVED: RawWakerVTable = RawWakerVTable::new(|place| RawWaker::new(place, &RECEIVED), received, received, |_| {});

fn unsaid(place: *const ()) {
    wake(place, Cause::Unsaid);
}

fn sent(place: *const ()) {
    wake(place, Cause::Sent);
}

fn received(place: *const ()) {
    wake(place, Cause::Received);
}

#[inline]
fn wake(place: *const (), cause: Cause) {
    // A thread that ends wakes nobody.
    let _ = QUEUE.try_with(|queue| queue.borrow_mut().push(place.addr(), cause));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls like the runtime: as long as the runner is woken.
    struct Runner {
        tasks: Rc<Tasks>,
        woken: std::sync::Arc<Woken>,
    }

    #[derive(Default)]
    struct Woken(std::sync::atomic::AtomicBool);

    impl std::task::Wake for Woken {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    impl Runner {
        fn new() -> Self {
            let runner = Self { tasks: Rc::default(), woken: Default::default() };
            runner.round();
            runner
        }
        fn round(&self) {
            let waker = self.woken.clone().into();
            self.tasks.poll_round(&Context::from_waker(&waker));
        }
        fn rounds(&self) -> usize {
            let woken = || self.woken.0.swap(false, std::sync::atomic::Ordering::Relaxed);
            std::iter::from_fn(|| woken().then(|| self.round())).count()
        }
    }

    /// Pends so often, and wakes itself each time.
    async fn again(times: usize, polled: Rc<Cell<usize>>) {
        let mut left = times;
        poll_fn(|context| {
            polled.set(polled.get() + 1);
            // Woken twice, polled once.
            (0..2).for_each(|_| context.waker().wake_by_ref());
            left = left.saturating_sub(1);
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    #[test]
    fn who_is_woken_is_polled_once_a_round() {
        let runner = Runner::new();
        let (one, other) = (Rc::<Cell<usize>>::default(), Rc::<Cell<usize>>::default());
        runner.tasks.spawn(again(3, one.clone()));
        runner.tasks.spawn(again(5, other.clone()));
        // The last wakes found their tasks at their ends.
        assert_eq!(runner.rounds(), 6);
        assert_eq!((one.get(), other.get()), (3, 5));
    }

    #[test]
    fn a_place_is_used_again_and_an_old_waker_wakes_its_next_task_in_vain() {
        let runner = Runner::new();
        let old = Rc::<RefCell<Option<Waker>>>::default();
        let keep = old.clone();
        runner.tasks.spawn(poll_fn(move |context| {
            *keep.borrow_mut() = Some(context.waker().clone());
            Poll::Ready(())
        }));
        assert_eq!(runner.rounds(), 1);
        let polled = Rc::<Cell<usize>>::default();
        let count = polled.clone();
        runner.tasks.spawn(poll_fn(move |_| {
            count.set(count.get() + 1);
            Poll::Pending
        }));
        assert_eq!((runner.rounds(), polled.get()), (1, 1));
        old.take().expect("kept").wake();
        assert_eq!((runner.rounds(), polled.get()), (1, 2));
        assert_eq!(runner.tasks.places.borrow().len(), 1);
    }

    #[test]
    fn a_task_may_start_others() {
        let runner = Runner::new();
        let polled = Rc::<Cell<usize>>::default();
        let (tasks, count) = (runner.tasks.clone(), polled.clone());
        runner.tasks.spawn(async move {
            (0..3).for_each(|_| tasks.spawn(again(1, count.clone())));
        });
        runner.rounds();
        assert_eq!((polled.get(), runner.tasks.free.borrow().len()), (3, 4));
    }

    #[test]
    fn a_task_knows_what_it_was_woken_for_first() {
        let runner = Runner::new();
        let causes = Rc::<RefCell<Vec<Cause>>>::default();
        let wakers = Rc::<RefCell<Vec<Waker>>>::default();
        let (seen, kept) = (causes.clone(), wakers.clone());
        runner.tasks.spawn(poll_fn(move |context| {
            seen.borrow_mut().push(cause());
            *kept.borrow_mut() = vec![context.waker().clone(), sender(context.waker()), receiver(context.waker())];
            Poll::Pending
        }));
        runner.rounds();
        for (wakes, cause) in [
            (&[0][..], Cause::Unsaid),
            (&[1, 2], Cause::Sent),
            (&[2, 1], Cause::Received),
            (&[0, 2, 0, 1], Cause::Received),
            (&[0, 0], Cause::Unsaid),
        ] {
            wakes.iter().for_each(|&n| wakers.borrow()[n].wake_by_ref());
            assert_eq!((runner.rounds(), causes.borrow().last()), (1, Some(&cause)), "{wakes:?}");
        }
        receiver(&runner.woken.clone().into()).wake();
        assert!(runner.woken.0.load(std::sync::atomic::Ordering::Relaxed), "a waker of no worker's task wakes it as well");
    }

    #[test]
    fn a_waker_on_another_thread_harms_nobody() {
        let runner = Runner::new();
        let kept = Rc::<RefCell<Option<Waker>>>::default();
        let keep = kept.clone();
        runner.tasks.spawn(poll_fn(move |context| {
            *keep.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        }));
        runner.rounds();
        let waker = kept.take().expect("kept");
        std::thread::spawn(move || waker.wake()).join().expect("nothing panics");
        assert_eq!(runner.rounds(), 0);
    }
}

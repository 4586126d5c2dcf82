//! Connections to an instance that speaks HTTP/2: each carries many calls at once, and belongs to the pool of the instance
//! from the start. One that is told to go, breaks, or is unused for too long takes no more calls, and ends with its last.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};

use super::{Instance, Pools};
use crate::catalog::{Http2Limits, Limits};
use crate::http::frames::{FrameLimits, Frames};
use crate::http2::FIELD_BYTES;
use crate::http2::call::Call;
use crate::http2::carrier::{Carrier, Io};
use crate::http2::drive::Pumps;
use crate::net::{Stream, Wait};
use crate::sys::Direction;

/// What a connection is made with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    limits: Http2Limits,
    /// Of a list of fields, in bytes.
    list_bytes: usize,
    /// Longest wait for the backend to take bytes.
    send_timeout: Duration,
}

impl Terms {
    pub(super) fn of(limits: &Limits) -> Self {
        let list_bytes = limits.head.head_bytes + FIELD_BYTES * limits.head.fields;
        Self { limits: limits.http2, list_bytes, send_timeout: limits.send_timeout }
    }
}

pub struct Multiplexed {
    send: RefCell<Option<SendRequest<Bytes>>>,
    https: bool,
    state: Cell<State>,
    open: Cell<usize>,
    served: Cell<bool>,
    since_us: Cell<u64>,
    /// Who drives it, and who waits for it to begin.
    tasks: RefCell<Vec<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Beginning,
    Open,
    /// It takes no more calls.
    Leaving,
    /// It is gone.
    Over,
}

/// One call on a connection; dropping it is its end.
struct Open(Rc<Multiplexed>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

impl Multiplexed {
    /// Begins to speak over a connection that has been made. It lives as a task of its own.
    pub fn begin(pools: &Rc<Pools>, stream: Stream, terms: Terms) -> Rc<Self> {
        let this = Rc::new(Self {
            send: RefCell::default(),
            https: stream.session().is_some(),
            state: Cell::new(State::Beginning),
            open: Cell::new(0),
            served: Cell::new(false),
            since_us: Cell::new(pools.clock.now_us()),
            tasks: RefCell::default(),
        });
        pools.spawn(live(pools.clone(), this.clone(), stream, terms));
        this
    }

    /// Ready once calls can be made, or never can.
    pub fn poll_begun(&self, context: &Context<'_>) -> Poll<()> {
        if self.state.get() != State::Beginning {
            return Poll::Ready(());
        }
        self.tasks.borrow_mut().push(context.waker().clone());
        Poll::Pending
    }

    /// A call of its own, and whether the connection has served another; `None`: there is no room for one.
    pub fn call(self: &Rc<Self>, now_us: u64) -> Option<(Stream, bool)> {
        if self.state.get() != State::Open {
            return None;
        }
        let mut send = self.send.borrow().clone()?;
        match send.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) if self.open.get() < send.current_max_send_streams() => {}
            Poll::Ready(Err(_)) => {
                self.leave();
                return None;
            }
            _ => return None,
        }
        self.open.set(self.open.get() + 1);
        self.since_us.set(now_us);
        let call = Call::new(send, self.https, Open(self.clone()));
        Some((Stream::of_lane(call), self.served.replace(true)))
    }

    pub fn is_over(&self) -> bool {
        self.state.get() == State::Over
    }

    /// Takes no more calls, and ends with the last.
    pub fn leave(&self) {
        if matches!(self.state.get(), State::Beginning | State::Open) {
            self.turn(State::Leaving);
        }
    }

    /// Leaves where it has been unused for longer than this.
    pub fn leave_if_idle(&self, now_ms: u64, timeout_ms: u64) {
        if self.open.get() == 0 && now_ms.saturating_sub(self.since_us.get() / 1000) > timeout_ms {
            self.leave();
        }
        if self.open.get() > 0 {
            self.since_us.set(now_ms * 1000);
        }
    }

    fn turn(&self, state: State) {
        self.state.set(state);
        if state != State::Open {
            self.send.take();
        }
        self.tasks.take().into_iter().for_each(Waker::wake);
    }
}

async fn live(pools: Rc<Pools>, this: Rc<Multiplexed>, stream: Stream, terms: Terms) {
    let watch = pools.multiplexed.add(stream.handle(), None);
    // Streams that a backend refuses are no flood: they are its answers to calls of ours.
    let frames = FrameLimits { resets: usize::MAX, ..terms.limits.frames };
    let carrier = Carrier::new(&stream, &pools.blocks, &pools.clock, Frames::default(), frames, &|_| (), None);
    let mut receiving = pin!(carrier.receive());
    let mut sending = pin!(carrier.send(&watch.to_client, Wait::Forward, || terms.send_timeout));
    let mut pumps = Pumps::new(receiving.as_mut(), sending.as_mut());
    pumps.run(&carrier, talk(&this, &carrier, &terms)).await;
    this.turn(State::Over);
    stream.end();
    stream.shutdown(Direction::Both);
    pumps.run_dry(&carrier, |_| ()).await;
}

async fn talk(this: &Multiplexed, carrier: &Carrier<'_>, terms: &Terms) {
    let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(size(terms.limits.stream_window_bytes))
        .initial_connection_window_size(size(terms.limits.connection_window_bytes))
        .max_send_buffer_size(terms.limits.send_buffer_bytes)
        .max_header_list_size(size(terms.list_bytes));
    let Ok((send, mut connection)) = builder.handshake::<_, Bytes>(Io(carrier)).await else { return };
    this.send.replace(Some(send));
    this.turn(State::Open);
    poll_fn(|context| {
        let ended = Pin::new(&mut connection).poll(context).map(drop);
        if carrier.breach().is_some() {
            return Poll::Ready(());
        }
        if ended.is_pending() {
            this.tasks.borrow_mut().retain(|task| !task.will_wake(context.waker()));
            this.tasks.borrow_mut().push(context.waker().clone());
        }
        ended
    })
    .await;
}

impl Instance {
    /// A call on one of its connections, and whether that has served another before.
    pub fn call(&self, now_us: u64) -> Option<(Stream, bool)> {
        let mut connections = self.pool.multiplexed.borrow_mut();
        connections.retain(|connection| !connection.is_over());
        connections.iter().find_map(|connection| connection.call(now_us))
    }

    /// What a new one is made with.
    pub fn terms(&self) -> Terms {
        self.settings.terms
    }

    /// From now on calls are made on this one, too.
    pub fn add(&self, connection: Rc<Multiplexed>) {
        self.pool.multiplexed.borrow_mut().push(connection);
    }

    /// The right to make a connection while others wait for it; `None`: someone else has it.
    pub fn make_one(&self) -> Option<Making<'_>> {
        (!self.pool.making.replace(true)).then(|| Making(self))
    }

    /// Ready when nobody makes a connection.
    pub fn poll_made(&self, context: &Context<'_>) -> Poll<()> {
        if !self.pool.making.get() {
            return Poll::Ready(());
        }
        self.pool.waiting.borrow_mut().push(context.waker().clone());
        Poll::Pending
    }
}

/// A connection is being made.
pub struct Making<'a>(&'a Instance);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.0.pool.making.set(false);
        self.0.pool.waiting.take().into_iter().for_each(Waker::wake);
    }
}

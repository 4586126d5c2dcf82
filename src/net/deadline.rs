//! Deadlines without timers: each connection has a few cells, and a sweeper per worker looks at all of them many times
//! a second and ends what is overdue by shutting its socket down.
//!
//! Arming a deadline is two stores. A task that was waiting sees the end of its stream or an error, and finds in
//! [`Timer::expired`] that it was us.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use super::admission::Ticket;
use super::secure::Secure;
use super::stream::Handle;
use crate::http::serialise::CONTINUE;
use crate::sys::{self, Direction};

/// How often the sweeper looks: the resolution of every timeout of the data path.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(50);

/// How long a client that has ended its side waits for its answer before it is asked whether it is still there.
pub const HALF_CLOSE_PROBE: Duration = Duration::from_secs(1);

/// What is being waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    #[default]
    Nothing,
    /// The end of a TLS handshake.
    Handshake,
    /// Between two requests.
    Idle,
    /// The rest of a request head.
    Head,
    /// The next bytes of a request body.
    Body,
    /// The client has ended its side and waits for its answer: after a while, ask whether it is still there.
    HalfClosed,
    /// As above, and it has been asked: look for the reset that says it is not.
    Probed,
    /// The client takes bytes of an answer.
    Send,
    /// A connection to the backend.
    Connect,
    /// The backend takes bytes of the request.
    Forward,
    /// The head of the backend's answer.
    FirstByte,
    /// The next bytes of the backend's answer.
    Answer,
    /// The next bytes, in either direction, of a connection that has switched to another protocol.
    Upgraded,
    /// What a client still sends of a request that was refused.
    Linger,
}

impl Wait {
    const COUNT: usize = Self::Linger as usize + 1;
}

/// One deadline.
#[derive(Debug)]
pub struct Timer {
    pub(super) at_ms: Cell<u64>,
    wait: Cell<Wait>,
    expired: Cell<Wait>,
}

/// The deadlines of a connection, one for each direction of its two sockets.
pub struct Watch {
    client: Handle,
    backend: RefCell<Handle>,
    pub from_client: Timer,
    pub to_client: Timer,
    pub from_backend: Timer,
    pub to_backend: Timer,
    /// What was in flight to and from the backend was ended by us.
    cancelled: Cell<bool>,
    /// The client was found gone while its answer was being waited for.
    pub client_gone: Cell<bool>,
    /// Its place among the connected.
    pub(super) ticket: Cell<Option<Ticket>>,
    /// It has been sent an answer.
    pub(super) served: Cell<bool>,
    /// It has been ended to make room, and has no place any more.
    pub(super) leaving: Cell<bool>,
    /// The client's session, where it has one.
    session: OnceCell<Rc<Secure>>,
    /// Serves many requests at once, and has to be told when one of them ends, and when no more are wanted.
    task: Cell<Option<Waker>>,
}

impl Default for Timer {
    fn default() -> Self {
        Self { at_ms: Cell::new(u64::MAX), wait: Cell::default(), expired: Cell::default() }
    }
}

impl Timer {
    pub fn arm(&self, wait: Wait, now_ms: u64, after: Duration) {
        self.wait.set(wait);
        self.at_ms.set(now_ms.saturating_add(after.as_millis() as u64));
    }
    pub fn clear(&self) {
        self.at_ms.set(u64::MAX);
        self.wait.set(Wait::Nothing);
    }
    pub fn wait(&self) -> Wait {
        self.wait.get()
    }
    /// What was overdue when the sweeper ended this direction; `Nothing` if it did not.
    pub fn expired(&self) -> Wait {
        self.expired.get()
    }
    /// Notes the end of a deadline that has come, and counts it.
    fn expire_if_due(&self, now_ms: u64, expirations: &Expirations) -> bool {
        let due = self.at_ms.get() <= now_ms;
        if due {
            let wait = self.wait.get();
            let count = &expirations[wait as usize];
            count.set(count.get() + 1);
            self.expired.set(wait);
            self.clear();
        }
        due
    }
}

impl Watch {
    fn new(client: Handle, ticket: Option<Ticket>) -> Self {
        Self {
            client,
            backend: RefCell::default(),
            from_client: Timer::default(),
            to_client: Timer::default(),
            from_backend: Timer::default(),
            to_backend: Timer::default(),
            cancelled: Cell::new(false),
            client_gone: Cell::new(false),
            ticket: Cell::new(ticket),
            served: Cell::new(false),
            leaving: Cell::new(false),
            session: OnceCell::new(),
            task: Cell::default(),
        }
    }

    /// What is sent to the client goes through this session.
    pub fn secure(&self, session: Rc<Secure>) {
        let _ = self.session.set(session);
    }

    /// Names the backend connection in use; nothing before it is closed or given back.
    pub fn set_backend(&self, backend: Handle) {
        self.backend.replace(backend);
        self.cancelled.set(false);
        for timer in [&self.from_backend, &self.to_backend] {
            timer.clear();
            timer.expired.set(Wait::Nothing);
        }
    }

    /// What was overdue of the backend; `Nothing` if it kept its deadlines.
    pub fn backend_expired(&self) -> Wait {
        match self.from_backend.expired() {
            Wait::Nothing => self.to_backend.expired(),
            wait => wait,
        }
    }

    /// It was us who ended the backend's connection: what is seen of its end says nothing of the backend.
    pub fn is_over(&self) -> bool {
        self.cancelled.get()
    }

    /// An answer is about to be sent: the backend has met its deadline, and a client is no longer asked whether it is
    /// there.
    pub fn answer_begins(&self) {
        self.served.set(true);
        self.from_backend.clear();
        if matches!(self.from_client.wait(), Wait::HalfClosed | Wait::Probed) {
            self.from_client.clear();
        }
    }

    /// Ends what is in flight to and from the backend.
    pub fn cancel_backend(&self) {
        self.cancelled.set(true);
        self.backend.borrow().shutdown(Direction::Both);
    }

    /// Ends what is in flight on both sides, and both connections.
    pub fn cut(&self) {
        self.cancel_backend();
        self.client.shutdown(Direction::Both);
    }

    /// It is being ended to make room: it is sent one answer at most.
    pub fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    /// `task` is woken at the next [`Watch::wake`], and when the connections that wait between two requests are ended.
    pub fn keep_task(&self, task: &Waker) {
        self.task.set(Some(task.clone()));
    }

    /// Wakes the task that serves many requests at once.
    pub fn wake(&self) {
        self.task.take().into_iter().for_each(Waker::wake);
    }

    /// What is still being received from the client is of no more use: it must end soon.
    pub fn hurry_client(&self, now_ms: u64, within: Duration) {
        if self.from_client.wait() == Wait::Body {
            self.from_client.arm(Wait::Body, now_ms, within);
        }
    }

    /// Ends a receive in flight from the client, for good: from then on the kernel may answer with a reset to what the
    /// client sends.
    fn cancel_from_client(&self) {
        self.client.shutdown(Direction::Read);
    }

    /// Ends the wait for the next request. One that is here already is still served.
    pub(super) fn end_wait(&self) {
        self.from_client.expired.set(self.from_client.wait.get());
        self.from_client.clear();
        self.cancel_from_client();
    }

    fn sweep(&self, now_ms: u64, expirations: &Expirations) {
        let due = |timer: &Timer| timer.expire_if_due(now_ms, expirations);
        if due(&self.from_backend) | due(&self.to_backend) {
            self.cancel_backend();
        }
        if due(&self.to_client) {
            self.client.shutdown(Direction::Both);
        }
        match self.from_client.wait.get() {
            Wait::HalfClosed | Wait::Probed => self.probe(now_ms),
            // The client may still be told why.
            _ if due(&self.from_client) => self.cancel_from_client(),
            _ => {}
        }
    }

    /// Finds out whether a client that has ended its side still waits for its answer. Until that begins, an interim
    /// answer may be sent at any time (RFC 9110, section 15.2.1); a client that is there discards it, and one that has
    /// closed both directions answers it with a reset.
    fn probe(&self, now_ms: u64) {
        // Not into the middle of what is being sent.
        if self.from_client.at_ms.get() > now_ms || self.to_client.wait.get() == Wait::Send {
            return;
        }
        // A client on a lane says itself that it has left.
        let Handle::Socket(client) = self.client else { return };
        if self.from_client.wait.get() == Wait::HalfClosed {
            match self.session.get() {
                None => drop(sys::send_now(client, CONTINUE)),
                Some(session) => session.send_now(CONTINUE),
            }
        } else if sys::is_reset(client) {
            self.client_gone.set(true);
            self.from_client.clear();
            self.cancel_backend();
            return;
        }
        self.from_client.arm(Wait::Probed, now_ms, SWEEP_INTERVAL);
    }
}

/// How often each wait took too long, by [`Wait`].
type Expirations = [Cell<u64>; Wait::COUNT];

/// All connections of a worker.
#[derive(Default)]
pub struct Watches {
    pub(super) slots: RefCell<Slots>,
    /// Where the next search for one that may be ended begins.
    pub(super) search_from: Cell<usize>,
    expirations: Expirations,
}

#[derive(Default)]
pub(super) struct Slots {
    pub(super) watches: Vec<Option<Rc<Watch>>>,
    free: Vec<u32>,
    /// Connections that have no place any more.
    pub(super) leaving: usize,
}

/// A connection's place among the watches; given up when dropped.
pub struct Watched {
    watch: Rc<Watch>,
    place: u32,
    watches: Rc<Watches>,
}

impl Watched {
    /// For whoever may have to end it from outside.
    pub fn share(&self) -> Rc<Watch> {
        self.watch.clone()
    }
}

impl std::ops::Deref for Watched {
    type Target = Watch;
    fn deref(&self) -> &Watch {
        &self.watch
    }
}

impl Watches {
    /// `ticket`: for as long as it is connected, and not leaving.
    pub fn add(self: &Rc<Self>, client: Handle, ticket: Option<Ticket>) -> Watched {
        let watch = Rc::new(Watch::new(client, ticket));
        let slots = &mut *self.slots.borrow_mut();
        let place = slots.free.pop().unwrap_or_else(|| {
            slots.watches.push(None);
            (slots.watches.len() - 1) as u32
        });
        slots.watches[place as usize] = Some(watch.clone());
        Watched { watch, place, watches: self.clone() }
    }

    pub fn len(&self) -> usize {
        let slots = self.slots.borrow();
        slots.watches.len() - slots.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends everything overdue.
    pub fn sweep(&self, now_ms: u64) {
        self.slots.borrow().watches.iter().flatten().for_each(|watch| watch.sweep(now_ms, &self.expirations));
    }

    /// How often this wait was ended because it took too long.
    pub fn expirations(&self, wait: Wait) -> u64 {
        self.expirations[wait as usize].get()
    }

    /// Ends every connection that waits between two requests; those that serve many at once are told.
    pub fn end_idle(&self) {
        for watch in self.slots.borrow().watches.iter().flatten() {
            watch.wake();
            if watch.from_client.wait.get() == Wait::Idle {
                watch.end_wait();
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let slots = &mut *self.watches.slots.borrow_mut();
        slots.watches[self.place as usize] = None;
        slots.free.push(self.place);
        slots.leaving -= usize::from(self.watch.leaving.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock::overdue_as_of;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn what_is_overdue_ends() {
        let (mut near, _far) = pair();
        let watches = Rc::<Watches>::default();
        let watch = watches.add(Handle::Socket(near.as_raw_fd()), None);
        watch.from_client.arm(Wait::Head, 1000, Duration::from_millis(100));
        watches.sweep(1099);
        assert_eq!(watch.from_client.expired(), Wait::Nothing);
        watches.sweep(1100);
        assert_eq!(watch.from_client.expired(), Wait::Head);
        assert_eq!(near.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_sweep_that_comes_late_ends_nobody_who_was_in_time_when_it_was_due() {
        let (near, _far) = pair();
        let watches = Rc::<Watches>::default();
        let watch = watches.add(Handle::Socket(near.as_raw_fd()), None);
        // Armed by a turn of the event loop that takes longer than the deadline.
        watch.to_client.arm(Wait::Send, 1000, Duration::from_millis(1000));
        watches.sweep(overdue_as_of(1000, 2500));
        assert_eq!(watch.to_client.expired(), Wait::Nothing);
        watches.sweep(overdue_as_of(2500, 2550));
        assert_eq!(watch.to_client.expired(), Wait::Send);
    }

    #[test]
    fn a_place_is_used_again() {
        let (near, _far) = pair();
        let watches = Rc::<Watches>::default();
        drop(watches.add(Handle::Socket(near.as_raw_fd()), None));
        let again = watches.add(Handle::Socket(near.as_raw_fd()), None);
        assert_eq!((again.place, watches.len()), (0, 1));
        drop(again);
        assert!(watches.is_empty());
    }

    #[test]
    fn a_client_that_closed_both_ways_is_found_gone_and_one_that_waits_is_not() {
        for waits in [false, true] {
            let (near, far) = pair();
            let watches = Rc::<Watches>::default();
            let watch = watches.add(Handle::Socket(near.as_raw_fd()), None);
            if waits {
                far.shutdown(std::net::Shutdown::Write).unwrap();
            }
            let far = waits.then_some(far);
            watch.from_client.arm(Wait::HalfClosed, 0, Duration::ZERO);
            let deadline = std::time::SystemTime::now() + Duration::from_millis(if waits { 200 } else { 10_000 });
            let mut now_ms = 0;
            while !watch.client_gone.get() && std::time::SystemTime::now() < deadline {
                now_ms += 1000;
                watches.sweep(now_ms);
                std::thread::yield_now();
            }
            assert_eq!(watch.client_gone.get(), !waits);
            drop(far);
        }
    }
}

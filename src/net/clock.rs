//! The only place that reads clocks. What needs the time is given it.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::http::date::{DATE_BYTES, imf_fixdate};

/// A worker's clock: exact readings on demand, and a coarse one that the sweeper renews.
pub struct Clock {
    started: Instant,
    coarse_ms: Cell<u64>,
    /// The last exact reading of this turn of the event loop.
    turn_us: Cell<Option<u64>>,
    /// Unix time at the start, in milliseconds, as the system's clock has it now.
    unix_ms_at_start: Cell<u64>,
    date_s: Cell<u64>,
    date: Cell<[u8; DATE_BYTES]>,
}

/// A sweep is late that comes so long after the one before, in milliseconds: a few times the interval.
const LATE_MS: u64 = 150;

/// As of when deadlines are overdue at a sweep, by when the one before was. A worker that comes to it late has kept those
/// waiting itself whose deadlines have passed meanwhile: the kernel may not even have been given what they wait for. They
/// have a turn of the event loop to be served in, and are ended at the next sweep.
pub(super) fn overdue_as_of(before_ms: u64, now_ms: u64) -> u64 {
    now_ms.min(before_ms.saturating_add(LATE_MS))
}

/// Unix time, in milliseconds.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

impl Default for Clock {
    fn default() -> Self {
        /// One for all workers: what they tell each other in milliseconds means the same to all.
        static STARTED: OnceLock<Instant> = OnceLock::new();
        #[allow(clippy::disallowed_methods)] // here is the clock
        let started = *STARTED.get_or_init(Instant::now);
        Self {
            started,
            coarse_ms: Cell::new(0),
            turn_us: Cell::new(None),
            unix_ms_at_start: Cell::new(0),
            date_s: Cell::new(0),
            date: Cell::new([0; DATE_BYTES]),
        }
    }
}

impl Clock {
    /// Microseconds since the first worker started; never goes back.
    pub fn now_us(&self) -> u64 {
        let now_us = self.started.elapsed().as_micros() as u64;
        self.turn_us.set(Some(now_us));
        now_us
    }

    /// The same, as of some reading of this turn of the event loop: for what need not be known to the microsecond.
    pub fn turn_us(&self) -> u64 {
        self.turn_us.get().unwrap_or_else(|| self.now_us())
    }

    /// A turn of the event loop begins.
    pub fn new_turn(&self) {
        self.turn_us.set(None);
    }

    /// Milliseconds since the first worker started, as of the last sweep: what deadlines are measured in.
    pub fn coarse_ms(&self) -> u64 {
        self.coarse_ms.get()
    }

    /// Renews the coarse reading, and follows the system's clock where that was set. Returns as of when deadlines are overdue.
    pub fn renew(&self) -> u64 {
        let now_ms = self.now_us() / 1000;
        let before_ms = self.coarse_ms.replace(now_ms);
        self.unix_ms_at_start.set(unix_ms().saturating_sub(now_ms));
        overdue_as_of(before_ms, now_ms)
    }

    /// Unix time, in milliseconds, of a reading of [`Clock::now_us`].
    pub fn unix_ms(&self, now_us: u64) -> u64 {
        self.unix_ms_at_start.get() + now_us / 1000
    }

    /// The `Date` of an answer made now, as of the last sweep; formatted once a second.
    pub fn date(&self) -> [u8; DATE_BYTES] {
        let seconds = (self.unix_ms_at_start.get() + self.coarse_ms.get()) / 1000;
        if self.date_s.get() != seconds {
            self.date_s.set(seconds);
            self.date.set(imf_fixdate(seconds));
        }
        self.date.get()
    }
}

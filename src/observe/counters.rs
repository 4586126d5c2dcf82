//! A worker's counters: written by their worker alone, read by anyone.
//!
//! A sum over all workers is made by whoever asks, off the workers. What is counted for each API and each VPC access
//! stands in [`Series`], which are bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::Histogram;
use super::http2::Http2Counters;
use super::record::Ended;
use super::series::Series;

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Only the owning worker calls this: a load and a store, not a locked instruction.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }
    /// For what goes up and down; only the owning worker calls this.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything one worker counts.
#[derive(Debug)]
pub struct Counters {
    pub connections: Count,
    /// Open at the last sweep.
    pub connections_open: Count,
    /// Connections that have switched to another protocol, open at the last sweep.
    pub upgraded_open: Count,
    /// Connections closed at once: there were as many as may be.
    pub connections_shed: Count,
    pub http2: Http2Counters,
    /// TLS handshakes of clients: done, of them resumed, failed, and not begun because as many were under way as may.
    pub tls_handshakes: Count,
    pub tls_resumptions: Count,
    pub tls_failures: Count,
    pub tls_shed: Count,
    /// Connections that waited between two requests, ended to make room.
    pub connections_ended: Count,
    pub accept_errors: Count,
    pub requests: Count,
    /// Bytes from clients and to them, heads and bodies, of requests that have ended.
    pub received_bytes: Count,
    pub sent_bytes: Count,
    /// How requests ended, by [`Ended`].
    pub ended: [Count; Ended::ALL.len()],
    /// Answers that the gateway made itself, by error code: by the place of the code in the list that
    /// [`Counters::new`] was given.
    pub refused: Box<[Count]>,
    /// Waits that took too long, by [`Timeout`].
    pub timeouts: [Count; Timeout::ALL.len()],
    /// Requests that waited for their turn under a limit a second.
    pub quota_queued: Count,
    /// Requests that needed a counter of a quota for which there was no room.
    pub quota_without_room: Count,
    /// Nonces for which there was no room.
    pub nonces_without_room: Count,
    /// Connections that a bug ended.
    pub panics: Count,
    /// Access log lines lost because their writer did not keep up.
    pub log_lines_dropped: Count,
    /// The worker's thread, as the kernel numbers it.
    pub thread: Count,
    /// When the worker last swept, on the workers' clock, in milliseconds; the end of time once it has ended well.
    pub swept_at_ms: Count,
    /// By group, API and stage.
    pub apis: Series<3, ApiCells>,
    /// Requests for which no API was found.
    pub no_api: ApiCells,
    /// By VPC access.
    pub vpc_accesses: Series<1, VpcAccessCells>,
    codes: &'static [&'static str],
    /// Someone may ask for durations.
    timed: bool,
}

/// How many names may have cells of their own.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    pub apis: usize,
    pub vpc_accesses: usize,
}

/// A worker that has not looked after its deadlines for so long is stuck; it does so every 50 ms.
const STUCK_MS: u64 = 5_000;

/// Workers that are stuck, by number. `now_ms`: on the workers' clock.
pub fn stuck(workers: &[Arc<Counters>], now_ms: u64) -> Vec<usize> {
    let is_stuck = |(_, worker): &(usize, &Arc<Counters>)| now_ms.saturating_sub(worker.swept_at_ms.get()) > STUCK_MS;
    workers.iter().enumerate().filter(is_stuck).map(|(number, _)| number).collect()
}

/// Classes of a status, in the order of [`ApiCells::status`].
pub const STATUS_CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is counted for one API in one stage.
#[derive(Debug, Default)]
pub struct ApiCells {
    /// Requests by class of status, in the order of [`STATUS_CLASSES`].
    pub status: [Count; STATUS_CLASSES.len()],
    /// Requests that the gateway refused, by error code.
    pub refused: Refusals,
    /// From the request's head received to its answer sent.
    pub total: Histogram,
    /// From the request's head sent to the backend to the head of its answer received.
    pub backend: Histogram,
}

/// What is counted for one VPC access.
#[derive(Debug, Default)]
pub struct VpcAccessCells {
    /// Connections made.
    pub connected: Count,
    /// Connections that could not be made.
    pub failed: Count,
    /// Requests sent on a connection that had served another before.
    pub reused: Count,
    /// Requests sent a second time.
    pub retried: Count,
    /// Idle connections at the last sweep.
    pub idle: Count,
    /// Requests that waited for a connection to come free.
    pub queued: Count,
    /// Times that an instance began to stand aside.
    pub stood_aside: Count,
}

/// Codes that an API has cells for; what it is refused with beyond them is counted together.
const CODES_OF_AN_API: usize = 8;

/// Refusals by error code: an API sees few codes, so the first ones have cells.
#[derive(Debug, Default)]
pub struct Refusals {
    /// The place of a code in the list of all, and one; 0: free.
    codes: [Count; CODES_OF_AN_API],
    counts: [Count; CODES_OF_AN_API],
    other: Count,
}

/// What can take too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// A TLS handshake.
    Handshake,
    /// The next request of a connection.
    Idle,
    /// A request head.
    Head,
    /// A request body.
    Body,
    /// A client that takes its answer.
    Send,
    /// A turn to use a connection to a backend.
    Pool,
    /// A connection to a backend.
    Connect,
    /// A backend that takes its request.
    Forward,
    /// The head of a backend's answer.
    FirstByte,
    /// The rest of a backend's answer.
    Answer,
    /// The next bytes, or the end of the time, of a connection that has switched to another protocol.
    Upgraded,
}

impl Timeout {
    pub const ALL: [(Self, &str); 11] = [
        (Self::Handshake, "handshake"),
        (Self::Idle, "idle"),
        (Self::Head, "head"),
        (Self::Body, "body"),
        (Self::Send, "send"),
        (Self::Pool, "pool"),
        (Self::Connect, "connect"),
        (Self::Forward, "forward"),
        (Self::FirstByte, "first-byte"),
        (Self::Answer, "answer"),
        (Self::Upgraded, "upgraded"),
    ];
}

/// A request that has ended.
pub struct Finished {
    /// Of its answer; 0: there was none.
    pub status: u16,
    /// The place of the error code of a refusal.
    pub refused: Option<usize>,
    pub ended: Ended,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// In microseconds.
    pub total_us: u64,
    /// In microseconds; `None`: no backend answered.
    pub backend_us: Option<u64>,
}

/// Counts without names or codes: enough where nobody asks for them.
impl Default for Counters {
    fn default() -> Self {
        Self::new(&[], Names { apis: 0, vpc_accesses: 0 }, false)
    }
}

impl Counters {
    /// `codes`: every error code. `timed`: durations are wanted.
    pub fn new(codes: &'static [&'static str], names: Names, timed: bool) -> Self {
        Self {
            connections: Count::default(),
            connections_open: Count::default(),
            upgraded_open: Count::default(),
            connections_shed: Count::default(),
            http2: Http2Counters::default(),
            tls_handshakes: Count::default(),
            tls_resumptions: Count::default(),
            tls_failures: Count::default(),
            tls_shed: Count::default(),
            connections_ended: Count::default(),
            accept_errors: Count::default(),
            requests: Count::default(),
            received_bytes: Count::default(),
            sent_bytes: Count::default(),
            ended: Default::default(),
            refused: codes.iter().map(|_| Count::default()).collect(),
            timeouts: Default::default(),
            quota_queued: Count::default(),
            quota_without_room: Count::default(),
            nonces_without_room: Count::default(),
            panics: Count::default(),
            log_lines_dropped: Count::default(),
            thread: Count::default(),
            swept_at_ms: Count::default(),
            apis: Series::new(names.apis),
            no_api: ApiCells::default(),
            vpc_accesses: Series::new(names.vpc_accesses),
            codes,
            timed,
        }
    }

    /// Whether anyone may ask for durations; otherwise the clock need not be read for them.
    pub fn is_timed(&self) -> bool {
        self.timed
    }

    /// Every error code, in the order of [`Counters::refused`].
    pub fn codes(&self) -> &'static [&'static str] {
        self.codes
    }

    pub fn refusals(&self) -> u64 {
        self.refused.iter().map(Count::get).sum()
    }

    pub fn timed_out(&self, timeout: Timeout) -> &Count {
        &self.timeouts[timeout as usize]
    }

    /// Counts a request; `cells`: those of its API.
    #[inline]
    pub fn finished(&self, cells: &ApiCells, request: &Finished) {
        self.received_bytes.add(request.received_bytes);
        self.sent_bytes.add(request.sent_bytes);
        self.ended[request.ended as usize].add(1);
        // 1xx is no final status: what is below 200 was no answer.
        let class = (usize::from(request.status) / 100).min(STATUS_CLASSES.len() - 1);
        cells.status[class].add(1);
        if let Some(place) = request.refused {
            if let Some(count) = self.refused.get(place) {
                count.add(1);
            }
            cells.refused.add(place);
        }
        if self.timed {
            cells.total.record(request.total_us);
            if let Some(us) = request.backend_us {
                cells.backend.record(us);
            }
        }
    }
}

impl Refusals {
    fn add(&self, place: usize) {
        let mark = place as u64 + 1;
        for (code, count) in self.codes.iter().zip(&self.counts) {
            let seen = code.get();
            if seen == 0 {
                code.set(mark);
            }
            if seen == 0 || seen == mark {
                return count.add(1);
            }
        }
        self.other.add(1);
    }

    /// Places of codes with their counts, and what is counted beyond them.
    pub fn counts(&self) -> (impl Iterator<Item = (usize, u64)>, u64) {
        let pairs = self.codes.iter().zip(&self.counts).map(|(code, count)| (code.get(), count.get()));
        (pairs.filter(|(code, _)| *code > 0).map(|(code, count)| (code as usize - 1, count)), self.other.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: &[&str] = &["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];

    fn counters() -> Counters {
        Counters::new(CODES, Names { apis: 1, vpc_accesses: 1 }, true)
    }

    fn finished(status: u16, refused: Option<usize>) -> Finished {
        let backend_us = refused.is_none().then_some(900);
        Finished { status, refused, ended: Ended::Answered, received_bytes: 10, sent_bytes: 20, total_us: 1_500, backend_us }
    }

    #[test]
    fn a_request_is_counted_by_class_and_code() {
        let counters = counters();
        for status in [0, 200, 204, 301, 404, 499, 500, 999] {
            counters.finished(&counters.no_api, &finished(status, None));
        }
        counters.finished(&counters.no_api, &finished(403, Some(2)));
        let cells = &counters.no_api;
        assert_eq!(cells.status.each_ref().map(Count::get), [1, 0, 2, 1, 3, 2]);
        assert_eq!((counters.refused[2].get(), counters.refusals()), (1, 1));
        assert_eq!((cells.total.count(), cells.backend.count()), (9, 8));
        assert_eq!((counters.received_bytes.get(), counters.sent_bytes.get()), (90, 180));
    }

    #[test]
    fn an_api_with_many_codes_counts_the_rest_together() {
        let refusals = Refusals::default();
        for place in 0..CODES.len() {
            (0..=place).for_each(|_| refusals.add(place));
        }
        let (counts, other) = refusals.counts();
        assert!(counts.eq((0..CODES_OF_AN_API).map(|place| (place, place as u64 + 1))));
        assert_eq!(other, 9 + 10);
    }

    #[test]
    fn every_timeout_stands_in_its_place() {
        for (place, (timeout, _)) in Timeout::ALL.iter().enumerate() {
            assert_eq!(*timeout as usize, place);
        }
    }
}

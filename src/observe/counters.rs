//! A worker's counters: written by their worker alone, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread adds to and others read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Only the owning worker calls this: a load and a store, not a locked instruction.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub struct Counters {
    pub connections: Count,
    /// Connections closed at once because the worker had as many as its limit.
    pub connections_shed: Count,
    /// TLS handshakes of clients: done, of them resumed, failed, and not begun because as many were under way as may.
    pub tls_handshakes: Count,
    pub tls_resumptions: Count,
    pub tls_failures: Count,
    pub tls_shed: Count,
    pub requests: Count,
    /// Answers that the gateway made itself.
    pub refusals: Count,
    /// Requests sent again on a new connection.
    pub retries: Count,
    /// Connections that a bug ended.
    pub panics: Count,
    /// Access log lines lost because their writer did not keep up.
    pub log_lines_dropped: Count,
    pub accept_errors: Count,
}

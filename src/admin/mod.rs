//! The operator's listener: is the gateway well, ready, and what does it do? It reads what workers write ([`Sources`])
//! and is on threads of its own: nothing here can hold a worker up.
//!
//! Start at [`pages::page`], which lists what can be asked. [`server`] is the sockets, [`scrape`] the metrics.

mod pages;
mod process;
mod scrape;
mod server;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::net::Clock;
use crate::observe::access_log::Lines;
use crate::observe::counters::Counters;
use crate::observe::status::{Phase, Status};

/// What is shown of a running gateway.
pub struct Sources {
    /// Of each worker, in their order.
    pub workers: Vec<Arc<Counters>>,
    pub status: Arc<Status>,
    /// `None`: there is no access log.
    pub log: Option<Arc<Lines>>,
}

/// A worker that has not looked after its deadlines for so long is stuck; it does so every 50 ms.
const STUCK_MS: u64 = 5_000;

impl Sources {
    /// Since each worker last swept, in milliseconds.
    fn sweep_ages_ms(&self) -> impl Iterator<Item = u64> {
        let now_ms = Clock::default().now_us() / 1000;
        self.workers.iter().map(move |worker| now_ms.saturating_sub(worker.swept_at_ms.get()))
    }

    /// Workers that are stuck, by number.
    pub fn stuck(&self) -> Vec<usize> {
        self.sweep_ages_ms().enumerate().filter(|(_, age_ms)| *age_ms > STUCK_MS).map(|(number, _)| number).collect()
    }

    fn is_ready(&self) -> bool {
        self.status.phase() == Phase::Serving
    }

    fn sum(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.workers.iter().map(|counters| of(counters)).sum()
    }
}

/// The listener, bound before anything is started: an address in use is an error of the command.
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address)?, address })
    }

    /// Answers until the process ends.
    pub fn serve(self, sources: Arc<Sources>) -> io::Result<()> {
        server::start(self.listener, self.address, move |path| pages::page(path, &sources))
    }
}

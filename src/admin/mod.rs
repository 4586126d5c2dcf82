//! The operator's listener: is the gateway well, ready, and what does it do? It reads what workers write ([`Sources`])
//! and is on threads of its own: nothing here can hold a worker up.
//!
//! Start at [`pages::page`], which lists what can be asked. [`server`] is the sockets, [`scrape`] the metrics.

mod pages;
mod process;
mod quotas;
mod scrape;
mod server;
pub mod status;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::cluster::Engine;
use crate::gate::Shared;
use crate::gate::policy::used::InForce;
use crate::net::Clock;
use crate::observe::access_log::Lines;
use crate::observe::counters::{Counters, stuck};
use crate::observe::status::{Phase, Status};
use crate::upstream::board::Board;

/// What is shown of a running gateway.
pub struct Sources {
    /// Name of the instance.
    pub instance: String,
    /// `io_uring` or `epoll`.
    pub driver: &'static str,
    pub listeners: Vec<String>,
    /// Of each worker, in their order.
    pub workers: Vec<Arc<Counters>>,
    pub status: Arc<Status>,
    pub board: Arc<Board>,
    /// The counters of quotas.
    pub shared: Arc<Shared>,
    /// What they are counted by.
    pub policies: Box<dyn Fn() -> InForce + Send + Sync>,
    /// `None`: this gateway counts alone.
    pub engine: Option<Engine>,
    /// `None`: there is no access log.
    pub log: Option<Arc<Lines>>,
}

impl Sources {
    /// Since each worker last swept, in milliseconds.
    fn sweep_ages_ms(&self) -> impl Iterator<Item = u64> {
        let now_ms = now_ms();
        self.workers.iter().map(move |worker| now_ms.saturating_sub(worker.swept_at_ms.get()))
    }

    fn stuck(&self) -> Vec<usize> {
        stuck(&self.workers, now_ms())
    }

    fn is_ready(&self) -> bool {
        self.status.phase() == Phase::Serving
    }

    fn log_lines_written(&self) -> u64 {
        self.log.as_deref().map_or(0, Lines::written)
    }

    fn log_lines_dropped(&self) -> u64 {
        let lost = self.log.as_deref().map_or(0, Lines::lost);
        lost + self.sum(|counters| counters.log_lines_dropped.get())
    }

    fn sum(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.workers.iter().map(|counters| of(counters)).sum()
    }
}

/// On the clock that workers tell each other times by.
fn now_us() -> u64 {
    Clock::default().now_us()
}

fn now_ms() -> u64 {
    now_us() / 1000
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

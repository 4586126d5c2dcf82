//! Gateways that count together: this node's part in it, and its engine, a Redis or Valkey.
//!
//! Workers hand in what they need ([`Message`]) and go on; one thread ([`client`]) speaks to the engine, a batch at a time,
//! and rings the workers' bells. What has been leased is then in the counters that they count by
//! ([`crate::gate::quota::allowance`]). What is asked is decided by [`ledger`] and, for limits a second, [`turns`], which are pure; how it is said is in [`script`].
//! A second thread hears what other nodes need ([`calls`]).

mod calls;
mod client;
pub mod ledger;
mod link;
mod outside;
mod script;
pub mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use crate::catalog::Cluster;
use crate::gate::Shared;
use crate::gate::quota::allowance::{Need, Standing};
use crate::net::bell::Ringer;
pub use outside::Outside;
use script::{Call, Names};

/// Messages that wait for the engine's thread at most; beyond that a call is treated as if the engine could not be reached.
const INBOX: usize = 1 << 16;

/// How long an engine that was started anew gives nothing.
pub const SETTLE: Duration = Duration::from_millis(script::SETTLE_MS);

/// What the engine's thread is told.
pub enum Message {
    Need(Need),
    Nonce(NonceAsk),
    /// By another node.
    Call(Call),
    /// The process ends: what is unused goes back, and then it is said so.
    Leave(SyncSender<()>),
}

/// Whether a nonce has been used at another node.
pub struct NonceAsk {
    pub nonce: u128,
    pub answer: Arc<NonceAnswer>,
}

#[derive(Debug, Default)]
pub struct NonceAnswer(AtomicU8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceVerdict {
    Fresh = 1,
    Seen = 2,
    /// The engine cannot be reached.
    Lost = 3,
}

impl NonceAnswer {
    /// `None`: not yet.
    pub fn verdict(&self) -> Option<NonceVerdict> {
        [NonceVerdict::Fresh, NonceVerdict::Seen, NonceVerdict::Lost]
            .into_iter()
            .find(|&known| known as u8 == self.0.load(Relaxed))
    }

    fn give(&self, verdict: NonceVerdict) {
        self.0.store(verdict as u8, Relaxed);
    }
}

/// What has come of it so far, for those who look.
#[derive(Debug, Default)]
pub struct Counted {
    pub round_trips: AtomicU64,
    pub round_trip_us: AtomicU64,
    pub failures: AtomicU64,
    pub leases: AtomicU64,
    pub units: AtomicU64,
    pub nonces: AtomicU64,
}

/// The engine, for a worker or whoever starts them.
#[derive(Clone)]
pub struct Engine {
    inbox: SyncSender<Message>,
    pub counted: Arc<Counted>,
    pub standing: Option<Arc<Standing>>,
    /// How long a call waits.
    pub wait: Duration,
}

/// Starts the threads that speak to the engine. `shared`: of a node of this cluster.
pub fn start(cluster: &Arc<Cluster>, shared: &Arc<Shared>, ringers: Arc<[Ringer]>, nonce_ms: u64) -> std::io::Result<Engine> {
    let (inbox, messages) = sync_channel(INBOX);
    let counted = Arc::new(Counted::default());
    let names = Names::new(&cluster.key_prefix, shared.quotas.node(), random());
    let client = client::Client::new(cluster.clone(), shared.clone(), names.clone(), ringers, counted.clone(), nonce_ms);
    std::thread::Builder::new().name("engine".into()).spawn(move || client.run(&messages))?;
    let (cluster_of_calls, calls_inbox) = (cluster.clone(), inbox.clone());
    let calls = move || calls::hear(&cluster_of_calls, &names, &calls_inbox);
    std::thread::Builder::new().name("engine-calls".into()).spawn(calls)?;
    Ok(Engine { inbox, counted, standing: shared.quotas.standing().cloned(), wait: cluster.wait })
}

impl Engine {
    /// Never waits. False: too much waits already.
    pub fn tell(&self, message: Message) -> bool {
        self.inbox.try_send(message).is_ok()
    }

    /// Gives back what is unused, and waits a little for that to be said.
    pub fn leave(&self) {
        let (done, is_done) = sync_channel(1);
        if self.tell(Message::Leave(done)) {
            let _ = is_done.recv_timeout(self.wait);
        }
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness the time tells processes apart.
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => crate::net::clock::unix_ms() << 16 | u64::from(std::process::id()),
    }
}

//! `gateway.toml`, checked.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::EngineLoss;
use super::cluster::NonceLoss;

pub struct Instance {
    pub name: String,
    /// What the instance is called in `Via`: a token; `None`: it does not say.
    pub via: Option<String>,
    /// `None`: one for each core the process may use.
    pub workers: Option<NonZeroUsize>,
    /// Source addresses toward backends, used in turn; empty: the kernel chooses.
    pub egress_addresses: Vec<IpAddr>,
    pub state_directory: PathBuf,
    /// Group `g` answers on `g.SUFFIX`, for debugging, with a daily quota. Lower case.
    pub default_domain_suffix: String,
    pub driver: Driver,
}

/// How a worker waits for I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring, or epoll with a warning where the machine forbids it.
    Auto,
    IoUring,
    Epoll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    pub scheme: Scheme,
    /// HTTP/2 is spoken beside HTTP/1.1.
    pub http2: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

pub struct Security {
    /// Accepted clock difference of a signature, and how long a nonce is remembered, in milliseconds.
    pub signature_window_ms: u64,
    /// Nonces remembered at most, over all workers, within one window.
    pub nonce_capacity: usize,
    pub nonce_full: NonceFull,
    /// In a cluster.
    pub nonces_on_engine_loss: NonceLoss,
    /// Variants of the canonical string accepted beside it.
    pub tolerances: Vec<Tolerance>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
}

/// What happens to a signed call whose nonce finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceFull {
    Refuse,
    Accept,
}

/// The room for counters of quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Counters at one time, over all workers and rules.
    pub counter_capacity: usize,
    pub counter_full: CounterFull,
    /// In a cluster: of default domains.
    pub on_engine_loss: EngineLoss,
}

/// What happens to a call that needs a counter for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterFull {
    Refuse,
    /// It passes that rule, uncounted.
    Accept,
}

/// A variant of the string to sign that some client libraries produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// The path as sent, percent-encoded.
    RawPath,
    /// `k=` for an empty value.
    EmptyValueEquals,
    /// A query parameter beats a form parameter of the same name.
    QueryFirst,
    /// Parameters in order of their UTF-8 bytes.
    ByteOrder,
    /// Values of a repeated parameter joined by commas.
    CommaJoined,
}

/// How the gateway says what it does, on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Where access log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    Stdout,
    File(PathBuf),
}

/// What is kept of what was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Versions of an API in a stage, the newest; what a kept generation names is kept too.
    pub versions: usize,
    /// Generations, the newest.
    pub generations: usize,
}

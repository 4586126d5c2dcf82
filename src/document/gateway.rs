//! `gateway.toml`: the instance.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cluster::ClusterTable;
use super::limits::LimitsTable;
use super::{At, Document};

/// Each has a place in the file of counters.
pub const WORKERS: RangeInclusive<u64> = 1..=256;
/// Ten years: clients whose clock is of no account, replayed recordings.
pub const SIGNATURE_WINDOW_S: RangeInclusive<u64> = 1..=315_360_000;
pub const NONCE_CAPACITY: RangeInclusive<u64> = 1024..=1 << 30;
pub const COUNTER_CAPACITY: RangeInclusive<u64> = 1024..=1 << 30;
/// Of versions, and of generations.
pub const KEPT: RangeInclusive<u64> = 2..=10_000;

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    pub instance: InstanceTable,
    /// Where clients connect; at least one.
    #[schemars(length(min = 1))]
    pub listener: At<Vec<ListenerTable>>,
    #[serde(default)]
    pub security: SecurityTable,
    #[serde(default)]
    pub quota: QuotaTable,
    /// Gateways that count together; without it this one counts alone.
    pub cluster: Option<At<ClusterTable>>,
    #[serde(default)]
    pub limits: LimitsTable,
    #[serde(default)]
    pub access_log: AccessLogTable,
    #[serde(default)]
    pub publish: PublishTable,
    /// The operator's listener; without it there is none.
    pub admin: Option<AdminTable>,
    #[serde(default)]
    pub log: LogTable,
}

impl Document for Gateway {}

/// `[instance]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceTable {
    /// Name of this gateway, in logs.
    pub name: At<String>,
    /// Backends are told in `Via` what they are called through (RFC 9110, section 7.6.3), and a call that comes around to this
    /// instance again is refused. The instance is named there by its name. Some backends do otherwise for calls through a
    /// proxy: nginx does not compress their answers, unless `gzip_proxied` says so. Default: true.
    pub via: Option<bool>,
    /// Workers; default: one per core the process may use, each pinned.
    #[schemars(range(min = *WORKERS.start(), max = *WORKERS.end()))]
    pub workers: Option<At<i64>>,
    /// Source addresses toward backends; empty: the kernel chooses.
    pub egress_addresses: Option<Vec<At<String>>>,
    /// Where the gateway keeps what outlives the process (used nonces, counters of quotas), and is spoken to by commands; relative to this file's
    /// directory. One gateway uses it. Default: `state`.
    pub state_directory: Option<At<String>>,
    /// Group G answers on G.SUFFIX, for debugging, with a daily quota. Default: `localhost`.
    pub default_domain_suffix: Option<At<String>>,
    /// How workers wait for I/O. Default: `auto`.
    pub driver: Option<At<DriverWord>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriverWord {
    /// io_uring; epoll, with a warning, where the machine forbids it.
    Auto,
    IoUring,
    Epoll,
}

/// `[publish]`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishTable {
    /// Versions of an API in a stage that stay for `rollback`, the newest. Default: 20.
    #[schemars(range(min = *KEPT.start(), max = *KEPT.end()))]
    pub versions_kept: Option<At<i64>>,
    /// Generations that stay whole, with all they name. Default: 10.
    #[schemars(range(min = *KEPT.start(), max = *KEPT.end()))]
    pub generations_kept: Option<At<i64>>,
}

/// `[[listener]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTable {
    /// `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    pub address: At<String>,
    /// Default: `http`.
    pub protocol: Option<At<SchemeWord>>,
    /// HTTP/2 beside HTTP/1.1: over HTTPS it is offered in the handshake, over HTTP it is for clients that know beforehand.
    /// Default: true over HTTPS, false over HTTP.
    pub http2: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SchemeWord {
    Http,
    Https,
}

/// `[security]`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityTable {
    /// Accepted clock difference of a signature, in seconds; a nonce is remembered for twice as long, which is how long a
    /// request that carries it can be good. Default: 900.
    #[schemars(range(min = *SIGNATURE_WINDOW_S.start(), max = *SIGNATURE_WINDOW_S.end()))]
    pub signature_window_s: Option<At<i64>>,
    /// Nonces remembered at most within one window, over all workers. Default: 2,000,000.
    #[schemars(range(min = *NONCE_CAPACITY.start(), max = *NONCE_CAPACITY.end()))]
    pub nonce_capacity: Option<At<i64>>,
    /// What happens to a signed call whose nonce finds no room. Default: `refuse`.
    pub nonce_full: Option<At<NonceFullWord>>,
    /// Variants of the string to sign accepted beside the canonical one.
    /// Default: `raw-path`, `empty-value-equals`, `query-first`, `byte-order`.
    pub tolerate: Option<Vec<At<ToleranceWord>>>,
    /// Peers (addresses or networks such as `10.0.0.0/8`) whose `X-Forwarded-For` is believed: `clientIp` of
    /// the access log is then the client that they saw. Default: none.
    pub trusted_proxies: Option<Vec<At<String>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NonceFullWord {
    Refuse,
    Accept,
}

/// `[quota]`: the counters of quotas.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaTable {
    /// Counters at one time, over all workers: one for each app, owner, API and parameter value that is counted in a window
    /// that has not ended. Default: 200,000.
    #[schemars(range(min = *COUNTER_CAPACITY.start(), max = *COUNTER_CAPACITY.end()))]
    pub counter_capacity: Option<At<i64>>,
    /// What happens to a call that needs a counter for which there is no room. Default: `refuse`.
    pub counter_full: Option<At<CounterFullWord>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CounterFullWord {
    Refuse,
    /// It passes that rule, uncounted.
    Accept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ToleranceWord {
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

/// `[admin]`: status and metrics of the instance, for its operator.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminTable {
    /// `PORT` (of 127.0.0.1), `ADDRESS:PORT` or `[ADDRESS]:PORT`. Who reaches it may read everything it says.
    pub address: At<String>,
}

/// `[log]`: what the gateway says of itself on standard error.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogTable {
    /// Default: `text`.
    pub format: Option<At<LogFormatWord>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormatWord {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// `[access_log]`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessLogTable {
    /// A file (relative to this file's directory), `stdout` or `off`. Default: `stdout`.
    pub path: Option<At<String>>,
}

//! `[cluster]` of `gateway.toml`: gateways that count together, and the engine by which they do.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::At;

/// For a call, and for an answer of the engine.
pub const WAIT_MS: RangeInclusive<u64> = 1..=60_000;
pub const CONNECT_TIMEOUT_MS: RangeInclusive<u64> = 10..=60_000;
pub const NODES: RangeInclusive<u64> = 1..=10_000;

/// `[cluster]`: gateways that share quotas and nonces through a Redis or Valkey. Paths are relative to this file's directory.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterTable {
    /// `HOST:PORT` of the engine; of the Sentinels, or of some nodes of a Redis Cluster, with `form`.
    #[schemars(length(min = 1))]
    pub addresses: At<Vec<At<String>>>,
    /// Default: `single`.
    pub form: Option<At<FormWord>>,
    /// What the Sentinels call the engine; with `form = "sentinel"`.
    pub sentinel_master: Option<At<String>>,
    /// A text that all gateways of the cluster have, and nobody else: what is counted is known in the engine by fingerprints
    /// that are keyed with it. `openssl rand -hex 32` makes one.
    pub secret_file: At<String>,
    /// Who the gateway is to the engine. Default: its default user.
    pub username: Option<At<String>>,
    pub password_file: Option<At<String>>,
    /// What every key in the engine begins with; gateways with the same one count together. Default: `lockgate`.
    pub key_prefix: Option<At<String>>,
    /// How long a call waits for the engine at most, and how long the engine may take to answer, in milliseconds. Default: 500.
    #[schemars(range(min = *WAIT_MS.start(), max = *WAIT_MS.end()))]
    pub wait_ms: Option<At<i64>>,
    /// For a connection to the engine, in milliseconds. Default: 1000.
    #[schemars(range(min = *CONNECT_TIMEOUT_MS.start(), max = *CONNECT_TIMEOUT_MS.end()))]
    pub connect_timeout_ms: Option<At<i64>>,
    /// Gateways of the cluster, by which `local-share` divides. Default: as many as the engine has last known.
    #[schemars(range(min = *NODES.start(), max = *NODES.end()))]
    pub nodes: Option<At<i64>>,
    /// What happens to quotas when the engine cannot be reached: of default domains, and of policies that do not say it.
    /// Default: `local-share`.
    pub on_engine_loss: Option<At<EngineLossWord>>,
    /// What happens to nonces then. Default: `refuse`.
    pub nonces_on_engine_loss: Option<At<NonceLossWord>>,
    /// Over TLS; without it the engine is spoken to in plain text.
    pub tls: Option<At<ClusterTlsTable>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FormWord {
    /// One engine.
    Single,
    /// Sentinels say which engine it is.
    Sentinel,
    /// A Redis Cluster: nonces are spread over it, the counters are in one of its slots.
    Cluster,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngineLossWord {
    /// A gateway gives out what it has leased, and no more: nothing beyond the limit.
    Refuse,
    /// It gives out the limit divided by the number of gateways, what it had leased included: less than twice the limit in all.
    LocalShare,
    /// It counts by itself: at most the limit for each gateway.
    Allow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NonceLossWord {
    /// A signed call with a nonce is refused.
    Refuse,
    /// It passes if its nonce is new to this gateway: at most once at each gateway.
    Allow,
}

/// `[cluster.tls]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterTlsTable {
    /// PEM: authorities of which one must have signed the engine's certificate, which must be for the HOST of `addresses`.
    /// Default: those the system believes.
    pub authorities: Option<At<String>>,
    /// PEM: the gateway's own certificate, for an engine that asks for one.
    pub certificate: Option<At<String>>,
    /// PEM: the private key of `certificate`.
    pub key: Option<At<String>>,
}

//! The gateways that count together, and the engine by which they do.

use std::time::Duration;

use super::Secret;

#[derive(Debug, PartialEq)]
pub struct Cluster {
    /// At least one.
    pub addresses: Vec<(String, u16)>,
    pub form: Form,
    pub tls: Option<EngineTls>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// What names are keyed with: the same at every gateway.
    pub key: ClusterKey,
    pub key_prefix: String,
    /// How long a call waits, and how long an answer may take.
    pub wait: Duration,
    pub connect_timeout: Duration,
    /// As the operator says; `None`: as the engine does.
    pub nodes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    Single,
    /// What the Sentinels call the engine.
    Sentinel(String),
    Cluster,
}

/// In PEM.
#[derive(PartialEq, Eq)]
pub struct EngineTls {
    pub authorities: Option<String>,
    /// Certificate and key.
    pub identity: Option<(String, Secret)>,
}

/// Not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey(pub [u8; 16]);

impl std::fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterKey")
    }
}

impl std::fmt::Debug for EngineTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EngineTls")
    }
}

/// What becomes of nonces when the engine cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonceLoss {
    #[default]
    Refuse,
    /// What is new to this gateway passes.
    Allow,
}

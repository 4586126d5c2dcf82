//! `policies/NAME.toml`: how many calls may pass in a time.
//!
//! Two forms, as in the product: limits by who calls (`unit`, `api`, ...), or limits by parameters of the call
//! (`default_limit`, `[parameters]`, `[[rule]]`).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cluster::EngineLossWord;
use super::schema::NAME;
use super::{At, Document};

/// Calls in a unit of time; what a unit allows further is the check's to say.
pub const LIMIT: RangeInclusive<u64> = 1..=1_000_000_000_000;
/// Of a special: 0 keeps its callers out.
pub const SPECIAL_LIMIT: RangeInclusive<u64> = 0..=1_000_000_000_000;
/// Calls that wait.
pub const QUEUE: RangeInclusive<u64> = 1..=100_000;
pub const QUEUE_WAIT_MS: RangeInclusive<u64> = 1..=60_000;
pub const RETRY_AFTER_S: RangeInclusive<u64> = 1..=86_400;

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The name of the file, without `.toml`.
    #[schemars(regex(pattern = NAME))]
    pub name: At<String>,
    #[serde(rename = "type")]
    pub kind: At<PolicyWord>,
    pub description: Option<String>,
    /// The time in which calls are counted.
    pub unit: Option<At<UnitWord>>,
    /// Calls of each bound API; every API counts on its own.
    #[schemars(range(min = *LIMIT.start(), max = *LIMIT.end()))]
    pub api: Option<At<i64>>,
    /// Calls of a bound API by all apps of one owner; at most `api`. Default: no limit of its own.
    #[schemars(range(min = *LIMIT.start(), max = *LIMIT.end()))]
    pub user: Option<At<i64>>,
    /// Calls of a bound API by one app; at most `user`. Default: no limit of its own.
    #[schemars(range(min = *LIMIT.start(), max = *LIMIT.end()))]
    pub app: Option<At<i64>>,
    /// Calls of a bound group, all of its APIs in a stage together. Default: no limit of its own.
    #[schemars(range(min = *LIMIT.start(), max = *LIMIT.end()))]
    pub group: Option<At<i64>>,
    /// Of limits a second: whether calls wait for their turn. Default: `queue`.
    pub blocking: Option<At<BlockingWord>>,
    /// Of limits a second: how calls are counted. Default: `token-bucket`.
    pub window: Option<At<WindowWord>>,
    /// Calls that wait for one limit at most. Default: 1,000.
    #[schemars(range(min = *QUEUE.start(), max = *QUEUE.end()))]
    pub queue: Option<At<i64>>,
    /// How long a call waits at most, in milliseconds. Default: 1,000.
    #[schemars(range(min = *QUEUE_WAIT_MS.start(), max = *QUEUE_WAIT_MS.end()))]
    pub queue_wait_ms: Option<At<i64>>,
    /// Where days begin at midnight: `UTC`, or how far its clock is from that, such as `+08:00`. Default: `UTC`.
    pub zone: Option<At<String>>,
    /// What answers say of limits. Default: `none`.
    pub fields: Option<At<FieldsWord>>,
    /// In a cluster: what happens when its engine cannot be reached. Default: as `[cluster]` says.
    pub on_engine_loss: Option<At<EngineLossWord>>,
    /// Whether the APIs that the policy is bound to count together. Default: `api`.
    pub scope: Option<At<ScopeWord>>,
    /// Calls that may pass in all, in the form by parameters.
    #[schemars(range(min = *LIMIT.start(), max = *LIMIT.end()))]
    pub default_limit: Option<At<i64>>,
    /// The time in which they are counted.
    pub default_period: Option<At<UnitWord>>,
    /// What `Retry-After` says, in seconds. Default: when the window ends.
    #[schemars(range(min = *RETRY_AFTER_S.start(), max = *RETRY_AFTER_S.end()))]
    pub default_retry_after_s: Option<At<i64>>,
    /// What rules name: `NAME = "LOCATION:NAME"`, such as `ClientIP = "System:CaClientIp"`.
    pub parameters: Option<At<BTreeMap<At<String>, At<String>>>>,
    /// Limits by parameters.
    #[serde(default)]
    pub rule: Vec<At<RuleTable>>,
    /// Apps and owners with limits of their own.
    #[serde(default)]
    pub special: Vec<At<SpecialTable>>,
    /// What the policy is bound to.
    #[serde(default)]
    pub bind: Vec<At<BindTable>>,
}

impl Document for Policy {
    /// The product's bound.
    const BYTES: u64 = 50 * 1024;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyWord {
    TrafficControl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnitWord {
    Second,
    Minute,
    Hour,
    Day,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BlockingWord {
    /// As many as `queue` wait, and get the next tokens before others do.
    Queue,
    /// A call over the limit is refused at once.
    QuickReturn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WindowWord {
    /// Tokens come evenly; what was not used in a second may be used in the next.
    TokenBucket,
    /// Calls of each second of the clock.
    Fixed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FieldsWord {
    None,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining`, `X-RateLimit-Reset`.
    XRatelimit,
    /// `RateLimit` and `RateLimit-Policy`, as the IETF drafts them.
    Ratelimit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScopeWord {
    /// Each bound API, in each of its stages, counts on its own.
    Api,
    /// All of them count together.
    Policy,
}

/// `[[rule]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleTable {
    #[schemars(regex(pattern = NAME))]
    pub name: At<String>,
    /// Names of parameters: each set of their values counts on its own. Default: all calls count together.
    pub by_parameters: Option<At<Vec<At<String>>>>,
    #[schemars(range(min = *LIMIT.start(), max = *LIMIT.end()))]
    pub limit: At<i64>,
    /// The time in which calls are counted.
    pub period: At<UnitWord>,
    /// Calls that the rule is for, such as `$Level = 'free'`. Default: all.
    #[schemars(length(max = CONDITION_CHARACTERS))]
    pub condition: Option<At<String>>,
    /// A call with a parameter that is empty or missing is not counted by the rule. Default: false.
    pub bypass_empty_value: Option<bool>,
    /// What `Retry-After` says, in seconds. Default: when the window ends.
    #[schemars(range(min = *RETRY_AFTER_S.start(), max = *RETRY_AFTER_S.end()))]
    pub retry_after_s: Option<At<i64>>,
}

/// The product's bound.
pub const CONDITION_CHARACTERS: usize = 512;

/// `[[special]]`: of an app or of an owner.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecialTable {
    /// The name of an app: neither `app` nor `user` holds for it.
    pub app: Option<At<String>>,
    /// The owner of apps: `user` does not hold for them.
    pub user: Option<At<String>>,
    /// At most `api`.
    #[schemars(range(min = *SPECIAL_LIMIT.start(), max = *SPECIAL_LIMIT.end()))]
    pub limit: At<i64>,
}

/// `[[bind]]`: to an API, or to all APIs of a group that have no policy of their own.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BindTable {
    /// `GROUP/API`
    #[schemars(regex(pattern = "^[^/]+/[^/]+$"))]
    pub api: Option<At<String>>,
    /// The name of a group.
    pub group: Option<At<String>>,
    /// `RELEASE`, `PRE`, `TEST`; at least one.
    #[schemars(length(min = 1))]
    pub stages: At<Vec<At<String>>>,
}

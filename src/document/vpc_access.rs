//! `vpc-access/NAME.toml`: private addresses an API may be passed to.

use std::fmt;
use std::ops::RangeInclusive;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::gateway::SchemeWord;
use super::schema::NAME;
use super::{At, Document};

pub const PORT: RangeInclusive<u64> = 1..=65_535;
pub const WEIGHT: RangeInclusive<u64> = 1..=10_000;
pub const SLOW_START_MS: RangeInclusive<u64> = 0..=3_600_000;
/// Of active checks.
pub const INTERVAL_MS: RangeInclusive<u64> = 100..=3_600_000;
pub const TIMEOUT_MS: RangeInclusive<u64> = 10..=600_000;
pub const THRESHOLD: RangeInclusive<u64> = 1..=100;
/// Interim answers are not the answer.
pub const STATUS: RangeInclusive<u64> = 200..=599;

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VpcAccess {
    /// The name of the file, without `.toml`.
    #[schemars(regex(pattern = NAME))]
    pub name: At<String>,
    /// The VPC the instances are in.
    pub vpc_id: At<String>,
    /// Port of every instance that names none itself.
    #[schemars(range(min = *PORT.start(), max = *PORT.end()))]
    pub port: Option<At<i64>>,
    /// The Host that the backend sees; default: address and port of the instance.
    pub host: Option<At<String>>,
    /// How the backend is spoken to. Default: `http`.
    pub scheme: Option<At<SchemeWord>>,
    /// The version of HTTP. Default: `http/1.1`.
    pub protocol: Option<At<ProtocolWord>>,
    /// How it is spoken to over HTTPS.
    pub tls: Option<At<TlsTable>>,
    /// Type of a load balancer (ALB) among the instances: only `vpc` is allowed.
    #[schemars(extend("enum" = ["vpc"]))]
    pub network: Option<At<String>>,
    /// What becomes of a call when every instance stands aside or is down. Default: `try-all`.
    pub when_all_down: Option<At<WhenAllDownWord>>,
    /// How long an instance that came back takes to get its whole share of the calls, in milliseconds; 0: it has it at
    /// once. Default: 10,000.
    #[schemars(range(min = *SLOW_START_MS.start(), max = *SLOW_START_MS.end()))]
    pub slow_start_ms: Option<At<i64>>,
    /// Active checks. Default: none; only calls show how an instance is.
    pub health: Option<At<HealthTable>>,
    /// Instances; at least one.
    #[schemars(length(min = 1))]
    pub instance: At<Vec<InstanceTable>>,
}

impl Document for VpcAccess {}

/// `[tls]`. Paths are relative to the directory of the document.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsTable {
    /// The name that the instances' certificate must be for, and that they are asked for (SNI). Default: that of `host`, or
    /// the address of the instance.
    pub server_name: Option<At<String>>,
    /// PEM: authorities of which one must have signed the instances' certificate. Default: those the system believes.
    pub authorities: Option<At<String>>,
    /// PEM: the gateway's own certificate, for instances that ask for one, then those that lead to an authority they know.
    pub certificate: Option<At<String>>,
    /// PEM: the private key of `certificate`.
    pub key: Option<At<String>>,
    /// false: any certificate is taken, so that whoever is between the gateway and an instance can pretend to be it.
    /// Default: true.
    pub verify: Option<At<bool>>,
}

/// `[[instance]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceTable {
    /// Id of the instance; default: its address and port.
    pub id: Option<At<String>>,
    /// Private address.
    pub address: At<String>,
    /// Overrides the port of the VPC access.
    #[schemars(range(min = *PORT.start(), max = *PORT.end()))]
    pub port: Option<At<i64>>,
    /// Share of the calls, against the other instances' weights. Default: 100.
    #[schemars(range(min = *WEIGHT.start(), max = *WEIGHT.end()))]
    pub weight: Option<At<i64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ProtocolWord {
    #[serde(rename = "http/1.1")]
    Http1,
    /// HTTP/2 in clear text: with `scheme = "http"`.
    #[serde(rename = "h2c")]
    H2c,
    /// HTTP/2 over TLS: with `scheme = "https"`.
    #[serde(rename = "h2")]
    H2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenAllDownWord {
    /// It goes to one of them all the same.
    TryAll,
    /// It is answered `D504CO` at once.
    FailFast,
}

/// `[health]`: a request made to each instance every now and then, by one worker for all.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthTable {
    /// Path of the request, with or without a query.
    pub path: At<String>,
    /// Default: `GET`.
    pub method: Option<At<HealthMethodWord>>,
    /// Host of the request. Default: that of the VPC access.
    pub host: Option<At<String>>,
    /// From the end of one check to the start of the next, in milliseconds. Default: 5000.
    #[schemars(range(min = *INTERVAL_MS.start(), max = *INTERVAL_MS.end()))]
    pub interval_ms: Option<At<i64>>,
    /// For a whole check, in milliseconds; at most the interval. Default: 2000, or the interval if that is shorter.
    #[schemars(range(min = *TIMEOUT_MS.start(), max = *TIMEOUT_MS.end()))]
    pub timeout_ms: Option<At<i64>>,
    /// Good answers in a row after which an instance that is down is up. Default: 2.
    #[schemars(range(min = *THRESHOLD.start(), max = *THRESHOLD.end()))]
    pub healthy_threshold: Option<At<i64>>,
    /// Checks without a good answer in a row after which an instance is down. Default: 3.
    #[schemars(range(min = *THRESHOLD.start(), max = *THRESHOLD.end()))]
    pub unhealthy_threshold: Option<At<i64>>,
    /// Which answers are good: a list (`[200, 204]`) or all of a hundred (`"2xx"`). Default: `"2xx"`.
    #[serde(default)]
    #[schemars(schema_with = "statuses")]
    pub expected_status: Option<At<Statuses>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HealthMethodWord {
    Get,
    Head,
}

/// Some statuses, or all of a hundred.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Statuses {
    Class(String),
    These(Vec<At<i64>>),
}

fn statuses(_: &mut SchemaGenerator) -> Schema {
    let status = json_schema!({ "type": "integer", "minimum": STATUS.start(), "maximum": STATUS.end() });
    let these = json_schema!({ "type": "array", "items": status, "minItems": 1 });
    json_schema!({ "anyOf": [{ "type": "string", "pattern": "^[2-5]xx$" }, these] })
}

/// By hand: serde reads untagged enums through a buffer that has no places, and no word on what is expected.
impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Statuses;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of statuses, or one such as `2xx`")
            }
            fn visit_str<E: serde::de::Error>(self, class: &str) -> Result<Statuses, E> {
                Ok(Statuses::Class(class.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Statuses, A::Error> {
                let mut statuses = Vec::new();
                while let Some(status) = list.next_element()? {
                    statuses.push(status);
                }
                Ok(Statuses::These(statuses))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

//! `vpc-access/NAME.toml`: private addresses an API may be passed to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gateway::SchemeWord;
use super::{At, Document};

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VpcAccess {
    /// The name of the file, without `.toml`.
    pub name: At<String>,
    /// The VPC the instances are in.
    pub vpc_id: At<String>,
    /// Port of every instance that names none itself.
    pub port: Option<At<i64>>,
    /// The Host that the backend sees; default: address and port of the instance.
    pub host: Option<At<String>>,
    /// How the backend is spoken to. Default: `http`.
    pub scheme: Option<At<SchemeWord>>,
    /// Type of a load balancer (ALB) among the instances: only `vpc` is allowed.
    pub network: Option<At<String>>,
    /// Instances; at least one.
    pub instance: At<Vec<InstanceTable>>,
}

impl Document for VpcAccess {}

/// `[[instance]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceTable {
    /// Id of the instance; default: its address and port.
    pub id: Option<At<String>>,
    /// Private address.
    pub address: At<String>,
    /// Overrides the port of the VPC access.
    pub port: Option<At<i64>>,
    /// Share of the calls, against the other instances' weights. Default: 100.
    pub weight: Option<At<i64>>,
}

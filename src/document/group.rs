//! `groups/GROUP/group.toml`: an API group.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, Document};

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The name of the directory.
    pub name: At<String>,
    pub description: Option<String>,
    /// What every path of the group begins with. Default: `/`.
    pub base_path: Option<At<String>>,
    /// Names, `*.name`, an IP address, or `*` (any Host). Default: only the default domain.
    pub domains: Option<Vec<At<String>>>,
    /// Calls a day that the default domain (for debugging) answers. Default: 1,000.
    pub default_domain_calls_per_day: Option<At<i64>>,
    /// Keep the caller's AppCode and `Authorization` in the backend request. Default: false.
    pub forward_app_code: Option<bool>,
}

impl Document for Group {}

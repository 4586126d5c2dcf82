//! `groups/GROUP/group.toml`: an API group.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::NAME;
use super::{At, Document};

/// Of a default domain.
pub const CALLS_PER_DAY: RangeInclusive<u64> = 0..=1_000_000_000_000;

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The name of the directory.
    #[schemars(regex(pattern = NAME))]
    pub name: At<String>,
    pub description: Option<String>,
    /// What every path of the group begins with. Default: `/`.
    #[schemars(regex(pattern = "^/"))]
    pub base_path: Option<At<String>>,
    /// Names, `*.name`, an IP address, or `*` (any Host). Default: only the default domain.
    pub domains: Option<Vec<At<String>>>,
    /// Calls a day that the default domain (for debugging) answers. Default: 1,000.
    #[schemars(range(min = *CALLS_PER_DAY.start(), max = *CALLS_PER_DAY.end()))]
    pub default_domain_calls_per_day: Option<At<i64>>,
    /// Keep the caller's AppCode and `Authorization` in the backend request. Default: false.
    pub forward_app_code: Option<bool>,
}

impl Document for Group {}

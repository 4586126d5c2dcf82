//! `published/manifest.toml`: which version of which API is current in which stage. The one file whose change makes
//! a publication take effect.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, Document};

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Grows by one with every change.
    pub generation: u64,
    /// The highest version ever given: versions grow even when the clock does not.
    pub last_version: String,
    /// What is current: stage, group, API.
    #[serde(default)]
    pub current: BTreeMap<String, BTreeMap<String, BTreeMap<String, At<Current>>>>,
}

impl Document for Manifest {
    /// One line for each API and stage.
    const BYTES: u64 = 256 * 1024 * 1024;
}

/// The current version of an API in a stage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Current {
    pub version: String,
    /// Of the definition, as in the version file.
    pub sha256: String,
}

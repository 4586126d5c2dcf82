//! What is current: `published/manifest.toml`, the root, names one manifest for each stage and group by its digest, and
//! that one names the version files of its APIs by theirs. To publish one API is to write one version, one manifest of
//! a group, and the root; the rename of the root is what makes it take effect.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, Document};

/// `published/manifest.toml`; the same text stays as `published/generations/GENERATION.toml`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of the text after this line.
    #[serde(default)]
    pub sha256: String,
    /// Grows by one with every change.
    pub generation: u64,
    /// The highest version ever given: versions grow even when the clock does not.
    pub last_version: String,
    /// What made this generation.
    #[serde(default)]
    pub change: Change,
    /// The manifests of groups: stage, group.
    #[serde(default)]
    pub stage: BTreeMap<String, BTreeMap<String, At<GroupEntry>>>,
}

impl Document for Manifest {
    /// One line for each group and stage.
    const BYTES: u64 = 64 * 1024 * 1024;
}

/// `[change]`: what was done, by whom, when and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// In words: `publish shop/item to RELEASE`.
    pub what: String,
    pub remarks: String,
    pub by: String,
    /// RFC 3339.
    pub time: String,
}

/// The manifest of a group in a stage: `published/STAGE/GROUP/GENERATION.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    /// The generation that wrote it, which is the name of its file.
    pub generation: u64,
    /// Of the whole file.
    pub sha256: String,
}

/// `published/STAGE/GROUP/GENERATION.toml`: written once, never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupManifest {
    /// The current version of each API that is online.
    #[serde(default)]
    pub current: BTreeMap<String, At<Current>>,
    /// The newest version of each API ever published here. Files above it were left by a publication that died.
    #[serde(default)]
    pub latest: BTreeMap<String, String>,
}

impl Document for GroupManifest {
    /// Two lines for each API.
    const BYTES: u64 = 64 * 1024 * 1024;
}

/// The current version of an API in a stage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Current {
    pub version: String,
    /// Of the definition in its canonical form, as the version file says it too.
    pub sha256: String,
    /// Of the whole version file.
    pub file_sha256: String,
}

/// The part of a root manifest that its `sha256` is of: what follows that line.
pub fn body(text: &str) -> Option<&str> {
    let line = match text.starts_with("sha256 = ") {
        true => 0,
        false => text.find("\nsha256 = ")? + 1,
    };
    let rest = text.get(line..)?;
    rest.find('\n').and_then(|end| rest.get(end + 1..))
}

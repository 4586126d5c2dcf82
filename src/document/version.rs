//! `published/STAGE/GROUP/API/VERSION.toml`: an API as it was published once. Written by `lockgate publish`, never
//! changed afterwards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::api::Api;
use super::{At, Document};

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// UTC, `yyyyMMddHHmmssSSS`; the name of the file.
    pub version: At<String>,
    pub stage: At<String>,
    pub group: At<String>,
    pub api: At<String>,
    /// Why it was published.
    pub remarks: String,
    pub published_by: String,
    /// When it was published, RFC 3339.
    pub time: String,
    /// Of the definition in its canonical form: the text from the line `[definition]` to the end of the file.
    pub sha256: At<String>,
    pub definition: Api,
}

impl Document for Version {}

const DEFINITION: &str = "[definition]\n";

#[derive(Serialize)]
struct Definition<'a> {
    definition: &'a Api,
}

/// The canonical form of a definition: our own spelling of it, without comments and free spaces.
pub fn canonical(api: &Api) -> Result<String, toml::ser::Error> {
    toml::to_string(&Definition { definition: api })
}

/// SHA-256 in lower-case hexadecimal.
pub fn digest(canonical: &str) -> String {
    Sha256::digest(canonical.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The canonical form that a version file holds.
pub fn canonical_in(text: &str) -> Option<&str> {
    let start = match text.starts_with(DEFINITION) {
        true => 0,
        false => text.find(&format!("\n{DEFINITION}"))? + 1,
    };
    text.get(start..)
}

//! `published/STAGE/GROUP/API/VERSION.toml`: an API as it was published once. Written by `lockgate publish`, never
//! changed afterwards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

#[derive(Serialize)]
struct Definition<'a> {
    definition: &'a Api,
}

/// The canonical form of a definition: our own spelling of it, without comments and free spaces.
pub fn canonical(api: &Api) -> Result<String, toml::ser::Error> {
    toml::to_string(&Definition { definition: api })
}

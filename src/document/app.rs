//! `apps/APP.toml`: an app, its credentials, and what it may call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::NAME;
use super::{At, Document};

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The name of the file, without `.toml`.
    #[schemars(regex(pattern = NAME))]
    pub name: At<String>,
    pub description: Option<String>,
    /// Who answers for the app: the user whose calls policies count. Default: the app alone.
    pub owner: Option<At<String>>,
    pub app_key: Option<At<String>>,
    pub app_secret: Option<At<String>>,
    /// A file that holds the secret, instead of `app_secret`; relative to this file's directory.
    pub app_secret_file: Option<At<String>>,
    pub app_code: Option<At<String>>,
    /// A file that holds the AppCode, instead of `app_code`.
    pub app_code_file: Option<At<String>>,
    /// Further credentials, valid beside those above: how keys are replaced without a gap.
    #[serde(default)]
    pub credential: Vec<At<CredentialTable>>,
    /// What the app may call.
    #[serde(default)]
    pub authorization: Vec<AuthorizationTable>,
}

impl Document for App {
    const SHOWN_KEYS: Option<&'static [&'static str]> =
        Some(&["name", "description", "owner", "app_key", "app_secret_file", "app_code_file", "api", "stages", "expires"]);
}

/// `[[credential]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialTable {
    pub app_key: Option<At<String>>,
    pub app_secret: Option<At<String>>,
    pub app_secret_file: Option<At<String>>,
    pub app_code: Option<At<String>>,
    pub app_code_file: Option<At<String>>,
}

/// `[[authorization]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationTable {
    /// `GROUP/API`
    #[schemars(regex(pattern = "^[^/]+/[^/]+$"))]
    pub api: At<String>,
    /// `RELEASE`, `PRE`, `TEST`, or another stage of the group; at least one.
    #[schemars(length(min = 1))]
    pub stages: At<Vec<At<String>>>,
    /// RFC 3339, e.g. `2030-01-01T00:00:00Z`; without it the authorization does not expire.
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<At<String>>,
}

//! `apps/APP.toml`: an app, its credentials, and what it may call.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::NAME;
use super::{At, Document};

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The name of the file, without `.toml`; in a list, that of the app.
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

/// A credential, in a table of its own or at the head of the app.
#[derive(Clone)]
pub struct Credential<'a> {
    pub app_key: Option<&'a At<String>>,
    pub app_secret: Option<&'a At<String>>,
    pub app_secret_file: Option<&'a At<String>>,
    pub app_code: Option<&'a At<String>>,
    pub app_code_file: Option<&'a At<String>>,
    /// Of the table; of the app's name.
    pub span: Range<usize>,
}

impl App {
    /// Those at its head, then those in tables.
    pub fn credentials(&self) -> impl Iterator<Item = Credential<'_>> {
        let first = Credential {
            app_key: self.app_key.as_ref(),
            app_secret: self.app_secret.as_ref(),
            app_secret_file: self.app_secret_file.as_ref(),
            app_code: self.app_code.as_ref(),
            app_code_file: self.app_code_file.as_ref(),
            span: self.name.span.clone(),
        };
        let in_tables = self.credential.iter().map(|table| Credential {
            app_key: table.app_key.as_ref(),
            app_secret: table.app_secret.as_ref(),
            app_secret_file: table.app_secret_file.as_ref(),
            app_code: table.app_code.as_ref(),
            app_code_file: table.app_code_file.as_ref(),
            span: table.span.clone(),
        });
        std::iter::once(first).chain(in_tables)
    }

    /// A secret of it is in a file of its own.
    pub fn has_files(&self) -> bool {
        self.credentials().any(|table| table.app_secret_file.is_some() || table.app_code_file.is_some())
    }
}

/// `app-lists/NAME.toml`: many apps in one document.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppList {
    /// Each as in a document of its own; its name is its own alone, among all apps.
    #[serde(default)]
    pub app: Vec<App>,
}

impl Document for AppList {
    const BYTES: u64 = 64 * 1024 * 1024;
    const SHOWN_KEYS: Option<&'static [&'static str]> = App::SHOWN_KEYS;
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

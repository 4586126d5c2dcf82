//! `groups/GROUP/group.toml`: an API group.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::schema::NAME;
use super::{At, Document};

/// Of a default domain.
pub const CALLS_PER_DAY: RangeInclusive<u64> = 0..=1_000_000_000_000;
/// Stages of a group that have a table: `RELEASE`, `PRE`, `TEST`, and others of its own.
pub const STAGES: usize = 16;
/// Variables of a stage (the product's figure).
pub const VARIABLES: usize = 50;
/// Longest value of a variable, in bytes.
pub const VARIABLE_BYTES: usize = 1024;
/// What `catalog::check::stages` takes for the name of a stage, and of a variable.
const STAGE_NAME: &str = "^[A-Z][A-Za-z0-9_-]{1,9}$";
const VARIABLE_NAME: &str = "^[A-Za-z_][A-Za-z0-9_-]{0,63}$";

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
    /// Versions of HTTP and TLS that the group's domains speak, by the product's names. Default: `HTTPS2_TLS1_3`.
    pub https_policy: Option<At<HttpsPolicyWord>>,
    /// Domains of the group whose calls over HTTP are sent to HTTPS instead. Default: none.
    pub https_redirect: Option<Vec<At<String>>>,
    /// Certificates of the group's domains.
    #[serde(default)]
    pub certificate: Vec<CertificateTable>,
    /// Domains of the group whose clients show certificates.
    #[serde(default)]
    pub client_certificate: Vec<ClientCertificateTable>,
    /// Stages by name: their variables, and the domains bound to them. `RELEASE`, `PRE` and `TEST` are there without a
    /// table; another one (2 to 10 letters, digits, `-`, `_`, the first an upper-case letter) is there by its table.
    #[serde(default)]
    #[schemars(schema_with = "stages")]
    pub stage: BTreeMap<At<String>, StageTable>,
}

impl Document for Group {}

/// `[stage.NAME]`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageTable {
    pub description: Option<String>,
    /// Domains of the group whose calls go to this stage, whatever their `X-Ca-Stage` says. Default: none.
    pub domains: Option<Vec<At<String>>>,
    /// What `#NAME#` stands for in `vpc_access` and `path` of backends, when their API is published to this stage.
    #[serde(default)]
    #[schemars(schema_with = "variables")]
    pub variables: BTreeMap<At<String>, At<String>>,
}

fn stages(generator: &mut SchemaGenerator) -> Schema {
    named(STAGE_NAME, STAGES, StageTable::json_schema(generator))
}

fn variables(_: &mut SchemaGenerator) -> Schema {
    named(VARIABLE_NAME, VARIABLES, json_schema!({ "type": "string", "maxLength": VARIABLE_BYTES }))
}

/// A table whose keys are names that the document gives.
fn named(pattern: &str, count: usize, of: Schema) -> Schema {
    json_schema!({
        "type": "object", "propertyNames": { "pattern": pattern }, "maxProperties": count, "additionalProperties": of
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum HttpsPolicyWord {
    /// HTTP/1.1; TLS 1.2 (1.0 and 1.1 are broken, and not spoken).
    #[serde(rename = "HTTPS1_1_TLS1_0")]
    Http1Tls10,
    /// TLS 1.2 (1.0 and 1.1 are broken, and not spoken).
    #[serde(rename = "HTTPS2_TLS1_0")]
    Http2Tls10,
    /// TLS 1.2.
    #[serde(rename = "HTTPS2_TLS1_2")]
    Http2Tls12,
    /// TLS 1.2 and 1.3.
    #[serde(rename = "HTTPS2_TLS1_3")]
    Http2Tls13,
}

/// `[[certificate]]`. Paths are relative to the directory of the group.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateTable {
    /// PEM: the certificate, then those that lead from it to an authority that clients know.
    pub chain: At<String>,
    /// PEM: the private key of the certificate.
    pub key: At<String>,
    /// Domains of the group, or its default domain. Default: all domains of the group that the certificate is good for.
    pub domains: Option<Vec<At<String>>>,
    /// DER: an OCSP response about the certificate, handed to clients that ask for one. Default: none.
    pub ocsp_response: Option<At<String>>,
}

/// `[[client_certificate]]`. Paths are relative to the directory of the group.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificateTable {
    /// PEM: authorities of which one must have signed a client's certificate.
    pub authorities: At<String>,
    /// Domains of the group, or its default domain. Default: all domains of the group.
    pub domains: Option<Vec<At<String>>>,
    /// A client without a certificate gets no connection; false: it gets one, and is nobody in particular. Default: true.
    pub required: Option<bool>,
    /// The subject of a verified certificate is passed to the backend in `X-Client-S-Dn`. Default: false.
    pub pass_subject: Option<bool>,
}

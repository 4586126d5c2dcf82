//! `groups/GROUP/apis/API.toml`: an API as it is drafted, and as a version file holds it.

use std::fmt;
use std::ops::RangeInclusive;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::gateway::SchemeWord;
use super::limits::BODY_BYTES;
use super::schema::NAME;
use super::{At, Document};

/// Methods an API may take. `CONNECT` and `TRACE` are not passed on by a gateway (RFC 9110, sections 9.3.6 and 9.3.8).
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
/// Of a backend.
pub const TIMEOUT_MS: RangeInclusive<u64> = 1..=600_000;

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// The name of the file, without `.toml`.
    #[schemars(regex(pattern = NAME))]
    pub name: At<String>,
    pub description: Option<String>,
    pub authentication: AuthenticationTable,
    pub request: RequestTable,
    pub backend: BackendTable,
    pub response: Option<ResponseTable>,
}

impl Document for Api {}

/// `[authentication]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthenticationTable {
    /// `app`: by signature or AppCode; `none`: anyone may call. With `none` the other keys mean nothing.
    #[serde(rename = "type")]
    pub kind: At<AuthenticationWord>,
    /// Where an AppCode is taken from. Default: `off`.
    pub app_code: Option<At<AppCodeWord>>,
    /// Signature methods accepted; empty: signed calls are not accepted. Default: `HMAC_SHA256`.
    pub signature_methods: Option<At<Vec<At<SignatureMethodWord>>>>,
    /// A signed call must carry a nonce. Default: false.
    pub require_nonce: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthenticationWord {
    App,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AppCodeWord {
    Off,
    Header,
    HeaderQuery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SignatureMethodWord {
    #[serde(rename = "HMAC_SHA256")]
    HmacSha256,
    #[serde(rename = "HMAC_SHA1")]
    HmacSha1,
}

/// `[request]`: what clients send.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestTable {
    /// Default: both.
    pub protocols: Option<At<Vec<At<SchemeWord>>>>,
    /// Below the base path of the group: `/user/[id]`, `/files/*`.
    #[schemars(regex(pattern = "^/"))]
    pub path: At<String>,
    /// A method, a list of methods, or `ANY`.
    #[schemars(schema_with = "methods")]
    pub method: At<Methods>,
    /// Default: `pass-through`.
    pub mode: Option<At<ModeWord>>,
    /// Largest body, in bytes. Default: `body_bytes` in `[limits]` of the instance.
    #[schemars(range(min = *BODY_BYTES.start(), max = *BODY_BYTES.end()))]
    pub body_bytes: Option<At<i64>>,
    /// Protocols that a caller may switch its connection to (`["websocket"]`), if the backend agrees: from then on bytes
    /// pass both ways as they are. Default: none.
    pub upgrades: Option<At<Vec<At<String>>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModeWord {
    /// Query, fields and body go to the backend as they came.
    PassThrough,
}

/// `[backend]`: what the API stands for.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackendTable {
    #[serde(rename = "type")]
    pub kind: At<BackendWord>,
    /// Name of the VPC access.
    pub vpc_access: At<String>,
    /// Path at the backend; may use the parameters of the request's path.
    #[schemars(regex(pattern = "^/"))]
    pub path: At<String>,
    /// A method, or `ANY`: the client's. Default: `ANY`.
    #[serde(default)]
    #[schemars(schema_with = "method")]
    pub method: Option<At<String>>,
    /// From the end of the request to the head of the answer, in milliseconds. Default: 10,000.
    #[schemars(range(min = *TIMEOUT_MS.start(), max = *TIMEOUT_MS.end()))]
    pub timeout_ms: Option<At<i64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackendWord {
    Vpc,
}

/// `[response]`: documentation for callers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseTable {
    pub content_type: Option<String>,
    pub example: Option<String>,
    pub error_example: Option<String>,
}

/// One method or several.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Methods {
    One(String),
    Several(Vec<At<String>>),
}

fn method(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<&str> = METHODS.into_iter().chain(["ANY"]).collect();
    json_schema!({ "enum": words })
}

fn methods(generator: &mut SchemaGenerator) -> Schema {
    let several = json_schema!({ "type": "array", "items": { "enum": METHODS }, "minItems": 1, "uniqueItems": true });
    json_schema!({ "anyOf": [method(generator), several] })
}

/// By hand: serde reads untagged enums through a buffer that has no places, and no word on what is expected.
impl<'de> Deserialize<'de> for Methods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Methods;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a method or a list of methods")
            }
            fn visit_str<E: serde::de::Error>(self, method: &str) -> Result<Methods, E> {
                Ok(Methods::One(method.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Methods, A::Error> {
                let mut methods = Vec::new();
                while let Some(method) = list.next_element()? {
                    methods.push(method);
                }
                Ok(Methods::Several(methods))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

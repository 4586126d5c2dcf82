//! APIs as published to a stage.

use super::{ApiName, GroupId, StageId, VpcAccessId};
use std::time::Duration;

#[derive(Clone)]
pub struct Api {
    pub group: GroupId,
    pub name: String,
    /// Of `GROUP/API`.
    pub id: ApiName,
    pub stage: StageId,
    /// The published version, `yyyyMMddHHmmssSSS`.
    pub version: String,
    pub authentication: Authentication,
    pub protocols: Protocols,
    pub methods: MethodSet,
    /// Without the group's base path.
    pub path: PathTemplate,
    /// Largest body of a request, in bytes; `None`: that of the instance.
    pub body_bytes: Option<u64>,
    /// Protocols that a caller may switch to: tokens, no two the same in any case.
    pub upgrades: Vec<String>,
    pub backend: Backend,
}

#[derive(Clone)]
pub enum Authentication {
    None,
    App { app_code: AppCodePlace, methods: SignatureMethods, require_nonce: bool },
}

/// Where an AppCode is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppCodePlace {
    Off,
    Header,
    HeaderQuery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureMethods {
    pub hmac_sha256: bool,
    pub hmac_sha1: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    pub http: bool,
    pub https: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodSet {
    Any,
    /// Upper case, at least one, no duplicates.
    These(Vec<String>),
}

impl MethodSet {
    /// A method that both have, in words.
    pub fn common(&self, other: &Self) -> Option<String> {
        match (self, other) {
            (Self::Any, Self::Any) => Some("every method".to_owned()),
            (Self::Any, Self::These(list)) | (Self::These(list), Self::Any) => list.first().cloned(),
            (Self::These(list), Self::These(others)) => list.iter().find(|method| others.contains(method)).cloned(),
        }
    }
}

/// `/user/[id]`, `/files/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    pub segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Percent-decoded.
    Literal(String),
    /// `[name]`: exactly one segment.
    Parameter(String),
    /// `*`, last only: the rest of the path.
    Rest,
}

#[derive(Clone)]
pub enum Backend {
    Vpc {
        vpc_access: VpcAccessId,
        /// Parameters of this template are parameters of the API's path.
        path: PathTemplate,
        /// `None`: the client's method.
        method: Option<String>,
        /// From the end of the request to the head of the answer.
        timeout: Duration,
    },
}

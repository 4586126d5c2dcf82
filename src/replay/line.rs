//! One line of an access log, and the call that it records. The names are those of `observe::record`.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Deserialize;

use crate::catalog::Scheme;
use crate::gate::authenticate::Credential;
use crate::gate::{Call, ErrorCode};
use crate::http::field::FieldId;
use crate::http::head::{HeadLimits, Parsed, RequestHead, RequestView, parse_request};
use crate::http::target::parse_target;

/// What a record says of a request; the keys that no decision needs are not read.
#[derive(Debug, Deserialize)]
pub struct Line<'a> {
    #[serde(borrow, rename = "requestHandleTime")]
    pub time: Cow<'a, str>,
    #[serde(borrow, rename = "requestId")]
    pub request_id: Cow<'a, str>,
    #[serde(borrow, rename = "instanceId")]
    pub instance: Cow<'a, str>,
    #[serde(rename = "clientIp")]
    pub client: IpAddr,
    #[serde(borrow, rename = "requestProtocol")]
    pub protocol: Cow<'a, str>,
    #[serde(borrow, default, rename = "httpMethod")]
    pub method: Cow<'a, str>,
    #[serde(borrow, default)]
    pub domain: Cow<'a, str>,
    #[serde(borrow, default)]
    pub path: Cow<'a, str>,
    #[serde(borrow, default, rename = "requestQueryString")]
    pub query: Cow<'a, str>,
    #[serde(borrow, default, rename = "apiGroupName")]
    pub group: Cow<'a, str>,
    #[serde(borrow, default, rename = "apiName")]
    pub api: Cow<'a, str>,
    #[serde(borrow, default, rename = "apiStageName")]
    pub stage: Cow<'a, str>,
    #[serde(borrow, default, rename = "appName")]
    pub app: Cow<'a, str>,
    #[serde(borrow, default, rename = "appCredential")]
    pub credential: Cow<'a, str>,
    #[serde(borrow, default, rename = "consumerAppKey")]
    pub app_key: Cow<'a, str>,
    #[serde(borrow, default, rename = "clientNonce")]
    pub nonce: Cow<'a, str>,
    #[serde(borrow, default, rename = "errorCode")]
    pub error_code: Cow<'a, str>,
    #[serde(default, rename = "statusCode")]
    pub status: u16,
    /// A backend was asked.
    #[serde(borrow, default)]
    pub backend: Option<Cow<'a, str>>,
}

/// No head that was ever logged is longer.
const LIMITS: HeadLimits = HeadLimits { start_line_bytes: 65_535, head_bytes: 65_535, fields: 8 };

/// A call made anew from its record.
pub struct Recorded {
    buffer: Vec<u8>,
    head: RequestHead,
    scheme: Scheme,
    peer: IpAddr,
    unix_ms: u64,
}

impl Line<'_> {
    /// `None`: the line does not say what was called, because the head or the body was refused for its own sake.
    pub fn call(&self) -> Option<Recorded> {
        if self.path.is_empty() || self.is_refused_for_itself() {
            return None;
        }
        let query = if self.query.is_empty() { "" } else { "?" };
        let mut text = format!("{} {}{query}{} HTTP/1.1\r\n", self.method, self.path, self.query);
        if !self.domain.is_empty() {
            text += &format!("Host: {}\r\n", self.domain);
        }
        if !self.stage.is_empty() {
            text += &format!("X-Ca-Stage: {}\r\n", self.stage);
        }
        text += "\r\n";
        let buffer = text.into_bytes();
        let mut head = RequestHead::default();
        match parse_request(&buffer, 0, &LIMITS, &mut head) {
            Ok(Parsed::Complete) => {}
            _ => return None,
        }
        let time: jiff::Timestamp = self.time.parse().ok()?;
        let scheme = if self.protocol.starts_with("HTTPS") { Scheme::Https } else { Scheme::Http };
        let unix_ms = u64::try_from(time.as_millisecond()).ok()?;
        let recorded = Recorded { buffer, head, scheme, peer: self.client, unix_ms };
        recorded.call().is_some().then_some(recorded)
    }

    pub fn refusal(&self) -> Option<ErrorCode> {
        ErrorCode::named(&self.error_code)
    }

    /// The gateway sent the client to HTTPS: the only such answer that no backend gave.
    pub fn was_redirected(&self) -> bool {
        matches!(self.status, 301 | 308) && self.backend.is_none()
    }

    pub fn credential(&self) -> Option<Credential> {
        Credential::ALL.into_iter().find(|credential| credential.as_str() == self.credential)
    }

    /// Refused before any table was asked: for its head, or for its body.
    fn is_refused_for_itself(&self) -> bool {
        use ErrorCode::{I400BD, I400HD, I400RU, I413RL, I413UL, I508LD};
        let of_message = matches!(self.refusal(), Some(I400HD | I400RU | I400BD));
        matches!(self.refusal(), Some(I413RL | I413UL | I508LD)) || (of_message && self.api.is_empty())
    }
}

impl Recorded {
    /// As the gate sees it.
    pub fn call(&self) -> Option<Call<'_>> {
        let request = RequestView { buffer: &self.buffer, head: &self.head };
        let target = parse_target(request.method(), request.target()).ok()?;
        request.field(FieldId::Host)?;
        Some(Call {
            request,
            target,
            body_bytes: 0,
            scheme: self.scheme,
            peer: self.peer,
            client: None,
            form: None,
            now_ms: self.unix_ms,
        })
    }
}

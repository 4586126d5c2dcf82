//! The product's error codes: one table from a refusal to status, code and message.
//!
//! The table is that of the product's instances of VPC type. A code has six characters: its kind (I input,
//! A authentication and authorization, S replay, T throttling, B business, D backend, X system, N network), its HTTP
//! status, and two letters for what happened. An answer made by the gateway carries the code in `X-Ca-Error-Code`, the
//! message in `X-Ca-Error-Message`, and no body.
//!
//! HTTP itself knows refusals for which the product has no code. They take the nearest one, and its status:
//!
//! | what HTTP says | what the gateway says |
//! |---|---|
//! | 408 the head or the body comes too slowly | `I400HD`, `I400BD` |
//! | 414 the request line is too long | `I413UL` |
//! | 417 an expectation other than `100-continue` | `I400HD` |
//! | 431 the head is too large, or has too many fields | `I400HD` |
//! | 501 a transfer coding other than `chunked` | `I400HD` |
//! | 505 a version other than 1.0 and 1.1 | `I400RU` |

use std::net::SocketAddr;
use std::sync::Arc;

use super::policy::Told;
use crate::http::chunked::ChunkError;
use crate::http::head::HeadError;
use crate::http::serialise::HeadWriter;

/// A refused call: the code and what fills its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub detail: Detail,
}

/// What fills the placeholder of an error message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    None,
    Text(&'static str),
    /// A header or parameter and what is wrong with it: `` `name` reason ``.
    Named {
        name: &'static str,
        reason: &'static str,
    },
    /// Text made for this call (a signature echo, a domain). It may hold any bytes: what may not stand in a field value
    /// is left out when it is written.
    Owned(Box<[u8]>),
    /// A limit that was reached.
    Limited(Limited),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited {
    /// Made once for each limit.
    pub reason: Arc<str>,
    /// When it is worth to come again.
    pub retry_after_s: u64,
    pub told: Option<Told>,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $code:ident $status:literal $message:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $code,)* }
        impl ErrorCode {
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$code,)*];
            /// The codes as they are written, in the same order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($code),)*];
            /// Six characters: kind, HTTP status, what happened.
            pub fn as_str(self) -> &'static str { match self { $(Self::$code => stringify!($code),)* } }
            /// The code that is written so.
            pub fn named(name: &str) -> Option<Self> { match name { $(stringify!($code) => Some(Self::$code),)* _ => None } }
            pub fn status(self) -> u16 { match self { $(Self::$code => $status,)* } }
            /// The message, with `{}` where the detail goes.
            pub fn template(self) -> &'static str { match self { $(Self::$code => $message,)* } }
        }
    };
}
error_codes! {
    // The request as received.
    I400HD 400 "Invalid Header {}";
    I400MH 400 "Header `{}` is Required";
    I400BD 400 "Invalid Body: {}";
    I400PA 400 "Invalid Request Path `{}`";
    /// Another name of `I400PA`.
    I400PH 400 "Invalid Request Path `{}`";
    I400RU 400 "Invalid Request Uri `{}`";
    I400CT 400 "Invalid Content-Type: `{}`";
    I413RL 413 "Request body too Large";
    I413UL 413 "Request URL too Large";
    // Route.
    I404DO 404 "Invalid Domain `{}`";
    /// The group has moved to another instance.
    I410GG 410 "Group's instance invalid";
    I400SG 400 "Invalid Stage";
    I404NF 404 "API not found {}";
    I405UM 405 "Unsupported Method `{}`";
    I403PT 403 "Invalid protocol {} unsupported";
    /// A stage variable is not set.
    I404SR 404 "Stage route missing: {}";
    I404NR 404 "{} not found";
    X403DG 403 "Bad Domain or Group: {}";
    X400PM 400 "Invalid plugin meta {}";
    X500ED 500 "Expired api definition";
    X500AM 500 "Invalid Api Meta, try deploy again or contact us via ticket";
    // Authenticate.
    A400MA 400 "Need authorization, `X-Ca-Key` or `Authorization: APPCODE ...` is required";
    A401AC 401 "Invalid AppCode {}";
    A400AC 400 "Invalid AppCode {}";
    A400IK 400 "Invalid AppKey";
    A403IS 403 "Invalid Signature, Server StringToSign:`{}`";
    I400I5 400 "Invalid Content-MD5 {}";
    I400NC 400 "X-Ca-Nonce is required";
    S403NU 403 "Nonce Used";
    S403TE 403 "X-Ca-Timestamp is expired";
    // Authorize.
    I403AA 403 "Unauthorized";
    A403EP 403 "App authorization expired";
    A403PR 403 "Plugin Authorization Needed";
    // Parameters.
    I400MP 400 "Parameter `{}` is required";
    I400IP 400 "Invalid parameter {}";
    // JWT and OAuth2.
    I400JR 400 "JWT required";
    S403JI 403 "Claim `jti` is required when `preventJtiReplay:true`";
    S403JU 403 "Claim `jti` in JWT is used";
    I400JD 400 "JWT Deserialize Failed: `{}`";
    A403JT 403 "Invalid JWT: {}";
    A403JK 403 "No matching JWK, kid:{} not found";
    A403JE 403 "JWT is expired at {}";
    I400JP 400 "Invalid JWT plugin config: {}";
    A403OL 403 "OAuth2 Login failed";
    A403OU 403 "OAuth2 Get User Info failed";
    A401OT 401 "Invalid OAuth2 Access Token";
    A401OM 401 "OAuth2 Access Token is required";
    // Throttling.
    /// Also the daily quota of a group's default domain.
    T429ID 429 "Throttled by INNER Domain Flow Control, {}";
    T429IN 429 "Throttled by INNER Instance Flow Control {}";
    T429GR 429 "Throttled by INNER Group Flow Control, {}";
    T429PA 429 "Throttled by API Flow Control, {}";
    T429PR 429 "Throttled by PLUGIN Flow Control, {}";
    T429UT 429 "Throttled by Usage Plan Flow Control, {}";
    T429SR 429 "Throttled by SERVER Flow Control";
    T429MR 429 "Too Many Requests, throttle by {}";
    // Access rules.
    A403IP 403 "Access denied by IP Control Policy";
    A403IN 403 "Access from internet is disabled {}";
    A403VN 403 "Access from invalid VPC is disabled";
    A403AC 403 "Access Control Forbidden by {}";
    A403CO 403 "Cross origin resource forbidden {}";
    /// Detail: method, ` - `, path.
    I404CO 404 "Cross origin resource not found {}";
    I404CH 404 "Content not cached, with `Cache-Control:only-if-cached`";
    // Business.
    B451DO 451 "Unavailable Domain for Legal Reasons";
    B451GO 451 "Unavailable Group for Legal Reasons";
    B403OD 403 "Provider Account Overdue";
    B403MO 403 "Market Subscription overdue";
    B403MQ 403 "Market Subscription quota exhausted";
    B403ME 403 "Market Subscription expired";
    B403MI 403 "Market Subscription invalid";
    // Backend.
    /// The routing plug-in leaves a backend incomplete.
    I504RB 504 "Invalid routing backend: {}";
    D504RE 504 "Backend domain `{}` resolve failed";
    D504IL 504 "Backend domain `{}` resolve to illegal address `{}`";
    D504CO 504 "Backend service connect failed `{}`";
    D504CS 504 "Backend http ssl connect failed `{}`";
    D504TO 504 "Backend service request timeout";
    /// The VPC access does not exist.
    X504VE 504 "Backend service vpc mapped failed";
    D503BB 503 "Backend circuit breaker busy";
    D503CB 503 "Backend circuit breaker open, {}";
    /// The backend's answer is broken.
    N502RE 502 "response transport error";
    /// The gateway calls itself.
    I508LD 508 "Loop Detected";
    I404DD 404 "Device id {} not found";
    A403FC 403 "Function Compute AssumeRole failed";
    D502FC 502 "Function Compute response invalid";
    // The gateway.
    X500ER 500 "Service Internal Error";
    X503BZ 503 "Service Busy";
    X504TO 504 "Service timeout";
}

/// Reasons of `D504CO`, as the product spells them.
pub mod connect {
    pub const REFUSED: &str = "Connection refused";
    /// The connection ended before an answer began.
    pub const CLOSED: &str = "Connection is closed";
    /// No connection came free in time.
    pub const LEASE_TIMEOUT: &str = "Connection lease request time out";
    /// Every instance of the VPC access stands aside.
    pub const NO_INSTANCE: &str = "no instance available";
}

/// Bytes of a [`Detail::Owned`] that are written at most, so that the head of the answer stays in its bounds.
pub const MAX_DETAIL_BYTES: usize = 4096;

impl Refusal {
    pub fn new(code: ErrorCode) -> Self {
        Self { code, detail: Detail::None }
    }
    pub fn because(code: ErrorCode, reason: &'static str) -> Self {
        Self { code, detail: Detail::Text(reason) }
    }
    pub fn named(code: ErrorCode, name: &'static str, reason: &'static str) -> Self {
        Self { code, detail: Detail::Named { name, reason } }
    }
    /// With text made for this call; what is beyond [`MAX_DETAIL_BYTES`] is not kept.
    pub fn with(code: ErrorCode, text: &[u8]) -> Self {
        Self { code, detail: Detail::Owned(capped(text).into()) }
    }
    /// A connection to an instance was not made in time.
    pub fn connect_timeout(address: SocketAddr) -> Self {
        Self::with(ErrorCode::D504CO, format!("Timeout connecting to {address}").as_bytes())
    }

    /// The client's connection must close after the answer: where the next request begins is in doubt, or what is
    /// left of this one will not be read. Known by the code alone; a header refused later, for its meaning, closes too.
    pub fn closes(&self) -> bool {
        use ErrorCode::{I400BD, I400HD, I400RU, I413RL, I413UL, X503BZ};
        matches!(self.code, I400HD | I400RU | I400BD | I413RL | I413UL | X503BZ)
    }

    /// Writes the message: a legal field value, whatever the detail holds.
    pub fn write_message(&self, writer: &mut HeadWriter<'_>) {
        let template = self.code.template();
        let Some((before, after)) = template.split_once("{}") else {
            return writer.bytes(template.as_bytes());
        };
        match &self.detail {
            // A placeholder at the end goes, together with what leads to it.
            Detail::None if after.is_empty() => return writer.bytes(before.trim_end_matches([' ', ',', ':']).as_bytes()),
            Detail::None => writer.bytes(before.as_bytes()),
            Detail::Text(text) => {
                writer.bytes(before.as_bytes());
                writer.bytes(text.as_bytes());
            }
            Detail::Named { name, reason } => {
                writer.bytes(before.as_bytes());
                if let Some((between, after)) = after.split_once("{}") {
                    writer.bytes(name.as_bytes());
                    writer.bytes(between.as_bytes());
                    writer.bytes(reason.as_bytes());
                    return writer.bytes(after.as_bytes());
                }
                writer.bytes(b"`");
                writer.bytes(name.as_bytes());
                writer.bytes(b"` ");
                writer.bytes(reason.as_bytes());
            }
            Detail::Limited(limited) => {
                writer.bytes(before.as_bytes());
                writer.bytes(limited.reason.as_bytes());
            }
            Detail::Owned(text) => {
                writer.bytes(before.as_bytes());
                write_safe(capped(text), writer);
            }
        }
        match after.split_once("{}") {
            Some((between, after)) => {
                writer.bytes(between.as_bytes());
                writer.bytes(after.as_bytes());
            }
            None => writer.bytes(after.as_bytes()),
        }
    }
}

impl Refusal {
    /// Writes the fields that say when to come again.
    pub fn write_fields(&self, writer: &mut HeadWriter<'_>) {
        let Detail::Limited(limited) = &self.detail else { return };
        writer.bytes(b"Retry-After: ");
        writer.number(limited.retry_after_s);
        writer.bytes(b"\r\n");
        if let Some(told) = &limited.told {
            told.write(writer);
        }
    }
}

/// The first bytes of a text, up to the limit, without half a UTF-8 character at the end.
fn capped(text: &[u8]) -> &[u8] {
    if text.len() <= MAX_DETAIL_BYTES {
        return text;
    }
    let mut end = MAX_DETAIL_BYTES;
    while end > 0 && text[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

/// Leaves out what may not stand in a field value (RFC 9110, section 5.5): a caller's decoded `%0d%0a` must not end
/// the line it is echoed in.
fn write_safe(text: &[u8], writer: &mut HeadWriter<'_>) {
    for run in text.split(u8::is_ascii_control) {
        writer.bytes(run);
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::BadRequestLine(reason) | HeadError::BadTarget(reason) => Self::because(ErrorCode::I400RU, reason),
            HeadError::UnsupportedVersion => Self::because(ErrorCode::I400RU, "HTTP version not supported"),
            HeadError::UnsupportedMethod => Self::because(ErrorCode::I405UM, "neither a tunnel nor an echo"),
            HeadError::BadField(reason) => Self::because(ErrorCode::I400HD, reason),
            HeadError::BadHost(reason) => Self::named(ErrorCode::I400HD, "Host", reason),
            HeadError::BadConnection(reason) => Self::named(ErrorCode::I400HD, "Connection", reason),
            HeadError::BadContentLength(reason) => Self::named(ErrorCode::I400HD, "Content-Length", reason),
            HeadError::BadTransferEncoding(reason) => Self::named(ErrorCode::I400HD, "Transfer-Encoding", reason),
            HeadError::UnsupportedTransferEncoding => {
                Self::named(ErrorCode::I400HD, "Transfer-Encoding", "holds a coding other than chunked")
            }
            HeadError::BadExpect => Self::named(ErrorCode::I400HD, "Expect", "is not 100-continue"),
            HeadError::StartLineTooLong => Self::new(ErrorCode::I413UL),
            HeadError::HeadTooLarge => Self::because(ErrorCode::I400HD, "header section too large"),
            HeadError::TooManyFields => Self::because(ErrorCode::I400HD, "too many header fields"),
            // Only a backend sends one.
            HeadError::BadStatusLine(_) => Self::new(ErrorCode::N502RE),
        }
    }
}

impl From<ChunkError> for Refusal {
    fn from(error: ChunkError) -> Self {
        let reason = match error {
            ChunkError::Malformed(reason) => reason,
            ChunkError::ExtensionsTooLarge => "chunk extensions too large",
            ChunkError::TrailersTooLarge => "trailer section too large",
        };
        Self::because(ErrorCode::I400BD, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(refusal: &Refusal) -> String {
        let mut buffer = vec![0; 8192];
        let mut writer = HeadWriter::new(&mut buffer);
        refusal.write_message(&mut writer);
        let len = writer.finish().expect("fits");
        buffer.truncate(len);
        String::from_utf8_lossy(&buffer).into_owned()
    }

    #[test]
    fn every_code_says_its_status_and_kind() {
        for code in ErrorCode::ALL {
            let text = code.as_str();
            assert_eq!(text.len(), 6, "{text}");
            assert!("IASTBDXN".contains(&text[..1]), "{text}");
            assert_eq!(text[1..4], code.status().to_string(), "{text}");
        }
    }

    #[test]
    fn every_code_makes_a_legal_field_value_of_any_detail() {
        let hostile: Vec<u8> = (0..=255).chain(b"\r\nSet-Cookie: a=b\r\n\r\n".iter().copied()).collect();
        for &code in ErrorCode::ALL {
            let refusals = [
                Refusal::new(code),
                Refusal::because(code, "reason"),
                Refusal::named(code, "name", "reason"),
                Refusal::with(code, &hostile),
            ];
            for refusal in refusals {
                let text = message(&refusal);
                assert!(!text.is_empty() && !text.bytes().any(|b| b.is_ascii_control()), "{code:?}: {text:?}");
                assert!(!text.contains("{}"), "{code:?}: {text:?}");
            }
        }
    }

    #[test]
    fn messages_are_spelled_as_the_product_spells_them() {
        let cases = [
            (
                Refusal::named(ErrorCode::I400HD, "X-Ca-Timestamp", "is not a number"),
                "Invalid Header `X-Ca-Timestamp` is not a number",
            ),
            (Refusal::because(ErrorCode::I400HD, "too many"), "Invalid Header too many"),
            (Refusal::with(ErrorCode::I404DO, b"a.example"), "Invalid Domain `a.example`"),
            (Refusal::new(ErrorCode::I404DO), "Invalid Domain ``"),
            (Refusal::new(ErrorCode::I404NF), "API not found"),
            (Refusal::new(ErrorCode::T429ID), "Throttled by INNER Domain Flow Control"),
            (Refusal::because(ErrorCode::D504CO, connect::REFUSED), "Backend service connect failed `Connection refused`"),
            (
                Refusal::connect_timeout(([127, 0, 0, 1], 80).into()),
                "Backend service connect failed `Timeout connecting to 127.0.0.1:80`",
            ),
            (
                Refusal::with(ErrorCode::A403IS, b"GET#/a?k=\r\nSet-Cookie: x"),
                "Invalid Signature, Server StringToSign:`GET#/a?k=Set-Cookie: x`",
            ),
            (
                Refusal::named(ErrorCode::D504IL, "b.example", "127.0.0.1"),
                "Backend domain `b.example` resolve to illegal address `127.0.0.1`",
            ),
        ];
        for (refusal, expected) in cases {
            assert_eq!(message(&refusal), expected);
        }
    }

    #[test]
    fn a_long_echo_is_cut_between_characters() {
        let mut text = vec![b'a'; MAX_DETAIL_BYTES - 1];
        text.extend("é and more".as_bytes());
        let told = message(&Refusal { code: ErrorCode::A403IS, detail: Detail::Owned(text.into()) });
        assert!(told.ends_with("a`") && !told.contains('\u{FFFD}'));
        assert_eq!(told.len(), "Invalid Signature, Server StringToSign:``".len() + MAX_DETAIL_BYTES - 1);
    }

    #[test]
    fn framing_in_doubt_closes() {
        assert!(Refusal::from(HeadError::BadField("x")).closes());
        assert!(Refusal::from(HeadError::TooManyFields).closes());
        assert!(Refusal::from(HeadError::StartLineTooLong).closes());
        assert!(Refusal::from(ChunkError::Malformed("x")).closes());
        assert!(Refusal::from(ChunkError::TrailersTooLarge).closes());
        assert!(!Refusal::new(ErrorCode::I404NF).closes());
        assert!(!Refusal::new(ErrorCode::A403IS).closes());
    }
}

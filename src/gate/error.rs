//! The product's error codes: one table from a refusal to status, code and message.

use crate::http::chunked::ChunkError;
use crate::http::head::HeadError;

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
    /// A header or parameter and what is wrong with it.
    Named {
        name: &'static str,
        reason: &'static str,
    },
    /// Text made for this call (a signature echo, a domain): safe to stand in a field value.
    Owned(Box<[u8]>),
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $code:ident $status:literal $message:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $code,)* }
        impl ErrorCode {
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$code,)*];
            /// Six characters: kind, HTTP status, what happened.
            pub fn as_str(self) -> &'static str { match self { $(Self::$code => stringify!($code),)* } }
            pub fn status(self) -> u16 { match self { $(Self::$code => $status,)* } }
            /// The message, with `{}` where the detail goes.
            pub fn template(self) -> &'static str { match self { $(Self::$code => $message,)* } }
        }
    };
}
error_codes! {
    I400HD 400 "Invalid Header {}";
    I404DO 404 "Invalid Domain {}";
    I404NF 404 "API not found {}";
    // ... the whole table of the product
    I400PA 400 "Invalid Request Path `{}`";
    I400RU 400 "Invalid Request Uri `{}`";
    I400BD 400 "Invalid Body: {}";
    I400CT 400 "Invalid Content-Type: `{}`";
    A401AC 401 "Invalid AppCode {}";
    A400IK 400 "Invalid AppKey";
    A403IS 403 "Invalid Signature, Server StringToSign:`{}`";
    A400MA 400 "Need authorization, `X-Ca-Key` or `Authorization: APPCODE ...` is required";
    I400I5 400 "Invalid Content-MD5 {}";
    I400NC 400 "X-Ca-Nonce is required";
    S403NU 403 "Nonce Used";
    S403TE 403 "X-Ca-Timestamp is expired";
}

impl Refusal {
    pub fn new(code: ErrorCode) -> Self {
        Self { code, detail: Detail::None }
    }
    pub fn because(code: ErrorCode, reason: &'static str) -> Self {
        Self { code, detail: Detail::Text(reason) }
    }
}

impl From<HeadError> for Refusal {
    fn from(_error: HeadError) -> Self {
        todo!()
    }
}

impl From<ChunkError> for Refusal {
    fn from(_error: ChunkError) -> Self {
        todo!()
    }
}

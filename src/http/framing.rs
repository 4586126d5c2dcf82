//! Where a body ends (RFC 9112, section 6), and whether a connection goes on (section 9).

use super::head::{HeadError, RequestView, ResponseView};

/// How the length of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    None,
    /// `Content-Length`, at least 1.
    Exact(u64),
    Chunked,
    /// A response that ends where its connection does.
    UntilClose,
}

/// What the framing fields of a request say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFraming {
    pub body: BodyLength,
    /// The client allows another request after this one.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFraming {
    pub body: BodyLength,
    /// The backend allows another request on this connection.
    pub keep_alive: bool,
}

pub fn request_framing(_request: &RequestView<'_>) -> Result<RequestFraming, HeadError> {
    todo!()
}

/// `to_head`: the request was `HEAD`.
pub fn response_framing(_response: &ResponseView<'_>, _to_head: bool) -> Result<ResponseFraming, HeadError> {
    todo!()
}

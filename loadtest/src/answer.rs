//! What an answer must be, and whether it is.

use std::fmt;

use crate::mark::{self, Mark};
use crate::payload::Pattern;

const FIELDS: usize = 64;
const ERROR_CODE: &str = "X-Ca-Error-Code";

/// What each answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub status: u16,
    /// `X-Ca-Error-Code`, of the gateway's refusal.
    pub error_code: Option<String>,
    pub body_bytes: usize,
}

impl Expected {
    /// The backend's answer.
    pub fn answer(body_bytes: usize) -> Self {
        Self { status: 200, error_code: None, body_bytes }
    }

    /// The gateway's: a head alone.
    pub fn refusal(status: u16, error_code: &str) -> Self {
        Self { status, error_code: Some(error_code.to_owned()), body_bytes: 0 }
    }
}

/// The first thing that was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not HTTP, or a head with more fields than any peer sends.
    Head,
    /// Another status or error code; with the gateway's error code and message, when it sent them.
    Status(u16, String),
    /// `Content-Length` missing or not what the path asks for.
    Length(Option<usize>),
    /// Not of this request: of the one that it says.
    Mark(String),
    /// A byte of the body is not the backend's.
    Body,
    /// Bytes after the end of the answer, which nobody asked for.
    Excess,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("the answer's head is not HTTP/1.1"),
            Self::Status(status, error) => write!(f, "status {status} {error}"),
            Self::Length(Some(length)) => write!(f, "Content-Length {length}"),
            Self::Length(None) => f.write_str("no Content-Length"),
            Self::Mark(mark) => write!(f, "somebody else's answer: its mark is {mark:?}"),
            Self::Body => f.write_str("the body is not the backend's"),
            Self::Excess => f.write_str("bytes follow the answer"),
        }
    }
}

/// `mark`: the request's, which the backend gives back. Whether `received` is a whole good answer (`Ok(true)`), the beginning of one (`Ok(false)`), or neither.
/// A body is checked once, when all of it is there.
pub fn check(received: &[u8], expected: &Expected, mark: Option<&Mark>, pattern: &Pattern) -> Result<bool, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_bytes) = answer.parse(received).map_err(|_| Fault::Head)? else {
        return Ok(false);
    };
    let status = answer.code.unwrap_or(0);
    let error_code = expected.error_code.as_deref().map(str::as_bytes);
    if status != expected.status || error_code.is_some() && field(answer.headers, ERROR_CODE) != error_code {
        let text = |name| field(answer.headers, name).map(String::from_utf8_lossy).unwrap_or_default();
        return Err(Fault::Status(status, format!("{} {}", text(ERROR_CODE), text("X-Ca-Error-Message"))));
    }
    let body_bytes = expected.body_bytes;
    let length = field(answer.headers, "Content-Length");
    let length = length.and_then(|value| std::str::from_utf8(value).ok()?.parse::<usize>().ok());
    if length != Some(body_bytes) {
        return Err(Fault::Length(length));
    }
    let body = received.get(head_bytes..).unwrap_or_default();
    if body.len() < body_bytes {
        return Ok(false);
    }
    if body.len() > body_bytes {
        return Err(Fault::Excess);
    }
    // The gateway's own answers have none.
    let mark = mark.filter(|_| expected.error_code.is_none());
    let (said, from) = match mark {
        Some(_) if mark::is_in_body(body_bytes) => (body.get(..mark::BYTES), mark::BYTES),
        Some(_) => (field(answer.headers, mark::FIELD), 0),
        None => (None, 0),
    };
    if said != mark.map(|mark| &mark[..]) {
        return Err(Fault::Mark(String::from_utf8_lossy(said.unwrap_or_default()).into_owned()));
    }
    if pattern.matches(from, &body[from..]) { Ok(true) } else { Err(Fault::Body) }
}

fn field<'a>(fields: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(head: &str, body: &[u8]) -> Result<bool, Fault> {
        let mut bytes = head.as_bytes().to_vec();
        bytes.extend_from_slice(body);
        check(&bytes, &Expected::answer(128), None, &Pattern::new())
    }

    #[test]
    fn a_good_answer_is_whole_only_with_its_last_byte() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 128\r\n\r\n";
        let body = Pattern::new().body(128);
        assert_eq!(checked(head, &body), Ok(true));
        assert_eq!(checked(head, &body[..127]), Ok(false));
        assert_eq!(checked("HTTP/1.1 200 OK\r\ncontent-le", b""), Ok(false));
        assert_eq!(checked("", b""), Ok(false));
    }

    #[test]
    fn everything_else_is_a_fault() {
        let body = Pattern::new().body(129);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 128\r\n\r\n";
        assert_eq!(checked(head, &body), Err(Fault::Excess));
        assert_eq!(checked(head, &body[1..]), Err(Fault::Body));
        assert_eq!(checked("HTTP/1.1 200 OK\r\nContent-Length: 127\r\n\r\n", b""), Err(Fault::Length(Some(127))));
        assert_eq!(checked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b""), Err(Fault::Length(None)));
        assert_eq!(checked("SSH-2.0-x\r\n", b""), Err(Fault::Head));
        let refused = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nX-Ca-Error-Code: A403IS\r\nX-Ca-Error-Message: Invalid Signature\r\n\r\n";
        let fault = Fault::Status(400, "A403IS Invalid Signature".into());
        assert_eq!(checked(refused, b""), Err(fault.clone()));
        let against = |expected| check(refused.as_bytes(), &expected, Some(b"0000000000000001"), &Pattern::new());
        assert_eq!(against(Expected::refusal(400, "A403IS")), Ok(true));
        assert_eq!(against(Expected::refusal(400, "T429PA")), Err(fault.clone()));
        assert_eq!(against(Expected::refusal(403, "A403IS")), Err(fault));
    }

    #[test]
    fn an_answer_has_the_mark_of_its_request() {
        let (own, other) = (b"0000000000000001", b"0000000000000002");
        let marked = |mark: &Mark, body: usize| crate::backend::marked(mark, body);
        for body in [0, 15, 16, 128, 100_000] {
            let against = |answer: Vec<u8>| check(&answer, &Expected::answer(body), Some(own), &Pattern::new());
            assert_eq!(against(marked(own, body)), Ok(true), "{body}");
            let fault = Fault::Mark("0000000000000002".into());
            assert_eq!(against(marked(other, body)), Err(fault), "{body}");
        }
        assert_eq!(check(&marked(own, 128), &Expected::answer(128), None, &Pattern::new()), Err(Fault::Body));
    }
}

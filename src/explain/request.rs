//! A request as someone saved it or spelled it out: request line, headers, an empty line, body.

use std::net::IpAddr;

use crate::catalog::{Limits, Scheme};
use crate::gate::{Call, Refusal};
use crate::http::chunked::{Decoder, Output};
use crate::http::framing::{BodyLength, RequestFraming, request_framing};
use crate::http::head::{Parsed, RequestHead, RequestView, parse_request};
use crate::http::target::parse_target;

/// Read by the gateway's own rules, whole.
pub struct RawRequest {
    buffer: Vec<u8>,
    head: RequestHead,
    framing: RequestFraming,
    /// Without its framing.
    body: Vec<u8>,
}

/// From where and when a request comes.
#[derive(Clone, Copy)]
pub struct Circumstances {
    /// Of the listener.
    pub scheme: Scheme,
    pub peer: IpAddr,
    /// Unix time, in milliseconds.
    pub now_ms: u64,
}

/// Why there is nothing to decide.
#[derive(Debug)]
pub enum Unreadable {
    /// The gateway refuses it for its head.
    Refused(Refusal),
    /// It is not whole.
    Incomplete(String),
}

impl From<Refusal> for Unreadable {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl RawRequest {
    pub fn read(text: Vec<u8>, limits: &Limits) -> Result<Self, Unreadable> {
        let buffer = with_line_ends(text);
        let mut head = RequestHead::default();
        match parse_request(&buffer, 0, &limits.head, &mut head).map_err(Refusal::from)? {
            Parsed::Complete => {}
            Parsed::Partial => {
                return Err(Unreadable::Incomplete("the head of the request does not end: an empty line is missing".to_owned()));
            }
        }
        let view = RequestView { buffer: &buffer, head: &head };
        parse_target(view.method(), view.target()).map_err(Refusal::from)?;
        let framing = request_framing(&view).map_err(Refusal::from)?;
        let body = body(&buffer[head.len..], framing.body, limits).map_err(Unreadable::Incomplete)?;
        Ok(Self { buffer, head, framing, body })
    }

    pub fn view(&self) -> RequestView<'_> {
        RequestView { buffer: &self.buffer, head: &self.head }
    }

    /// The length of the body, as it came.
    pub fn framing(&self) -> BodyLength {
        self.framing.body
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// As the gate sees it; `with_body`: with what it asks for when a signature covers a form.
    pub fn call(&self, circumstances: Circumstances, with_body: bool) -> Result<Call<'_>, Refusal> {
        let request = self.view();
        Ok(Call {
            request,
            target: parse_target(request.method(), request.target())?,
            // Chunks have been counted by the time they have been read.
            body_bytes: if with_body { self.body.len() as u64 } else { self.framing.body.declared() },
            scheme: circumstances.scheme,
            peer: circumstances.peer,
            client: None,
            form: with_body.then_some(&*self.body),
            now_ms: circumstances.now_ms,
        })
    }
}

/// The content of the body, without its framing.
fn body(rest: &[u8], length: BodyLength, limits: &Limits) -> Result<Vec<u8>, String> {
    let mut body = rest.to_vec();
    match length {
        BodyLength::None => body.clear(),
        BodyLength::Exact(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if body.len() < length {
                return Err(format!("the body has {} bytes, but Content-Length says {length}", body.len()));
            }
            // An editor may have added a line end.
            body.truncate(length);
        }
        BodyLength::Chunked => {
            let step = Decoder::new().decode(&mut body, Output::Content, &limits.chunked);
            let step = step.map_err(|error| format!("the chunks of the body: {error:?}"))?;
            if !step.done {
                return Err("the chunked body does not end".to_owned());
            }
            body.truncate(step.output.end);
            body.drain(..step.output.start);
        }
        BodyLength::UntilClose => {}
    }
    Ok(body)
}

/// A head that was saved with bare line feeds gets the line ends that it was sent with.
fn with_line_ends(request: Vec<u8>) -> Vec<u8> {
    let first_line = request.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
    if first_line.ends_with(b"\r\n") {
        return request;
    }
    let mut restored = Vec::with_capacity(request.len() + 64);
    let mut lines = request.split_inclusive(|&byte| byte == b'\n');
    for line in lines.by_ref() {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        restored.extend_from_slice(text);
        restored.extend_from_slice(b"\r\n");
        if text.is_empty() {
            break;
        }
    }
    lines.for_each(|line| restored.extend_from_slice(line));
    restored
}

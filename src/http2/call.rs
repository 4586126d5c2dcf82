//! One stream of a connection to a backend, as a connection of its own: the request is sent to it, and the answer received
//! from it, as HTTP/1.1 would spell them.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, Request, Response, StatusCode};

use super::failure;
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::request::comes_in_chunks;
use super::response::Values;
use crate::http::field::FieldId;
use crate::http::framing::{BodyLength, request_framing};
use crate::http::head::{HeadLimits, MAX_FIELDS, Parsed, RequestHead, RequestView, parse_request};
use crate::http::serialise::reason;
use crate::net::Block;
use crate::net::secure::Secure;
use crate::net::stream::Lane;
use crate::sys::{Direction, Peeked};

/// Heads that the gateway has written.
const HEADS: HeadLimits =
    HeadLimits { start_line_bytes: 64 * 1024 - 2, head_bytes: HeadLimits::MOST_HEAD_BYTES, fields: MAX_FIELDS };

/// A call; `G` is given back with it.
pub struct Call<G> {
    request: RefCell<Sending>,
    answer: RefCell<Answer>,
    https: bool,
    task: Cell<Option<Waker>>,
    shut: Cell<bool>,
    /// Why the request could not be sent.
    unsent: Cell<Option<io::ErrorKind>>,
    _guard: G,
}

enum Sending {
    Due(SendRequest<Bytes>),
    Body(Outgoing),
}

enum Answer {
    /// The request has not been sent.
    Nothing,
    /// The request was `HEAD`, or not.
    Awaited(ResponseFuture, bool),
    Body(Incoming),
}

impl<G> Call<G> {
    /// `send` has room for a stream. `https`: what the connection is.
    pub fn new(send: SendRequest<Bytes>, https: bool, guard: G) -> Rc<Self> {
        Rc::new(Self {
            request: RefCell::new(Sending::Due(send)),
            answer: RefCell::new(Answer::Nothing),
            https,
            task: Cell::default(),
            shut: Cell::new(false),
            unsent: Cell::default(),
            _guard: guard,
        })
    }

    fn wait<T>(&self, context: &Context<'_>, poll: Poll<T>) -> Poll<T> {
        if poll.is_pending() {
            self.task.set(Some(context.waker().clone()));
        }
        poll
    }

    async fn send_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let at = self.send_head(bytes)?;
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty());
        let Some(rest) = rest else { return Ok(()) };
        // What has been sent may have to be sent again, and stays as it is.
        let coded = matches!(&*self.request.borrow(), Sending::Body(outgoing) if outgoing.is_coded());
        let mut own = if coded { rest.to_vec() } else { Vec::new() };
        let mut part = match &mut *self.request.borrow_mut() {
            Sending::Body(outgoing) if coded => outgoing.take(&mut own)?,
            Sending::Body(outgoing) => outgoing.take_plain(rest.len()),
            Sending::Due(_) => return Err(io::ErrorKind::InvalidData.into()),
        };
        let content = if coded { &own[..] } else { rest };
        poll_fn(|context| {
            let sent = match &mut *self.request.borrow_mut() {
                Sending::Body(outgoing) if !self.shut.get() => outgoing.poll_send(context, content, &mut part),
                _ => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            };
            self.wait(context, sent)
        })
        .await
    }

    /// Sends the head that the bytes begin with, where it is due; returns its length.
    fn send_head(&self, bytes: &[u8]) -> io::Result<usize> {
        let sending = &mut *self.request.borrow_mut();
        let Sending::Due(send) = sending else { return Ok(0) };
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let mut head = Box::<RequestHead>::default();
        if parse_request(bytes, 0, &HEADS, &mut head) != Ok(Parsed::Complete) {
            return Err(invalid());
        }
        let view = RequestView { buffer: bytes, head: &head };
        let body = request_framing(&view).map_err(|_| invalid())?.body;
        let request = request(&view, self.https).ok_or_else(invalid)?;
        let to_head = request.method() == Method::HEAD;
        let (answer, stream) = send.send_request(request, body == BodyLength::None).map_err(failure)?;
        *sending = Sending::Body(Outgoing::new(stream, body));
        self.answer.replace(Answer::Awaited(answer, to_head));
        self.task.take().into_iter().for_each(Waker::wake);
        Ok(head.len)
    }

    fn poll_receive(&self, context: &mut Context<'_>, block: &mut Block) -> Poll<io::Result<usize>> {
        let answer = &mut *self.answer.borrow_mut();
        if let Answer::Awaited(awaited, to_head) = answer {
            if let Poll::Ready(Some(Ok(interim))) = awaited.poll_informational(context) {
                let head = spell(&interim, false, &[b"\r\n"]);
                if block.append(&head) {
                    return Poll::Ready(Ok(head.len()));
                }
            }
            let (response, body) = ready!(Pin::new(awaited).poll(context)).map_err(failure)?.into_parts();
            let response = Response::from_parts(response, ());
            let has_length = response.headers().contains_key(CONTENT_LENGTH);
            let bare = *to_head || matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
            let chunked = !bare && comes_in_chunks(response.headers(), body.is_end_stream());
            let framing: &[u8] = match chunked {
                true => b"transfer-encoding: chunked\r\n",
                false if has_length || bare => b"",
                false => b"content-length: 0\r\n",
            };
            *answer = Answer::Body(Incoming::behind(spell(&response, chunked, &[framing, b"\r\n"]), body, chunked));
        }
        match answer {
            Answer::Body(incoming) => incoming.poll_read(context, block),
            Answer::Awaited(..) | Answer::Nothing => Poll::Pending,
        }
    }
}

impl<G> Lane for Call<G> {
    fn recv(&self, mut block: Block) -> Pin<Box<dyn Future<Output = (io::Result<usize>, Block)> + '_>> {
        Box::pin(async move {
            let received = poll_fn(|context| {
                let received = match (self.shut.get(), self.unsent.get()) {
                    (true, _) => Poll::Ready(Ok(0)),
                    (false, Some(kind)) => Poll::Ready(Err(kind.into())),
                    (false, None) => self.poll_receive(context, &mut block),
                };
                self.wait(context, received)
            })
            .await;
            (received, block)
        })
    }

    fn send(&self, block: Block) -> Pin<Box<dyn Future<Output = (io::Result<()>, Block)> + '_>> {
        Box::pin(async move {
            let sent = self.send_bytes(block.filled()).await;
            if let (Err(error), Answer::Nothing) = (&sent, &*self.answer.borrow()) {
                self.unsent.set(Some(error.kind()));
            }
            (sent, block)
        })
    }

    fn poll_stirred(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn peek(&self) -> Peeked {
        Peeked::Nothing
    }

    fn shutdown(&self, _: Direction) {
        self.shut.set(true);
        self.task.take().into_iter().for_each(Waker::wake);
    }

    /// What is not whole is reset when the call is dropped.
    fn break_off(&self) {}

    fn session(&self) -> Option<&Rc<Secure>> {
        None
    }
}

/// The request of this head (RFC 9113, section 8.3.1); `None`: it has something that no stream may have.
fn request(view: &RequestView<'_>, https: bool) -> Option<Request<()>> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if https { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(Authority::try_from(view.field(FieldId::Host)?).ok()?);
    parts.path_and_query = Some(PathAndQuery::try_from(view.target()).ok()?);
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.method_mut() = Method::from_bytes(view.method()).ok()?;
    let fields = request.headers_mut();
    fields.reserve(view.head.fields.len());
    let values = Values::of(view.buffer, view.head.len);
    for field in view.head.fields.iter() {
        if !field.id.is_hop_by_hop() && !matches!(field.id, FieldId::Host | FieldId::TransferEncoding) {
            let name = HeaderName::from_bytes(field.name.of(view.buffer)).ok()?;
            fields.try_append(name, values.value(field)?).ok()?;
        }
    }
    // The gateway takes them, whoever has asked; gRPC wants it said.
    fields.insert(TE, HeaderValue::from_static("trailers"));
    Some(request)
}

/// The head of an answer, and what ends it. `chunked`: its length is not said.
fn spell(response: &Response<()>, chunked: bool, end: &[&[u8]]) -> Vec<u8> {
    let status = response.status().as_u16();
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status)).into_bytes();
    for (name, value) in response.headers().iter().filter(|(name, _)| !chunked || *name != CONTENT_LENGTH) {
        [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].iter().for_each(|part| head.extend_from_slice(part));
    }
    end.iter().for_each(|part| head.extend_from_slice(part));
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_loses_what_is_about_its_connection() {
        let bytes = b"POST /a?b=%20 HTTP/1.1\r\nHost: h:81\r\nTE: gzip\r\nConnection: upgrade\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n";
        let mut head = RequestHead::default();
        assert_eq!(parse_request(bytes, 0, &HEADS, &mut head), Ok(Parsed::Complete));
        let request = request(&RequestView { buffer: bytes, head: &head }, true).unwrap();
        assert_eq!(request.uri(), "https://h:81/a?b=%20");
        let fields: Vec<_> = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(fields, [("x-a", &b"1"[..]), ("te", b"trailers")]);
    }

    #[test]
    fn an_answer_is_spelled() {
        let response = Response::builder().status(418).header("a", "1").header("a", "2").body(()).unwrap();
        assert_eq!(spell(&response, false, &[b"\r\n"]), b"HTTP/1.1 418 \r\na: 1\r\na: 2\r\n\r\n");
    }
}

//! One stream of a client's connection, as a connection of its own. Its future moves no bytes of the kernel's: a wait on
//! it may be left at any time.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::response::response;
use crate::http::framing::{BodyLength, response_framing};
use crate::http::head::{HeadLimits, MAX_FIELDS, Parsed, ResponseHead, ResponseView, parse_response};
use crate::net::Block;
use crate::net::secure::Secure;
use crate::net::stream;
use crate::sys::{Direction, Peeked};

/// Heads that the gateway has written.
const HEADS: HeadLimits = HeadLimits { start_line_bytes: 32 * 1024, head_bytes: HeadLimits::MOST_HEAD_BYTES, fields: MAX_FIELDS };

pub struct Lane {
    incoming: RefCell<Incoming>,
    answer: RefCell<Answer>,
    /// The request was `HEAD`.
    to_head: bool,
    session: Option<Rc<Secure>>,
    task: Cell<Option<Waker>>,
    /// Nothing more is to be received, or sent.
    shut: Cell<[bool; 2]>,
    /// The client has given the stream up.
    given_up: Cell<bool>,
}

enum Answer {
    /// The final head has not been sent.
    Due(SendResponse<Bytes>),
    Body(Outgoing),
}

impl Lane {
    /// `chunked`: the head of the request says so.
    pub fn new(
        body: RecvStream,
        chunked: bool,
        respond: SendResponse<Bytes>,
        to_head: bool,
        session: Option<Rc<Secure>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            incoming: RefCell::new(Incoming::new(body, chunked)),
            answer: RefCell::new(Answer::Due(respond)),
            to_head,
            session,
            task: Cell::default(),
            shut: Cell::default(),
            given_up: Cell::new(false),
        })
    }

    /// No more will be sent. A client that has not got all of its answer is told so.
    pub fn finish(&self) {
        let whole = matches!(&*self.answer.borrow(), Answer::Body(outgoing) if outgoing.is_whole());
        if !whole && !self.given_up.get() {
            self.reset(Reason::INTERNAL_ERROR);
        }
    }

    /// Ends the stream for this reason.
    pub fn reset(&self, reason: Reason) {
        match &mut *self.answer.borrow_mut() {
            Answer::Due(respond) => respond.send_reset(reason),
            Answer::Body(outgoing) => outgoing.stream.send_reset(reason),
        }
    }

    /// Who waits is found here by whoever ends the wait.
    fn wait<T>(&self, context: &Context<'_>, poll: Poll<T>) -> Poll<T> {
        if poll.is_pending() {
            self.task.set(Some(context.waker().clone()));
        }
        poll
    }

    async fn send_bytes(&self, bytes: &mut [u8]) -> io::Result<()> {
        let mut at = self.send_heads(bytes)?;
        while at < bytes.len() {
            let rest = &mut bytes[at..];
            let mut part = match &mut *self.answer.borrow_mut() {
                Answer::Body(outgoing) => outgoing.take(rest)?,
                Answer::Due(_) => return Err(io::ErrorKind::InvalidData.into()),
            };
            poll_fn(|context| {
                let [_, shut] = self.shut.get();
                let sent = match &mut *self.answer.borrow_mut() {
                    Answer::Body(outgoing) if !shut => outgoing.poll_send(context, rest, &mut part),
                    _ => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                };
                self.wait(context, sent)
            })
            .await?;
            at = bytes.len();
        }
        Ok(())
    }

    /// Sends the heads that the bytes begin with; returns how much of them that was.
    fn send_heads(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut at = 0;
        let answer = &mut *self.answer.borrow_mut();
        let mut head: Option<Box<ResponseHead>> = None;
        while let Answer::Due(respond) = answer
            && at < bytes.len()
        {
            let head = head.get_or_insert_default();
            let buffer = &bytes[at..];
            if parse_response(buffer, 0, &HEADS, head) != Ok(Parsed::Complete) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let view = ResponseView { buffer, head };
            let fields = response(&view).ok_or(io::ErrorKind::InvalidData)?;
            at += head.len;
            if head.status < 200 {
                respond.send_informational(fields).map_err(io::Error::other)?;
                continue;
            }
            let framing = response_framing(&view, self.to_head).map_err(|_| io::ErrorKind::InvalidData)?;
            let stream = respond.send_response(fields, framing.body == BodyLength::None).map_err(io::Error::other)?;
            *answer = Answer::Body(Outgoing::new(stream, framing.body));
        }
        Ok(at)
    }
}

impl stream::Lane for Lane {
    fn recv(&self, mut block: Block) -> Pin<Box<dyn Future<Output = (io::Result<usize>, Block)> + '_>> {
        Box::pin(async move {
            let received = poll_fn(|context| {
                let [shut, _] = self.shut.get();
                let read = if shut { Poll::Ready(Ok(0)) } else { self.incoming.borrow_mut().poll_read(context, &mut block) };
                self.wait(context, read)
            })
            .await;
            (received, block)
        })
    }

    fn send(&self, mut block: Block) -> Pin<Box<dyn Future<Output = (io::Result<()>, Block)> + '_>> {
        Box::pin(async move {
            let sent = self.send_bytes(block.filled_mut()).await;
            (sent, block)
        })
    }

    fn poll_stirred(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.given_up.get() {
            return Poll::Ready(());
        }
        let reset = match &mut *self.answer.borrow_mut() {
            Answer::Due(respond) => respond.poll_reset(context),
            Answer::Body(outgoing) if !outgoing.is_whole() => outgoing.stream.poll_reset(context),
            Answer::Body(_) => Poll::Pending,
        };
        self.given_up.set(reset.is_ready());
        self.wait(context, reset).map(drop)
    }

    fn peek(&self) -> Peeked {
        if self.given_up.get() { Peeked::Broken } else { Peeked::Nothing }
    }

    fn shutdown(&self, direction: Direction) {
        let [read, write] = self.shut.get();
        self.shut.set([read || direction != Direction::Write, write || direction != Direction::Read]);
        self.task.take().into_iter().for_each(Waker::wake);
    }

    fn break_off(&self) {
        self.reset(Reason::INTERNAL_ERROR);
    }

    fn session(&self) -> Option<&Rc<Secure>> {
        self.session.as_ref()
    }
}

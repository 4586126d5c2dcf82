//! The client's side of an exchange: its request goes to the backend, then it is watched until its answer is there.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::connection::Connection;
use super::failure::Failure;
use super::pace::Pace;
use super::request::Request;
use super::story::Story;
use super::transfer::{Passed, Transfer};
use crate::catalog::ApiId;
use crate::catalog::limits::Limits;
use crate::gate::map::method_to_backend;
use crate::gate::{ErrorCode, Forward, Refusal};
use crate::http::chunked::ChunkLimits;
use crate::http::head::Version;
use crate::net::deadline::HALF_CLOSE_PROBE;
use crate::net::order::sends;
use crate::net::{Block, Ready, Stream, Wait};
use crate::observe::record::Ended;
use crate::sys::Peeked;

/// Room kept free before what is received, and behind a head, for the size line of a chunk.
pub const HEADROOM: usize = 32;

/// A request on its way to a backend.
pub struct Outgoing {
    head: Option<Block>,
    /// What has been received of the body with the head; `output` is in the request's block.
    first: Passed,
    /// What is still to come.
    transfer: Transfer,
    check: Option<BodyCheck>,
    content: u64,
    content_limit: u64,
    timeout: Duration,
    /// The method that the backend sees is `HEAD`.
    asks_head: bool,
    idempotent: bool,
    upgrade: Option<(ApiId, usize)>,
}

/// `Content-MD5`: the end of a body is held back until its digest agrees.
struct BodyCheck {
    expected: [u8; 16],
    digest: Md5,
}

pub struct ClientSide {
    /// Bytes of the next request, when they came in a buffer of their own.
    pub received: Option<Block>,
}

impl Outgoing {
    pub fn new(request: &mut Request, forward: &Forward, timeout: Duration) -> Result<Self, Refusal> {
        let (transfer, mut first) = request.first_part(forward.body_md5.is_some())?;
        let mut check = forward.body_md5.map(|expected| BodyCheck { expected, digest: Md5::new() });
        let content_limit = request.tables.catalog.body_bytes(forward.api);
        if first.content > content_limit {
            return Err(Refusal::new(ErrorCode::I413RL));
        }
        if let Some(check) = &mut check {
            check.digest.update(&request.block.filled()[first.output.clone()]);
            if first.ended {
                check.agree()?;
            }
        }
        if first.ended {
            request.append_tail(&mut first, &transfer);
        }
        let view = request.view();
        let method = method_to_backend(&view, forward, &request.tables);
        let asks_head = method == b"HEAD";
        let idempotent = matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE");
        let content = first.content;
        let upgrade = forward.upgrade.map(|place| (forward.api, place));
        Ok(Self { head: None, first, transfer, check, content, content_limit, timeout, asks_head, idempotent, upgrade })
    }

    pub fn set_head(&mut self, head: Block) {
        self.head = Some(head);
    }

    /// All of the body has been received.
    pub fn is_whole(&self) -> bool {
        self.first.ended
    }

    /// The request may be sent a second time: it says so by its method (RFC 9110, section 9.2.2), and all of it is here.
    pub fn can_be_repeated(&self) -> bool {
        self.idempotent && self.is_whole()
    }

    /// Its answer has no body, whatever the head says.
    pub fn asks_head(&self) -> bool {
        self.asks_head
    }

    /// The protocol that the backend may switch to.
    pub fn upgrade(&self) -> Option<(ApiId, usize)> {
        self.upgrade
    }

    /// Takes what one receive delivered. The end of the body is refused where it is not what it should be, and then
    /// never sent.
    fn take(&mut self, block: &mut Block, limits: &ChunkLimits) -> Result<Passed, Refusal> {
        let passed = self.transfer.pass(block.filled_mut(), limits)?;
        self.content += passed.content;
        if self.content > self.content_limit {
            return Err(Refusal::new(ErrorCode::I413RL));
        }
        if let Some(check) = &mut self.check {
            check.digest.update(&block.filled()[passed.output.clone()]);
            if passed.ended {
                check.agree()?;
            }
        }
        Ok(passed)
    }

    /// Its head, where it has not gone out.
    pub fn give_back(&mut self, c: &Connection) {
        if let Some(head) = self.head.take() {
            c.core.blocks.put(head);
        }
    }
}

impl BodyCheck {
    fn agree(&mut self) -> Result<(), Refusal> {
        let digest: [u8; 16] = self.digest.finalize_reset().into();
        if bool::from(digest.ct_eq(&self.expected)) {
            return Ok(());
        }
        Err(Refusal::because(ErrorCode::I400I5, "it is not the digest of the body"))
    }
}

/// Sends the request, then watches the client until the exchange is over.
pub async fn client_side(
    c: &Connection,
    ready: Pin<&mut dyn Ready>,
    request: &mut Request,
    outgoing: &mut Outgoing,
    backend: &Stream,
    request_sent: &Cell<bool>,
    story: &Story,
) -> Result<ClientSide, Failure> {
    let mut received = None;
    // A backend that stops taking its request may have answered it: the other side will see.
    let mut taken = send_first_part(c, request, outgoing, backend).await.is_ok();
    story.forwarded(c);
    if taken && !outgoing.is_whole() {
        (taken, received) = pump(c, &request.tables.catalog.limits, outgoing, backend, story).await?;
    }
    request_sent.set(taken);
    if !story.has_answer() {
        c.watch.from_backend.arm(Wait::FirstByte, c.core.clock.coarse_ms(), outgoing.timeout);
    }
    // Where the backend's side has given up already, nobody waits for the client.
    if taken && received.is_none() && !request.has_another() && !c.watch.is_over() {
        watch_client(c, ready, request, story).await?;
    }
    Ok(ClientSide { received })
}

/// Sends the head and what has been received of the body with it.
async fn send_first_part(c: &Connection, request: &mut Request, outgoing: &mut Outgoing, backend: &Stream) -> io::Result<()> {
    let Some(mut head) = outgoing.head.take() else { return Ok(()) };
    head.append(outgoing.first.prefix.as_bytes());
    c.watch.to_backend.arm(Wait::Forward, c.core.clock.coarse_ms(), outgoing.timeout);
    let result = if outgoing.first.output.is_empty() {
        let (result, back) = sends(backend.send(head)).await;
        head = back;
        result
    } else {
        let mut body = std::mem::replace(&mut request.block, Block::with_room(0));
        let whole = body.window(outgoing.first.output.clone());
        let (result, back, mut body) = sends(backend.send_two(head, body)).await;
        head = back;
        body.restore(whole);
        request.block = body;
        result
    };
    c.watch.to_backend.clear();
    c.core.blocks.put(head);
    result
}

/// Passes on the rest of the body as it comes. False: the backend has stopped taking it, or is done with it. Bytes
/// behind the body are the next request's.
async fn pump(
    c: &Connection,
    limits: &Limits,
    outgoing: &mut Outgoing,
    backend: &Stream,
    story: &Story,
) -> Result<(bool, Option<Block>), Failure> {
    let now_ms = || c.core.clock.coarse_ms();
    let mut block = c.core.blocks.small();
    let mut pace = Pace::default();
    loop {
        if c.watch.is_over() {
            c.core.blocks.put(block);
            return Ok((false, None));
        }
        block = c.core.blocks.grown(block);
        block.clear(HEADROOM);
        let began_ms = now_ms();
        c.watch.from_client.arm(Wait::Body, began_ms, pace.allows(limits.body_timeout, limits.body_rate));
        let (result, back) = c.stream.recv(block).await;
        block = back;
        c.watch.from_client.clear();
        match result {
            Ok(n) if n > 0 => {
                pace.note(now_ms() - began_ms, n);
                story.received(n);
            }
            _ if c.watch.from_client.expired() == Wait::Body => {
                return Err(Refusal::because(ErrorCode::I400BD, "it took too long").into());
            }
            _ => return Err(Failure::End(Ended::ClientGone)),
        }
        let passed = outgoing.take(&mut block, &limits.chunked)?;
        let received = passed.ended.then(|| c.core.blocks.split_off(&mut block, passed.consumed)).flatten();
        block.narrow(passed.output);
        block.prepend(passed.prefix.as_bytes());
        if passed.ended {
            block = c.core.blocks.append_all(block, outgoing.transfer.tail());
        }
        let mut sent = Ok(());
        if !block.is_empty() {
            (sent, block) = send(c, backend, block, outgoing.timeout).await;
        }
        if sent.is_err() || passed.ended {
            c.core.blocks.put(block);
            return Ok((sent.is_ok(), received));
        }
    }
}

async fn send(c: &Connection, backend: &Stream, block: Block, timeout: Duration) -> (io::Result<()>, Block) {
    c.watch.to_backend.arm(Wait::Forward, c.core.clock.coarse_ms(), timeout);
    let sent = backend.send(block).await;
    c.watch.to_backend.clear();
    sent
}

/// Waits until the client sends more, or leaves. One that ended its side may still want its answer.
async fn watch_client(c: &Connection, mut ready: Pin<&mut dyn Ready>, request: &Request, story: &Story) -> Result<(), Failure> {
    loop {
        poll_fn(|context| c.stirs(ready.as_mut(), context)).await;
        match c.stream.peek() {
            Peeked::Nothing => {}
            Peeked::Broken => {
                c.watch.client_gone.set(true);
                return Err(Failure::End(Ended::ClientGone));
            }
            Peeked::End if request.head.version == Version::Http11 && !story.has_answer() => {
                c.watch.from_client.arm(Wait::HalfClosed, c.core.clock.coarse_ms(), HALF_CLOSE_PROBE);
                return Ok(());
            }
            Peeked::End | Peeked::Bytes => return Ok(()),
        }
    }
}

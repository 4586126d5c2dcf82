//! The backend's side of an exchange: its answer is read, given a head of ours, and relayed.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use super::connection::Connection;
use super::core::Running;
use super::failure::{AttemptFailure, Failure, ended_within_answer};
use super::forward::Outgoing;
use super::request::Request;
use super::request_id::RequestId;
use super::response_head::{Ours, write_head, write_interim, write_switch};
use super::splice::{self, splice};
use super::story::Story;
use super::transfer::Transfer;
use crate::catalog::ApiId;
use crate::gate::{ErrorCode, Refusal};
use crate::http::chunked::ChunkLimits;
use crate::http::connection::switches_to;
use crate::http::framing::{BodyLength, response_framing};
use crate::http::head::{Parsed, ResponseHead, ResponseView, Version, parse_response};
use crate::http::serialise::HeadWriter;
use crate::net::order::{Early, receives};
use crate::net::{Block, Blocks, Stream, Wait};
use crate::observe::record::Ended;
use crate::upstream::pool::Trust;

/// Room kept free before what a backend sends: a head of ours takes the place of its head, and a size line goes before
/// a chunk. No head of ours is longer than the backend's by more than this.
const HEADROOM: usize = 1024;

/// What relaying an answer needs to know of the request.
pub struct Answer<'a> {
    pub(super) c: &'a Connection,
    pub(super) backend: &'a Stream,
    request_sent: &'a Cell<bool>,
    early: &'a Early,
    pub(super) story: &'a Story,
    pub(super) tables: Rc<Running>,
    id: RequestId,
    /// The client's request was `HEAD`.
    to_head: bool,
    /// The backend's was.
    asked_head: bool,
    version: Version,
    keep_alive: bool,
    /// The protocol that the backend may switch to: an API, and the place among its protocols.
    upgrade: Option<(ApiId, usize)>,
}

pub struct Relayed {
    /// The backend has switched to another protocol: the connections are no longer for requests.
    pub switched: bool,
    /// The whole answer was read, nothing followed it, and the backend allows another request.
    pub backend_reusable: Option<Trust>,
    /// The client may send another request.
    pub client_reusable: bool,
}

impl<'a> Answer<'a> {
    pub fn new(
        c: &'a Connection,
        request: &Request,
        outgoing: &Outgoing,
        backend: &'a Stream,
        request_sent: &'a Cell<bool>,
        early: &'a Early,
        story: &'a Story,
    ) -> Self {
        let (version, keep_alive) = (request.head.version, request.framing.keep_alive);
        let to_head = request.view().method() == b"HEAD";
        let (tables, asked_head, upgrade) = (request.tables.clone(), outgoing.asks_head(), outgoing.upgrade());
        let id = request.id;
        Self { c, backend, request_sent, early, story, tables, id, to_head, asked_head, version, keep_alive, upgrade }
    }

    /// The answer breaks off. A client that would take the end of its connection for the end of the body is sent a reset.
    fn broken(&self, ended: Ended) -> Failure {
        self.c.stream.reset_on_close();
        Failure::End(ended)
    }

    /// The same, where the backend stopped sending.
    pub(super) fn broken_off(&self) -> Failure {
        self.broken(ended_within_answer(&self.c.watch))
    }

    /// More of the answer is being waited for.
    pub(super) fn await_more(&self) {
        let timeout = self.tables.catalog.limits.answer_timeout;
        self.c.watch.from_backend.arm(Wait::Answer, self.c.core.clock.coarse_ms(), timeout);
    }

    /// The kernel may move the rest of the body: it is large, nobody looks at it, and nothing else is under way on the sockets.
    fn may_splice(&self, left: u64) -> bool {
        left >= splice::LEAST_BYTES && self.request_sent.get() && self.backend.is_bare() && self.c.stream.is_bare()
    }

    /// What sending a block to the client has come to: it comes back with the same bytes in use.
    fn sent(&self, (result, block): (io::Result<()>, Block)) -> Result<Block, Failure> {
        match result {
            Ok(()) => {
                self.story.sent(block.len());
                Ok(block)
            }
            Err(_) => {
                self.c.core.blocks.put(block);
                Err(Failure::of_client(&self.c.watch))
            }
        }
    }
}

/// Relays one answer, from the backend's first byte to the client's last.
pub async fn relay(a: &Answer<'_>) -> Result<Relayed, AttemptFailure> {
    let (plan, block) = read_head(a).await?;
    match plan {
        Some(plan) => Ok(relay_body(a, plan, block).await?),
        None => {
            let sent = a.sent(a.c.send(block).await)?;
            a.c.core.blocks.put(sent);
            Ok(Relayed { switched: true, backend_reusable: None, client_reusable: false })
        }
    }
}

/// How an answer goes out, once its head and what came with it have been read.
struct Plan {
    transfer: Transfer,
    /// All of the body is in the block, with what ends it.
    ended: bool,
    /// The backend sent bytes that no request asked for.
    surplus: bool,
    backend_keep_alive: bool,
    trust: Trust,
    client_keep_alive: bool,
}

/// Reads heads until the final one. The block returned holds the client's head and what has come of the body. Without a
/// plan the backend has switched to another protocol.
async fn read_head(a: &Answer<'_>) -> Result<(Option<Plan>, Block), AttemptFailure> {
    let mut block = a.c.core.blocks.small();
    block.clear(HEADROOM);
    let mut scanned = 0;
    let mut silent = true;
    loop {
        let (result, back) = receives(a.backend.recv(block)).await;
        block = back;
        if silent && a.early.came() && !a.c.watch.is_over() {
            a.c.core.blocks.put(block);
            return Err(AttemptFailure::stale());
        }
        if !matches!(result, Ok(n) if n > 0) {
            let error = result.err();
            let failure = Failure::before_answer(&a.c.watch, error.as_ref(), silent);
            let refused = error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
            return Err(AttemptFailure { failure, unanswered: silent && !a.c.watch.is_over(), refused });
        }
        silent = false;
        // Several interim heads may have come at once.
        while !block.is_empty() {
            match read_one(a, &mut block, scanned).map_err(Failure::Tell)? {
                Head::Final(plan) => return Ok((Some(plan), block)),
                Head::Switch => return Ok((None, block)),
                Head::Interim(copy) => {
                    scanned = 0;
                    if let Some(interim) = copy {
                        let sent = a.sent(a.c.send(interim).await)?;
                        a.c.core.blocks.put(sent);
                    }
                }
                Head::Partial => {
                    scanned = block.len();
                    break;
                }
            }
        }
        if block.is_empty() {
            block.clear(HEADROOM);
        }
        if block.room() == 0 {
            block = a.c.core.blocks.with_room(block, HEADROOM);
        }
    }
}

enum Head {
    Partial,
    /// An interim answer, and its copy for a client that may be sent it.
    Interim(Option<Block>),
    Final(Plan),
    /// The backend has switched to the protocol that the client asked for.
    Switch,
}

/// Looks for one head at the start of the block and takes it off; a final one is replaced by the client's.
fn read_one(a: &Answer<'_>, block: &mut Block, scanned: usize) -> Result<Head, Refusal> {
    let limits = &a.tables.catalog.limits;
    let head = &mut *a.c.core.response_head.borrow_mut();
    match parse_response(block.filled(), scanned, &limits.head, head).map_err(malformed)? {
        Parsed::Partial => return Ok(Head::Partial),
        Parsed::Complete => {}
    }
    if head.status < 200 {
        return read_interim(a, block, head);
    }
    let view = ResponseView { buffer: block.filled(), head };
    let framing = response_framing(&view, a.asked_head).map_err(malformed)?;
    // A client that asked for the head alone gets it alone; a body that comes all the same ends its connection.
    let unwanted = a.to_head && framing.body != BodyLength::None;
    let body = if unwanted { BodyLength::None } else { framing.body };
    let mut transfer = Transfer::new(body, a.version == Version::Http11);
    // A body that ends with the connection leaves none to keep; a request not all read leaves no place for another.
    let ends_with_connection = matches!(transfer, Transfer::Raw | Transfer::Content(_));
    let client_keep_alive = a.keep_alive && a.request_sent.get() && !ends_with_connection && a.c.may_go_on();

    a.story.answered(a.c, head.status);
    a.c.watch.answer_begins();
    let ours = Ours {
        to_head: a.to_head,
        version: a.version,
        keep_alive: client_keep_alive,
        request_id: &a.id,
        date: &a.c.core.clock.date(),
        latencies: a.story.debug.get().then(|| a.story.latencies(a.c)),
        told: a.story.told.get(),
    };
    let buffer = &mut a.c.core.head_buffer.borrow_mut()[..];
    let mut writer = HeadWriter::new(&mut *buffer);
    write_head(&view, body, &ours, &mut writer);
    let len = writer.finish().ok_or_else(too_large)?;

    // Some send a body where there must be none; it may only be on its way.
    let trust = if a.asked_head || head.status == 304 { Trust::Look } else { Trust::Clean };
    block.advance(head.len);
    let (ended, surplus) = pass(&a.c.core.blocks, &mut transfer, block, &limits.chunked)?;
    if !block.prepend(&buffer[..len]) {
        return Err(too_large());
    }
    let backend_keep_alive = framing.keep_alive && !unwanted;
    Ok(Head::Final(Plan { transfer, ended, surplus, backend_keep_alive, trust, client_keep_alive }))
}

fn read_interim(a: &Answer<'_>, block: &mut Block, head: &ResponseHead) -> Result<Head, Refusal> {
    if head.status == 101 {
        return read_switch(a, block, head);
    }
    // `100 Continue` is between the backend and us; an HTTP/1.0 client knows no interim answers (RFC 9110, section 15.2).
    let mut copy = None;
    if head.status != 100 && a.version == Version::Http11 {
        let mut interim = a.c.core.blocks.small();
        let view = ResponseView { buffer: block.filled(), head };
        if interim.fill_with(|room| {
            let mut writer = HeadWriter::new(room);
            write_interim(&view, &mut writer);
            writer.finish()
        }) {
            copy = Some(interim);
        }
    }
    block.advance(head.len);
    Ok(Head::Interim(copy))
}

/// Only to the protocol that the client asked for, once it has been asked.
fn read_switch(a: &Answer<'_>, block: &mut Block, head: &ResponseHead) -> Result<Head, Refusal> {
    let view = ResponseView { buffer: block.filled(), head };
    let asked = a.upgrade.and_then(|(api, place)| a.tables.catalog.apis[api.index()].upgrades.get(place));
    let Some(protocol) = asked.filter(|asked| a.request_sent.get() && switches_to(&view, asked.as_bytes())) else {
        return Err(Refusal::because(ErrorCode::N502RE, "the backend switched protocols unasked"));
    };
    a.story.answered(a.c, head.status);
    a.c.watch.answer_begins();
    let buffer = &mut a.c.core.head_buffer.borrow_mut()[..];
    let mut writer = HeadWriter::new(&mut *buffer);
    write_switch(&view, protocol, &a.id, a.story.told.get(), &mut writer);
    let len = writer.finish().ok_or_else(too_large)?;
    block.advance(head.len);
    if block.prepend(&buffer[..len]) { Ok(Head::Switch) } else { Err(too_large()) }
}

fn too_large() -> Refusal {
    Refusal::because(ErrorCode::N502RE, "the head of the backend's answer is too large")
}

fn malformed<E>(_: E) -> Refusal {
    Refusal::because(ErrorCode::N502RE, "the backend's answer is malformed")
}

/// Makes of the bytes received what the client is sent. Returns whether the body is whole, and whether more followed it.
fn pass(blocks: &Blocks, transfer: &mut Transfer, block: &mut Block, limits: &ChunkLimits) -> Result<(bool, bool), Refusal> {
    let passed = transfer.pass(block.filled_mut(), limits).map_err(malformed)?;
    let surplus = passed.ended && passed.consumed < block.len();
    block.narrow(passed.output);
    block.prepend(passed.prefix.as_bytes());
    if passed.ended && transfer.has_tail() {
        *block = blocks.append_all(std::mem::replace(block, Block::with_room(0)), transfer.tail());
    }
    Ok((passed.ended, surplus))
}

/// Sends what the block holds, then the rest of the body as it comes.
async fn relay_body(a: &Answer<'_>, mut plan: Plan, mut block: Block) -> Result<Relayed, Failure> {
    let mut copied = false;
    loop {
        if !block.is_empty() {
            block = a.sent(a.c.send(block).await)?;
        }
        if plan.ended {
            break;
        }
        if !copied && let Some(left) = plan.transfer.left().filter(|left| a.may_splice(**left)) {
            a.c.core.blocks.put(std::mem::replace(&mut block, Block::with_room(0)));
            splice(a, left).await?;
            if *left == 0 {
                // What the backend sent behind it is still in its socket.
                plan.trust = Trust::Look;
                break;
            }
            copied = true;
        }
        block = a.c.core.blocks.grown(block);
        block.clear(HEADROOM);
        a.await_more();
        let (result, back) = a.backend.recv(block).await;
        block = back;
        a.c.watch.from_backend.clear();
        match result {
            Ok(n) if n > 0 => {
                let passed = pass(&a.c.core.blocks, &mut plan.transfer, &mut block, &a.tables.catalog.limits.chunked);
                (plan.ended, plan.surplus) = passed.map_err(|_| a.broken(Ended::BackendBroke))?;
            }
            Ok(_) if plan.transfer.ends_by_close() && !a.c.watch.is_over() => {
                plan.ended = true;
                block = a.c.core.blocks.append_all(block, plan.transfer.tail());
            }
            _ => return Err(a.broken_off()),
        }
    }
    a.c.core.blocks.put(block);
    let reusable = !plan.surplus && a.request_sent.get() && plan.backend_keep_alive;
    Ok(Relayed { switched: false, backend_reusable: reusable.then_some(plan.trust), client_reusable: plan.client_keep_alive })
}

//! The spine: one request from its first byte to its log line. Read [`exchange`] from top to bottom.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;

use super::answer::{self, Answer};
use super::connection::{After, Connection};
use super::failure::{AttemptFailure, Failure};
use super::forward::{ClientSide, Outgoing, client_side};
use super::refuse::refuse;
use super::request::{NoRequest, Request};
use super::story::Story;
use crate::catalog::Backend;
use crate::gate::error::connect::{LEASE_TIMEOUT, NO_INSTANCE};
use crate::gate::{ErrorCode, Forward, Refusal, Verdict};
use crate::http::head::Version;
use crate::net::deadline::HALF_CLOSE_PROBE;
use crate::net::{Block, Ready, Stream, Wait, Watch};
use crate::observe::record::Ended;
use crate::sys::Peeked;
use crate::upstream::health::Fault;
use crate::upstream::{NoPick, Pick, Tries};

/// Takes one request through the gateway. `block` may hold bytes that came with the request before.
pub async fn exchange(c: &Connection<'_>, ready: Pin<&mut dyn Ready>, block: Block) -> After {
    let (mut request, refused) = match Request::read(c, block).await {
        Ok(request) => (request, None),
        Err(NoRequest::Refused(request, refusal)) => (*request, Some(refusal)),
        Err(NoRequest::Gone(block)) => {
            c.core.blocks.put(block);
            return After::Close;
        }
    };
    let story = Story::begin(c);
    let outcome = match refused {
        Some(refusal) => Err(Failure::Tell(refusal)),
        // Route, authenticate, authorize, admit.
        None => match request.decide(c).await {
            Ok(decision) => {
                story.decided(c, &decision);
                match decision.verdict {
                    // Map, pick, forward, relay.
                    Verdict::Forward(forward) => pass(c, ready, &mut request, &forward, &story).await,
                    Verdict::Refuse(refusal) => Err(Failure::Tell(refusal)),
                    // Not asked for twice: the form has been read.
                    Verdict::NeedForm => Err(Failure::Tell(Refusal::new(ErrorCode::X500ER))),
                }
            }
            Err(failure) => Err(failure),
        },
    };
    let (after, refusal) = match outcome {
        Ok(after) => (after, None),
        Err(Failure::Tell(refusal)) => (refuse(c, &mut request, &refusal, &story).await, Some(refusal)),
        Err(Failure::End(ended)) => {
            story.ended.set(ended);
            (After::Close, None)
        }
    };
    story.log(c, &request, refusal.as_ref());
    request.give_back(c, after)
}

/// Maps the request, picks an instance, forwards to it and relays its answer.
async fn pass(
    c: &Connection<'_>,
    mut ready: Pin<&mut dyn Ready>,
    request: &mut Request,
    forward: &Forward,
    story: &Story,
) -> Result<After, Failure> {
    let tables = request.tables.clone();
    let Backend::Vpc { vpc_access, timeout, .. } = &tables.catalog.apis[forward.api.index()].backend;
    let mut outgoing = Outgoing::new(request, forward.body_md5, *timeout)?;
    if !outgoing.is_whole() {
        request.ask_to_continue(c).await?;
    }
    let upstreams = &c.core.upstreams;
    let (mut tries, mut not_connected) = (Tries::default(), None);
    loop {
        let now_ms = c.core.clock.coarse_ms();
        let pick = match upstreams.pick(*vpc_access, now_ms, &mut tries) {
            Ok(pick) => pick,
            Err(why) => return Err(not_connected.unwrap_or_else(|| no_instance(why))),
        };
        story.picked(&pick);
        turn(c, ready.as_mut(), request.head.version, &pick).await?;
        let head = request.map(c, forward, &pick.instance.backend)?;
        outgoing.set_head(head);
        let fresh = story.retried.get();
        let (stream, reused) = match connection(c, ready.as_mut(), &pick, fresh, outgoing.can_be_repeated()).await {
            Ok(connection) => connection,
            // A connection that could not be made has cost the backend nothing: another instance is tried.
            Err(failure @ Failure::Tell(_)) => {
                tries.avoid(&pick);
                if !upstreams.may_try_another(*vpc_access, now_ms, &tries) {
                    return Err(failure);
                }
                not_connected = Some(failure);
                continue;
            }
            Err(end) => return Err(end),
        };
        story.reused.set(reused);
        match attempt(c, ready.as_mut(), request, &mut outgoing, stream, &pick, story).await {
            // A connection that was closed while it waited in the pool: the request may go out once more, on a new one.
            Err(AttemptFailure { unanswered: true, .. })
                if reused && !fresh && outgoing.can_be_repeated() && upstreams.may_retry(*vpc_access, now_ms) =>
            {
                c.core.counters.retries.add(1);
                story.retried.set(true);
            }
            Ok(after) => {
                outgoing.give_back(c);
                return Ok(after);
            }
            Err(AttemptFailure { failure, unanswered }) => {
                if unanswered && !reused {
                    pick.failed(Fault::Reset, c.core.clock.coarse_ms());
                }
                outgoing.give_back(c);
                return Err(failure);
            }
        }
    }
}

/// A connection to the instance picked: the warmest idle one, or a new one. True: it has been used before.
async fn connection(
    c: &Connection<'_>,
    ready: Pin<&mut dyn Ready>,
    pick: &Pick,
    fresh: bool,
    can_be_repeated: bool,
) -> Result<(Stream, bool), Failure> {
    let now_ms = c.core.clock.coarse_ms();
    if !fresh && let Some(stream) = pick.instance.take_idle(now_ms, !can_be_repeated) {
        return Ok((stream, true));
    }
    let address = pick.instance.backend.address;
    let connecting = c.core.upstreams.connect(&pick.instance).map_err(|e| Failure::not_connected(&c.watch, address, &e))?;
    c.watch.set_backend(Some(connecting.stream().fd()));
    c.watch.to_backend.arm(Wait::Connect, now_ms, c.core.limits().connect_timeout);
    let made = while_client_stays(c, ready, connecting.finish()).await;
    let failure = made.as_ref().err().map(|e| Failure::not_connected(&c.watch, address, e));
    if let Some(fault) = made.as_ref().err().and_then(|e| fault_of(&c.watch, e)) {
        pick.failed(fault, c.core.clock.coarse_ms());
    }
    c.watch.set_backend(None);
    match (made, failure) {
        (Ok(stream), _) => Ok((stream, false)),
        (Err(_), Some(failure)) => Err(failure),
        (Err(_), None) => Err(Failure::Tell(Refusal::new(ErrorCode::X500ER))),
    }
}

/// What a connection that was not made says of its instance; nothing, where its client left or the fault is ours.
fn fault_of(watch: &Watch, error: &io::Error) -> Option<Fault> {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    match error.kind() {
        _ if watch.client_gone.get() => None,
        _ if watch.backend_expired() != Wait::Nothing => Some(Fault::TimedOut),
        ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable => Some(Fault::Refused),
        _ => None,
    }
}

fn no_instance(why: NoPick) -> Failure {
    Failure::Tell(match why {
        NoPick::None => Refusal::new(ErrorCode::X504VE),
        NoPick::AllDown => Refusal::because(ErrorCode::D504CO, NO_INSTANCE),
    })
}

/// Waits until the instance has a connection to spare; a client that leaves meanwhile leaves the queue.
async fn turn(c: &Connection<'_>, mut ready: Pin<&mut dyn Ready>, version: Version, pick: &Pick) -> Result<(), Failure> {
    if pick.take_turn() {
        return Ok(());
    }
    let queued = pick.queue(c.core.clock.coarse_ms());
    let mut turn = queued.map_err(|_| Refusal::new(ErrorCode::X503BZ))?;
    let mut watching = true;
    let waited = poll_fn(|context| {
        if watching && ready.as_mut().poll_ready(context).is_ready() {
            watching = false;
            // One that has ended its side may have left: the sweeper asks it, and wakes us.
            if !c.is_gone() && version == Version::Http11 && c.stream.peek() == Peeked::End {
                c.watch.from_client.arm(Wait::HalfClosed, c.core.clock.coarse_ms(), HALF_CLOSE_PROBE);
                turn.wake_often();
            }
        }
        if c.watch.client_gone.get() {
            return Poll::Ready(None);
        }
        Pin::new(&mut turn).poll(context).map(Some)
    })
    .await;
    c.watch.from_client.clear();
    match waited {
        Some(Ok(())) => pick.has_turn(),
        Some(Err(_)) => return Err(Refusal::because(ErrorCode::D504CO, LEASE_TIMEOUT).into()),
        None => return Err(Failure::End(Ended::ClientGone)),
    }
    Ok(())
}

/// Waits for something of the backend; a client that leaves meanwhile ends it.
async fn while_client_stays<T>(c: &Connection<'_>, mut ready: Pin<&mut dyn Ready>, step: impl Future<Output = T>) -> T {
    let mut step = pin!(step);
    let mut watching = true;
    poll_fn(|context| {
        if watching && ready.as_mut().poll_ready(context).is_ready() {
            watching = false;
            if c.is_gone() {
                c.watch.cancel_backend();
            }
        }
        step.as_mut().poll(context)
    })
    .await
}

/// Sends the request on one backend connection and relays its answer.
async fn attempt(
    c: &Connection<'_>,
    ready: Pin<&mut dyn Ready>,
    request: &mut Request,
    outgoing: &mut Outgoing,
    stream: Stream,
    pick: &Pick,
    story: &Story,
) -> Result<After, AttemptFailure> {
    c.watch.set_backend(Some(stream.fd()));
    let request_sent = Cell::new(false);
    let answer = Answer::new(c, request, &stream, &request_sent, story);
    let (client_end, answered) = {
        let mut client_side = pin!(client_side(c, ready, request, outgoing, &stream, &request_sent, story));
        let mut backend_side = pin!(answer::relay(&answer));
        let mut client_end = None;
        let answered = poll_fn(|context| {
            if client_end.is_none()
                && let Poll::Ready(end) = client_side.as_mut().poll(context)
            {
                if end.is_err() {
                    c.watch.cancel_backend();
                }
                client_end = Some(end);
            }
            let answered = backend_side.as_mut().poll(context);
            if story.has_answer() {
                pick.answered(c.core.clock.coarse_ms());
            }
            answered
        })
        .await;
        // What the client side has in flight runs to its end; only a wait that moves no bytes may be left.
        if client_end.is_none() && !request_sent.get() {
            c.watch.cancel_backend();
            c.watch.cancel_from_client();
            client_end = Some(client_side.await);
        }
        (client_end, answered)
    };
    if !story.has_answer() && !c.watch.client_gone.get() && c.watch.backend_expired() != Wait::Nothing {
        pick.failed(Fault::TimedOut, c.core.clock.coarse_ms());
    }
    c.watch.set_backend(None);
    let received = match client_end {
        Some(Ok(ClientSide { received })) => received,
        None => None,
        // The client side broke first; what the backend side saw is only the echo of it.
        Some(Err(failure)) if !story.has_answer() => return Err(failure.into()),
        Some(Err(_)) => None,
    };
    let relayed = answered?;
    if relayed.backend_reusable {
        let limits = c.core.limits();
        pick.instance.keep(stream, c.core.clock.coarse_ms(), limits.pool_idle_connections);
    }
    Ok(match (relayed.client_reusable, request_sent.get()) {
        (true, _) => After::Next(received),
        (false, true) => After::Close,
        (false, false) => After::Linger,
    })
}

//! The spine: one request from its first byte to its log line. Read [`exchange`] from top to bottom.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::answer::{self, Answer};
use super::connection::{After, Connection};
use super::failure::{AttemptFailure, Failure};
use super::forward::{ClientSide, Outgoing, client_side};
use super::refuse::refuse;
use super::request::{NoRequest, Request};
use super::story::Story;
use crate::catalog::Backend;
use crate::gate::{ErrorCode, Forward, Refusal, Verdict};
use crate::net::{Block, Ready, Stream};
use crate::sys::Direction;
use crate::upstream::Pick;

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
    let mut outgoing = Outgoing::new(request, forward, *timeout)?;
    if !outgoing.is_whole() {
        request.ask_to_continue(c).await?;
    }
    // A connection that could not be made has cost the backend nothing: another instance is tried.
    let mut attempts_left = 3;
    loop {
        let now_ms = c.core.clock.coarse_ms();
        let pick = c.core.upstreams.pick(*vpc_access, now_ms).ok_or(Refusal::new(ErrorCode::X504VE))?;
        story.picked(&pick);
        let head = request.map(c, forward, &pick.instance.backend)?;
        outgoing.set_head(head);
        let fresh = story.retried.get();
        let (stream, reused) = match connection(c, ready.as_mut(), &pick, fresh, outgoing.can_be_repeated()).await {
            Ok(connection) => connection,
            Err(Failure::Tell(refusal)) => {
                let aside = tables.catalog.limits.stand_aside;
                pick.instance.stand_aside(now_ms + aside.as_millis() as u64);
                attempts_left -= 1;
                if attempts_left == 0 || !c.core.upstreams.has_another(*vpc_access, now_ms) {
                    return Err(Failure::Tell(refusal));
                }
                continue;
            }
            Err(end) => return Err(end),
        };
        story.reused.set(reused);
        match attempt(c, ready.as_mut(), request, &mut outgoing, stream, &pick, story).await {
            // A connection that was closed while it waited in the pool: the request may go out once more, on a new one.
            Err(AttemptFailure { unanswered: true, .. }) if reused && !fresh && outgoing.can_be_repeated() => {
                c.core.counters.retries.add(1);
                story.retried.set(true);
            }
            Ok(after) => {
                outgoing.give_back(c);
                return Ok(after);
            }
            Err(AttemptFailure { failure, .. }) => {
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
    let connecting = c.core.upstreams.connect(address).map_err(|e| Failure::not_connected(&c.watch, address, &e))?;
    c.watch.set_backend(Some(connecting.stream().fd()));
    c.watch.to_backend.arm(crate::net::Wait::Connect, now_ms, c.core.limits().connect_timeout);
    let made = while_client_stays(c, ready, connecting.finish()).await;
    let failure = made.as_ref().err().map(|e| Failure::not_connected(&c.watch, address, e));
    c.watch.set_backend(None);
    match (made, failure) {
        (Ok(stream), _) => Ok((stream, false)),
        (Err(_), Some(failure)) => Err(failure),
        (Err(_), None) => Err(Failure::Tell(Refusal::new(ErrorCode::X500ER))),
    }
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
    let answer = Answer::new(c, request, outgoing.asks_head(), &stream, &request_sent, story);
    let (client_end, answered) = {
        let mut client_side = pin!(client_side(c, ready, request, outgoing, &stream, &request_sent, story));
        let mut backend_side = pin!(answer::relay(&answer));
        let mut client_end = None;
        let answered = poll_fn(|context| {
            let mut poll_client_side = |context: &mut Context<'_>| {
                if client_end.is_none()
                    && let Poll::Ready(end) = client_side.as_mut().poll(context)
                {
                    if end.is_err() {
                        c.watch.cancel_backend();
                    }
                    client_end = Some(end);
                }
            };
            // An answer must find its request sent, when it is. Once it is, the answer comes first: what the client
            // sends after it is the next request, and not looked at here.
            if !request_sent.get() {
                poll_client_side(context);
            }
            let answered = backend_side.as_mut().poll(context);
            if answered.is_pending() && request_sent.get() {
                poll_client_side(context);
            }
            answered
        })
        .await;
        // What the client side has in flight runs to its end; only a wait that moves no bytes may be left.
        if client_end.is_none() && !request_sent.get() {
            c.watch.cancel_backend();
            if answered.is_ok() {
                c.stream.shutdown(Direction::Write);
            }
            c.watch.hurry_client(c.core.clock.coarse_ms(), c.core.limits().linger_timeout);
            // How it ends now is our doing.
            let _ = client_side.await;
        }
        (client_end, answered)
    };
    let whole = answered.is_ok() && !c.watch.is_over();
    c.watch.set_backend(None);
    let received = match (client_end, &answered) {
        (Some(Ok(ClientSide { received })), _) => received,
        // The client side broke first; what the backend side saw is only the echo of it.
        (Some(Err(failure)), _) if !story.has_answer() => return Err(failure.into()),
        (Some(Err(failure)), Err(_)) => return Err(failure.within_answer(&c.watch).into()),
        (Some(Err(_)) | None, _) => None,
    };
    let relayed = answered?;
    if whole && let Some(trust) = relayed.backend_reusable {
        let limits = c.core.limits();
        pick.instance.is_well();
        pick.instance.keep(stream, trust, c.core.clock.coarse_ms(), limits.pool_idle_connections);
    }
    Ok(match relayed.client_reusable {
        true => After::Next(received),
        false if request_sent.get() && !c.sends_more(request) => After::Close,
        false => After::Linger,
    })
}

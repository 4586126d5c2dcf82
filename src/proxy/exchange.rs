//! The spine: one request from its first byte to its log line. Read [`exchange`] from top to bottom.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::answer::{self, Answer, Relayed};
use super::connection::{After, Connection};
use super::failure::{AttemptFailure, Failure};
use super::forward::{ClientSide, Outgoing, client_side};
use super::options::options;
use super::reach::{connect, idle, no_instance, turn};
use super::redirect::redirect;
use super::refuse::refuse;
use super::request::{NoRequest, Request};
use super::story::Story;
use super::tunnel::tunnel;
use crate::gate::map::backend_of;
use crate::gate::{ErrorCode, Forward, Refusal, Verdict};
use crate::net::order::Early;
use crate::net::stream::Handle;
use crate::net::{Block, Ready, Stream, Wait};
use crate::upstream::health::Fault;
use crate::upstream::pool::Trust;
use crate::upstream::{Pick, Tries};

/// Takes one request through the gateway. `block` may hold bytes that came with the request before.
pub async fn exchange(c: &Connection, mut ready: Pin<&mut dyn Ready>, block: Block) -> After {
    let (mut request, refused) = match Request::read(c, block).await {
        Ok(request) => (request, None),
        Err(NoRequest::Refused(request, refusal)) => (*request, Some(refusal)),
        Err(NoRequest::Gone(block)) => {
            c.core.blocks.put(block);
            return After::Close;
        }
    };
    let story = Story::begin(c, &request);
    // Route, authenticate, authorize, admit.
    let decision = match refused {
        Some(refusal) => Err(Failure::Tell(refusal)),
        None => match request.decide(c) {
            Ok(decision) if decision.is_open() => request.settle(c, ready.as_mut(), decision).await,
            decided => decided,
        },
    };
    let outcome = match decision {
        Ok(decision) => {
            story.decided(c, &decision);
            match decision.verdict {
                // Map, pick, forward, relay.
                Verdict::Forward(forward) => pass(c, ready, &mut request, &forward, &story).await,
                Verdict::Options(api) => Ok(options(c, &mut request, api, &story).await),
                Verdict::Redirect => Ok(redirect(c, &mut request, &story).await),
                Verdict::Refuse(refusal) => Err(Failure::Tell(refusal)),
                // Not asked for twice: the form has been read, and doubts have ended.
                Verdict::NeedForm | Verdict::InDoubt(_) | Verdict::Awaited(_) | Verdict::Unconfirmed(..) => {
                    Err(Failure::Tell(Refusal::new(ErrorCode::X500ER)))
                }
            }
        }
        Err(failure) => Err(failure),
    };
    let (after, refusal) = match outcome {
        Ok(after) => (after, None),
        Err(Failure::Tell(refusal)) => (refuse(c, &mut request, &refusal, &story).await, Some(refusal)),
        Err(Failure::End(ended)) => {
            story.ended.set(ended);
            (After::Close, None)
        }
    };
    story.end(c, &request, refusal.as_ref());
    request.give_back(c, after)
}

/// Maps the request, picks an instance, forwards to it and relays its answer.
async fn pass(
    c: &Connection,
    mut ready: Pin<&mut dyn Ready>,
    request: &mut Request,
    forward: &Forward,
    story: &Story,
) -> Result<After, Failure> {
    let tables = request.tables.clone();
    let (_, vpc_access, timeout) = backend_of(&tables, forward);
    let mut outgoing = Outgoing::new(request, forward, timeout)?;
    if !outgoing.is_whole() {
        request.ask_to_continue(c).await?;
    }
    let upstreams = &tables.upstreams;
    let (mut tries, mut not_connected) = (Tries::default(), None);
    loop {
        let now_ms = c.core.clock.coarse_ms();
        let pick = match upstreams.pick(vpc_access, now_ms, &mut tries) {
            Ok(pick) => pick,
            Err(why) => return Err(not_connected.unwrap_or_else(|| no_instance(why))),
        };
        story.picked(&pick);
        if !pick.take_turn() {
            turn(c, ready.as_mut(), request.head.version, &pick).await?;
        }
        let head = request.map(c, forward, &pick.instance.backend)?;
        outgoing.set_head(head);
        let fresh = story.retried.get();
        let idle = if fresh { None } else { idle(c, &pick, outgoing.can_be_repeated()) };
        let connected = match idle {
            Some(stream) => Ok((stream, true)),
            None => connect(c, ready.as_mut(), &pick).await,
        };
        let (stream, reused) = match connected {
            Ok(connection) => connection,
            // A connection that could not be made has cost the backend nothing: another instance is tried.
            Err(failure @ Failure::Tell(_)) => {
                tries.avoid(&pick);
                if !upstreams.may_try_another(vpc_access, now_ms, &tries) {
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
            // So may one that a backend of HTTP/2 has refused, whatever it is: nothing has come of it.
            Err(AttemptFailure { unanswered: true, refused, .. })
                if !fresh
                    && (reused && outgoing.can_be_repeated() || refused && outgoing.is_whole())
                    && upstreams.may_retry(vpc_access, now_ms) =>
            {
                pick.instance.cells().retried.add(1);
                story.retried.set(true);
            }
            Ok(Passed::Done(after)) => {
                outgoing.give_back(c);
                return Ok(after);
            }
            Ok(Passed::Switched(stream)) => {
                outgoing.give_back(c);
                drop(tables);
                // Boxed, because it is rare, and would make every exchange as large as two relays.
                return Ok(Box::pin(tunnel(c, request, forward.api, stream, story)).await);
            }
            Err(AttemptFailure { failure, unanswered, refused }) => {
                if unanswered && !reused && !refused {
                    pick.failed(Fault::Reset, c.core.clock.coarse_ms());
                }
                outgoing.give_back(c);
                return Err(failure);
            }
        }
    }
}

/// What one backend connection has come to.
enum Passed {
    Done(After),
    /// It is no longer for requests.
    Switched(Stream),
}

/// Sends the request on one backend connection and relays its answer.
async fn attempt(
    c: &Connection,
    ready: Pin<&mut dyn Ready>,
    request: &mut Request,
    outgoing: &mut Outgoing,
    stream: Stream,
    pick: &Pick,
    story: &Story,
) -> Result<Passed, AttemptFailure> {
    c.watch.set_backend(stream.handle());
    let request_sent = Cell::new(false);
    // Where there is a session, what comes first may be the session's.
    let tells = story.reused.get() && stream.is_bare();
    let early = if tells { Early::unknown() } else { Early::untold() };
    let answer = Answer::new(c, request, outgoing, &stream, &request_sent, &early, story);
    let mut at_once = false;
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
            // sends after it is the next request, and not looked at here. Neither is polled twice.
            let was_sent = request_sent.get();
            let receive_first = early.begin_poll();
            if !was_sent && !receive_first {
                poll_client_side(context);
            }
            let answered = backend_side.as_mut().poll(context);
            if story.has_answer() {
                at_once |= !was_sent && !tells;
                pick.answered(c.core.clock.coarse_ms());
            }
            if answered.is_pending() && (was_sent || receive_first) {
                poll_client_side(context);
            }
            answered
        })
        .await;
        // What the client side has in flight runs to its end; only a wait that moves no bytes may be left.
        if client_end.is_none() && !request_sent.get() {
            c.watch.cancel_backend();
            if answered.is_ok() {
                c.stream.end();
            }
            c.watch.hurry_client(c.core.clock.coarse_ms(), c.core.limits().linger_timeout);
            // How it ends now is our doing.
            let _ = client_side.await;
        }
        (client_end, answered)
    };
    if !story.has_answer() && !c.watch.client_gone.get() && c.watch.backend_expired() != Wait::Nothing {
        pick.failed(Fault::TimedOut, c.core.clock.coarse_ms());
    }
    let whole = answered.is_ok() && !c.watch.is_over();
    if whole && matches!(answered, Ok(Relayed { switched: true, .. })) {
        return Ok(Passed::Switched(stream));
    }
    c.watch.set_backend(Handle::Nothing);
    let received = match (client_end, &answered) {
        (Some(Ok(ClientSide { received })), _) => received,
        // The client side broke first; what the backend side saw is only the echo of it.
        (Some(Err(failure)), _) if !story.has_answer() => return Err(failure.into()),
        (Some(Err(failure)), Err(_)) => return Err(failure.within_answer(&c.watch).into()),
        (Some(Err(_)) | None, _) => None,
    };
    let relayed = answered?;
    if whole && let Some(trust) = relayed.backend_reusable {
        // It may be the answer to another request, that came too late for it.
        let trust = if at_once { Trust::Look } else { trust };
        pick.instance.keep(stream, trust, c.core.clock.turn_us(), request.tables.catalog.limits.pool_idle_connections);
    }
    Ok(Passed::Done(match relayed.client_reusable {
        true => After::Next(received),
        false if request_sent.get() && !c.sends_more(request) => After::Close,
        false => After::Linger,
    }))
}

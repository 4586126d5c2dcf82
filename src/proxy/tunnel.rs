//! A connection that has switched to another protocol: bytes pass both ways as they are, until both sides have ended.
//!
//! Neither direction holds a buffer while nothing comes, and none is read faster than the other side takes it. One side
//! that ends what it sends may still be sent to; a side that breaks ends both.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::connection::{After, Connection};
use super::failure::ended_within_answer;
use super::forward::HEADROOM;
use super::request::Request;
use super::story::Story;
use super::upgraded::Standing;
use crate::catalog::ApiId;
use crate::net::stream::Handle;
use crate::net::{Block, Stream, Wait};
use crate::observe::record::Ended;

struct Tunnel<'a> {
    c: &'a Connection,
    backend: &'a Stream,
    story: &'a Story,
    idle: Duration,
    /// On the worker's coarse clock.
    until_ms: u64,
    send: Duration,
    /// What went wrong first.
    broken: Cell<Option<Ended>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Client,
    Backend,
}

/// Relays until it is over. What the client has sent behind its request goes first.
pub async fn tunnel(c: &Connection, request: &mut Request, api: ApiId, backend: Stream, story: &Story) -> After {
    let standing = Standing { tables: request.tables.clone(), api, app: story.app() };
    let switched = c.core.upgraded.add(c.watch.share(), &standing);
    drop(standing);
    let limits = &request.tables.catalog.limits;
    let t = Tunnel {
        c,
        backend: &backend,
        story,
        idle: limits.upgrade_idle_timeout,
        until_ms: c.core.clock.coarse_ms().saturating_add(limits.upgrade_lifetime.as_millis() as u64),
        send: limits.send_timeout,
        broken: Cell::new(None),
    };
    let early = request.next_at.and_then(|next| c.core.blocks.split_off(&mut request.block, next));
    if let Some(early) = &early {
        story.received(early.len());
    }
    request.shrink(c);
    t.stirred();
    {
        let (mut up, mut down) = (pin!(t.relay(From::Client, early)), pin!(t.relay(From::Backend, None)));
        let (mut up_done, mut down_done) = (false, false);
        poll_fn(|context| {
            // No generation is kept for it: what is told in the end is told by the one that then is.
            if let Some(next) = switched.poll_next(context.waker()) {
                story.moved(next.api, next.app);
                request.tables = next.tables;
            }
            up_done = up_done || up.as_mut().poll(context).is_ready();
            down_done = down_done || down.as_mut().poll(context).is_ready();
            if up_done && down_done { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    let expired = c.watch.from_backend.expired() == Wait::Upgraded;
    let ended = match (switched.ended(), t.broken.get()) {
        (Some(ended), _) => ended,
        (None, _) if expired && c.core.clock.coarse_ms() >= t.until_ms => Ended::UpgradeLifetime,
        (None, _) if expired => Ended::UpgradeIdle,
        (None, Some(broken)) => broken,
        (None, None) => Ended::Answered,
    };
    story.ended.set(ended);
    c.watch.set_backend(Handle::Nothing);
    After::Close
}

impl Tunnel<'_> {
    /// Something has passed: the wait for the next bytes begins anew, for as long as there is time left.
    fn stirred(&self) {
        let now_ms = self.c.core.clock.coarse_ms();
        let left = Duration::from_millis(self.until_ms.saturating_sub(now_ms));
        self.c.watch.from_backend.arm(Wait::Upgraded, now_ms, self.idle.min(left));
    }

    /// Passes on what one side sends, until it ends or something breaks.
    async fn relay(&self, from: From, first: Option<Block>) {
        if let Err(ended) = self.pass(from, first).await {
            if self.broken.get().is_none() {
                self.broken.set(Some(ended));
            }
            // The other direction has nobody to speak for any more.
            self.c.watch.cut();
        }
    }

    async fn pass(&self, side: From, mut first: Option<Block>) -> Result<(), Ended> {
        let (from, to) = match side {
            From::Client => (&self.c.stream, self.backend),
            From::Backend => (self.backend, &self.c.stream),
        };
        let blocks = &self.c.core.blocks;
        let mut large = false;
        loop {
            let mut block = match first.take() {
                Some(first) => first,
                None => {
                    // One that fills its blocks has more to say; for the others none is held.
                    if !large && !from.has_more() {
                        let _ = from.readable().await;
                    }
                    let mut block = if large { blocks.large() } else { blocks.small() };
                    block.clear(HEADROOM);
                    let (received, block) = from.recv(block).await;
                    match received {
                        Ok(0) if !self.c.watch.is_over() => {
                            blocks.put(block);
                            to.end();
                            return Ok(());
                        }
                        Ok(n) if n > 0 => {
                            self.stirred();
                            self.count(side, n);
                            block
                        }
                        // Broken, or ended by us.
                        _ => {
                            blocks.put(block);
                            return Err(self.gone(side));
                        }
                    }
                }
            };
            large = block.room() == 0;
            let sent = self.send(to, side, &mut block).await;
            blocks.put(block);
            sent?;
            self.stirred();
        }
    }

    fn count(&self, side: From, n: usize) {
        match side {
            From::Client => self.story.received(n),
            From::Backend => self.story.sent(n),
        }
    }

    async fn send(&self, to: &Stream, from: From, block: &mut Block) -> Result<(), Ended> {
        let (timer, wait, other) = match from {
            From::Client => (&self.c.watch.to_backend, Wait::Forward, From::Backend),
            From::Backend => (&self.c.watch.to_client, Wait::Send, From::Client),
        };
        timer.arm(wait, self.c.core.clock.coarse_ms(), self.send);
        let (sent, back) = to.send(std::mem::replace(block, Block::with_room(0))).await;
        *block = back;
        timer.clear();
        sent.map_err(|_| self.gone(other))
    }

    /// A side broke, or stalled.
    fn gone(&self, side: From) -> Ended {
        match side {
            From::Client if self.c.watch.to_client.expired() == Wait::Nothing => Ended::ClientGone,
            From::Client => Ended::ClientTimeout,
            From::Backend => ended_within_answer(&self.c.watch),
        }
    }
}

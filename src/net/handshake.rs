//! Handshakes over a stream, which is secure when one is done.
//!
//! A handshake computes for as long as some hundred requests do. So handshakes of a worker take turns: one of them
//! computes, and sends what comes of it, before the next one may; meanwhile the worker has been to the kernel, and has
//! seen to its other connections.

use std::cell::Cell;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustls::Error;

use super::block::{Block, Blocks};
use super::runtime::{self, PAUSE};
use super::secure::Secure;
use super::stream::Stream;
use super::turn::Turns;
use crate::tls::client::Client;
use crate::tls::handshake::{HANDSHAKE_BYTES, HELLO_BYTES, Handshake, Hello, Next};
use crate::tls::record;
use crate::tls::server::{Peer, Site};

/// `unrecognized_name` (RFC 6066, section 3), before there are keys.
const UNKNOWN_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// Handshakes of a worker.
#[derive(Default)]
pub struct Handshakes {
    turns: Turns,
    under_way: Cell<usize>,
}

/// Why there is no session.
#[derive(Debug)]
pub enum Failure {
    Io(io::Error),
    Tls(Error),
    /// No domain of the name that the client asks for is served over HTTPS.
    UnknownName,
    TooLong,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Tls(error)
    }
}
impl From<crate::tls::Error> for Failure {
    fn from(error: crate::tls::Error) -> Self {
        Self::Io(error.into())
    }
}

/// One handshake among those under way; dropping it is its end.
struct UnderWay<'a>(&'a Handshakes);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get().saturating_sub(1));
    }
}

/// The right to compute.
struct Computing<'a>(&'a Turns);

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Handshakes {
    pub fn under_way(&self) -> usize {
        self.under_way.get()
    }

    /// Ends waits that have been too long.
    pub fn sweep(&self, now_ms: u64) {
        self.turns.expire(now_ms);
    }

    fn begin(&self) -> UnderWay<'_> {
        self.under_way.set(self.under_way.get() + 1);
        UnderWay(self)
    }

    async fn turn(&self, until_ms: u64) -> Result<Computing<'_>, Failure> {
        if !self.turns.take(1) {
            // Bounded by the handshakes under way.
            let turn = self.turns.queue(until_ms, usize::MAX).map_err(|_| Failure::TooLong)?;
            turn.await.map_err(|_| Failure::TooLong)?;
        }
        Ok(Computing(&self.turns))
    }
}

/// What a worker lends a handshake.
pub struct Means<'a> {
    pub handshakes: &'a Handshakes,
    pub blocks: &'a Rc<Blocks>,
    /// On the worker's coarse clock. The sockets' own deadlines are the caller's to watch.
    pub until_ms: u64,
}

/// The server's side. `choose`: how the domain of this name is served, or, where the client names none, the address that
/// it has called. `http2`: it may be spoken. Returns whether the client was known from before.
pub async fn accept(
    stream: &Stream,
    means: &Means<'_>,
    http2: bool,
    choose: impl Fn(Option<&str>) -> Option<Arc<Site>>,
) -> Result<bool, Failure> {
    let _under_way = means.handshakes.begin();
    let mut block = means.blocks.small();
    let name = match read_hello(stream, &mut block).await {
        Ok(name) => name,
        Err(failure) => {
            means.blocks.put(block);
            return Err(failure);
        }
    };
    let Some(site) = choose(name.as_deref()) else {
        means.blocks.put(block);
        tell(stream, UNKNOWN_NAME.to_vec()).await;
        return Err(Failure::UnknownName);
    };
    let mut handshake = Handshake::server(&site, http2)?;
    let received = drive(stream, means, &mut handshake, block).await?;
    let (peer, resumed) = (handshake.peer(&site), handshake.is_resumed());
    secure(stream, means, handshake, received, peer)?;
    Ok(resumed)
}

/// The client's side.
pub async fn connect(stream: &Stream, means: &Means<'_>, client: &Client, address: IpAddr) -> Result<(), Failure> {
    let mut handshake = Handshake::client(client, address)?;
    let received = drive(stream, means, &mut handshake, means.blocks.small()).await?;
    let peer = Peer { http2: handshake.chose_http2(), ..Peer::default() };
    secure(stream, means, handshake, received, peer)
}

fn secure(stream: &Stream, means: &Means<'_>, handshake: Handshake, received: Block, peer: Peer) -> Result<(), Failure> {
    let session = handshake.finish()?;
    stream.secure(Rc::new(Secure::new(stream.fd(), session, received, means.blocks.clone(), peer)));
    Ok(())
}

/// Receives the client's first message, and leaves it in the block.
async fn read_hello(stream: &Stream, block: &mut Block) -> Result<Option<String>, Failure> {
    let mut hello = Hello::default();
    loop {
        if block.len() >= HELLO_BYTES {
            return Err(Failure::TooLong);
        }
        receive(stream, block).await?;
        match hello.read(block.filled()) {
            Ok(Some(name)) => return Ok(name),
            Ok(None) => {}
            Err((error, told)) => {
                tell(stream, told).await;
                return Err(error.into());
            }
        }
    }
}

/// Steps through a handshake. Returns what the peer has sent behind it.
async fn drive(stream: &Stream, means: &Means<'_>, handshake: &mut Handshake, mut block: Block) -> Result<Block, Failure> {
    let driven = step_through(stream, means, handshake, &mut block).await;
    match driven {
        Ok(()) => Ok(block),
        Err(failure) => {
            means.blocks.put(block);
            Err(failure)
        }
    }
}

async fn step_through(stream: &Stream, means: &Means<'_>, handshake: &mut Handshake, block: &mut Block) -> Result<(), Failure> {
    // Bytes of whole records that the handshake has been shown, and has not taken.
    let mut shown = 0;
    let mut received = block.len();
    let mut outgoing = Vec::new();
    let mut turn = Some(means.handshakes.turn(means.until_ms).await?);
    loop {
        if turn.is_none() {
            turn = Some(means.handshakes.turn(means.until_ms).await?);
        }
        let next = match handshake.step(&mut block.filled_mut()[..shown], &mut outgoing) {
            Ok((taken, next)) => {
                block.advance(taken);
                shown -= taken;
                next
            }
            Err(error) => {
                tell(stream, outgoing).await;
                return Err(error.into());
            }
        };
        match next {
            Next::Step => {}
            Next::Send => {
                let (sent, _) = stream.send(Block::of(std::mem::take(&mut outgoing))).await;
                sent?;
                // There the kernel takes it at once, and the worker would go on with the next handshake.
                if !runtime::on_ring() {
                    monoio::time::sleep(PAUSE).await;
                }
            }
            Next::Done => return Ok(()),
            Next::Receive => {
                turn = None;
                shown = loop {
                    let begun = block.filled().get(shown..).unwrap_or_default();
                    match record::length(begun)? {
                        Some(length) if length <= begun.len() => break shown + length,
                        _ => {}
                    }
                    let had = block.len();
                    if block.room() == 0 {
                        *block = means.blocks.with_room(std::mem::replace(block, Block::with_room(0)), 0);
                    }
                    receive(stream, block).await?;
                    received += block.len() - had;
                    if received > HANDSHAKE_BYTES {
                        return Err(Failure::TooLong);
                    }
                };
            }
        }
    }
}

async fn receive(stream: &Stream, block: &mut Block) -> io::Result<()> {
    let (result, back) = stream.recv(std::mem::replace(block, Block::with_room(0))).await;
    *block = back;
    match result? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Tells the peer why it gets no session; whether it hears is its own affair.
async fn tell(stream: &Stream, alert: Vec<u8>) {
    if !alert.is_empty() {
        let _ = stream.send(Block::of(alert)).await;
    }
}

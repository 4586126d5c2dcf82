//! The way to a backend: a turn where connections are bounded, then the warmest idle connection or a new one. A client
//! that leaves meanwhile ends each of these waits.

use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use super::connection::Connection;
use super::failure::Failure;
use crate::gate::error::connect::{LEASE_TIMEOUT, NO_INSTANCE};
use crate::gate::{ErrorCode, Refusal};
use crate::http::head::Version;
use crate::net::handshake::{self, Means};
use crate::net::stream::Handle;
use crate::net::{self, Ready, Stream, Wait, Watch};
use crate::observe::counters::Timeout;
use crate::observe::record::Ended;
use crate::tls::client::{self, Client};
use crate::upstream::connect::Connecting;
use crate::upstream::health::Fault;
use crate::upstream::multiplexed::Multiplexed;
use crate::upstream::{NoPick, Pick};

/// How often, and how long, a request waits for a descriptor to come free.
const PAUSES: usize = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// The warmest idle connection to the instance picked, where a connection is for one call at a time.
pub fn idle(c: &Connection, pick: &Pick, can_be_repeated: bool) -> Option<Stream> {
    if pick.instance.http2 {
        return None;
    }
    let stream = pick.instance.take_idle(c.core.clock.turn_us(), !can_be_repeated)?;
    pick.instance.cells().reused.add(1);
    Some(stream)
}

/// Another connection to it. True: it has been used before.
pub async fn connect(c: &Connection, ready: Pin<&mut dyn Ready>, pick: &Pick) -> Result<(Stream, bool), Failure> {
    if pick.instance.http2 {
        // Boxed, because it would make every connection's future as large.
        return Box::pin(call(c, ready, pick)).await;
    }
    new_connection(c, ready, pick).await.map(|stream| (stream, false))
}

/// A call on a connection of HTTP/2: one that there is, or a new one, which is made by one call for all that need it.
async fn call(c: &Connection, mut ready: Pin<&mut dyn Ready>, pick: &Pick) -> Result<(Stream, bool), Failure> {
    let mut patient = true;
    loop {
        if let Some((stream, served)) = pick.instance.call(c.core.clock.now_us()) {
            pick.instance.cells().reused.add(u64::from(served));
            return Ok((stream, served));
        }
        let making = pick.instance.make_one();
        if making.is_none() && std::mem::take(&mut patient) {
            while_client_stays(c, ready.as_mut(), poll_fn(|context| made(c, pick, context))).await;
            if c.watch.client_gone.get() {
                return Err(Failure::End(Ended::ClientGone));
            }
            continue;
        }
        let stream = new_connection(c, ready.as_mut(), pick).await?;
        if stream.session().is_some_and(|session| !session.peer.http2) {
            return Err(Refusal::because(ErrorCode::D504CS, client::NO_HTTP2).into());
        }
        let connection = Multiplexed::begin(&c.core.pools, stream, pick.instance.terms());
        poll_fn(|context| connection.poll_begun(context)).await;
        let call = connection.call(c.core.clock.now_us());
        pick.instance.add(connection);
        let broken = || Failure::not_connected(&c.watch, pick.instance.backend.address, &io::ErrorKind::ConnectionReset.into());
        return call.ok_or_else(broken);
    }
}

/// Ready when a connection that others make is there, or is not, or the client has left.
fn made(c: &Connection, pick: &Pick, context: &Context<'_>) -> Poll<()> {
    if c.watch.client_gone.get() { Poll::Ready(()) } else { pick.instance.poll_made(context) }
}

async fn new_connection(c: &Connection, mut ready: Pin<&mut dyn Ready>, pick: &Pick) -> Result<Stream, Failure> {
    let now_ms = c.core.clock.coarse_ms();
    let address = pick.instance.backend.address;
    let connecting = match c.core.running().upstreams.connect(&pick.instance) {
        Err(error) if is_short_of_descriptors(&error) => connect_when_there_is_room(c, pick).await?,
        outcome => outcome.map_err(|error| Failure::not_connected(&c.watch, address, &error))?,
    };
    c.watch.set_backend(connecting.stream().handle());
    c.watch.to_backend.arm(Wait::Connect, now_ms, c.core.limits().connect_timeout);
    let made = while_client_stays(c, ready.as_mut(), connecting.finish()).await.map_err(Unmade::Tcp);
    // Boxed, because it is rare, and would make every connection's future as large as a handshake.
    let made = match &pick.instance.tls {
        Some(tls) if made.is_ok() => Box::pin(secured(c, ready, tls, address.ip(), made)).await,
        _ => made,
    };
    let failure = made.as_ref().err().map(|why| match why {
        Unmade::Tcp(error) => Failure::not_connected(&c.watch, address, error),
        Unmade::Tls(failure) => Failure::not_secured(&c.watch, failure),
    });
    if let Some(fault) = made.as_ref().err().and_then(|why| fault_of(&c.watch, why)) {
        pick.failed(fault, c.core.clock.coarse_ms());
    }
    c.watch.set_backend(Handle::Nothing);
    let cells = pick.instance.cells();
    if made.is_ok() { &cells.connected } else { &cells.failed }.add(1);
    match (made, failure) {
        (Ok(stream), _) => Ok(stream),
        (Err(_), Some(failure)) => Err(failure),
        (Err(_), None) => Err(Failure::Tell(Refusal::new(ErrorCode::X500ER))),
    }
}

/// Why there is no connection.
enum Unmade {
    Tcp(io::Error),
    Tls(handshake::Failure),
}

/// Makes a new connection secure, within the time that is left for making it.
async fn secured(
    c: &Connection,
    ready: Pin<&mut dyn Ready>,
    tls: &Client,
    address: IpAddr,
    made: Result<Stream, Unmade>,
) -> Result<Stream, Unmade> {
    let stream = made?;
    let until_ms = c.core.clock.coarse_ms().saturating_add(c.core.limits().connect_timeout.as_millis() as u64);
    let means = Means { handshakes: &c.core.handshakes, blocks: &c.core.blocks, until_ms };
    let done = while_client_stays(c, ready, handshake::connect(&stream, &means, tls, address)).await;
    done.map(|()| stream).map_err(Unmade::Tls)
}

/// The process or the machine has none left.
fn is_short_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Starts a connection once idle ones have been ended for it, here and on the other workers: they are closed at the end
/// of a turn of their event loops.
async fn connect_when_there_is_room(c: &Connection, pick: &Pick) -> Result<Connecting, Failure> {
    for _ in 0..PAUSES {
        c.core.run_short_of_descriptors();
        c.core.relieve();
        // Boxed, because it is rare, and would make every connection's future as large as a timer.
        Box::pin(net::pause(PAUSE)).await;
        match c.core.running().upstreams.connect(&pick.instance) {
            Err(error) if is_short_of_descriptors(&error) => {}
            outcome => return outcome.map_err(|error| Failure::not_connected(&c.watch, pick.instance.backend.address, &error)),
        }
    }
    Err(Refusal::new(ErrorCode::X503BZ).into())
}

/// What a connection that was not made says of its instance; nothing, where its client left or the fault is ours.
fn fault_of(watch: &Watch, why: &Unmade) -> Option<Fault> {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    let error = match why {
        _ if watch.client_gone.get() => return None,
        _ if watch.backend_expired() != Wait::Nothing => return Some(Fault::TimedOut),
        Unmade::Tls(_) => return Some(Fault::Refused),
        Unmade::Tcp(error) => error,
    };
    match error.kind() {
        ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable => Some(Fault::Refused),
        _ => None,
    }
}

pub fn no_instance(why: NoPick) -> Failure {
    Failure::Tell(match why {
        NoPick::None => Refusal::new(ErrorCode::X504VE),
        NoPick::AllDown => Refusal::because(ErrorCode::D504CO, NO_INSTANCE),
    })
}

/// Waits until the instance, which has none now, has a connection to spare; a client that leaves meanwhile leaves the queue.
pub async fn turn(c: &Connection, mut ready: Pin<&mut dyn Ready>, version: Version, pick: &Pick) -> Result<(), Failure> {
    pick.instance.cells().queued.add(1);
    let queued = pick.queue(c.core.clock.coarse_ms());
    let mut turn = queued.map_err(|_| Refusal::new(ErrorCode::X503BZ))?;
    let mut watching = true;
    let waited = poll_fn(|context| {
        if watching && c.stirs(ready.as_mut(), context).is_ready() {
            watching = false;
            // So that the sweeper's answer is seen.
            if c.is_asked_whether_it_is_there(version) {
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
        Some(Err(_)) => {
            c.core.counters.timed_out(Timeout::Pool).add(1);
            return Err(Refusal::because(ErrorCode::D504CO, LEASE_TIMEOUT).into());
        }
        None => return Err(Failure::End(Ended::ClientGone)),
    }
    Ok(())
}

/// Waits for something of the backend; a client that leaves meanwhile ends it.
async fn while_client_stays<T>(c: &Connection, mut ready: Pin<&mut dyn Ready>, step: impl Future<Output = T>) -> T {
    let mut step = pin!(step);
    let mut watching = true;
    poll_fn(|context| {
        if watching && c.stirs(ready.as_mut(), context).is_ready() {
            watching = false;
            if c.is_gone() {
                c.watch.cancel_backend();
            }
        }
        step.as_mut().poll(context)
    })
    .await
}

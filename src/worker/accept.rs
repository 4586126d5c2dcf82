//! Accepting: who comes in, who must leave for it, and what happens when there is no room left.
//!
//! Idle connections go first: where a worker or the process has as many connections as it may, or descriptors run out,
//! one that waits between two requests is ended for the new one. Only when there is none is the new one closed at once.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::catalog;
use crate::net;
use crate::net::admission::{Full, Ticket};
use crate::net::listen::Listener;
use crate::proxy::{self, Core};

/// How long accepting pauses when the process or the machine has no descriptor or memory left: clients wait in the
/// listener's queue meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// Why a connection was closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoRoom {
    /// As many as may be.
    Full,
    /// The last descriptors are for the requests under way.
    Descriptors,
}

/// Accepts connections until the listener is stopped.
pub async fn accept(core: Rc<Core>, listener: Rc<Listener>, settings: catalog::Listener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let peer = peer.ip().to_canonical();
                match admit(&core, stream.fd(), peer) {
                    Ok(ticket) => {
                        core.counters.connections.add(1);
                        core.spawn(proxy::serve(core.clone(), stream, peer, settings, ticket));
                    }
                    Err(why) => {
                        core.counters.connections_shed.add(1);
                        drop(stream);
                        if why == NoRoom::Descriptors {
                            pause(&core).await;
                        }
                    }
                }
            }
            Err(_) if core.draining.get() => return,
            Err(error) => {
                core.counters.accept_errors.add(1);
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
                    pause(&core).await;
                }
            }
        }
    }
}

/// A place for a new connection, if need be that of one that is idle.
fn admit(core: &Core, descriptor: i32, peer: IpAddr) -> Result<Ticket, NoRoom> {
    let limits = core.limits();
    if core.admission.is_one_of_the_last(descriptor) && !core.end_an_idle_one() {
        return Err(NoRoom::Descriptors);
    }
    let is_full = || core.watches.places_taken() >= limits.connections_per_worker;
    if is_full() && !core.end_an_idle_client() {
        return Err(NoRoom::Full);
    }
    loop {
        match core.admit(peer) {
            // Another worker may take the place that has come free: as long as somebody is idle, there is another.
            Err(Full::InAll) if core.end_an_idle_client() => {}
            outcome => return outcome.map_err(|_| NoRoom::Full),
        }
    }
}

/// Waits for descriptors to come free, here and on the other workers.
async fn pause(core: &Core) {
    core.run_short_of_descriptors();
    core.relieve();
    net::pause(PAUSE).await;
}

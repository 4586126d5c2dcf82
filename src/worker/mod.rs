//! A core: one pinned thread with its own event loop, listeners, tables, buffers and backends.
//!
//! [`fleet`] starts and stops them all; [`run`] is what one of them does; [`handover`] brings it new generations.

mod accept;
mod checks;
pub mod fleet;
pub mod handover;
mod turned_away;
mod watchman;

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use crate::catalog::{self, Driver};
use crate::cluster::Engine;
use crate::gate::Shared;
use crate::net::Wait;
use crate::net::bell::{Bell, Listening};
use crate::net::deadline::SWEEP_INTERVAL;
use crate::net::listen::Listener;
use crate::net::{Admission, runtime};
use crate::observe::access_log::Sink;
use crate::observe::counters::{Counters, Timeout};
use crate::observe::record::Ended;
use crate::proxy::tally::Tally;
use crate::proxy::{Core, Running, Waiting};
use crate::sys;
use crate::upstream::{Pools, Upstreams};
use checks::Checks;
use handover::{Generation, Handover};

/// What a worker is given to live on.
pub struct Provision {
    /// From 0.
    pub number: usize,
    /// What it begins with.
    pub generation: Arc<Generation>,
    pub handover: Arc<Handover>,
    /// Rung when a generation is offered, or ordered.
    pub bell: Bell,
    pub shared: Arc<Shared>,
    /// Which clients may be connected.
    pub admission: Arc<Admission>,
    /// Of the cluster, if there is one.
    pub engine: Option<Engine>,
    pub listeners: Vec<(TcpListener, catalog::Listener)>,
    pub log: Sink,
    pub counters: Arc<Counters>,
    pub driver: Driver,
    /// Set when the worker is to finish what it has and end.
    pub stop: Arc<AtomicBool>,
    /// Told once, when the worker has all that it needs to serve.
    pub ready: Sender<io::Result<()>>,
    /// Says when to take connections. Until then a worker takes none: the descriptors of clients may be the last there are,
    /// and others may need theirs to start.
    pub begin: Receiver<()>,
}

/// Runs a worker on this thread until it is told to stop and its last connection has ended.
pub fn run(provision: Provision) {
    let ready = provision.ready.clone();
    if let Err(error) = runtime::run(provision.driver == Driver::IoUring, live(provision)) {
        let _ = ready.send(Err(error));
    }
}

async fn live(provision: Provision) {
    let Provision { number, generation, handover, bell, shared, admission, engine, listeners, log, counters, .. } = provision;
    let (stop, ready, begin) = (provision.stop, provision.ready, provision.begin);
    counters.thread.set(sys::thread_id());
    let pools = Rc::new(Pools::new(counters.clone()));
    let first = running(&generation, number, &pools, None);
    drop(generation);
    let core = Rc::new(Core::new(number, first, handover.order.clone(), shared, pools, admission, engine, log, counters));
    core.clock.renew();
    let adopted: io::Result<Vec<_>> =
        listeners.into_iter().map(|(socket, settings)| Ok((Rc::new(Listener::adopt(socket)?), settings))).collect();
    let (listeners, bell) = match adopted.and_then(|listeners| Ok((listeners, bell.adopt()?))) {
        Ok(both) => both,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    // Nothing is under way yet that this could hold up. Nobody there to say so: the gateway does not start.
    if begin.recv().is_err() {
        return;
    }
    for (listener, settings) in &listeners {
        monoio::spawn(accept::accept(core.clone(), listener.clone(), *settings));
    }
    core.spawn(follow(core.clone(), handover, number, bell));
    let clock = core.clone();
    monoio::spawn(core.pools.tasks.clone().run(move || clock.clock.new_turn()));

    let mut last_call_ms = u64::MAX;
    loop {
        monoio::time::sleep(SWEEP_INTERVAL).await;
        sweep(&core);
        if stop.load(Ordering::Relaxed) {
            if !core.draining.replace(true) {
                listeners.iter().for_each(|(listener, _)| listener.stop());
                last_call_ms = core.clock.coarse_ms() + core.limits().drain_timeout.as_millis() as u64 * LAST_CALL / 100;
            }
            if core.clock.coarse_ms() >= last_call_ms {
                core.upgraded.end_all(Ended::Drained);
            }
            core.watches.end_idle();
            if core.watches.is_empty() && core.streams.is_empty() {
                break;
            }
        }
    }
    core.log.finish();
    core.counters.swept_at_ms.set(u64::MAX);
}

/// When connections that have switched to another protocol are ended, in percent of the drain: their lines are then in the
/// log when the process ends.
const LAST_CALL: u64 = 90;

/// What is done many times a second for all connections at once, instead of by a timer for each.
fn sweep(core: &Core) {
    let due_ms = core.clock.renew();
    core.watches.sweep(due_ms);
    core.streams.sweep(due_ms);
    core.handshakes.sweep(due_ms);
    core.pools.sweep(due_ms, core.limits().pool_idle_timeout.as_millis() as u64);
    core.pipes.sweep(due_ms);
    core.relieve();
    core.log.hand_over();
    let counters = &core.counters;
    counters.quota_without_room.set(core.quota_without_room());
    counters.nonces_without_room.set(core.nonces_without_room());
    counters.connections_open.set(core.watches.len() as u64);
    counters.upgraded_open.set(core.upgraded.count());
    for (wait, timeout) in TIMEOUTS {
        counters.timed_out(timeout).set(core.watches.expirations(wait) + core.streams.expirations(wait));
    }
    counters.swept_at_ms.set(core.clock.coarse_ms());
}

/// The waits that are counted where they end.
const TIMEOUTS: [(Wait, Timeout); 10] = [
    (Wait::Handshake, Timeout::Handshake),
    (Wait::Idle, Timeout::Idle),
    (Wait::Head, Timeout::Head),
    (Wait::Body, Timeout::Body),
    (Wait::Send, Timeout::Send),
    (Wait::Connect, Timeout::Connect),
    (Wait::Forward, Timeout::Forward),
    (Wait::FirstByte, Timeout::FirstByte),
    (Wait::Answer, Timeout::Answer),
    (Wait::Upgraded, Timeout::Upgraded),
];

/// A generation as this worker runs it: with tables of its own, in memory that it was the first to write. What is unchanged
/// since the one before is shared with it.
fn running(generation: &Generation, worker: usize, pools: &Rc<Pools>, before: Option<&Running>) -> Running {
    let (tables, before) = (generation.tables.clone(), before.map(|before| &before.upstreams));
    let upstreams = Upstreams::build(&tables.catalog, &generation.seating, worker, pools, before);
    let tally = Tally::of(&tables.catalog);
    Running { load: generation.load, tables, upstreams, tally }
}

/// Follows the generations that are handed over, as long as there may be any.
async fn follow(core: Rc<Core>, handover: Arc<Handover>, number: usize, mut bell: Listening) {
    // One worker checks for all.
    let checks = (number == 0).then(Checks::default);
    let mut load = 0;
    loop {
        let now = core.running();
        if now.load != load {
            load = now.load;
            checks.iter().for_each(|checks| checks.follow(&core));
            core.upgraded.follow(&now, core.clock.unix_ms(core.clock.now_us()));
            handover.runs(number, load);
        }
        if let Some(next) = handover.offered_to(number) {
            core.prepare(running(&next, number, &core.pools, Some(&now)));
            handover.is_prepared(number, next.load);
        }
        drop(now);
        if !bell.heard().await {
            return;
        }
        core.engine.iter().for_each(Waiting::ring);
    }
}

#[cfg(test)]
mod tests;

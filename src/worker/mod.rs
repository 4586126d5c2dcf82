//! A core: one pinned thread with its own event loop, listeners, tables, buffers and backends.
//!
//! [`fleet`] starts and stops them all; [`run`] is what one of them does.

pub mod fleet;

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::catalog::{Catalog, Driver, Scheme};
use crate::gate::{Shared, Tables};
use crate::net::deadline::SWEEP_INTERVAL;
use crate::net::guard::CatchPanic;
use crate::net::listen::Listener;
use crate::net::{clock, runtime};
use crate::observe::access_log::Sink;
use crate::observe::counters::Counters;
use crate::observe::status::Status;
use crate::proxy::{self, Core};
use crate::upstream::Upstreams;
use crate::upstream::board::Board;
use crate::upstream::check::Checker;

/// How long accepting pauses when the process or the machine has no descriptor or memory left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What a worker is given to live on.
pub struct Provision {
    /// From 0.
    pub number: usize,
    pub catalog: Arc<Catalog>,
    pub shared: Arc<Shared>,
    /// What workers know together of the backends.
    pub board: Arc<Board>,
    pub listeners: Vec<(TcpListener, Scheme)>,
    pub log: Sink,
    pub counters: Arc<Counters>,
    pub status: Arc<Status>,
    pub driver: Driver,
    /// Set when the worker is to finish what it has and end.
    pub stop: Arc<AtomicBool>,
    /// Told once, when the worker accepts connections.
    pub ready: Sender<io::Result<()>>,
}

/// Runs a worker on this thread until it is told to stop and its last connection has ended.
pub fn run(provision: Provision) {
    let ready = provision.ready.clone();
    if let Err(error) = runtime::run(provision.driver == Driver::IoUring, live(provision)) {
        let _ = ready.send(Err(error));
    }
}

async fn live(provision: Provision) {
    let Provision { number, catalog, shared, board, listeners, log, counters, status, stop, ready, .. } = provision;
    // Built here, so that the tables lie in memory near this core.
    let upstreams = Upstreams::build(&catalog, &board, number);
    let core = Rc::new(Core::new(Tables::build(catalog), shared, upstreams, log, counters));
    core.clock.renew();
    let adopted: io::Result<Vec<_>> =
        listeners.into_iter().map(|(socket, scheme)| Ok((Rc::new(Listener::adopt(socket)?), scheme))).collect();
    let listeners = match adopted {
        Ok(listeners) => listeners,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    for (listener, scheme) in &listeners {
        monoio::spawn(accept(core.clone(), listener.clone(), *scheme));
    }
    // One worker checks for all.
    let checkers = if number == 0 { core.upstreams.checkers() } else { Vec::new() };
    for checker in checkers {
        spawn(&core, check(core.clone(), checker));
    }
    if let Some(own) = status.worker(number) {
        own.runs(1, clock::unix_ms());
    }
    let _ = ready.send(Ok(()));

    loop {
        monoio::time::sleep(SWEEP_INTERVAL).await;
        sweep(&core);
        if stop.load(Ordering::Relaxed) {
            if !core.draining.replace(true) {
                listeners.iter().for_each(|(listener, _)| listener.stop());
            }
            core.watches.end_idle();
            if core.watches.is_empty() {
                break;
            }
        }
    }
    core.log.finish();
}

/// What is done many times a second for all connections at once, instead of by a timer for each.
fn sweep(core: &Core) {
    core.clock.renew();
    let now_ms = core.clock.coarse_ms();
    core.watches.sweep(now_ms);
    core.handshakes.sweep(now_ms);
    core.upstreams.sweep(now_ms, core.limits().pool_idle_timeout.as_millis() as u64);
    core.log.hand_over();
}

/// Accepts connections until the listener is stopped.
async fn accept(core: Rc<Core>, listener: Rc<Listener>, scheme: Scheme) {
    loop {
        match listener.accept().await {
            Ok(_) if core.watches.len() >= core.limits().connections_per_worker => core.counters.connections_shed.add(1),
            Ok((stream, peer)) => {
                core.counters.connections.add(1);
                spawn(&core, proxy::serve(core.clone(), stream, peer, scheme));
            }
            Err(_) if core.draining.get() => return,
            Err(error) => {
                core.counters.accept_errors.add(1);
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
                    monoio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Checks one instance until the worker drains.
async fn check(core: Rc<Core>, mut checker: Checker) {
    while !core.draining.get() {
        checker.check(&core.upstreams, &core.clock).await;
        monoio::time::sleep(checker.interval()).await;
    }
}

/// Runs a task of this worker; a panic ends it alone, and is counted.
fn spawn(core: &Rc<Core>, task: impl Future<Output = ()> + 'static) {
    let counters = core.counters.clone();
    monoio::spawn(CatchPanic::new(task, move || counters.panics.add(1)));
}

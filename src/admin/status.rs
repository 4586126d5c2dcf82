//! `/status`: what a person or a program asks who wants to know how the gateway is. `lockgate status` reads it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Sources, process};
use crate::cluster::Engine;
use crate::gate::quota::allowance::Standing;
use crate::net::clock;
use crate::observe::counters::Counters;
use crate::observe::status::{Phase, View, Work};
use crate::upstream::board::Seen;

/// How long a worker is looked at to see how busy it is.
const LOOK: Duration = Duration::from_millis(100);

/// The page. Fields are added, and not taken away.
#[derive(Debug, Serialize, Deserialize)]
pub struct Page {
    pub instance: String,
    pub version: String,
    /// `starting`, `serving` or `draining`.
    pub phase: String,
    pub ready: bool,
    pub started: String,
    pub uptime_s: u64,
    /// `io_uring` or `epoll`.
    pub driver: String,
    pub listeners: Vec<String>,
    pub generation: Generation,
    /// Why the files as they are now are not served.
    pub error: Option<Error>,
    pub loads_refused: u64,
    /// Settings that have changed, and take effect when the gateway is started anew.
    pub restart_needed: Vec<String>,
    pub workers: Vec<Worker>,
    pub connections: Connections,
    pub requests: Requests,
    pub backends: Vec<Backend>,
    pub access_log: AccessLog,
    /// `None`: this gateway counts alone.
    #[serde(default)]
    pub cluster: Option<Cluster>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// Its engine can be reached.
    pub engine_up: bool,
    pub gateways: u64,
    pub round_trips: u64,
    pub failures: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Generation {
    pub number: u64,
    pub sha256: String,
    /// Generations that this process has put in force, this one included.
    pub load: u64,
    pub loaded: String,
    pub age_s: u64,
    pub took_ms: u64,
    pub groups: usize,
    pub apis: usize,
    pub apps: usize,
    pub vpc_accesses: usize,
    /// What was done for it; all else is of the generation before.
    pub work: Work,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Error {
    pub time: String,
    /// `FILE:LINE:COLUMN` of the first error.
    pub place: String,
    pub message: String,
    /// In all.
    pub errors: usize,
    /// All of them, as the command line shows them.
    pub report: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Worker {
    /// The generation it runs, by its load, and since when.
    pub load: u64,
    pub age_s: u64,
    /// The share of the last moment that it worked, from 0 to 1.
    pub busy: f64,
    pub connections: u64,
    pub requests: u64,
    /// Since it last looked after its deadlines.
    pub sweep_age_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Connections {
    pub open: u64,
    pub accepted: u64,
    pub shed: u64,
    pub errors: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Requests {
    pub begun: u64,
    pub refused: u64,
    pub panics: u64,
}

/// One instance of a VPC access.
#[derive(Debug, Serialize, Deserialize)]
pub struct Backend {
    pub vpc_access: String,
    pub address: String,
    /// `well`, `aside`, `trial` or `down`.
    pub state: String,
    pub calls_in_flight: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct AccessLog {
    pub written: u64,
    pub dropped: u64,
}

fn cluster(engine: &Engine) -> Cluster {
    let (standing, counted) = (engine.standing.as_deref(), &engine.counted);
    Cluster {
        engine_up: standing.is_some_and(|standing| !standing.is_lost()),
        gateways: standing.map_or(0, Standing::nodes),
        round_trips: counted.round_trips.load(Relaxed),
        failures: counted.failures.load(Relaxed),
    }
}

/// Looks at the gateway for a moment.
pub fn page(sources: &Sources) -> Page {
    let busy = busy(sources);
    let (now_ms, view) = (clock::unix_ms(), sources.status.view());
    let age_s = |since_ms: u64| now_ms.saturating_sub(since_ms) / 1000;
    let workers = sources.workers.iter().zip(sources.sweep_ages_ms()).zip(busy).enumerate();
    let workers = workers.map(|(number, ((counters, sweep_age_ms), busy))| {
        let (load, since_ms) = view.workers.get(number).copied().unwrap_or_default();
        let (connections, requests) = (counters.connections_open.get(), counters.requests.get());
        Worker { load, age_s: age_s(since_ms), busy, connections, requests, sweep_age_ms }
    });
    let sum = |of: fn(&Counters) -> u64| sources.sum(of);
    Page {
        instance: sources.instance.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        phase: phase(view.phase).into(),
        ready: sources.is_ready(),
        started: utc(view.started_unix_ms),
        uptime_s: age_s(view.started_unix_ms),
        driver: sources.driver.into(),
        listeners: sources.listeners.clone(),
        workers: workers.collect(),
        connections: Connections {
            open: sum(|c| c.connections_open.get()),
            accepted: sum(|c| c.connections.get()),
            shed: sum(|c| c.connections_shed.get()),
            errors: sum(|c| c.accept_errors.get()),
        },
        requests: Requests {
            begun: sum(|c| c.requests.get()),
            refused: sum(Counters::refusals),
            panics: sum(|c| c.panics.get()),
        },
        backends: sources.board.seen(super::now_ms(), |_, _, _| true).into_iter().map(backend).collect(),
        access_log: AccessLog { written: sources.log_lines_written(), dropped: sources.log_lines_dropped() },
        cluster: sources.engine.as_ref().map(cluster),
        generation: generation(&view, age_s(view.generation.loaded_unix_ms)),
        error: view.error.map(|error| Error {
            time: utc(error.unix_ms),
            place: error.place,
            message: error.message,
            errors: error.errors,
            report: error.report,
        }),
        loads_refused: view.loads_refused,
        restart_needed: view.restart_needed,
    }
}

fn generation(view: &View, age_s: u64) -> Generation {
    let of = &view.generation;
    Generation {
        number: of.number,
        sha256: of.sha256.clone(),
        load: of.load,
        loaded: utc(of.loaded_unix_ms),
        age_s,
        took_ms: view.last_load_us.div_ceil(1000),
        groups: of.groups,
        apis: of.apis,
        apps: of.apps,
        vpc_accesses: of.vpc_accesses,
        work: of.work,
    }
}

fn backend(seen: Seen) -> Backend {
    Backend {
        vpc_access: seen.access,
        address: seen.address.to_string(),
        state: seen.state.name().into(),
        calls_in_flight: seen.calls,
    }
}

/// The share of a moment that each worker spends on the processor: what it waits for, it waits for in the kernel.
fn busy(sources: &Sources) -> Vec<f64> {
    let times = || sources.workers.iter().map(|worker| process::thread_cpu_s(worker.thread.get()));
    let (began_us, before): (_, Vec<_>) = (super::now_us(), times().collect());
    std::thread::sleep(LOOK);
    let took_s = (super::now_us() - began_us) as f64 / 1e6;
    let share = |(after, before): (f64, f64)| ((after - before) / took_s).clamp(0.0, 1.0);
    times().zip(before).map(share).map(|share| (share * 1000.0).round() / 1000.0).collect()
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Serving => "serving",
        Phase::Draining => "draining",
    }
}

/// RFC 3339; empty: never.
fn utc(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().filter(|ms| *ms > 0).and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}

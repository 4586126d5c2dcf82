//! The side-by-side: a backend, some proxies before it, and the generator, all on the loopback of one machine.
//!
//! Each proxy has one worker on one core; backend and generator share another. For each scenario the proxies take turns,
//! round by round, so that what else the machine does falls on all of them; within a turn the connections are warmed up
//! first, and the proxy's counters are read while nothing moves. Processor time of the proxy per request is the figure;
//! rates and latencies depend on how much the other core can do, and are shown beside it.

mod beside;
mod browser;
mod certificate;
mod flames;
pub mod gateway;
mod machine;
mod network;
mod nginx;
pub mod page;
pub mod peers;
mod plot;
mod proc_files;
pub mod process;
mod profile;
mod report;
mod sample;
pub mod scenario;
mod stacks;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::arrivals::Arrivals;

use self::certificate::Certificate;
use self::machine::Machine;
use self::network::Network;
use self::peers::{Peer, Site, Started};
use self::report::{Report, Setup};
use self::sample::{Bench, Sample};
use self::scenario::{Scenario, Setting};

#[derive(Args)]
pub struct Arguments {
    /// Scenario files, or names of built-in scenarios; by default those of requests
    #[arg(long, value_name = "FILE", num_args = 1..)]
    scenario: Vec<String>,
    /// The built-in scenarios of connections: over TLS, one for each request, many that wait
    #[arg(long, conflicts_with = "scenario")]
    edge: bool,
    /// The built-in scenarios of what a gateway does beside passing requests on: limits, log and metrics, refusals, changes, many APIs
    #[arg(long, conflicts_with_all = ["scenario", "edge"])]
    duties: bool,
    #[arg(long, value_enum, value_delimiter = ',', default_value = "nginx,haproxy,relay,lockgate")]
    peers: Vec<Peer>,
    /// How often each peer is measured in each scenario
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Measured requests of each round
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// Requests before them
    #[arg(long, default_value_t = 20_000)]
    warm_up: u64,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Requests a second of an open loop, where latencies count from when a request was to be sent; without it the loop is closed
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, value_enum, default_value = "poisson", requires = "rate")]
    arrivals: Arrivals,
    /// Longest time of one round's measurement, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The gateway's binary; by default the `lockgate` beside this program, if there is one
    #[arg(long)]
    gateway: Option<PathBuf>,
    /// The core of the proxies
    #[arg(long, default_value_t = 0)]
    proxy_core: usize,
    /// The core that backend and generator share
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    #[arg(long, value_enum, default_value = "auto", overrides_with = "network")]
    network: Network,
    /// One more turn of the gateway in each scenario, with perf looking on: SCENARIO.perf, which `report --profile` draws
    #[arg(long)]
    profile: bool,
    /// Where compare.json and compare.md are written
    #[arg(long, default_value = "target/loadtest")]
    out: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.proxy_core == arguments.load_core {
        bail!("--proxy-core and --load-core must differ: sharing a core would measure the sharing");
    }
    let scenarios = match arguments.scenario.as_slice() {
        [] if arguments.edge => scenario::edge()?,
        [] if arguments.duties => scenario::duties()?,
        [] => scenario::built_in()?,
        named => scenario::load(named)?,
    };
    let network = network::enter(arguments.network)?;
    let machine = Machine::describe();
    let directory = tempfile::Builder::new().prefix("loadtest-").tempdir()?;
    let certificate = Certificate::make(directory.path())?;
    let (backend, address) = peers::start_backend(directory.path(), Some(arguments.load_core))?;
    let gateway = gateway_binary(arguments.gateway.as_deref())?;
    let site = Site {
        directory: directory.path(),
        core: arguments.proxy_core,
        backend: address,
        gateway: gateway.as_deref(),
        certificate: &certificate,
    };
    let mut started = Vec::new();
    for &peer in &arguments.peers {
        match peers::start(peer, &site, &Setting::default())? {
            Some(peer) => started.push(peer),
            None => eprintln!("{}: not on this machine, left out", peer.name()),
        }
    }
    if started.is_empty() {
        bail!("no peer to measure");
    }
    let bench = Bench { arguments, backend: &backend, authority: &certificate.authority };
    let samples = measure_all(&bench, &site, &scenarios, &started)?;
    if arguments.profile {
        profile_all(&bench, &site, &scenarios)?;
    }
    let setup = Setup {
        machine,
        network,
        proxy_core: arguments.proxy_core,
        load_core: arguments.load_core,
        connections: arguments.connections,
        rounds: arguments.rounds,
        requests: arguments.requests,
        rate: arguments.rate,
        arrivals: arguments.arrivals,
        versions: started.iter().map(|started| (started.peer, started.version.clone())).collect(),
    };
    drop(started);
    drop(backend);
    let report = Report::new(setup, scenarios, samples);
    publish(arguments, &report)?;
    if report.faulty() {
        bail!("some answers were wrong or missing: the figures beside them mean nothing");
    }
    Ok(())
}

fn measure_all(bench: &Bench, site: &Site, scenarios: &[Scenario], started: &[Started]) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for round in 0..bench.arguments.rounds {
        for scenario in scenarios {
            // Another peer goes first each round: whoever follows a pause or a heavier peer, it is not always the same.
            for turn in 0..started.len() {
                let Some(started) = started.get((turn + round as usize) % started.len()) else { continue };
                if !started.peer.takes_part(scenario) {
                    continue;
                }
                // Memory that it has grown by before would hide what connections cost; and a setting is that of one scenario.
                let setting = scenario.gateway.as_ref().filter(|_| started.peer == Peer::Lockgate);
                let fresh = if scenario.connections.is_some() || setting.is_some() {
                    peers::start(started.peer, site, setting.unwrap_or(&Setting::default()))?
                } else {
                    None
                };
                let sample = bench.measure(fresh.as_ref().unwrap_or(started), scenario, round)?;
                eprintln!("round {}: {sample}", round + 1);
                samples.push(sample);
            }
        }
    }
    Ok(samples)
}

fn profile_all(bench: &Bench, site: &Site, scenarios: &[Scenario]) -> Result<()> {
    let out = &bench.arguments.out;
    fs::create_dir_all(out)?;
    for scenario in scenarios {
        let setting = scenario.gateway.clone().unwrap_or_default();
        let started = peers::start(Peer::Lockgate, site, &setting)?.context("--profile is of the gateway, which is not here")?;
        let turn = || bench.measure(&started, scenario, 0).map(drop);
        profile::record(&started, &out.join(format!("{}.perf", scenario.name)), turn)?;
    }
    Ok(())
}

/// What was named must be there; what is only usual may be missing.
pub fn gateway_binary(named: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(named) = named {
        return Ok(Some(fs::canonicalize(named).with_context(|| format!("the gateway {}", named.display()))?));
    }
    let beside = std::env::current_exe()?.with_file_name("lockgate");
    Ok(beside.is_file().then_some(beside))
}

fn publish(arguments: &Arguments, report: &Report) -> Result<()> {
    let markdown = report.markdown();
    println!("{markdown}");
    fs::create_dir_all(&arguments.out)?;
    fs::write(arguments.out.join("compare.md"), &markdown)?;
    fs::write(arguments.out.join("compare.json"), serde_json::to_vec_pretty(report)?)?;
    eprintln!("written to {}", arguments.out.display());
    Ok(())
}

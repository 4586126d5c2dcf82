//! One turn of one peer: connections warmed, counters read, requests sent, counters read again.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::beside::Beside;
use super::peers::{Peer, Started};
use super::proc_files::MachineTimes;
use super::process::{Running, Usage, machine_times, pinned};
use super::scenario::{Refusal, Scenario};
use super::{Arguments, gateway, network};
use crate::arrivals::Arrivals;
use crate::load::{Lasting, Latency, Outcome};
use crate::request::Credential;

/// Connections that come from one address: each has a port of its own, of which there are some 28,000.
const CONNECTIONS_OF_A_SOURCE: usize = 4096;

/// What all turns share.
pub struct Bench<'a> {
    pub arguments: &'a Arguments,
    pub backend: &'a Running,
    /// Who has signed the certificates of peers.
    pub authority: &'a Path,
}

/// The figures of one turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    pub scenario: String,
    pub peer: Peer,
    pub round: u32,
    pub requests: u64,
    pub faults: u64,
    pub told: Vec<String>,
    /// Processor time of the proxy's processes, in microseconds per request.
    pub processor_us: f64,
    pub user_us: f64,
    pub kernel_us: f64,
    pub context_switches_per_request: f64,
    /// The part of the measurement in which the proxy ran. Well below 1, the other core was the bound: the proxy finds
    /// less to do each time it wakes, and pays more per request than it would saturated.
    pub busy: f64,
    pub requests_per_second: f64,
    pub latency_us: Latency,
    /// What the proxy's memory has grown by for each connection, while they all waited.
    pub kib_per_connection: f64,
    /// The part of the whole machine that went to neither proxy, backend nor generator, nor was idle.
    pub others: f64,
    /// The part of the whole machine that the hypervisor took.
    pub stolen: f64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {:.1} us/request ({:.1} user), {:.0} requests/s, busy {:.0} %, others {:.0} %",
            self.scenario,
            self.peer.name(),
            self.processor_us,
            self.user_us,
            self.requests_per_second,
            self.busy * 100.0,
            self.others * 100.0
        )?;
        if self.faults > 0 {
            write!(f, "; {} FAULTS: {}", self.faults, self.told.join("; "))?;
        }
        Ok(())
    }
}

/// All counters at one moment.
struct Counters {
    proxy: Usage,
    backend: Usage,
    generator: Usage,
    machine: MachineTimes,
}

impl Bench<'_> {
    pub fn measure(&self, started: &Started, scenario: &Scenario, round: u32) -> Result<Sample> {
        let what = || format!("{} through {}", scenario.name, started.peer.name());
        let empty_kib = started.process.memory_kib()?;
        let mut generator = self.generator(started, scenario, round)?;
        let input = generator.child.stdin.take().ok_or_else(|| anyhow!("the generator has no input"))?;
        let output = generator.child.stdout.take().ok_or_else(|| anyhow!("the generator has no output"))?;
        let (mut input, mut lines) = (input, BufReader::new(output).lines());
        let mut next_line = || lines.next().transpose()?.ok_or_else(|| anyhow!("the generator ended early"));
        if next_line().with_context(what)? != "warm" {
            bail!("{}: the generator does not follow the protocol", what());
        }
        let beside = Beside::begin(started, scenario.gateway.as_ref())?;
        let before = self.counters(started, &generator)?;
        // All connections are open, and none of them is doing anything.
        let grown_kib = started.process.memory_kib()?.saturating_sub(empty_kib);
        let kib_per_connection = grown_kib as f64 / self.connections(scenario) as f64;
        input.write_all(b"start\n").with_context(what)?;
        let line = next_line().with_context(what)?;
        let after = self.counters(started, &generator)?;
        beside.end().with_context(what)?;
        let outcome: Outcome = serde_json::from_str(&line).with_context(what)?;
        generator.child.wait()?;
        Ok(Sample { kib_per_connection, ..sample(started.peer, scenario, round, outcome, &before, &after) })
    }

    fn generator(&self, started: &Started, scenario: &Scenario, round: u32) -> Result<Running> {
        let app = gateway::app();
        let credential = match scenario.credential {
            Credential::None => "none",
            Credential::AppCode => "app-code",
            Credential::Signature => "signature",
            Credential::WrongSignature => "wrong-signature",
        };
        let Arguments { requests, warm_up, seconds, load_core, .. } = self.arguments;
        let connections = self.connections(scenario);
        let requests = scenario.requests.map_or(*requests, |most| most.min(*requests));
        let warm_up = (*warm_up).min(requests / 10).max((connections * scenario.streams.unwrap_or(1)) as u64);
        let target = match (scenario.tls, scenario.streams) {
            (true, _) => started.secure.context("a peer with TLS")?,
            (false, Some(_)) => started.http2.context("a peer with HTTP/2")?,
            (false, None) => started.address,
        };
        let lasting = match scenario.connection {
            Lasting::Kept => "kept",
            Lasting::New => "new",
            Lasting::Resumed => "resumed",
        };
        let mut command = pinned(*load_core, std::env::current_exe()?.as_os_str())?;
        command.args(["load", "--json", "--wait-for-start", "--congestion", network::CONGESTION]);
        for (option, value) in [
            ("--target", target.to_string()),
            ("--connection", lasting.to_owned()),
            ("--method", scenario.method.clone()),
            ("--path", scenario.path.clone()),
            ("--credential", credential.to_owned()),
            ("--app-key", app.key),
            ("--app-secret", app.secret),
            ("--app-code", app.code),
            ("--request-bytes", scenario.request_bytes.to_string()),
            ("--answer-bytes", scenario.answer_bytes.to_string()),
            ("--connections", connections.to_string()),
            ("--requests", requests.to_string()),
            ("--warm-up", warm_up.to_string()),
            ("--seconds", seconds.to_string()),
        ] {
            command.args([option, &value]);
        }
        if let Some(rate) = self.arguments.rate.filter(|_| scenario.streams.is_none()) {
            let arrivals = if self.arguments.arrivals == Arrivals::Constant { "constant" } else { "poisson" };
            // Each round has an order of its own, the same for all peers.
            command.args(["--rate", &rate.to_string(), "--arrivals", arrivals, "--seed", &(round + 1).to_string()]);
        }
        if let Some(streams) = scenario.streams {
            command.args(["--streams", &streams.to_string()]);
        }
        if let Some(Refusal { status, code }) = &scenario.refusal {
            command.args(["--refusal", &format!("{status}:{code}")]);
        }
        command.args(["--sources", &connections.div_ceil(CONNECTIONS_OF_A_SOURCE).to_string()]);
        if scenario.connections.is_some() {
            command.arg("--one-by-one");
        }
        if scenario.tls {
            command.arg("--authority").arg(self.authority);
        }
        Running::partner("generator", &mut command)
    }

    fn connections(&self, scenario: &Scenario) -> usize {
        scenario.connections.unwrap_or(if scenario.streams.is_some() { 1 } else { self.arguments.connections })
    }

    fn counters(&self, started: &Started, generator: &Running) -> Result<Counters> {
        Ok(Counters {
            proxy: started.process.usage()?,
            backend: self.backend.usage()?,
            generator: generator.usage()?,
            machine: machine_times()?,
        })
    }
}

fn sample(peer: Peer, scenario: &Scenario, round: u32, outcome: Outcome, before: &Counters, after: &Counters) -> Sample {
    let tick = 1.0 / rustix::param::clock_ticks_per_second() as f64;
    let proxy = after.proxy.since(&before.proxy);
    let ours = proxy.ticks() + after.backend.since(&before.backend).ticks() + after.generator.since(&before.generator).ticks();
    let busy = after.machine.busy_ticks.saturating_sub(before.machine.busy_ticks);
    let idle = after.machine.idle_ticks.saturating_sub(before.machine.idle_ticks);
    let stolen = after.machine.stolen_ticks.saturating_sub(before.machine.stolen_ticks);
    let machine = (busy + idle + stolen).max(1) as f64;
    let per_request = |amount: f64| amount / outcome.requests as f64;
    Sample {
        scenario: scenario.name.clone(),
        peer,
        round,
        requests: outcome.requests,
        faults: outcome.faults,
        processor_us: per_request(proxy.ticks() as f64 * tick * 1e6),
        user_us: per_request(proxy.user_ticks as f64 * tick * 1e6),
        kernel_us: per_request(proxy.system_ticks as f64 * tick * 1e6),
        context_switches_per_request: per_request(proxy.context_switches as f64),
        busy: proxy.ticks() as f64 * tick / outcome.seconds,
        requests_per_second: outcome.requests_per_second(),
        kib_per_connection: 0.0,
        others: busy.saturating_sub(ours) as f64 / machine,
        stolen: stolen as f64 / machine,
        told: outcome.told,
        latency_us: outcome.latency_us,
    }
}

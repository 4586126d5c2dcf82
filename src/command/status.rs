//! `lockgate status`

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::Failure;
use super::call::exchange::{Answer, Request, send};
use super::format::Format;
use crate::admin::status::{Page, Worker};
use crate::catalog;

/// Show how the running gateway is, as its operator's listener says
#[derive(Args)]
pub struct Status {
    /// The operator's listener; otherwise that of gateway.toml
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Option<SocketAddr>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Longest wait for the gateway, in seconds
    #[arg(long, value_name = "S", default_value_t = 10)]
    timeout: u64,
}

impl Status {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let address = match self.address {
            Some(address) => address,
            None => catalog::admin_address(config)?.ok_or_else(|| {
                let file = config.join("gateway.toml");
                Failure::new(format!(
                    "{} names no operator's listener\n  help: add `[admin]` with `address = \"9090\"`, and start the gateway anew",
                    file.display()
                ))
            })?,
        };
        let answer = ask(address, Duration::from_secs(self.timeout.max(1)))?;
        if self.format == Format::Json {
            out.write_all(&answer.body)?;
            return Ok(());
        }
        let page: Page = serde_json::from_slice(&answer.body)
            .map_err(|error| Failure::new(format!("{address} is no operator's listener of this version: {error}")))?;
        show(&page, out)?;
        Ok(())
    }
}

fn ask(address: SocketAddr, timeout: Duration) -> Result<Answer, Failure> {
    let headers = [("Host".to_owned(), address.to_string())];
    let request = Request { method: "GET", target: "/status", headers: &headers, body: &[] };
    let answer = send(address, None, &request, timeout).map_err(|error| {
        Failure::new(format!(
            "the operator's listener at {address} does not answer: {error}\n  help: is the gateway running? `lockgate run`"
        ))
    })?;
    match answer.status {
        200 => Ok(answer),
        _ => Err(Failure::new(format!("{address} answers `{}`: no operator's listener", answer.status_line))),
    }
}

fn show(page: &Page, out: &mut dyn Write) -> std::io::Result<()> {
    let ready = if page.ready { "ready" } else { "not ready" };
    writeln!(out, "{}: {}, {ready}; lockgate {} on {}", page.instance, page.phase, page.version, page.driver)?;
    writeln!(out, "up           {} since {}", duration(page.uptime_s), page.started)?;
    writeln!(out, "listeners    {}", page.listeners.join(", "))?;
    let generation = &page.generation;
    let sha256: String = generation.sha256.chars().take(12).collect();
    writeln!(
        out,
        "generation   {}, sha256 {sha256}, in force for {} (load {}, {} ms)",
        generation.number,
        duration(generation.age_s),
        generation.load,
        generation.took_ms
    )?;
    writeln!(
        out,
        "             {} APIs in {} groups, {} apps, {} VPC accesses",
        generation.apis, generation.groups, generation.apps, generation.vpc_accesses
    )?;
    writeln!(out, "             {}", generation.work)?;
    if let Some(error) = &page.error {
        let more = if error.errors > 1 { format!(" (and {} more)", error.errors - 1) } else { String::new() };
        writeln!(out, "NOT SERVED   the files as they are since {}: {}{more}", error.time, error.message)?;
        writeln!(out, "             {}", error.place)?;
    }
    if !page.restart_needed.is_empty() {
        writeln!(out, "restart      needed for: {}", page.restart_needed.join(", "))?;
    }
    for (number, worker) in page.workers.iter().enumerate() {
        let head = if number == 0 { "workers" } else { "" };
        writeln!(out, "{head:<12} {number}: {}", about_worker(worker, generation.load))?;
    }
    let connections = &page.connections;
    writeln!(
        out,
        "connections  {} open, {} accepted, {} shed, {} errors",
        connections.open, connections.accepted, connections.shed, connections.errors
    )?;
    let requests = &page.requests;
    writeln!(out, "requests     {} begun, {} refused, {} panics", requests.begun, requests.refused, requests.panics)?;
    if let Some(cluster) = &page.cluster {
        let engine = if cluster.engine_up { "reachable" } else { "cannot be reached" };
        let (gateways, failures) = (cluster.gateways, cluster.failures);
        writeln!(out, "cluster      engine {engine}, {gateways} gateways, {failures} failures")?;
    }
    writeln!(out, "access log   {} lines written, {} dropped", page.access_log.written, page.access_log.dropped)?;
    let ill: Vec<_> = page.backends.iter().filter(|backend| backend.state != "well").collect();
    let in_flight: u64 = page.backends.iter().map(|backend| backend.calls_in_flight).sum();
    writeln!(out, "backends     {} instances, {} not well, {in_flight} calls in flight", page.backends.len(), ill.len())?;
    for backend in ill {
        let state = match backend.state.as_str() {
            "aside" => "stands aside",
            "trial" => "is tried again",
            "down" => "is down",
            other => other,
        };
        writeln!(out, "             {} {} {state}", backend.vpc_access, backend.address)?;
    }
    Ok(())
}

fn about_worker(worker: &Worker, load: u64) -> String {
    let behind = if worker.load < load { ", behind" } else { "" };
    let Worker { busy, connections, requests, .. } = worker;
    format!("{:.0} % busy, {connections} connections, {requests} requests{behind}", busy * 100.0)
}

/// The two largest units.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn a_duration_has_its_two_largest_units() {
        let shown = [0, 59, 60, 3599, 3600, 86_399, 86_400, 900_000].map(duration);
        assert_eq!(shown, ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "23 h 59 min", "1 d 0 h", "10 d 10 h"]);
    }
}

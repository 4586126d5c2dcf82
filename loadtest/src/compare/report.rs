//! The figures in words: a Markdown table a scenario, ratios first, and the limits of the scenarios held against them.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::peers::Peer;
use super::sample::Sample;
use super::scenario::Scenario;
use super::summary::Spread;
use crate::arrivals::Arrivals;

#[derive(Serialize, Deserialize)]
pub struct Setup {
    pub machine: Machine,
    pub network: String,
    pub proxy_core: usize,
    pub load_core: usize,
    pub connections: usize,
    pub rounds: u32,
    pub requests: u64,
    /// Requests a second of an open loop.
    pub rate: Option<f64>,
    pub arrivals: Arrivals,
    pub versions: Vec<(Peer, String)>,
}

#[derive(Serialize, Deserialize)]
pub struct Report {
    pub setup: Setup,
    pub scenarios: Vec<Scenario>,
    samples: Vec<Sample>,
    limits: Vec<Held>,
}

/// A scenario's limit and what was measured.
#[derive(Serialize, Deserialize)]
struct Held {
    scenario: String,
    peer: String,
    peer_scenario: String,
    limit: f64,
    ratio: Spread,
    /// Of the lowest round of the one and the lowest of the other: what disturbs a round mostly adds to it.
    lowest: f64,
    held: bool,
}

impl Setup {
    /// The machine, and how it was measured.
    pub fn described(&self) -> String {
        let Setup { machine, network, proxy_core, load_core, connections, rounds, requests, rate, arrivals, .. } = self;
        let how = match rate {
            None => "the next request of a connection leaves when its answer has come".to_owned(),
            Some(rate) => format!("{rate} requests a second ({arrivals:?}), latencies from when each was to be sent"),
        };
        format!(
            "{} cores of {}, Linux {}, load average {} before the start. Proxy (one worker) on core {proxy_core}, backend and \
             generator on core {load_core}; {network}. {connections} connections where a scenario does not say, {how}; {rounds} rounds of {requests} requests, \
             peers in turn, connections warmed. Medians, with the lowest and highest round; a ratio compares two turns of the \
             same round.",
            machine.cores, machine.processor, machine.kernel, machine.load_average
        )
    }
}

impl Report {
    pub fn new(setup: Setup, scenarios: Vec<Scenario>, samples: Vec<Sample>) -> Self {
        let mut report = Self { setup, scenarios, samples, limits: Vec::new() };
        report.limits = report.held();
        report
    }

    pub fn faulty(&self) -> bool {
        self.samples.iter().any(|sample| sample.faults > 0)
    }

    pub fn markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    /// Of the gateway's limits, those whose both sides were measured.
    fn held(&self) -> Vec<Held> {
        let mut all = Vec::new();
        for scenario in &self.scenarios {
            for limit in &scenario.limits {
                let peer_scenario = limit.scenario.as_ref().unwrap_or(&scenario.name);
                let gateway = self.processor_us(&scenario.name, Peer::Lockgate.name());
                let peer = self.processor_us(peer_scenario, &limit.peer);
                let Some(ratio) = Spread::of_ratios(&gateway, &peer) else { continue };
                let (Some(gateway), Some(peer)) = (Spread::of(gateway), Spread::of(peer)) else { continue };
                all.push(Held {
                    scenario: scenario.name.clone(),
                    peer: limit.peer.clone(),
                    peer_scenario: peer_scenario.clone(),
                    limit: limit.ratio,
                    held: ratio.median <= limit.ratio,
                    ratio,
                    lowest: gateway.low / peer.low,
                });
            }
        }
        all
    }

    /// Round by round.
    pub fn processor_us(&self, scenario: &str, peer: &str) -> Vec<f64> {
        self.of(scenario, peer).map(|sample| sample.processor_us).collect()
    }

    pub fn of(&self, scenario: &str, peer: &str) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.scenario == scenario && sample.peer.name() == peer)
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "# Side by side\n\n{}\n", self.setup.described())?;
        let versions = &self.setup.versions;
        let versions: Vec<_> = versions.iter().map(|(peer, version)| format!("{}: {version}", peer.name())).collect();
        writeln!(out, "{}\n", versions.join("; "))?;
        for scenario in &self.scenarios {
            self.write_scenario(out, scenario)?;
        }
        writeln!(out, "{}", self.record())?;
        if !self.limits.is_empty() {
            writeln!(out, "## Limits\n")?;
        }
        for Held { scenario, peer, peer_scenario, limit, ratio, lowest, held } in &self.limits {
            let verdict = if *held { "held" } else { "MISSED" };
            let ratio = spread(ratio, 2);
            writeln!(
                out,
                "- {scenario}: {ratio} of {peer} at {peer_scenario}, lowest to lowest {lowest:.2}, limit {limit}: {verdict}"
            )?;
        }
        Ok(())
    }

    /// One row a scenario, as SPECIFICATION.md has them.
    pub fn record(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_record(&mut text);
        text
    }

    fn write_record(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "## For the record\n\nProcessor time of a request in µs (user + kernel); memory of a connection that waits.\n"
        )?;
        writeln!(
            out,
            "| what | of nginx | of HAProxy | Lockgate | nginx | HAProxy | KiB: Lockgate, nginx, HAProxy | scenario |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|---|")?;
        for Scenario { name, about, connections, .. } in &self.scenarios {
            let gateway = self.processor_us(name, Peer::Lockgate.name());
            let ratio = |peer: Peer| Spread::of_ratios(&gateway, &self.processor_us(name, peer.name()));
            let median = |peer: Peer, figure: fn(&Sample) -> f64| {
                Spread::of(self.of(name, peer.name()).map(figure)).map_or(f64::NAN, |figure| figure.median)
            };
            let time = |peer: Peer| format!("{:.1} + {:.1}", median(peer, |s| s.user_us), median(peer, |s| s.kernel_us));
            // What has grown once is there in every later round.
            let memory = |peer: Peer| self.of(name, peer.name()).map(|s| s.kib_per_connection).fold(0.0, f64::max);
            let [gateway_kib, nginx_kib, haproxy_kib] = [Peer::Lockgate, Peer::Nginx, Peer::Haproxy].map(memory);
            let memory = match connections {
                Some(_) => format!("{gateway_kib:.1}, {nginx_kib:.1}, {haproxy_kib:.1}"),
                None => String::new(),
            };
            let [of_nginx, of_haproxy] = [Peer::Nginx, Peer::Haproxy]
                .map(|peer| cell(ratio(peer), |r| format!("{:.2} ({:.2} to {:.2})", r.median, r.low, r.high)));
            let [own, nginx, haproxy] = [Peer::Lockgate, Peer::Nginx, Peer::Haproxy].map(time);
            writeln!(
                out,
                "| {about} | {of_nginx} | {of_haproxy} | {own} | {nginx} | {haproxy} | {memory} | `loadtest/scenarios/{name}.toml` |"
            )?;
        }
        writeln!(out)
    }

    fn write_scenario(&self, out: &mut String, scenario: &Scenario) -> std::fmt::Result {
        writeln!(out, "## {}\n\n{}\n", scenario.name, scenario.about)?;
        writeln!(
            out,
            "| peer | of nginx | of relay | processor us/request | user | kernel | proxy busy | requests/s | p50 us | p99 us | p99.9 us | max us \
             | switches/request | others' load | faults |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")?;
        for (peer, _) in &self.setup.versions {
            let median = |figure: fn(&Sample) -> f64| Spread::of(self.of(&scenario.name, peer.name()).map(figure));
            let ratio_to = |base: Peer| {
                let bases = self.processor_us(&scenario.name, base.name());
                Spread::of_ratios(&self.processor_us(&scenario.name, peer.name()), &bases)
            };
            let cells = [
                peer.name().to_owned(),
                cell(ratio_to(Peer::Nginx), |ratio| spread(ratio, 2)),
                cell(ratio_to(Peer::Relay), |ratio| spread(ratio, 2)),
                cell(median(|sample| sample.processor_us), |time| spread(time, 1)),
                cell(median(|sample| sample.user_us), |time| format!("{:.1}", time.median)),
                cell(median(|sample| sample.kernel_us), |time| format!("{:.1}", time.median)),
                cell(median(|sample| sample.busy), percent),
                cell(median(|sample| sample.requests_per_second), |rate| format!("{:.0}", rate.median)),
                cell(median(|sample| sample.latency_us.p50), |latency| format!("{:.0}", latency.median)),
                cell(median(|sample| sample.latency_us.p99), |latency| format!("{:.0}", latency.median)),
                cell(median(|sample| sample.latency_us.p999), |latency| format!("{:.0}", latency.median)),
                cell(median(|sample| sample.latency_us.max), |latency| format!("{:.0}", latency.median)),
                cell(median(|sample| sample.context_switches_per_request), |switches| format!("{:.3}", switches.median)),
                cell(median(|sample| sample.others), percent),
                self.of(&scenario.name, peer.name()).map(|sample| sample.faults).sum::<u64>().to_string(),
            ];
            writeln!(out, "| {} |", cells.join(" | "))?;
        }
        writeln!(out)
    }
}

fn cell(figure: Option<Spread>, write: impl Fn(&Spread) -> String) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| write(&figure))
}

fn spread(figure: &Spread, digits: usize) -> String {
    let Spread { median, low, high } = figure;
    format!("**{median:.digits$}** ({low:.digits$}..{high:.digits$})")
}

fn percent(part: &Spread) -> String {
    format!("{:.0} %", part.median * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::scenario;
    use crate::load::Latency;

    fn sample(scenario: &str, peer: Peer, round: u32, processor_us: f64) -> Sample {
        Sample {
            scenario: scenario.to_owned(),
            peer,
            round,
            requests: 10,
            faults: 0,
            told: Vec::new(),
            processor_us,
            user_us: 1.0,
            kernel_us: processor_us - 1.0,
            context_switches_per_request: 0.1,
            busy: 0.9,
            requests_per_second: 1000.0,
            latency_us: Latency { p50: 1.0, p99: 2.0, p999: 3.0, max: 4.0 },
            kib_per_connection: 1.0,
            others: 0.0,
            stolen: 0.0,
        }
    }

    fn report(peers: &[Peer], samples: Vec<Sample>) -> Report {
        let setup = Setup {
            machine: Machine { kernel: "6".into(), processor: "x".into(), cores: 2, load_average: "0 0 0".into() },
            network: "n".into(),
            proxy_core: 0,
            load_core: 1,
            connections: 64,
            rounds: 2,
            requests: 10,
            rate: None,
            arrivals: Arrivals::Poisson,
            versions: peers.iter().map(|&peer| (peer, "1".to_owned())).collect(),
        };
        Report::new(setup, scenario::load(&["plain-128".into(), "signature-128".into()]).unwrap(), samples)
    }

    #[test]
    fn a_limit_compares_with_the_scenario_it_names() {
        let report = report(
            &[Peer::Nginx, Peer::Lockgate],
            vec![
                sample("plain-128", Peer::Nginx, 0, 20.0),
                sample("plain-128", Peer::Lockgate, 0, 16.0),
                sample("signature-128", Peer::Nginx, 0, 40.0),
                sample("signature-128", Peer::Lockgate, 0, 15.0),
            ],
        );
        let held: Vec<_> = report.limits.iter().map(|held| (held.scenario.as_str(), held.ratio.median, held.held)).collect();
        assert_eq!(held, [("plain-128", 0.8, false), ("signature-128", 0.75, true)]);
        let text = report.markdown();
        assert!(
            text.contains("- plain-128: **0.80** (0.80..0.80) of nginx at plain-128, lowest to lowest 0.80, limit 0.75: MISSED"),
            "{text}"
        );
    }

    #[test]
    fn peers_that_are_not_there_leave_dashes_and_no_limits() {
        let samples = vec![sample("plain-128", Peer::Nginx, 0, 20.0), sample("plain-128", Peer::Nginx, 1, 24.0)];
        let report = report(&[Peer::Nginx], samples);
        let text = report.markdown();
        assert!(report.limits.is_empty());
        assert!(text.contains("| nginx | **1.00** (1.00..1.00) | - | **22.0** (20.0..24.0) |"), "{text}");
        assert!(!text.contains("## Limits"));
    }
}

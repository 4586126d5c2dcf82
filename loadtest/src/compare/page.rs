//! `loadtest report`: what comparisons have found, as one page to look at and one table to keep.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::browser;
use super::flames::flames;
use super::peers::Peer;
use super::plot::{Bar, Line, bars, escaped, lines};
use super::report::Report;
use super::scenario::Scenario;
use super::stacks;
use super::summary::Spread;

#[derive(Args)]
pub struct Arguments {
    /// What `compare` has written; several, of different rates, are drawn over their rates
    #[arg(default_value = "target/loadtest/compare.json")]
    from: Vec<PathBuf>,
    /// Profiles of the gateway to draw as flame graphs: what `compare --profile` has written, or `counts --profiles`
    #[arg(long, value_name = "FILE", num_args = 1..)]
    profile: Vec<PathBuf>,
    /// Where the page is written
    #[arg(long, default_value = "target/loadtest/report.html")]
    out: PathBuf,
    /// A picture of the page, by a browser that is on this machine; fails where the page is not laid out as meant
    #[arg(long)]
    png: Option<PathBuf>,
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
    svg{width:100%;height:auto;font-size:13px}svg text{fill:currentColor}svg.flames text{fill:#000;font:11px monospace;pointer-events:none}svg.flames{background:#fff}h2{margin-top:3rem}table{border-collapse:collapse}\
    td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #8884}td:first-child,th:first-child{text-align:left}small{opacity:.7}";

pub fn run(arguments: &Arguments) -> Result<()> {
    let read = |file: &PathBuf| -> Result<Report> {
        let text = fs::read(file).with_context(|| format!("{}; `loadtest compare` writes it", file.display()))?;
        serde_json::from_slice(&text).with_context(|| file.display().to_string())
    };
    let reports = arguments.from.iter().map(read).collect::<Result<Vec<_>>>()?;
    for report in &reports {
        println!("{}", report.record());
    }
    let flames = arguments.profile.iter().map(|file| flame_graph(file)).collect::<Result<String>>()?;
    fs::write(&arguments.out, page(&reports, &flames)).with_context(|| arguments.out.display().to_string())?;
    eprintln!("written to {}", arguments.out.display());
    if let Some(png) = &arguments.png {
        browser::picture(&arguments.out, png)?;
        eprintln!("and to {}", png.display());
    }
    Ok(())
}

/// Of a profile, under the name of its file.
fn flame_graph(file: &Path) -> Result<String> {
    let text = fs::read(file).with_context(|| file.display().to_string())?;
    let all = stacks::read(&String::from_utf8_lossy(&text));
    let all = all.with_context(|| format!("{}: neither the text of perf script nor a file of callgrind", file.display()))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("<h2>Where the gateway's time goes: {}</h2>{}", escaped(&name), flames(&all)))
}

fn page(reports: &[Report], flames: &str) -> String {
    let mut out = format!(
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>\
         <title>Lockgate side by side</title><style>{STYLE}</style><h1>Lockgate side by side</h1>"
    );
    if reports.iter().filter(|report| report.setup.rate.is_some()).count() > 1 {
        out += &over_rates(reports);
    }
    for report in reports {
        let versions: Vec<_> = report.setup.versions.iter().map(|(_, version)| escaped(version)).collect();
        let _ = write!(out, "<p>{}</p><p><small>{}</small></p>", escaped(&report.setup.described()), versions.join("; "));
        report.scenarios.iter().for_each(|scenario| out += &section(report, scenario));
    }
    out + flames + "</html>\n"
}

/// Of one scenario: processor time, and latencies.
fn section(report: &Report, scenario: &Scenario) -> String {
    let peers = || {
        report.setup.versions.iter().map(|(peer, _)| *peer).filter(|peer| report.of(&scenario.name, peer.name()).next().is_some())
    };
    let median = |peer: Peer, figure: fn(&super::sample::Sample) -> f64| {
        Spread::of(report.of(&scenario.name, peer.name()).map(figure)).map_or(f64::NAN, |figure| figure.median)
    };
    let nginx = report.processor_us(&scenario.name, Peer::Nginx.name());
    let bar = |peer: Peer| {
        let of_nginx = Spread::of_ratios(&report.processor_us(&scenario.name, peer.name()), &nginx);
        let ratio = of_nginx.map_or(String::new(), |ratio| format!(", {:.2} of nginx", ratio.median));
        let parts = [median(peer, |sample| sample.user_us), median(peer, |sample| sample.kernel_us)];
        Bar { name: peer.name().into(), parts, label: format!("{:.1} µs{ratio}", parts[0] + parts[1]) }
    };
    let latencies = |peer: Peer| Line {
        name: peer.name().into(),
        values: vec![
            median(peer, |sample| sample.latency_us.p50),
            median(peer, |sample| sample.latency_us.p99),
            median(peer, |sample| sample.latency_us.p999),
            median(peer, |sample| sample.latency_us.max),
        ],
    };
    let places = ["p50", "p99", "p99.9", "max"].map(str::to_owned);
    format!(
        "<h2>{}</h2><p>{}</p><h3>Processor time of a request: user, and (light) kernel</h3>{}<h3>Latency</h3>{}",
        escaped(&scenario.name),
        escaped(&scenario.about),
        bars(&peers().map(bar).collect::<Vec<_>>()),
        lines(&places, &peers().map(latencies).collect::<Vec<_>>(), "µs"),
    )
}

/// The 99th percentile over rates, for each scenario of the first report.
fn over_rates(reports: &[Report]) -> String {
    let mut sorted: Vec<&Report> = reports.iter().filter(|report| report.setup.rate.is_some()).collect();
    sorted.sort_by(|a, b| a.setup.rate.unwrap_or_default().total_cmp(&b.setup.rate.unwrap_or_default()));
    let places: Vec<_> = sorted.iter().map(|report| format!("{}/s", report.setup.rate.unwrap_or_default())).collect();
    let Some(first) = sorted.first() else { return String::new() };
    let mut out = "<h2>Latency over rate: p99, from the time at which a request was to be sent</h2>".to_owned();
    for scenario in &first.scenarios {
        let line = |peer: &Peer| {
            let at = |report: &&Report| {
                let found = report.of(&scenario.name, peer.name()).map(|sample| sample.latency_us.p99);
                Spread::of(found).map_or(f64::NAN, |figure| figure.median)
            };
            Line { name: peer.name().into(), values: sorted.iter().map(at).collect() }
        };
        let peers: Vec<_> = first.setup.versions.iter().map(|(peer, _)| line(peer)).collect();
        let _ = write!(out, "<h3>{}</h3>{}", escaped(&scenario.name), lines(&places, &peers, "µs"));
    }
    out
}

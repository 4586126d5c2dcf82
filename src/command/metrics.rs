//! `lockgate metrics`

use std::io::Write;

use clap::{Args, ValueEnum};

use super::Failure;
use crate::observe::metric::Metric;

/// Print every metric of the operator's listener, with its kind, labels and meaning
#[derive(Args)]
pub struct Metrics {
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Columns
    Text,
    /// The page METRICS.md
    Markdown,
}

impl Metrics {
    pub fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        match self.format {
            Format::Text => {
                for &metric in Metric::ALL {
                    let (name, kind, labels) = (metric.name(), metric.kind().name(), metric.labels().join(" "));
                    writeln!(out, "{name:<42} {kind:<9} {labels:<22} {}", metric.about())?;
                }
            }
            Format::Markdown => {
                out.write_all(PREFACE.as_bytes())?;
                for &metric in Metric::ALL {
                    let labels: Vec<_> = metric.labels().iter().map(|label| format!("`{label}`")).collect();
                    let (name, kind, about) = (metric.name(), metric.kind().name(), metric.about());
                    writeln!(out, "| `{name}` | {kind} | {} | {about} |", labels.join(", "))?;
                }
            }
        }
        Ok(())
    }
}

const PREFACE: &str = "\
# Metrics

What `/metrics` of the operator's listener says, printed by `lockgate metrics --format markdown`.

A counter begins at 0 with the process and outlives a reload. Names are bounded: `metrics_apis` APIs, in each of their stages, and
`metrics_vpc_accesses` VPC accesses have series of their own, those that are called first; what comes after is counted together, under the name
`(other)`. Requests for which no API was found have the name `(none)`. A series begins with the first request that it counts.

| metric | kind | labels | what it says |
|---|---|---|---|
";

//! `lockgate check`

use std::io::Write;
use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::progress::Progress;
use super::{Failure, failure};
use crate::catalog::{self, Catalog};
use crate::document::{Layout, Report};
use crate::lint::lint;

#[derive(Args)]
pub struct Check {
    /// How findings are shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Fail with warnings, too
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For code hosts and editors: SARIF 2.1.0
    Sarif,
}

impl Check {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let (layout, progress) = (Layout::new(config), Progress::new());
        let (catalog, mut report) = match catalog::load_watched(layout.clone(), &|what, done, all| progress.show(what, done, all))
        {
            Ok(catalog) => (Some(catalog), Report::default()),
            Err(report) => (None, report),
        };
        report.extend(lint(&layout, super::now_ms()?));
        drop(progress);
        let passed = catalog.is_some() && (report.is_empty() || !self.deny_warnings);
        match self.format {
            Format::Text => show(&report, catalog.as_deref().filter(|_| passed), config, out)?,
            Format::Json => write_json(&report.to_json(), out)?,
            Format::Sarif => write_json(&report.to_sarif(), out)?,
        }
        if passed { Ok(()) } else { Err(Failure::silent()) }
    }
}

/// `catalog`: what is good; without it, the check has failed.
fn show(report: &Report, catalog: Option<&Catalog>, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    eprint!("{}", report.render(failure::colour()));
    let Some(catalog) = catalog else {
        eprintln!("{}", report.summary());
        return Ok(());
    };
    let warnings = if report.is_empty() { String::new() } else { format!(", {}", report.summary()) };
    writeln!(
        out,
        "{}: no errors{warnings} ({} VPC accesses, {} groups, {} apps, {} published APIs)",
        config.display(),
        catalog.vpc_accesses.len(),
        catalog.groups.len(),
        catalog.apps.len(),
        catalog.apis.len(),
    )?;
    Ok(())
}

fn write_json(value: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "{value:#}")?;
    Ok(())
}

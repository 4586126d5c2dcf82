//! `lockgate limits`

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::Failure;
use crate::catalog;
use crate::document::limits::Limit;

#[derive(Args)]
pub struct Limits {}

impl Limits {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let catalog = catalog::load(config)?;
        writeln!(out, "{:<24} {:>14} {:<6} {:<24} what it bounds", "limit", "value", "unit", "range")?;
        for &limit in Limit::ALL {
            let (low, high) = limit.range().into_inner();
            let (value, unit) = (catalog.limits.value(limit), limit.unit().name());
            writeln!(out, "{:<24} {value:>14} {unit:<6} {:<24} {}", limit.key(), format!("{low} to {high}"), limit.about())?;
        }
        writeln!(out, "\nChange them in [limits] of gateway.toml.")?;
        Ok(())
    }
}

//! `lockgate limits`

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::Failure;
use crate::catalog;
use crate::document::limits::{Limit, Unit};

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
        let name = |api: &catalog::Api| {
            let group = catalog.groups.get(api.group.index()).map_or("", |group| &group.name);
            let stage = catalog.stages.get(api.stage.index()).map_or("", String::as_str);
            format!("{group}/{} in {stage}", api.name)
        };
        for api in &catalog.apis {
            if let Some(bytes) = api.body_bytes {
                writeln!(out, "{:<24} {bytes:>14} {:<6} of the API {}", Limit::BodyBytes.key(), Unit::Bytes.name(), name(api))?;
            }
        }
        Ok(())
    }
}

//! `lockgate check`

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::Failure;
use crate::catalog;

#[derive(Args)]
pub struct Check {}

impl Check {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let catalog = catalog::load(config)?;
        writeln!(
            out,
            "{}: no errors ({} VPC accesses, {} groups, {} apps, {} published APIs)",
            config.display(),
            catalog.vpc_accesses.len(),
            catalog.groups.len(),
            catalog.apps.len(),
            catalog.apis.len(),
        )?;
        Ok(())
    }
}

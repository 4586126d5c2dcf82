//! What the commands that change what is published have in common.

use std::io::Write;
use std::path::Path;

use clap::Args;
use jiff::Timestamp;

use super::Failure;
use super::reload::Wait;
use crate::publish::{Author, Committed};

#[derive(Args)]
pub struct Change {
    /// RELEASE, PRE, TEST, or a stage of the group
    #[arg(long, default_value = "RELEASE")]
    pub stage: String,
    /// Why; kept in the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    remarks: String,
    /// Who does it; default: the user of this process
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    pub wait: Wait,
}

impl Change {
    pub fn author(&self) -> Author {
        author(self.by.clone(), self.remarks.clone())
    }

    /// Says which generation it made, and waits for that if asked to: the receipt has the digest of all that is served, beside
    /// which that of the manifest alone would only look like an error.
    pub fn end(&self, committed: &Committed, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        match self.wait.is_on() {
            true => writeln!(out, "generation {} is written", committed.generation)?,
            false => writeln!(out, "generation {}, manifest sha256 {}", committed.generation, committed.sha256)?,
        }
        committed.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        self.wait.until(committed.generation, config, out)
    }
}

/// Who does it; without a name, the user of this process.
pub(super) fn author(by: Option<String>, remarks: String) -> Author {
    Author { by: by.unwrap_or_else(user), remarks, now: Timestamp::now() }
}

fn user() -> String {
    ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "unknown".to_owned())
}

//! `lockgate publish`

use std::io::Write;
use std::path::Path;

use clap::Args;
use jiff::Timestamp;

use super::Failure;
use super::dry_run::DryRun;
use super::progress::Progress;
use super::reload::Wait;
use crate::publish::{Author, Committed, Request, Target, publish};

#[derive(Args)]
pub struct Publish {
    /// APIs as GROUP/API, or a GROUP for all of its APIs
    #[arg(value_name = "GROUP/API", required_unless_present = "all", conflicts_with = "all")]
    apis: Vec<String>,
    /// Every API of every group
    #[arg(long)]
    all: bool,
    /// RELEASE, PRE or TEST
    #[arg(long, default_value = "RELEASE")]
    stage: String,
    /// Why; kept in the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    remarks: String,
    /// Who publishes; default: the user of this process
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Publish {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let target = if self.all { Target::All } else { Target::These(self.apis) };
        let request = Request { target, stage: self.stage, author: author(self.by, self.remarks) };
        if self.dry_run.is_wanted() {
            return self.dry_run.run(config, &request, out);
        }
        let progress = Progress::new();
        let outcome = publish(config, &request, &|what, done, all| progress.show(what, done, all))?;
        drop(progress);
        for (api, version) in &outcome.published {
            writeln!(out, "{api} published to {} as {version}", request.stage)?;
        }
        for (api, version) in &outcome.unchanged {
            writeln!(out, "{api} is current in {} already, as {version}: nothing changed", request.stage)?;
        }
        say(&outcome.committed, out)?;
        if !outcome.published.is_empty() && !self.wait.is_on() {
            writeln!(out, "next: lockgate run; a gateway that runs serves this in a moment (`--wait` waits for it)")?;
        }
        self.wait.until(outcome.committed.generation, config, out)
    }
}

/// Who does it; without a name, the user of this process.
pub(super) fn author(by: Option<String>, remarks: String) -> Author {
    Author { by: by.unwrap_or_else(user), remarks, now: Timestamp::now() }
}

/// The generation that a change made, and what went wrong after it.
pub(super) fn say(committed: &Committed, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "generation {}, sha256 {}", committed.generation, committed.sha256)?;
    committed.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    Ok(())
}

fn user() -> String {
    ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "unknown".to_owned())
}

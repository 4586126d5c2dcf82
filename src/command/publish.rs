//! `lockgate publish`

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::Failure;
use super::change::Change;
use super::dry_run::DryRun;
use super::progress::Progress;
use crate::publish::{Request, Target, publish};

#[derive(Args)]
pub struct Publish {
    /// APIs as GROUP/API, or a GROUP for all of its APIs
    #[arg(value_name = "GROUP/API", required_unless_present = "all", conflicts_with = "all")]
    apis: Vec<String>,
    /// Every API of every group
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Publish {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let target = if self.all { Target::All } else { Target::These(self.apis) };
        let request = Request { target, stage: self.change.stage.clone(), author: self.change.author() };
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
        if !outcome.published.is_empty() && !self.change.wait.is_on() {
            writeln!(out, "next: lockgate run; a gateway that runs serves this in a moment (`--wait` waits for it)")?;
        }
        self.change.end(&outcome.committed, config, out)
    }
}

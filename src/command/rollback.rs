//! `lockgate rollback` and `lockgate offline`

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::Failure;
use super::change::Change;
use super::progress::Progress;
use crate::publish::{self, Moved, Target};

/// Make an older version current again
#[derive(Args)]
pub struct Rollback {
    #[command(flatten)]
    what: What,
    /// The version; default: the one before the current one
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

/// Take APIs out of a stage; their versions stay
#[derive(Args)]
pub struct Offline {
    #[command(flatten)]
    what: What,
}

#[derive(Args)]
struct What {
    /// APIs as GROUP/API, or a GROUP for all of its APIs
    #[arg(value_name = "GROUP/API", required = true)]
    apis: Vec<String>,
    #[command(flatten)]
    change: Change,
}

impl Rollback {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let What { apis, change } = self.what;
        let (target, stage) = (Target::These(apis), change.stage.clone());
        let request = publish::Rollback { target, stage, version: self.to, author: change.author() };
        let progress = Progress::new();
        let moved = publish::rollback(config, &request, &|what, done, all| progress.show(what, done, all))?;
        report(&moved, &change, config, out)
    }
}

impl Offline {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let What { apis, change } = self.what;
        let (target, stage, author, progress) = (Target::These(apis), &change.stage, change.author(), Progress::new());
        let moved = publish::offline(config, &target, stage, &author, &|what, done, all| progress.show(what, done, all))?;
        report(&moved, &change, config, out)
    }
}

fn report(moved: &Moved, change: &Change, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let stage = &change.stage;
    let name = |version: &Option<String>| version.clone().unwrap_or_else(|| "offline".to_owned());
    for one in &moved.moves {
        match one.from == one.to {
            true => writeln!(out, "{} in {stage}: {} already: nothing changed", one.api, name(&one.to))?,
            false => writeln!(out, "{} in {stage}: {} -> {}", one.api, name(&one.from), name(&one.to))?,
        }
    }
    change.end(&moved.committed, config, out)
}

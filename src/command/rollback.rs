//! `lockgate rollback` and `lockgate offline`

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::Failure;
use super::progress::Progress;
use super::publish::{author, say};
use super::reload::Wait;
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
    #[arg(long, default_value = "RELEASE")]
    stage: String,
    /// Why; kept in the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    remarks: String,
    /// Who does it; default: the user of this process
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    wait: Wait,
}

impl Rollback {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let What { apis, stage, remarks, by, wait } = self.what;
        let request = publish::Rollback { target: Target::These(apis), stage, version: self.to, author: author(by, remarks) };
        let progress = Progress::new();
        let moved = publish::rollback(config, &request, &|what, done, all| progress.show(what, done, all))?;
        report(&moved, &request.stage, out)?;
        wait.until(moved.committed.generation, config, out)
    }
}

impl Offline {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let What { apis, stage, remarks, by, wait } = self.what;
        let (target, author, progress) = (Target::These(apis), author(by, remarks), Progress::new());
        let moved = publish::offline(config, &target, &stage, &author, &|what, done, all| progress.show(what, done, all))?;
        report(&moved, &stage, out)?;
        wait.until(moved.committed.generation, config, out)
    }
}

fn report(moved: &Moved, stage: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let name = |version: &Option<String>| version.clone().unwrap_or_else(|| "offline".to_owned());
    for one in &moved.moves {
        match one.from == one.to {
            true => writeln!(out, "{} in {stage}: {} already: nothing changed", one.api, name(&one.to))?,
            false => writeln!(out, "{} in {stage}: {} -> {}", one.api, name(&one.from), name(&one.to))?,
        }
    }
    say(&moved.committed, out)?;
    Ok(())
}

//! `lockgate reload`, and the wait of the commands that publish.

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::Failure;
use crate::catalog;
use crate::live::socket::{Answer, Order, ask};

/// Have the running gateway load its files now
#[derive(Args)]
pub struct Reload {
    /// Return when every worker runs it, with a receipt; fail, with the reason, when it does not come to that
    #[arg(long)]
    wait: bool,
}

impl Reload {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        if self.wait {
            return tell(ask_gateway(config, Order::Reload)?, out);
        }
        ask_gateway(config, Order::ReloadSoon)?;
        writeln!(out, "the gateway has been told; `--wait` says what comes of it")?;
        Ok(())
    }
}

/// For commands that change what is published.
#[derive(Args)]
pub struct Wait {
    /// Return when every worker of the running gateway serves it, with a receipt; fail when it does not come to that
    #[arg(long)]
    wait: bool,
}

impl Wait {
    /// Waits, if asked to, until the gateway serves at least this generation.
    pub fn until(&self, generation: u64, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        if !self.wait {
            return Ok(());
        }
        let answer = ask_gateway(config, Order::Load)?;
        let (running, theirs) = (answer.receipt.generation, answer.receipt.config.clone());
        tell(answer, out)?;
        match running >= generation {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "the gateway runs generation {running} of {theirs}, and not generation {generation} of {}",
                config.display()
            ))),
        }
    }

    pub fn is_on(&self) -> bool {
        self.wait
    }
}

fn ask_gateway(config: &Path, order: Order) -> Result<Answer, Failure> {
    match catalog::state_directory(config) {
        Ok(state_directory) => ask(&state_directory, order).map_err(|error| Failure::new(error.to_string())),
        // Where the settings cannot be read, the running gateway most often is where it is by default, and says it better.
        Err(report) => ask(&config.join(catalog::STATE_DIRECTORY), order).map_err(|_| Failure::from(report)),
    }
}

fn tell(answer: Answer, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(report) = answer.error {
        let generation = answer.receipt.generation;
        eprintln!("{report}");
        return Err(Failure::new(format!("the gateway does not take the files as they are: generation {generation} goes on")));
    }
    writeln!(out, "{}", answer.receipt)?;
    writeln!(out, "{}", answer.receipt.work)?;
    for key in &answer.receipt.restart_needed {
        writeln!(out, "not in force until the gateway is started anew: {key}")?;
    }
    Ok(())
}

//! What a request costs, counted and not timed: instructions of the gateway's own code, and system calls. The same binary
//! gives the same figures on a quiet machine and on a busy one, so that they can be held to what the repository keeps
//! (`counts.toml`): a change that costs more than the tolerance fails, and one that means to says so by new figures.
//!
//! The gateway runs as it is, on its ring, under valgrind's callgrind. Scenario by scenario, requests are sent over one
//! connection, one after the other; then over many, a request on each before the first answer is taken. Nothing but these
//! requests lies between two of callgrind's dumps.

mod callgrind;
mod client;
mod kept;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use self::callgrind::Callgrind;
use self::client::{Clients, Expected};
use self::kept::{Figures, Kept};
use crate::compare::peers::start_backend;
use crate::compare::process::free_address;
use crate::compare::scenario::{self, Scenario};
use crate::compare::{gateway, gateway_binary};
use crate::request::Credential;

/// Requests before those that count.
const WARM_UP: u32 = 40;
/// The fewest that each of many connections has under way in turn, before it counts and then.
const FEWEST_TURNS: u32 = 2;

#[derive(Args)]
pub struct Arguments {
    /// Names of scenarios; by default all
    #[arg(long, value_name = "NAME", num_args = 1..)]
    scenario: Vec<String>,
    /// Requests counted, one after the other
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,
    /// Connections that have a request under way at the same time, for the second count of system calls
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// The gateway's binary; by default the `lockgate` beside this program
    #[arg(long)]
    gateway: Option<PathBuf>,
    /// Write the figures found to counts.toml, instead of comparing with it
    #[arg(long)]
    keep: bool,
    /// Leave callgrind's files in this directory, for `callgrind_annotate`
    #[arg(long)]
    profiles: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let Some(binary) = gateway_binary(arguments.gateway.as_deref())? else { bail!("no lockgate beside this program") };
    let directory = tempfile::Builder::new().prefix("loadtest-").tempdir()?;
    let profiles = arguments.profiles.clone().unwrap_or_else(|| directory.path().join("profiles"));
    std::fs::create_dir_all(&profiles)?;
    let (_backend, backend) = start_backend(directory.path(), None)?;
    let address = free_address()?;
    let config = gateway::prepare(&binary, directory.path(), address, None, backend)?;
    let gateway = Callgrind::start(&binary, &config, directory.path(), &profiles, address)?;

    gateway.settle()?;
    let mut found = Vec::new();
    for case in cases(&arguments.scenario)? {
        let figures = count(&gateway, &case, address, arguments).with_context(|| case.scenario.name.clone())?;
        println!("{}: {figures}", case.scenario.name);
        found.push((case.scenario.name, figures));
    }
    let mut kept = Kept::read(kept_file())?;
    if arguments.keep {
        return kept.keep(found);
    }
    match kept.complaints(&found)?.as_slice() {
        [] => Ok(()),
        complaints => bail!("{}\nif this is meant: `loadtest counts --keep`, and why in the commit", complaints.join("\n")),
    }
}

fn kept_file() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/counts.toml"))
}

/// A scenario and what its answers are.
struct Case {
    scenario: Scenario,
    expected: Expected,
}

/// Those of the comparison, and one that the gateway alone can show: a signature that is wrong.
fn cases(names: &[String]) -> Result<Vec<Case>> {
    let mut scenarios = scenario::built_in()?;
    let mut refused = scenarios.iter().find(|s| s.credential == Credential::Signature).cloned().context("a signed scenario")?;
    refused.name = "refused".to_owned();
    scenarios.push(refused);
    let mut cases = Vec::new();
    for scenario in scenarios.into_iter().filter(|s| names.is_empty() || names.contains(&s.name)) {
        let expected = if scenario.name == "refused" { Expected::Refusal } else { Expected::Answer(scenario.answer_bytes) };
        cases.push(Case { scenario, expected });
    }
    if cases.len() < names.len() {
        bail!("there is no scenario of one of these names: {}", names.join(" "));
    }
    Ok(cases)
}

fn count(gateway: &Callgrind, case: &Case, address: std::net::SocketAddr, arguments: &Arguments) -> Result<Figures> {
    let mut one = Clients::connect(1, address, case)?;
    one.turns(WARM_UP)?;
    gateway.dump("before")?;
    one.turns(arguments.requests)?;
    let in_turn = gateway.dump(&case.scenario.name)?.per(arguments.requests);
    drop(one);

    let mut many = Clients::connect(arguments.connections as usize, address, case)?;
    many.turns(FEWEST_TURNS)?;
    gateway.dump("before")?;
    let turns = (arguments.requests / arguments.connections).max(FEWEST_TURNS);
    many.turns(turns)?;
    let at_once = gateway.dump(&format!("{}-at-once", case.scenario.name))?.per(turns * arguments.connections);
    Ok(Figures { in_turn, at_once })
}

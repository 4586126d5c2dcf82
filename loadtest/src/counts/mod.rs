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
use self::client::Clients;
use self::kept::{Figures, Kept};
use crate::compare::gateway::Place;
use crate::compare::peers::start_backend;
use crate::compare::process::free_address;
use crate::compare::scenario::{self, Scenario, Setting};
use crate::compare::{gateway, gateway_binary};

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
    let config = gateway::prepare(
        &binary,
        directory.path(),
        &Place { listen: address, edge: None, backend, admin: None, setting: &Setting::default() },
    )?;
    let gateway = Callgrind::start(&binary, &config, directory.path(), &profiles, address)?;

    gateway.settle()?;
    let mut found = Vec::new();
    for scenario in scenarios(&arguments.scenario)? {
        let figures = count(&gateway, &scenario, address, arguments).with_context(|| scenario.name.clone())?;
        println!("{}: {figures}", scenario.name);
        found.push((scenario.name, figures));
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

/// Those of the comparison, and one that the gateway alone can show: a signature that is wrong.
fn scenarios(names: &[String]) -> Result<Vec<Scenario>> {
    let counted = [scenario::built_in()?, scenario::load(&["refused".to_owned()])?].concat();
    let wanted: Vec<_> = counted.into_iter().filter(|scenario| names.is_empty() || names.contains(&scenario.name)).collect();
    if wanted.len() < names.len() {
        bail!("there is no scenario of one of these names: {}", names.join(" "));
    }
    Ok(wanted)
}

fn count(gateway: &Callgrind, scenario: &Scenario, address: std::net::SocketAddr, arguments: &Arguments) -> Result<Figures> {
    let mut one = Clients::connect(1, address, scenario)?;
    one.turns(WARM_UP)?;
    gateway.dump("before")?;
    one.turns(arguments.requests)?;
    let in_turn = gateway.dump(&scenario.name)?.per(arguments.requests);
    drop(one);

    let mut many = Clients::connect(arguments.connections as usize, address, scenario)?;
    many.turns(FEWEST_TURNS)?;
    gateway.dump("before")?;
    let turns = (arguments.requests / arguments.connections).max(FEWEST_TURNS);
    many.turns(turns)?;
    let at_once = gateway.dump(&format!("{}-at-once", scenario.name))?.per(turns * arguments.connections);
    Ok(Figures { in_turn, at_once })
}

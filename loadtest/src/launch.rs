//! How every measured process is started: pinned to its core, and told to end when whoever started it ends, however
//! that happens. The process then becomes the program (`execve`), so its id is the one that was started.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

#[derive(Args)]
pub struct Arguments {
    /// The core to run on; without it, any
    #[arg(long)]
    core: Option<usize>,
    /// The process that started this one; without it, this one does not run
    #[arg(long)]
    parent: i32,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM)).context("asking for a signal when the parent ends")?;
    // It may have ended before the line above.
    if getppid() != Pid::from_raw(arguments.parent) {
        bail!("the process that started this one is gone");
    }
    raise_descriptors()?;
    if let Some(core) = arguments.core {
        pin(core)?;
    }
    let [program, rest @ ..] = arguments.command.as_slice() else { bail!("no command") };
    Err(Command::new(program).args(rest).exec()).with_context(|| format!("starting {}", program.display()))
}

/// As many descriptors as this process may have; no program need ask for them itself.
fn raise_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).context("the limit of descriptors")
}

/// How many that is.
pub fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

fn pin(core: usize) -> Result<()> {
    if core >= CpuSet::MAX_CPU {
        bail!("there is no core {core}");
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).with_context(|| format!("pinning to core {core}"))
}

//! The gateway under callgrind: started, and asked for its counts so far.

use std::cell::Cell;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::kept::Cost;
use crate::compare::process::{Running, launched};

pub struct Callgrind {
    process: Running,
    /// Dumps are written beside it, with a number each.
    out: PathBuf,
    dumps: Cell<u32>,
    names: PathBuf,
}

/// An idle gateway looks at its deadlines, and does little else.
const SETTLED_INSTRUCTIONS: f64 = 1e6;
const SETTLE_INTERVAL: Duration = Duration::from_millis(250);
const SETTLE_LOOKS: u32 = 120;

/// Of the gateway's own code, and system calls it has made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted {
    pub instructions: f64,
    pub system_calls: f64,
}

impl Counted {
    pub fn per(self, requests: u32) -> Cost {
        let requests = f64::from(requests);
        Cost::of(self.instructions / requests, self.system_calls / requests)
    }
}

impl Callgrind {
    pub fn start(binary: &Path, config: &Path, directory: &Path, profiles: &Path, address: SocketAddr) -> Result<Self> {
        if Command::new("valgrind").arg("--version").output().is_err() {
            bail!("valgrind is not installed: it counts the instructions");
        }
        let out = profiles.join("callgrind.out");
        let names = directory.join("vgdb");
        let mut command = launched(None, OsStr::new("valgrind"))?;
        command.args(["--quiet", "--tool=callgrind", "--collect-systime=yes"]);
        command.arg(format!("--callgrind-out-file={}", out.display())).arg(format!("--vgdb-prefix={}", names.display()));
        command.arg(binary).args(["run", "--config"]).arg(config);
        command.current_dir(directory);
        let process = Running::server("gateway", &mut command, directory, address)?;
        Ok(Self { process, out, dumps: Cell::new(0), names })
    }

    /// Waits until the gateway has done what it does when it starts, on threads of its own and beside the first requests.
    pub fn settle(&self) -> Result<()> {
        for _ in 0..SETTLE_LOOKS {
            std::thread::sleep(SETTLE_INTERVAL);
            if self.dump("before")?.instructions < SETTLED_INSTRUCTIONS {
                return Ok(());
            }
        }
        bail!("the gateway is not idle {} s after its start", (SETTLE_INTERVAL * SETTLE_LOOKS).as_secs())
    }

    /// What has been counted since the last dump. The file is given `name`.
    pub fn dump(&self, name: &str) -> Result<Counted> {
        let mut command = Command::new("vgdb");
        command.arg(format!("--vgdb-prefix={}", self.names.display())).arg(format!("--pid={}", self.process.child.id()));
        let output = command.arg("dump").output().context("vgdb, which comes with valgrind")?;
        if !output.status.success() {
            bail!("vgdb: {}", String::from_utf8_lossy(&output.stderr));
        }
        self.dumps.set(self.dumps.get() + 1);
        let mut file = self.out.clone().into_os_string();
        file.push(format!(".{}", self.dumps.get()));
        let text = fs::read_to_string(&file).with_context(|| PathBuf::from(&file).display().to_string())?;
        fs::rename(&file, self.out.with_extension(name))?;
        counted(&text).ok_or_else(|| anyhow!("callgrind's file is not as its manual says"))
    }
}

/// The totals of a profile. Reading the clock is a system call under valgrind alone: it is taken off.
fn counted(profile: &str) -> Option<Counted> {
    let words = |name: &str| profile.lines().find_map(|line| line.strip_prefix(name)).map(str::split_ascii_whitespace);
    let event = |event: &str| words("events:")?.position(|name| name == event);
    let (instructions, system_calls) = (event("Ir")?, event("sysCount")?);
    let totals: Vec<f64> = words("totals:").or_else(|| words("summary:"))?.map_while(|word| word.parse().ok()).collect();
    // Zeros at the end are left out.
    let of = |place: usize| totals.get(place).copied().unwrap_or(0.0);
    Some(Counted { instructions: of(instructions), system_calls: of(system_calls) - clock_readings(profile, system_calls) })
}

/// System calls within calls of `clock_gettime`: `cfn=(ID) NAME`, the name only the first time, then `calls=`, and in the
/// line below what they cost together, after a position.
fn clock_readings(profile: &str, event: usize) -> f64 {
    let mut clocks = HashSet::new();
    let (mut called, mut lines, mut sum) = ("", profile.lines(), 0.0);
    while let Some(line) = lines.next() {
        if let Some((_, function)) = line.split_once("fn=(") {
            let (id, name) = function.split_once(')').unwrap_or((function, ""));
            if name.contains("clock_gettime") {
                clocks.insert(id);
            }
            called = if line.starts_with("cfn=") { id } else { called };
        } else if line.starts_with("calls=") {
            let costs = lines.next().unwrap_or_default().split_ascii_whitespace();
            let cost = costs.skip(1).nth(event).and_then(|cost| cost.parse::<f64>().ok());
            sum += if clocks.contains(called) { cost.unwrap_or(0.0) } else { 0.0 };
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_found_by_the_names_of_their_events() {
        let text = "version: 1\nevents: Ir sysCount sysTime\nsummary: 9 9 9\n\nfn=(1) main\n1 2\ntotals: 41000 12 7\n";
        assert_eq!(counted(text), Some(Counted { instructions: 41000.0, system_calls: 12.0 }));
        assert_eq!(counted("events: Ir\ntotals: 5\n"), None);
        assert_eq!(counted("events: sysCount Ir\nsummary: 3 5\n"), Some(Counted { instructions: 5.0, system_calls: 3.0 }));
    }
    #[test]
    fn reading_the_clock_is_no_system_call() {
        let text = "events: Ir sysCount\nfn=(1) main\n1 5\ncfn=(2) clock_gettime@@GLIBC_2.17\ncalls=3 1\n* 30 3\n\
                    cfn=(3) io_uring_enter\ncalls=2 1\n* 20 2\nfn=(4) other\ncfn=(2)\ncalls=1 1\n* 10 1\ntotals: 65 6\n";
        assert_eq!(counted(text), Some(Counted { instructions: 65.0, system_calls: 2.0 }));
    }
}

//! The processes of a comparison: started pinned, watched through `/proc`, and ended whatever happens.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::proc_files::{self, MachineTimes};
use crate::clock;

const START_TIMEOUT: Duration = Duration::from_secs(20);
/// From the request to end, to the end by force.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How much of a log is shown when its process failed.
const LOG_TAIL_BYTES: usize = 2000;

/// A command line that runs on one core and does not outlive this process: `loadtest launch`.
pub fn pinned(core: usize, program: &OsStr) -> Result<Command> {
    launched(Some(core), program)
}

/// The same, on any core where none is given.
pub fn launched(core: Option<usize>, program: &OsStr) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["launch", "--parent", &std::process::id().to_string()]);
    if let Some(core) = core {
        command.args(["--core", &core.to_string()]);
    }
    command.arg("--").arg(program);
    Ok(command)
}

/// A process and all that it starts. Dropping it ends them.
pub struct Running {
    pub name: String,
    pub child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a server, its output in a file, and waits until it accepts connections.
    pub fn server(name: &str, command: &mut Command, directory: &Path, address: SocketAddr) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        let mut running = Self { name: name.to_owned(), child, log };
        let deadline = clock::now() + START_TIMEOUT;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.child.try_wait()? {
                bail!("{name} ended at once ({status}):\n{}", running.log_tail());
            }
            if clock::now() > deadline {
                bail!("{name} does not accept connections on {address}:\n{}", running.log_tail());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(running)
    }

    /// Starts a process that is spoken to over its standard input and output.
    pub fn partner(name: &str, command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        Ok(Self { name: name.to_owned(), child: child.with_context(|| format!("starting {name}"))?, log: PathBuf::new() })
    }

    pub fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        for pid in family(self.child.id() as i32)? {
            usage.add(pid).with_context(|| format!("{}: counters of process {pid}", self.name))?;
        }
        Ok(usage)
    }

    /// Memory of its own, in KiB: not of files, and of every process.
    pub fn memory_kib(&self) -> Result<u64> {
        let of = |pid| -> Result<u64> {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            proc_files::own_memory_kib(&status).ok_or_else(|| anyhow!("its status file is not as proc(5) says"))
        };
        family(self.child.id() as i32)?.into_iter().map(of).sum()
    }

    fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
    }
}

impl Drop for Running {
    /// Asks the process to end, so that it ends what it started; after a while ends all of them by force.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let members = family(self.child.id() as i32).unwrap_or_default();
        signal(self.child.id() as i32, Signal::TERM);
        let deadline = clock::now() + STOP_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if clock::now() > deadline {
                for member in members {
                    signal(member, Signal::KILL);
                }
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Counters of a process and its children, such as nginx's worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub user_ticks: u64,
    pub system_ticks: u64,
    pub context_switches: u64,
}

impl Usage {
    fn add(&mut self, pid: i32) -> Result<()> {
        let times = proc_files::process_times(&fs::read_to_string(format!("/proc/{pid}/stat"))?);
        let times = times.ok_or_else(|| anyhow!("its stat file is not as proc(5) says"))?;
        self.user_ticks += times.user_ticks;
        self.system_ticks += times.system_ticks;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end while it is looked at: one of the kernel's, working for the ring.
            let status = fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
            self.context_switches += proc_files::context_switches(&status).unwrap_or(0);
        }
        Ok(())
    }

    pub fn ticks(&self) -> u64 {
        self.user_ticks + self.system_ticks
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
            context_switches: self.context_switches.saturating_sub(earlier.context_switches),
        }
    }
}

pub fn machine_times() -> Result<MachineTimes> {
    proc_files::machine_times(&fs::read_to_string("/proc/stat")?).ok_or_else(|| anyhow!("/proc/stat is not as proc(5) says"))
}

/// A process and its descendants.
fn family(root: i32) -> Result<Vec<i32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // Processes come and go while the directory is read.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if let Some(times) = proc_files::process_times(&stat) {
            parents.push((pid, times.parent));
        }
    }
    let mut members = vec![root];
    let mut next = 0;
    while let Some(&member) = members.get(next) {
        members.extend(parents.iter().filter(|(_, parent)| *parent == member).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(members)
}

/// An address on the loopback that is free now.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

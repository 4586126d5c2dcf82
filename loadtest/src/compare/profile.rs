//! Where the gateway's time goes: a turn of its own for each scenario, which counts for nothing else, with perf looking on.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::peers::Started;
use super::process::launched;
use crate::clock;

/// Looks a second: no multiple of the clock's ticks, so that neither hides from the other.
const LOOKS: &str = "499";
/// Of the stack, copied at each look.
const STACK: &str = "dwarf,32768";

const PATIENCE: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const WITHOUT: &str = "`loadtest counts --profiles DIRECTORY` profiles without it";

/// Writes the text of `perf script` of all that `turn` asks of the gateway.
pub fn record(started: &Started, file: &Path, turn: impl FnOnce() -> Result<()>) -> Result<()> {
    let data = file.with_extension("perf-data");
    let mut command = launched(None, OsStr::new("perf"))?;
    command.args(["record", "--quiet", "-F", LOOKS, "--call-graph", STACK, "-t", &worker(started)?, "-o"]);
    // Told to begin over its standard input, it says over its output that it has.
    command.arg(&data).args(["--delay", "-1", "--control", "fd:0,1"]);
    let mut perf = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let turned = begin(&mut perf).and_then(|()| turn());
    // It has written what it saw when it ends; it may have ended by itself, because it could not look.
    let _ = kill_process(Pid::from_child(&perf), Signal::INT);
    perf.wait()?;
    turned?;
    let mut command = Command::new("perf");
    let script = command.args(["script", "--no-inline", "-i"]).arg(&data).output().context("perf script")?;
    if !script.status.success() || script.stdout.is_empty() {
        bail!("perf has seen nothing: {}\n{WITHOUT}", String::from_utf8_lossy(&script.stderr));
    }
    fs::write(file, script.stdout)?;
    Ok(fs::remove_file(data)?)
}

/// The thread that serves: there is one, some time after the first connection is taken. perf loses its way when other threads of a
/// process end.
fn worker(started: &Started) -> Result<String> {
    let threads = format!("/proc/{}/task", started.process.child.id());
    let deadline = clock::now() + PATIENCE;
    while clock::now() < deadline {
        for thread in fs::read_dir(&threads)? {
            let thread = thread?;
            // It may have ended since.
            if fs::read_to_string(thread.path().join("comm")).unwrap_or_default().starts_with("worker-") {
                return Ok(thread.file_name().to_string_lossy().into_owned());
            }
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    bail!("the gateway has no worker")
}

fn begin(perf: &mut Child) -> Result<()> {
    let (Some(input), Some(output)) = (&mut perf.stdin, &mut perf.stdout) else { bail!("perf is not spoken to") };
    let mut said = String::new();
    // If it could not begin, it is gone, and either of these fails.
    let begun = input.write_all(b"enable\n").and_then(|()| BufReader::new(output).read_line(&mut said));
    if begun.is_err() || !said.starts_with("ack") {
        bail!("perf does not begin\n{WITHOUT}");
    }
    Ok(())
}

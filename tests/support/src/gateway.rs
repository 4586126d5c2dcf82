//! The built gateway as a process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::client::{Client, Request};
use crate::message::Message;
use crate::ports::Port;
use crate::process::Process;
use crate::wait::eventually;

/// The program under test: Cargo puts it beside the directory of the test programs.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test program knows its place");
    let profile = test.parent().and_then(Path::parent).expect("test programs lie in target/PROFILE/deps");
    profile.join("lockgate")
}

/// `lockgate --config DIRECTORY`, a command to be added.
pub fn lockgate(config: &Path) -> Command {
    let mut command = Command::new(program());
    command.arg("--config").arg(config).stdin(Stdio::null());
    command
}

/// As [`lockgate`], through another program that is given ours and its arguments.
pub(crate) fn lockgate_through(launcher: &[OsString], config: &Path) -> Command {
    let Some((first, rest)) = launcher.split_first() else { return lockgate(config) };
    let mut command = Command::new(first);
    command.args(rest).arg(program()).arg("--config").arg(config).stdin(Stdio::null());
    command
}

/// Runs a command that must succeed.
#[track_caller]
pub fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Lines of its access log that are printed when a test fails.
const LINES_SHOWN: usize = 20;

/// A running gateway; ended, with its directory, when dropped. What it wrote is printed when the test fails.
pub struct Gateway {
    pub address: SocketAddr,
    process: Process,
    directory: TempDir,
    admin: Option<Port>,
    _port: Port,
    https: Option<Port>,
}

impl Gateway {
    #[track_caller]
    pub(crate) fn start(directory: TempDir, port: Port, (admin, https): (Option<Port>, Option<Port>), mut run: Command) -> Self {
        let output = File::create(directory.path().join("output")).expect("the output file can be made");
        let errors = output.try_clone().expect("a file can be duplicated");
        run.current_dir(directory.path()).stdout(output).stderr(errors);
        let addresses = std::iter::once(port.address).chain(https.as_ref().map(|port| port.address));
        let process = Process::serving(run, addresses);
        let mut gateway = Self { address: port.address, process, directory, admin, _port: port, https };
        gateway.wait_until_it_listens();
        gateway
    }

    /// The address of the HTTPS listener.
    #[track_caller]
    pub fn https(&self) -> SocketAddr {
        self.https.as_ref().expect("the configuration has an HTTPS listener").address
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What the process wrote to standard output and standard error.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path().join("output")).unwrap_or_default()).into_owned()
    }

    /// Waits until the process has written this.
    #[track_caller]
    pub fn wait_for_output(&self, text: &str) {
        eventually(&format!("the gateway writes `{text}`"), || self.output().contains(text).then_some(()));
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub fn call(&self, request: &Request) -> Message {
        self.client().call(request)
    }

    #[track_caller]
    pub fn get(&self, target: &str) -> Message {
        self.call(&Request::get(target))
    }

    /// Where its operator's listener is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.as_ref().expect("the configuration has an operator's listener").address
    }

    /// A page of the operator's listener.
    #[track_caller]
    pub fn admin(&self, path: &str) -> Message {
        let address = self.admin_address();
        Client::connect(address).call(&Request::get(path).host(&address.to_string()))
    }

    /// The value of a sample, written as on the page: `name{label="value"}`; `None`: there is none.
    #[track_caller]
    pub fn metric(&self, sample: &str) -> Option<f64> {
        let page = self.admin("/metrics").text();
        let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        Some(line.parse().unwrap_or_else(|e| panic!("{e}: {line}")))
    }

    /// A command on this gateway's configuration.
    pub fn command(&self) -> Command {
        lockgate(self.path())
    }

    /// Writes a document of the running gateway's configuration, whole at once, as an editor does.
    pub fn write(&self, place: &str, text: &str) {
        let file = self.path().join(place);
        let beside = file.with_extension("toml~");
        fs::create_dir_all(file.parent().expect("a place inside the directory")).expect("the directory can be made");
        fs::write(&beside, text).expect("the document can be written");
        fs::rename(&beside, &file).expect("it can be put in its place");
    }

    /// Runs a command on this gateway's configuration that must succeed; what it wrote to standard output.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        String::from_utf8_lossy(&succeeds(self.command().args(arguments)).stdout).into_owned()
    }

    /// The same for a command that must fail; what it wrote to standard error.
    #[track_caller]
    pub fn fails(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().expect("the command runs");
        assert!(!output.status.success(), "{arguments:?} succeeds: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The access log's lines, once there are at least `n` of them.
    #[track_caller]
    pub fn access_log(&self, n: usize) -> Vec<serde_json::Value> {
        read_log(&self.path().join("access.log"), n)
    }
}

/// The JSON lines of a log file, once there are at least `n` of them.
#[track_caller]
pub fn read_log(file: &Path, n: usize) -> Vec<serde_json::Value> {
    eventually(&format!("{n} lines in {}", file.display()), || {
        let text = fs::read_to_string(file).ok()?;
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        (whole.lines().count() >= n)
            .then(|| whole.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect())
    })
}

impl Deref for Gateway {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Gateway {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path().join("access.log")).unwrap_or_default();
            let last: Vec<_> = log.lines().rev().take(LINES_SHOWN).collect();
            let last: String = last.iter().rev().map(|line| format!("{line}\n")).collect();
            eprintln!("--- the gateway wrote:\n{}--- its access log ends:\n{last}---", self.output());
        }
    }
}

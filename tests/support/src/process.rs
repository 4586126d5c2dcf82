//! A process that a test starts. It ends with the test, whatever becomes of the test.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus};

use crate::client::Client;
use crate::gateway::succeeds;
use crate::wait::{DEADLINE, Deadline, eventually};

pub struct Process {
    command: Command,
    child: Child,
    /// Where it takes connections, sooner or later.
    listens: Vec<SocketAddr>,
}

impl Process {
    #[track_caller]
    pub fn start(command: Command) -> Self {
        Self::serving(command, [])
    }

    /// One that will listen on these addresses.
    #[track_caller]
    pub fn serving(mut command: Command, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let child = spawn(&mut command);
        Self { command, child, listens: addresses.into_iter().collect() }
    }

    #[track_caller]
    pub fn wait_until_it_listens(&mut self) {
        let deadline = Deadline::after(DEADLINE);
        for address in self.listens.clone() {
            while Client::try_connect(address).is_err() {
                if let Some(status) = self.ended() {
                    panic!("{:?} ended: {status}", self.command.get_program());
                }
                assert!(deadline.look_again(), "{:?} does not listen on {address}", self.command.get_program());
            }
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it writes to a standard output that is piped; once.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("it is piped, and not taken yet")
    }

    /// Sends a signal, by the name that `kill` knows.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        succeeds(Command::new("kill").args(["-s", name, &self.id().to_string()]));
    }

    /// Stops it where it is: the kernel still takes connections for it, and nobody answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Ends it at once (SIGKILL), connections and all that it knew.
    pub fn kill(&mut self) {
        if self.is_running() {
            let _ = self.child.kill();
            clear_clock(self.id());
            let _ = self.child.wait();
        }
    }

    /// The same, and starts it again as it was.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        // The kernel takes a ring down after its process: until then the old sockets still take connections, to reset them.
        let deadline = Deadline::after(DEADLINE);
        for address in &self.listens {
            while Client::try_connect(*address).is_ok() {
                assert!(deadline.look_again(), "{:?} was killed, and still listens on {address}", self.command.get_program());
            }
        }
        self.child = spawn(&mut self.command);
        self.wait_until_it_listens();
    }

    /// How it has ended; `None`: it has not.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    pub fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the process ends", || self.ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[track_caller]
fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}; tests/run installs what tests need"))
}

/// A process under libfaketime that is killed leaves what it shared with its children.
fn clear_clock(process: u32) {
    for left in ["faketime_shm_", "sem.faketime_sem_"] {
        let _ = fs::remove_file(Path::new("/dev/shm").join(format!("{left}{process}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::faketime;

    #[test]
    fn a_process_with_another_clock_leaves_nothing_when_it_is_killed() {
        let mut command = Command::new("sleep");
        command.arg("60").env("LD_PRELOAD", faketime()).env("FAKETIME", "@2020-01-01 00:00:00");
        let mut process = Process::start(command);
        let left = Path::new("/dev/shm").join(format!("faketime_shm_{}", process.id()));
        eventually("it shares its clock", || left.exists().then_some(()));
        process.kill();
        assert!(!left.exists(), "{}", left.display());
        assert!(!process.is_running());
    }
}

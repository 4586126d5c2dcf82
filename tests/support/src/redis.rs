//! A real Redis as the engine of a cluster: its own directory and port, ended with the test. It keeps nothing on disk.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::client::Client;
use crate::gateway::succeeds;
use crate::ports::{Port, reserve};
use crate::tools::redis_server;
use crate::wait::eventually;

pub struct Redis {
    pub address: SocketAddr,
    directory: TempDir,
    arguments: Vec<String>,
    child: Child,
    _port: Port,
}

impl Redis {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// `further`: words of its command line.
    pub fn with(further: &[&str]) -> Self {
        let port = reserve();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let own = format!("--bind 127.0.0.1 --port {} --appendonly no", port.address.port());
        let mut arguments: Vec<String> = own.split(' ').map(str::to_owned).collect();
        // Nothing is saved.
        arguments.extend(["--save", ""].map(str::to_owned));
        arguments.extend(further.iter().map(|&word| word.to_owned()));
        let child = spawn(directory.path(), &arguments);
        let redis = Self { address: port.address, directory, arguments, child, _port: port };
        redis.wait();
        redis
    }

    fn wait(&self) {
        eventually("redis listens", || Client::try_connect(self.address).ok());
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Ends it at once, with all that it knew.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Starts it again on its port, empty.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.directory.path(), &self.arguments);
        self.wait();
    }

    /// Stops it where it is: the kernel still takes connections for it, and nobody answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        succeeds(Command::new("kill").args(["-s", name, &self.child.id().to_string()]));
    }
}

fn spawn(directory: &Path, arguments: &[String]) -> Child {
    let mut command = redis_server();
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server runs")
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

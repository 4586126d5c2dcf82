//! A real Redis as the engine of a cluster: its own directory and port, ended with the test. It keeps nothing on disk.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
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

    /// A Sentinel that looks after an engine by itself.
    pub fn sentinel(name: &str, engine: SocketAddr) -> Self {
        let port = reserve();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (own, port_of_engine) = (port.address.port(), engine.port());
        let settings = format!("port {own}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {port_of_engine} 1\n");
        std::fs::write(directory.path().join("sentinel.conf"), settings).expect("a file can be written");
        let arguments = ["sentinel.conf", "--sentinel"].map(str::to_owned).to_vec();
        let child = spawn(directory.path(), &arguments);
        let sentinel = Self { address: port.address, directory, arguments, child, _port: port };
        sentinel.wait();
        sentinel
    }

    /// What it says to a command, as it is on the wire.
    pub fn ask(&self, words: &[&str]) -> String {
        let mut request = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| request.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        let mut stream = TcpStream::connect(self.address).expect("redis listens");
        stream.write_all(request.as_bytes()).expect("it takes a command");
        stream.shutdown(Shutdown::Write).expect("its side can be ended");
        let mut said = Vec::new();
        stream.read_to_end(&mut said).expect("it answers");
        String::from_utf8_lossy(&said).into_owned()
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

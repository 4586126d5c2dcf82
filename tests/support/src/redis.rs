//! A real Redis as the engine of a cluster: its own directory and port, ended with the test. It keeps nothing on disk.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;

use crate::ports::{Port, reserve};
use crate::process::Process;
use crate::tools::redis_server;

pub struct Redis {
    pub address: SocketAddr,
    process: Process,
    directory: TempDir,
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
        Self::run(port, directory, &arguments)
    }

    /// A Sentinel that looks after an engine by itself.
    pub fn sentinel(name: &str, engine: SocketAddr) -> Self {
        let port = reserve();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (own, port_of_engine) = (port.address.port(), engine.port());
        let settings = format!("port {own}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {port_of_engine} 1\n");
        std::fs::write(directory.path().join("sentinel.conf"), settings).expect("a file can be written");
        Self::run(port, directory, &["sentinel.conf", "--sentinel"].map(str::to_owned))
    }

    fn run(port: Port, directory: TempDir, arguments: &[String]) -> Self {
        let mut command = redis_server();
        command.args(arguments).current_dir(directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::serving(command, [port.address]);
        process.wait_until_it_listens();
        Self { address: port.address, process, directory, _port: port }
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

    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Deref for Redis {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Redis {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

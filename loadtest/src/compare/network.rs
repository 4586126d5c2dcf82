//! Where the bytes flow: a network namespace of its own when this user may make one, so that the machine's settings do
//! not reach in and nothing reaches out. BBR paces what it sends, which on a loopback measures its timers and not the
//! proxy; so the namespace's routes ask for CUBIC, on both ends of every connection, whoever opens it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use socket2::SockRef;

use crate::ring::LISTEN_BACKLOG;

/// The congestion control that is asked for.
pub const CONGESTION: &str = "cubic";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// A network namespace of its own if this user may make one, else the host's
    Auto,
    /// A network namespace of its own
    Own,
    /// The host's network, with its congestion control on the proxies' own connections
    Host,
    /// The namespace has been made
    #[value(hide = true)]
    Inside,
}

/// Returns, where the measurement is to run, what is to be said about it. Starts this program again, in place, to get
/// there: a process with threads cannot change the namespace of all of them.
pub fn enter(network: Network) -> Result<String> {
    match network {
        Network::Inside => settle(),
        Network::Own => restart_inside(),
        Network::Auto if may_make_a_namespace() => restart_inside(),
        Network::Auto | Network::Host => Ok(format!(
            "the host's network; connections of the generator and accepted by backend and relay use {CONGESTION}, all others {}",
            default_congestion()?
        )),
    }
}

fn may_make_a_namespace() -> bool {
    let made = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    made.is_ok_and(|status| status.success())
}

fn restart_inside() -> Result<String> {
    let program = std::env::current_exe()?;
    let mut command = Command::new("unshare");
    command.arg("--net").arg("--").arg(program).args(std::env::args_os().skip(1)).args(["--network", "inside"]);
    Err(command.exec()).context("unshare(1), to make a network namespace")
}

/// Brings the namespace's loopback up and routes it with CUBIC; then looks at a connection to see what came of it.
/// The sysctl would be shorter, but a namespace may not choose an algorithm there that the machine restricts.
fn settle() -> Result<String> {
    ip(&["link", "set", "lo", "up"])?;
    for destination in ["127.0.0.0/8", "127.0.0.1"] {
        let route = ["route", "replace", "table", "local", "local", destination, "dev", "lo"];
        let rest = ["proto", "kernel", "scope", "host", "src", "127.0.0.1", "congctl", CONGESTION];
        ip(&[&route[..], &rest[..]].concat())?;
    }
    // Thousands of connections may come at once, to the proxy and to the backend: none of them is to be tried a second time.
    for queue in ["core/somaxconn", "ipv4/tcp_max_syn_backlog"] {
        let file = format!("/proc/sys/net/{queue}");
        fs::write(&file, LISTEN_BACKLOG.to_string()).context(file)?;
    }
    let (client, server) = congestion_in_use()?;
    if client != server {
        bail!("the loopback's connections send with {client} one way and {server} the other");
    }
    Ok(format!("a network namespace of its own, {client} on both ends of every connection"))
}

fn ip(arguments: &[&str]) -> Result<()> {
    let status = Command::new("ip").args(arguments).status().context("ip(8), to set up the network namespace")?;
    if !status.success() {
        bail!("ip {} failed", arguments.join(" "));
    }
    Ok(())
}

/// Of a connecting and of an accepting socket.
fn congestion_in_use() -> Result<(String, String)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    let name = |socket: &TcpStream| -> Result<String> {
        let name = SockRef::from(socket).tcp_congestion()?;
        Ok(String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned())
    };
    Ok((name(&client)?, name(&server)?))
}

fn default_congestion() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")?.trim().to_owned())
}

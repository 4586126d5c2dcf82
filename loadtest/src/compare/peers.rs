//! The proxies that are compared, each started in front of the same backend.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use super::gateway;
use super::process::{Running, free_address, launched, pinned};

const NGINX_CONF: &str = include_str!("../../peers/nginx.conf");
const HAPROXY_CFG: &str = include_str!("../../peers/haproxy.cfg");

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    Nginx,
    Haproxy,
    Relay,
    Lockgate,
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Relay => "relay",
            Self::Lockgate => "lockgate",
        }
    }
}

/// A peer that accepts connections.
pub struct Started {
    pub peer: Peer,
    /// As the program itself says it.
    pub version: String,
    pub address: SocketAddr,
    /// Where it speaks TLS, if it does.
    pub secure: Option<SocketAddr>,
    /// Where it speaks HTTP/2 in clear text.
    pub http2: Option<SocketAddr>,
    pub process: Running,
}

/// Where peers run, and before what.
pub struct Site<'a> {
    pub directory: &'a Path,
    pub core: usize,
    pub backend: SocketAddr,
    /// The gateway's binary, when there is one.
    pub gateway: Option<&'a Path>,
    pub certificate: &'a Certificate,
}

/// `None` when this machine does not have it.
pub fn start(peer: Peer, site: &Site) -> Result<Option<Started>> {
    let directory = tempfile::Builder::new().prefix(peer.name()).tempdir_in(site.directory)?.keep();
    let (address, secure, http2) = (free_address()?, free_address()?, free_address()?);
    let text = |template: &str| {
        template
            .replace("{{run}}", &directory.to_string_lossy())
            .replace("{{listen-tls}}", &secure.to_string())
            .replace("{{listen-h2c}}", &http2.to_string())
            .replace("{{certificate}}", &site.certificate.both.to_string_lossy())
            .replace("{{listen}}", &address.to_string())
            .replace("{{backend}}", &site.backend.to_string())
    };
    let (mut command, version) = match peer {
        Peer::Nginx => {
            let Some(version) = version_of("nginx".as_ref(), "-v") else { return Ok(None) };
            let file = directory.join("nginx.conf");
            fs::write(&file, text(NGINX_CONF))?;
            let mut command = pinned(site.core, "nginx".as_ref())?;
            command.arg("-p").arg(&directory).arg("-c").arg(file);
            (command, version)
        }
        Peer::Haproxy => {
            let Some(version) = version_of("haproxy".as_ref(), "-v") else { return Ok(None) };
            let file = directory.join("haproxy.cfg");
            fs::write(&file, text(HAPROXY_CFG))?;
            let mut command = pinned(site.core, "haproxy".as_ref())?;
            command.args(["-q", "-db", "-f"]).arg(file);
            (command, version)
        }
        Peer::Relay => {
            let mut command = pinned(site.core, std::env::current_exe()?.as_os_str())?;
            command.args(["relay", "--listen", &address.to_string(), "--backend", &site.backend.to_string()]);
            command.args(["--congestion", super::network::CONGESTION]);
            (command, format!("loadtest {}", env!("CARGO_PKG_VERSION")))
        }
        Peer::Lockgate => {
            let Some(binary) = site.gateway else { return Ok(None) };
            let Some(version) = version_of(binary.as_os_str(), "--version") else {
                bail!("{} --version fails", binary.display());
            };
            let config = gateway::prepare(binary, &directory, address, Some((secure, http2, site.certificate)), site.backend)?;
            let mut command = pinned(site.core, binary.as_os_str())?;
            command.args(["run", "--config"]).arg(config);
            (command, version)
        }
    };
    command.current_dir(&directory);
    let process = Running::server(peer.name(), &mut command, &directory, address)?;
    let [secure, http2] = [secure, http2].map(|address| (peer != Peer::Relay).then_some(address));
    Ok(Some(Started { peer, version, address, secure, http2, process }))
}

/// On a core, and then with the congestion control of a comparison; or anywhere.
pub fn start_backend(directory: &Path, core: Option<usize>) -> Result<(Running, SocketAddr)> {
    let address = free_address()?;
    let mut command = launched(core, std::env::current_exe()?.as_os_str())?;
    command.args(["backend", "--listen", &address.to_string()]);
    if core.is_some() {
        command.args(["--congestion", super::network::CONGESTION]);
    }
    let process = Running::server("backend", &mut command, directory, address).context("the backend of the measurement")?;
    Ok((process, address))
}

/// The first line that the program prints of itself, or `None` when it does not run.
fn version_of(program: &OsStr, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    if !output.status.success() {
        return None;
    }
    // nginx says it on standard error.
    let said = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&said).lines().next()?.trim().to_owned())
}

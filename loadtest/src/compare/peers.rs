//! The proxies that are compared, each started in front of the same backend.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use super::gateway::{self, Place};
use super::nginx;
use super::process::{Running, free_address, launched, pinned};
use super::scenario::{Scenario, Setting};
use crate::launch;

/// Of a relay, beside those of connections.
const OTHER_DESCRIPTORS: u64 = 64;
const HAPROXY_CFG: &str = include_str!("../../peers/haproxy.cfg");

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    Nginx,
    /// nginx that checks who calls, and counts, in Lua.
    NginxLua,
    Haproxy,
    /// On a ring, as the gateway.
    Relay,
    RelayEpoll,
    Lockgate,
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxLua => "nginx-lua",
            Self::Haproxy => "haproxy",
            Self::Relay => "relay",
            Self::RelayEpoll => "relay-epoll",
            Self::Lockgate => "lockgate",
        }
    }

    /// It looks at who calls, and refuses.
    pub fn authenticates(self) -> bool {
        matches!(self, Self::NginxLua | Self::Lockgate)
    }

    /// It carries bytes, of each client over a connection of its own.
    fn is_relay(self) -> bool {
        matches!(self, Self::Relay | Self::RelayEpoll)
    }

    /// Whether it can do what a scenario asks for; what it cannot is not measured of it.
    pub fn takes_part(self, scenario: &Scenario) -> bool {
        let bytes_alone = self.is_relay() && (scenario.tls || scenario.streams.is_some());
        let enough = !self.is_relay()
            || scenario.connections.is_none_or(|connections| 2 * connections as u64 + OTHER_DESCRIPTORS < launch::descriptors());
        !bytes_alone && enough && (self.authenticates() || scenario.refusal.is_none())
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
    /// Where its operator asks, if it is the gateway's and told to listen.
    pub admin: Option<SocketAddr>,
    /// The gateway's documents.
    pub config: Option<PathBuf>,
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
pub fn start(peer: Peer, site: &Site, setting: &Setting) -> Result<Option<Started>> {
    let directory = tempfile::Builder::new().prefix(peer.name()).tempdir_in(site.directory)?.keep();
    let (address, secure, http2) = (free_address()?, free_address()?, free_address()?);
    let text = |template: &str| {
        template
            .replace("{{run}}", &directory.to_string_lossy())
            .replace("{{listen-tls}}", &secure.to_string())
            .replace("{{listen-h2c}}", &http2.to_string())
            .replace("{{certificate}}", &site.certificate.both.to_string_lossy())
            .replace("{{listen}}", &address.to_string())
            .replace("{{descriptors}}", &launch::descriptors().to_string())
            .replace("{{backend}}", &site.backend.to_string())
    };
    let (mut admin, mut config) = (None, None);
    let (mut command, version) = match peer {
        Peer::NginxLua if !nginx::has_lua() => return Ok(None),
        Peer::Nginx | Peer::NginxLua => {
            let Some(version) = version_of("nginx".as_ref(), "-v") else { return Ok(None) };
            let file = nginx::write(&directory, peer == Peer::NginxLua, text)?;
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
        Peer::Relay | Peer::RelayEpoll => {
            let mut command = pinned(site.core, std::env::current_exe()?.as_os_str())?;
            command.args(["relay", "--listen", &address.to_string(), "--backend", &site.backend.to_string()]);
            command.args(["--congestion", super::network::CONGESTION]);
            if peer == Peer::RelayEpoll {
                command.arg("--epoll");
            }
            (command, format!("loadtest {}", env!("CARGO_PKG_VERSION")))
        }
        Peer::Lockgate => {
            let Some(binary) = site.gateway else { return Ok(None) };
            let Some(version) = version_of(binary.as_os_str(), "--version") else {
                bail!("{} --version fails", binary.display());
            };
            if setting.metrics {
                admin = Some(free_address()?);
            }
            // APIs that are published beside have no certificates.
            let edge = (setting.apis == 0).then_some((secure, http2, site.certificate));
            let place = Place { listen: address, edge, backend: site.backend, admin, setting };
            let documents = config.insert(gateway::prepare(binary, &directory, &place)?);
            let mut command = pinned(site.core, binary.as_os_str())?;
            command.args(["run", "--config"]).arg(documents);
            (command, version)
        }
    };
    command.current_dir(&directory);
    let process = Running::server(peer.name(), &mut command, &directory, address)?;
    let [secure, http2] = [secure, http2].map(|address| (!peer.is_relay()).then_some(address));
    Ok(Some(Started { peer, version, address, secure, http2, admin, config, process }))
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

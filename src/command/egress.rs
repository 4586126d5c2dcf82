//! `lockgate egress`

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use clap::Args;

use super::Failure;
use crate::catalog;

#[derive(Args)]
pub struct Egress {}

impl Egress {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let catalog = catalog::load(config)?;
        writeln!(out, "Allow these addresses in the security group of the backends:")?;
        if !catalog.instance.egress_addresses.is_empty() {
            for address in &catalog.instance.egress_addresses {
                writeln!(out, "{address}  (egress_addresses of gateway.toml)")?;
            }
            return Ok(());
        }
        let mut uses: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
        for access in &catalog.vpc_accesses {
            for instance in &access.instances {
                match source_toward(instance.address) {
                    Ok(source) => uses.entry(source).or_default().push(format!("{} {}", access.name, instance.address)),
                    Err(error) => writeln!(out, "-  {} {}: there is no route: {error}", access.name, instance.address)?,
                }
            }
        }
        for (source, targets) in uses {
            writeln!(out, "{source}  (the kernel's choice toward {})", targets.join(", "))?;
        }
        Ok(())
    }
}

/// The source address the kernel would take. A datagram socket that is connected sends nothing.
fn source_toward(target: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(target)?;
    Ok(socket.local_addr()?.ip())
}

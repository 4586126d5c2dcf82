//! `lockgate vpc-access`

use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand};

use super::{Failure, draft};
use crate::catalog;
use crate::document::Layout;
use crate::publish::atomic::Access;

#[derive(Subcommand)]
pub enum VpcAccess {
    /// Write a VPC access
    Create(Create),
    /// List the VPC accesses
    List,
}

#[derive(Args)]
pub struct Create {
    name: String,
    /// The VPC that the instances are in
    #[arg(long, value_name = "ID")]
    vpc_id: String,
    /// Private address of an instance; again for further instances
    #[arg(long, value_name = "IP", required = true)]
    address: Vec<String>,
    /// Id of an instance, in the order of the addresses
    #[arg(long, value_name = "ID")]
    instance_id: Vec<String>,
    /// Port of every instance
    #[arg(long)]
    port: i64,
    /// The Host that the backend sees
    #[arg(long)]
    host: Option<String>,
    /// How the instances are spoken to
    #[arg(long, value_name = "http|https", value_parser = ["http", "https"])]
    scheme: Option<String>,
    /// Type of a load balancer among the instances
    #[arg(long, default_value = "vpc")]
    network: String,
    /// Weight of every instance
    #[arg(long)]
    weight: Option<i64>,
}

impl VpcAccess {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            VpcAccess::Create(create) => create.run(config, out),
            VpcAccess::List => list(config, out),
        }
    }
}

impl Create {
    fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        draft::check_name("a VPC access", &self.name)?;
        let layout = Layout::new(config);
        let path = layout.vpc_access(&self.name);
        draft::create(&layout, &path, &self.text(), Access::Everyone)?;
        writeln!(out, "wrote {}", path.display())?;
        writeln!(
            out,
            "next: allow the addresses that `lockgate egress` prints in the security group of the instances, port {}",
            self.port
        )?;
        writeln!(out, "      lockgate group create NAME --domain DOMAIN")?;
        Ok(())
    }

    fn text(&self) -> String {
        let q = draft::quoted;
        let mut text = format!("name = {}\nvpc_id = {}\nport = {}\n", q(&self.name), q(&self.vpc_id), self.port);
        text.push_str(&draft::optional("host", &self.host));
        text.push_str(&draft::optional("scheme", &self.scheme));
        text.push_str(&format!("network = {}\n", q(&self.network)));
        for (index, address) in self.address.iter().enumerate() {
            text.push_str("\n[[instance]]\n");
            if let Some(id) = self.instance_id.get(index) {
                text.push_str(&format!("id = {}\n", q(id)));
            }
            text.push_str(&format!("address = {}\n", q(address)));
            if let Some(weight) = self.weight {
                text.push_str(&format!("weight = {weight}\n"));
            }
        }
        text
    }
}

fn list(config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    for access in &catalog::load(config)?.vpc_accesses {
        let host = access.host.as_deref().unwrap_or("-");
        let scheme = if access.tls.is_some() { "  https" } else { "" };
        writeln!(out, "{}  vpc {}  host {host}{scheme}", access.name, access.vpc_id)?;
        for instance in &access.instances {
            writeln!(out, "  {}  {}  weight {}", instance.id, instance.address, instance.weight)?;
        }
    }
    Ok(())
}

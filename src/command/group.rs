//! `lockgate group`

use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand};

use super::{Failure, draft};
use crate::catalog;
use crate::document::Layout;
use crate::publish::atomic::Access;

#[derive(Subcommand)]
pub enum Group {
    /// Write a group
    Create(Create),
    /// List the groups
    List,
}

#[derive(Args)]
pub struct Create {
    name: String,
    /// What every path of the group begins with
    #[arg(long, value_name = "PATH", default_value = "/")]
    base_path: String,
    /// A name, `*.name`, an IP address, or `*`; again for further domains
    #[arg(long)]
    domain: Vec<String>,
    /// Calls a day that the default domain answers
    #[arg(long, value_name = "N", default_value_t = 1000)]
    default_domain_calls_per_day: i64,
}

impl Group {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Group::Create(create) => create.run(config, out),
            Group::List => list(config, out),
        }
    }
}

impl Create {
    fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        draft::check_name("a group", &self.name)?;
        let layout = Layout::new(config);
        let path = layout.group(&self.name);
        let text = format!(
            "name = {}\nbase_path = {}\ndomains = {}\ndefault_domain_calls_per_day = {}\n",
            draft::quoted(&self.name),
            draft::quoted(&self.base_path),
            draft::quoted_list(&self.domain),
            self.default_domain_calls_per_day,
        );
        draft::create(&layout, &path, &text, Access::Everyone)?;
        writeln!(out, "wrote {}", path.display())?;
        writeln!(out, "next: lockgate api create {}/API --method GET --path /PATH --vpc-access NAME", self.name)?;
        Ok(())
    }
}

fn list(config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    for group in &catalog::load(config)?.groups {
        let domains: Vec<String> = group.domains.iter().map(ToString::to_string).collect();
        writeln!(out, "{}  base path {}/  {}  {}", group.name, group.base_path, group.default_domain, domains.join(" "))?;
    }
    Ok(())
}

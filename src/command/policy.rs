//! `lockgate policy`

use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand};

use super::{Failure, draft};
use crate::catalog::policy::Control;
use crate::catalog::{self, Policy as Checked};
use crate::document::Layout;
use crate::publish::atomic::Access;

#[derive(Subcommand)]
pub enum Policy {
    /// Write a traffic control policy, with limits by who calls
    Create(Create),
    /// List the policies, and what they are bound to
    List,
}

#[derive(Args)]
pub struct Create {
    name: String,
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The time in which calls are counted: second, minute, hour or day
    #[arg(long, value_name = "UNIT")]
    unit: String,
    /// Calls of each bound API
    #[arg(long, value_name = "CALLS")]
    api: u64,
    /// Calls by all apps of one owner
    #[arg(long, value_name = "CALLS")]
    user: Option<u64>,
    /// Calls by one app
    #[arg(long, value_name = "CALLS")]
    app: Option<u64>,
    /// What to bind it to: GROUP/API, or a GROUP for all of its APIs; again for more
    #[arg(long, value_name = "GROUP/API")]
    bind: Vec<String>,
    /// A stage of what it is bound to; again for further stages
    #[arg(long, default_value = "RELEASE")]
    stage: Vec<String>,
}

impl Policy {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Policy::Create(create) => create.run(config, out),
            Policy::List => list(config, out),
        }
    }
}

impl Create {
    fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        draft::check_name("a policy", &self.name)?;
        let layout = Layout::new(config);
        let path = layout.policy(&self.name);
        draft::create(&layout, &path, &self.text(), Access::Everyone)?;
        writeln!(out, "wrote {}", path.display())?;
        match self.bind.is_empty() {
            true => writeln!(out, "next: bind it to an API, by [[bind]] in that file")?,
            false => writeln!(out, "next: a gateway that runs follows in a moment; `lockgate reload --wait` waits for it")?,
        }
        Ok(())
    }

    fn text(&self) -> String {
        let q = draft::quoted;
        let mut text = format!("name = {}\ntype = \"traffic-control\"\n", q(&self.name));
        text.push_str(&draft::optional("description", &self.description));
        text.push_str(&format!("unit = {}\napi = {}\n", q(&self.unit), self.api));
        for (key, calls) in [("user", self.user), ("app", self.app)] {
            if let Some(calls) = calls {
                text.push_str(&format!("{key} = {calls}\n"));
            }
        }
        for target in &self.bind {
            let key = if target.contains('/') { "api" } else { "group" };
            text.push_str(&format!("\n[[bind]]\n{key} = {}\nstages = {}\n", q(target), draft::quoted_list(&self.stage)));
        }
        text
    }
}

fn list(config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let catalog = catalog::load(config)?;
    for policy in &catalog.policies {
        writeln!(out, "{}  {}", policy.name, limits(policy))?;
        for binding in &policy.bindings {
            let (target, stage) = binding.names(&catalog);
            writeln!(out, "  {target}  {stage}")?;
        }
    }
    Ok(())
}

/// `100 a minute an app, 1000 an API`.
fn limits(policy: &Checked) -> String {
    match &policy.control {
        Control::Callers(limits) => {
            let of = [("API", Some(limits.api)), ("user", limits.user), ("app", limits.app), ("group", limits.group)];
            let of = of.iter().filter_map(|(what, calls)| Some(format!("{what} {}", (*calls)?))).collect::<Vec<_>>();
            format!("{}: {}", limits.unit.in_words(), of.join(", "))
        }
        Control::Parameters(limits) => {
            let mut text = format!("all {} {}", limits.limit, limits.period.in_words());
            for rule in &limits.rules {
                text.push_str(&format!(", {} {} {}", rule.name, rule.limit, rule.period.in_words()));
            }
            text
        }
    }
}

//! `lockgate api`

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand};

use super::{Failure, draft};
use crate::catalog;
use crate::document::{Layout, Report};
use crate::publish::atomic::Access;

#[derive(Subcommand)]
pub enum Api {
    /// Write an API
    Create(Box<Create>),
    /// List the APIs, and what is published
    List,
}

#[derive(Args)]
pub struct Create {
    #[arg(value_name = "GROUP/API")]
    api: String,
    /// What callers send: a method, again for further ones, or ANY
    #[arg(long, required = true)]
    method: Vec<String>,
    /// Below the base path of the group: `/user/[id]`, `/files/*`
    #[arg(long)]
    path: String,
    /// Name of the VPC access
    #[arg(long, value_name = "NAME")]
    vpc_access: String,
    /// Path at the backend; default: that of the request
    #[arg(long, value_name = "PATH")]
    backend_path: Option<String>,
    /// Method at the backend; ANY: the caller's
    #[arg(long, value_name = "METHOD", default_value = "ANY")]
    backend_method: String,
    /// Largest body of a request; default: that of the instance
    #[arg(long, value_name = "BYTES")]
    body_bytes: Option<u64>,
    /// Protocol that a caller may switch to, such as websocket; again for others
    #[arg(long, value_name = "PROTOCOL")]
    upgrade: Vec<String>,
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout_ms: i64,
    /// app or none
    #[arg(long, default_value = "app")]
    auth: String,
    /// Where an AppCode is taken from: off, header or header-query
    #[arg(long, value_name = "PLACE", default_value = "off")]
    app_code: String,
    /// HMAC_SHA256 or HMAC_SHA1; again for both
    #[arg(long, value_name = "METHOD", default_value = "HMAC_SHA256")]
    signature_method: Vec<String>,
    /// A signed call must carry a nonce
    #[arg(long)]
    require_nonce: bool,
    /// http or https; again for both
    #[arg(long, default_values = ["http", "https"])]
    protocol: Vec<String>,
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Documentation: content type of an answer
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Documentation: an answer
    #[arg(long, value_name = "TEXT")]
    example: Option<String>,
    /// Documentation: an answer to a call that failed
    #[arg(long, value_name = "TEXT")]
    error_example: Option<String>,
}

impl Api {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Api::Create(create) => create.run(config, out),
            Api::List => list(config, out),
        }
    }
}

impl Create {
    fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let layout = Layout::new(config);
        let Some((group, name)) = self.api.split_once('/') else {
            return Err(Failure::new(format!("`{}` does not name an API: write GROUP/API", self.api)));
        };
        draft::check_name("a group", group)?;
        draft::check_name("an API", name)?;
        if !layout.has(&layout.group(group)) {
            return Err(Failure::new(format!("there is no group `{group}`: `lockgate group create {group}` makes it")));
        }
        let path = layout.api(group, name);
        draft::create(&layout, &path, &self.text(name), Access::Everyone)?;
        writeln!(out, "wrote {}", path.display())?;
        writeln!(out, "next: lockgate publish {} --stage RELEASE --remarks \"...\"", self.api)?;
        writeln!(out, "      lockgate app create APP; lockgate authorize APP {} --stage RELEASE", self.api)?;
        Ok(())
    }

    fn text(&self, name: &str) -> String {
        let q = draft::quoted;
        let method = match self.method.as_slice() {
            [one] => q(one),
            several => draft::quoted_list(several),
        };
        let mut text = format!("name = {}\n", q(name));
        text.push_str(&draft::optional("description", &self.description));
        text.push_str(&format!("\n[authentication]\ntype = {}\n", q(&self.auth)));
        if self.auth == "app" {
            let methods = draft::quoted_list(&self.signature_method);
            let nonce = self.require_nonce;
            text.push_str(&format!("app_code = {}\nsignature_methods = {methods}\nrequire_nonce = {nonce}\n", q(&self.app_code)));
        }
        text.push_str(&format!(
            "\n[request]\nprotocols = {}\npath = {}\nmethod = {method}\nmode = \"pass-through\"\n{}{}\n\
             [backend]\ntype = \"vpc\"\nvpc_access = {}\npath = {}\nmethod = {}\ntimeout_ms = {}\n",
            draft::quoted_list(&self.protocol),
            q(&self.path),
            self.body_bytes.map_or(String::new(), |bytes| format!("body_bytes = {bytes}\n")),
            match self.upgrade.as_slice() {
                [] => String::new(),
                upgrades => format!("upgrades = {}\n", draft::quoted_list(upgrades)),
            },
            q(&self.vpc_access),
            q(self.backend_path.as_ref().unwrap_or(&self.path)),
            q(&self.backend_method),
            self.timeout_ms,
        ));
        if self.content_type.is_some() || self.example.is_some() || self.error_example.is_some() {
            text.push_str("\n[response]\n");
            text.push_str(&draft::optional("content_type", &self.content_type));
            text.push_str(&draft::optional("example", &self.example));
            text.push_str(&draft::optional("error_example", &self.error_example));
        }
        text
    }
}

fn list(config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let catalog = catalog::load(config)?;
    let layout = Layout::new(config);
    let mut report = Report::default();
    let mut states: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for api in &catalog.apis {
        let (Some(group), Some(stage)) = (catalog.groups.get(api.group.index()), catalog.stages.get(api.stage.index())) else {
            continue;
        };
        states.entry(format!("{}/{}", group.name, api.name)).or_default().push(format!("{stage} {}", api.version));
    }
    for group in layout.directories(&layout.groups(), &mut report) {
        for api in layout.documents(&layout.apis(&group.name), &mut report) {
            states.entry(format!("{}/{}", group.name, api.name)).or_default();
        }
    }
    for (name, states) in states {
        let states = if states.is_empty() { "draft, not published".to_owned() } else { states.join(", ") };
        writeln!(out, "{name}  {states}")?;
    }
    Ok(())
}

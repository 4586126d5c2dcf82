//! `lockgate init`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, draft};
use crate::document::Layout;
use crate::publish::atomic::Access;

#[derive(Args)]
pub struct Init {
    /// The directory to write; default: that of --config
    directory: Option<PathBuf>,
    /// Where clients connect
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listener: String,
    /// Name of the instance
    #[arg(long, default_value = "edge-1")]
    name: String,
}

impl Init {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let layout = Layout::new(self.directory.unwrap_or_else(|| config.to_path_buf()));
        let text = format!(
            "[instance]\nname = {}\nstate_directory = \"state\"        # relative to this file's directory\n\
             default_domain_suffix = \"localhost\"   # group G answers on G.localhost, for debugging, with a daily quota\n\n\
             [[listener]]\naddress = {}\nprotocol = \"http\"\n\n\
             [security]\nsignature_window_s = 900         # accepted clock difference, and how long a nonce is remembered\n",
            draft::quoted(&self.name),
            draft::quoted(&self.listener),
        );
        draft::create(&layout, &layout.gateway(), &text, Access::Everyone)?;
        writeln!(out, "wrote {}", layout.gateway().display())?;
        writeln!(out, "next: lockgate vpc-access create NAME --vpc-id VPC --address ADDRESS --port PORT")?;
        Ok(())
    }
}

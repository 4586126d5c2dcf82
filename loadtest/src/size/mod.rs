//! The gateway at size: how long it takes to start, and to put one publication among many in force on all workers.

mod figures;
mod set;

pub use figures::{Figures, figures};

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

pub use set::{Addresses, Size};

#[derive(Args)]
pub struct Generate {
    /// The config directory to write
    directory: PathBuf,
    #[command(flatten)]
    size: Size,
    /// Where its gateway will listen
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// Where its backends will listen, on 127.0.0.1
    #[arg(long, default_value_t = 8081)]
    backend_port: u16,
}

pub fn generate(arguments: &Generate) -> Result<()> {
    let addresses = Addresses { listen: arguments.listen.clone(), backend_port: arguments.backend_port };
    arguments.size.write(&arguments.directory, &addresses)
}

/// Shown on a terminal alone.
fn bar(what: &'static str, steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>10} {bar:40} {pos}/{len}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps).with_style(style).with_message(what)
}

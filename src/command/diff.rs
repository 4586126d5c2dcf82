//! `lockgate diff`

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::Failure;
use super::format::Format;
use crate::publish::Target;
use crate::publish::diff::{ApiDiff, Difference, Side, compare};

/// Show what differs between drafts, stages and versions, by meaning
#[derive(Args)]
pub struct Diff {
    /// APIs as GROUP/API, or a GROUP for all of its APIs; default: all
    #[arg(value_name = "GROUP/API")]
    apis: Vec<String>,
    /// A stage, a version, or `draft`
    #[arg(long, value_name = "SIDE", default_value = "RELEASE")]
    from: String,
    /// A stage, a version, or `draft`
    #[arg(long, value_name = "SIDE", default_value = "draft")]
    to: String,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Diff {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let target = if self.apis.is_empty() { Target::All } else { Target::These(self.apis) };
        let diffs = compare(config, &target, &Side::parse(&self.from), &Side::parse(&self.to))?;
        if self.format == Format::Json {
            let json = serde_json::to_string(&diffs).map_err(|error| Failure::new(error.to_string()))?;
            writeln!(out, "{json}")?;
            return Ok(());
        }
        write_diffs(&diffs, out)?;
        if diffs.iter().all(|diff| diff.difference == Difference::None) {
            writeln!(out, "no difference")?;
        }
        Ok(())
    }
}

/// What differs, API by API; those that are the same are left out.
pub(super) fn write_diffs(diffs: &[ApiDiff], out: &mut dyn Write) -> std::io::Result<()> {
    let name = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
    for diff in diffs.iter().filter(|diff| diff.difference != Difference::None) {
        writeln!(out, "{}: {} -> {}", diff.api, name(&diff.from), name(&diff.to))?;
        if let Difference::Changed(changes) = &diff.difference {
            for change in changes {
                writeln!(out, "  {change}")?;
            }
        }
    }
    Ok(())
}

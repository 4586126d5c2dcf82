//! `lockgate history` and `lockgate show`

use std::io::Write;
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::format::Format;
use super::{Failure, plain};
use crate::publish::{self, Entry, Target};

/// What was published, by whom and why: generations, or the versions of APIs
#[derive(Args)]
pub struct History {
    /// APIs as GROUP/API, or a GROUP for all of its APIs; without any, the generations
    #[arg(value_name = "GROUP/API")]
    apis: Vec<String>,
    /// Of this stage alone
    #[arg(long, requires = "apis")]
    stage: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl History {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        match self.apis.is_empty() {
            true => self.generations(config, out),
            false => self.versions(config, out),
        }
    }

    fn generations(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let generations = publish::generations(config)?;
        if self.format == Format::Json {
            let one = |g: &publish::Generation| {
                let c = &g.change;
                json!({ "generation": g.number, "current": g.current, "sha256": g.sha256, "time": c.time, "by": c.by,
                        "what": c.what, "remarks": c.remarks })
            };
            writeln!(out, "{}", json!(generations.iter().map(one).collect::<Vec<_>>()))?;
            return Ok(());
        }
        for publish::Generation { number, current, change, .. } in &generations {
            let mark = if *current { "  current" } else { "" };
            writeln!(out, "generation {number}{mark}  {}  {}", plain(&change.time), plain(&change.by))?;
            writeln!(out, "  {}{}", plain(&change.what), remarks(&change.remarks))?;
        }
        if generations.is_empty() {
            writeln!(out, "nothing was published yet")?;
        }
        Ok(())
    }

    fn versions(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let entries = publish::versions(config, &Target::These(self.apis), self.stage.as_deref())?;
        if self.format == Format::Json {
            let one = |e: &Entry| {
                let v = &e.version;
                json!({ "stage": e.stage, "api": format!("{}/{}", e.group, e.api), "version": v.version, "current": e.current,
                        "time": v.time, "by": v.published_by, "remarks": v.remarks, "sha256": v.sha256 })
            };
            writeln!(out, "{}", json!(entries.iter().map(one).collect::<Vec<_>>()))?;
            return Ok(());
        }
        let mut of = None;
        for entry @ Entry { stage, group, api, current, version } in &entries {
            if of != Some((stage, group, api)) {
                writeln!(out, "{group}/{api} in {stage}")?;
                of = Some((&entry.stage, &entry.group, &entry.api));
            }
            let mark = if *current { "current" } else { "       " };
            let (name, time, by) = (&version.version.value, plain(&version.time), plain(&version.published_by));
            writeln!(out, "  {name}  {mark}  {time}  {by}{}", remarks(&version.remarks))?;
        }
        Ok(())
    }
}

fn remarks(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {}", plain(text)) }
}

/// Show a version: who published it, when and why, and its definition
#[derive(Args)]
pub struct Show {
    version: String,
    /// Of these alone: APIs that were published at once have the same version
    #[arg(value_name = "GROUP/API")]
    apis: Vec<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Show {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let target = if self.apis.is_empty() { Target::All } else { Target::These(self.apis) };
        let found = publish::find(config, &self.version, &target)?;
        if self.format == Format::Json {
            let json = serde_json::to_string(&found).map_err(|error| Failure::new(error.to_string()))?;
            writeln!(out, "{json}")?;
            return Ok(());
        }
        for (index, version) in found.iter().enumerate() {
            let text = toml::to_string(version).map_err(|error| Failure::new(error.to_string()))?;
            let gap = if index > 0 { "\n" } else { "" };
            write!(out, "{gap}{text}")?;
        }
        Ok(())
    }
}

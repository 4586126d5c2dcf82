//! `lockgate schema`

use std::io::Write;
use std::path::Path;

use clap::{Args, ValueEnum};

use super::{Failure, draft};
use crate::document::kind::{KINDS, Kind};
use crate::document::schema::reference;
use crate::document::{Layout, nearest};

#[derive(Args)]
pub struct Schema {
    /// A kind of document; without one, the kinds are listed
    kind: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write the JSON Schema of every kind into the config directory, where `#:schema` lines look for them
    #[arg(long, conflicts_with_all = ["kind", "format"])]
    write: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON Schema, draft 7
    #[default]
    Json,
    /// A page for people
    Markdown,
}

impl Schema {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        if self.write {
            let layout = Layout::new(config);
            for kind in KINDS {
                writeln!(out, "wrote {}", draft::write_schema(&layout, kind)?.display())?;
            }
            return Ok(());
        }
        let Some(name) = &self.kind else {
            for kind in KINDS {
                writeln!(out, "{:<12} {:<36} {}", kind.name, kind.place, kind.about)?;
            }
            return Ok(());
        };
        let kind = Kind::named(name).ok_or_else(|| unknown(name))?;
        match self.format {
            Format::Json => writeln!(out, "{:#}", kind.schema())?,
            Format::Markdown => write!(out, "{}", reference(&kind.schema()))?,
        }
        Ok(())
    }
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let hint = nearest(name, names.iter().copied()).map(|near| format!("\n  help: did you mean `{near}`?")).unwrap_or_default();
    Failure::new(format!("there is no kind of document `{name}`: there are {}{hint}", names.join(", ")))
}

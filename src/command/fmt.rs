//! `lockgate fmt`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, draft};
use crate::document::format::format;
use crate::document::kind::Kind;
use crate::document::{Layout, Report, read_text};
use crate::publish::atomic;

#[derive(Args)]
pub struct Fmt {
    /// Documents; without them, every draft of the config directory
    files: Vec<PathBuf>,
    /// Write nothing; name the documents that would change, and fail if there are any
    #[arg(long)]
    check: bool,
}

impl Fmt {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let layout = Layout::new(config);
        let files = if self.files.is_empty() { drafts(&layout)? } else { self.files };
        let (mut changed, mut failed) = (0, 0);
        for file in &files {
            match spelled(&layout, file) {
                Ok((text, canonical)) if text == canonical => {}
                Ok(_) if self.check => {
                    writeln!(out, "{} is not in its canonical spelling", file.display())?;
                    changed += 1;
                }
                Ok((_, canonical)) => {
                    let written = atomic::replace(file, &canonical, draft::access(file));
                    written.map_err(|error| Failure::file(file, error))?;
                    writeln!(out, "wrote {}", file.display())?;
                }
                Err(problem) => {
                    eprintln!("error: {}: {problem}", file.display());
                    failed += 1;
                }
            }
        }
        if failed > 0 || (self.check && changed > 0) { Err(Failure::silent()) } else { Ok(()) }
    }
}

/// A document as it is, and as it should be spelled.
fn spelled(layout: &Layout, file: &Path) -> Result<(String, String), String> {
    let place = file.strip_prefix(&layout.root).unwrap_or(file);
    let kind = Kind::at(place).filter(|kind| !kind.published);
    let kind = kind.ok_or_else(|| format!("this is no draft in {}", layout.root.display()))?;
    let text = read_text(file, kind.bytes)?;
    let canonical = format(&text, &kind.schema()).map_err(|error| error.to_string())?;
    Ok((text, canonical))
}

/// Every document that people edit.
fn drafts(layout: &Layout) -> Result<Vec<PathBuf>, Failure> {
    let mut report = Report::default();
    let drafts = layout.drafts(&mut report);
    if report.is_empty() { Ok(drafts) } else { Err(report.into()) }
}

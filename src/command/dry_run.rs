//! `lockgate publish --dry-run`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::diff::write_diffs;
use super::format::Format;
use super::progress::Progress;
use super::{Failure, failure};
use crate::catalog;
use crate::document::Layout;
use crate::lint::lint;
use crate::publish::diff::{ApiDiff, Side, compare};
use crate::publish::{Preview, Request, Target, preview};
use crate::replay::{Foretold, LogError, Report, replay};

#[derive(Args)]
pub struct DryRun {
    /// Write nothing: check, and show what would change
    #[arg(long)]
    dry_run: bool,
    /// Decide the requests of an access log again, as it is and as it would be; again for rotated files (`.gz` too)
    #[arg(long, value_name = "ACCESS_LOG", requires = "dry_run", num_args = 1..)]
    replay: Vec<PathBuf>,
    /// Write what would become of each request, one JSON line a request
    #[arg(long, value_name = "FILE", requires = "replay")]
    outcomes: Option<PathBuf>,
    /// How it is shown
    #[arg(long, value_enum, default_value_t, requires = "dry_run")]
    format: Format,
}

/// Of the JSON that is written.
const VERSION: u32 = 1;

impl DryRun {
    pub fn is_wanted(&self) -> bool {
        self.dry_run
    }

    pub fn run(&self, config: &Path, request: &Request, out: &mut dyn Write) -> Result<(), Failure> {
        let progress = Progress::new();
        let preview = preview(config, request, &|what, done, all| progress.show(what, done, all))?;
        // A publication checks what it touches; here there is time for all of it, as it would be.
        let after = catalog::load_layout(preview.layout.clone())?;
        let warnings = lint(&preview.layout, super::now_ms()?);
        let apis = preview.published.iter().cloned().chain(preview.unchanged.iter().map(|(api, _)| api.clone())).collect();
        let diffs = compare(config, &Target::These(apis), &Side::Stage(request.stage.clone()), &Side::Draft)?;
        let replayed = match self.replay.is_empty() {
            true => None,
            false => Some(self.replayed(catalog::load_layout(Layout::new(config))?, after, &progress)?),
        };
        drop(progress);
        match self.format {
            Format::Text => {
                eprint!("{}", warnings.render(failure::colour()));
                show(&preview, &request.stage, &diffs, replayed.as_ref(), out)
            }
            Format::Json => {
                let json = json_of(&preview, &request.stage, &diffs, warnings.to_json(), replayed.as_ref())?;
                Ok(writeln!(out, "{json:#}")?)
            }
        }
    }

    fn replayed(
        &self,
        before: std::sync::Arc<catalog::Catalog>,
        after: std::sync::Arc<catalog::Catalog>,
        progress: &Progress,
    ) -> Result<Report, Failure> {
        let cannot = |path: &Path, error| Failure::file(path, error);
        let mut outcomes = match &self.outcomes {
            Some(path) => Some(BufWriter::new(File::create(path).map_err(|error| cannot(path, error))?)),
            None => None,
        };
        let mut each = |foretold: &Foretold<'_>| match &mut outcomes {
            Some(file) => writeln!(file, "{}", outcome(foretold)),
            None => Ok(()),
        };
        let bytes = |done, all| progress.show("replaying", to_kib(done), to_kib(all));
        let report = replay(&self.replay, before, after, &mut each, &bytes).map_err(failed)?;
        if let Some(mut file) = outcomes {
            file.flush().map_err(LogError::Outcomes).map_err(failed)?;
        }
        Ok(report)
    }
}

fn to_kib(bytes: u64) -> usize {
    usize::try_from(bytes / 1024).unwrap_or(usize::MAX)
}

fn failed(error: LogError) -> Failure {
    Failure::new(error.to_string())
}

fn outcome(foretold: &Foretold<'_>) -> Value {
    let Foretold { request_id, logged, before, after } = foretold;
    json!({ "requestId": request_id, "logged": logged, "before": before, "after": after })
}

fn show(
    preview: &Preview,
    stage: &str,
    diffs: &[ApiDiff],
    replayed: Option<&Report>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    write_diffs(diffs, out)?;
    for api in &preview.published {
        writeln!(out, "{api} would be published to {stage}")?;
    }
    for (api, version) in &preview.unchanged {
        writeln!(out, "{api} is current in {stage} already, as {version}: nothing would change")?;
    }
    if let Some(report) = replayed {
        write!(out, "\n{report}")?;
    }
    writeln!(out, "\nNothing was written.")?;
    Ok(())
}

/// `{version, stage, published: [GROUP/API], unchanged: {GROUP/API: VERSION}, diff, check, replay}`: `diff` as that of
/// `lockgate diff`, `check` as that of `lockgate check`, `replay` where an access log was given.
fn json_of(preview: &Preview, stage: &str, diffs: &[ApiDiff], check: Value, replayed: Option<&Report>) -> Result<Value, Failure> {
    let diff = serde_json::to_value(diffs).map_err(|error| Failure::new(error.to_string()))?;
    let unchanged: serde_json::Map<String, Value> =
        preview.unchanged.iter().map(|(api, version)| (api.clone(), version.as_str().into())).collect();
    let mut json = json!({
        "version": VERSION,
        "stage": stage,
        "published": preview.published,
        "unchanged": unchanged,
        "diff": diff,
        "check": check,
    });
    if let Some(report) = replayed {
        json["replay"] = report.to_json();
    }
    Ok(json)
}

//! `lockgate authorize`

use std::io::Write;
use std::path::Path;

use clap::Args;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::{Failure, draft};
use crate::document::{Layout, read_text};

/// Longest app document, in bytes.
const APP_BYTES: u64 = <crate::document::app::App as crate::document::Document>::BYTES;

#[derive(Args)]
pub struct Authorize {
    app: String,
    #[arg(value_name = "GROUP/API")]
    api: String,
    /// RELEASE, PRE, TEST, or a stage of the group; again for further stages
    #[arg(long, default_value = "RELEASE")]
    stage: Vec<String>,
    /// When the authorization ends, RFC 3339
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

impl Authorize {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        draft::check_name("an app", &self.app)?;
        let layout = Layout::new(config);
        let path = layout.app(&self.app);
        if !layout.has(&path) {
            return Err(Failure::new(format!("there is no app `{}`: `lockgate app create {}` makes it", self.app, self.app)));
        }
        let text = read_text(&path, APP_BYTES).map_err(|problem| Failure::file(&path, problem))?;
        let mut document: DocumentMut =
            text.parse().map_err(|_| Failure::file(&path, "not well-formed TOML: see `lockgate check`"))?;
        self.add(&mut document).map_err(|problem| Failure::file(&path, problem))?;
        draft::replace(&layout, &path, &document.to_string(), draft::access(&path))?;
        writeln!(out, "wrote {}: {} may call {} in {}", path.display(), self.app, self.api, self.stage.join(", "))?;
        writeln!(out, "next: a gateway that runs follows in a moment; `lockgate reload --wait` waits for it")?;
        Ok(())
    }

    /// Adds to the document, or gives the authorization that is there its new end. Comments stay.
    fn add(&self, document: &mut DocumentMut) -> Result<(), &'static str> {
        let list = document.entry("authorization").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        let list = list.as_array_of_tables_mut().ok_or("`authorization` is not written as [[authorization]]: edit it by hand")?;
        let mut missing = self.stage.clone();
        missing.sort();
        missing.dedup();
        for table in list.iter_mut() {
            let stages: Vec<String> = table
                .get("stages")
                .and_then(Item::as_array)
                .map(|stages| stages.iter().filter_map(|stage| stage.as_str().map(str::to_owned)).collect())
                .unwrap_or_default();
            let same = table.get("api").and_then(Item::as_str) == Some(&self.api);
            if same && !stages.is_empty() && stages.iter().all(|stage| self.stage.contains(stage)) {
                self.set_end(table);
                missing.retain(|stage| !stages.contains(stage));
            }
        }
        if !missing.is_empty() {
            let mut table = Table::new();
            table.insert("api", value(self.api.as_str()));
            table.insert("stages", value(missing.iter().map(String::as_str).collect::<toml_edit::Array>()));
            self.set_end(&mut table);
            list.push(table);
        }
        Ok(())
    }

    fn set_end(&self, table: &mut Table) {
        match &self.expires {
            Some(expires) => drop(table.insert("expires", value(expires.as_str()))),
            None => drop(table.remove("expires")),
        }
    }
}

//! `lockgate authorize`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::progress::Progress;
use super::{Failure, draft};
use crate::catalog::each;
use crate::document::app::{App, AppList};
use crate::document::{Document, Layout, Report, read_text};

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
        let own = layout.app(&self.app);
        let (path, mut document) = match layout.has(&own) {
            true => document(own, App::BYTES)?,
            false => self.list_of_it(&layout)?,
        };
        let app = self.app(&mut document, path == layout.app(&self.app));
        let added = app.ok_or("the app is not written as [[app]]: edit it by hand").and_then(|app| self.add(app));
        added.map_err(|problem| Failure::file(&path, problem))?;
        draft::replace(&layout, &path, &document.to_string(), draft::access(&path))?;
        writeln!(out, "wrote {}: {} may call {} in {}", path.display(), self.app, self.api, self.stage.join(", "))?;
        writeln!(out, "next: a gateway that runs follows in a moment; `lockgate reload --wait` waits for it")?;
        Ok(())
    }

    /// The list that has the app. Most lists need no more than a look for its name.
    fn list_of_it(&self, layout: &Layout) -> Result<(PathBuf, DocumentMut), Failure> {
        let mut report = Report::default();
        let lists = layout.documents(&layout.app_lists(), &mut report);
        let may_have = |path: &PathBuf| read_text(path, AppList::BYTES).is_ok_and(|text| text.contains(&self.app));
        let paths: Vec<PathBuf> = lists.into_iter().map(|entry| entry.path).collect();
        let progress = Progress::new();
        let found = each(&paths, may_have, |done| progress.show("lists", done, paths.len()));
        drop(progress);
        for (path, may_have) in paths.iter().zip(found) {
            if !may_have {
                continue;
            }
            let (path, mut list) = document(path.clone(), AppList::BYTES)?;
            if self.app(&mut list, false).is_some() {
                return Ok((path, list));
            }
        }
        let create = format!("there is no app `{0}`: `lockgate app create {0}` makes it", self.app);
        Err(if report.is_empty() { Failure::new(create) } else { report.into() })
    }

    /// The table of the app: the whole of its own document, or its part of a list.
    fn app<'d>(&self, document: &'d mut DocumentMut, is_own: bool) -> Option<&'d mut Table> {
        if is_own {
            return Some(document.as_table_mut());
        }
        let apps = document.get_mut("app")?.as_array_of_tables_mut()?;
        apps.iter_mut().find(|app| app.get("name").and_then(Item::as_str) == Some(&self.app))
    }

    /// Adds to what the app may call, or gives the authorization that is there its new end. Comments stay.
    fn add(&self, app: &mut Table) -> Result<(), &'static str> {
        let list = app.entry("authorization").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
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

fn document(path: PathBuf, bytes: u64) -> Result<(PathBuf, DocumentMut), Failure> {
    let text = read_text(&path, bytes).map_err(|problem| Failure::file(&path, problem))?;
    let parsed = text.parse().map_err(|_| Failure::file(&path, "not well-formed TOML: see `lockgate check`"))?;
    Ok((path, parsed))
}

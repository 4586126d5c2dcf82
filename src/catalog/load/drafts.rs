//! Drafts: their names, and, for `lockgate check`, what they say.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::kept::{Drafts, Kept};
use super::{Known, Loader, apps};
use crate::catalog::check::stages::GroupStages;
use crate::catalog::check::{Checked, Names, api};
use crate::catalog::parallel::each;
use crate::catalog::{ApiNames, VpcAccessId};
use crate::document::{Entry, Report, Stamp};

/// The drafts of a group.
enum Found {
    /// As they were.
    Same(PathBuf),
    Listed(PathBuf, Option<Stamp>, Vec<Entry>),
}

impl Loader<'_> {
    /// Checks the drafts, if they are to be judged; what they say does not exist for callers, only their names are kept.
    pub(super) fn drafts(
        &mut self,
        groups: &[Entry],
        vpc_accesses: &Names<VpcAccessId>,
        stages_of: &HashMap<String, GroupStages>,
        kept: &mut Kept,
        known: &mut Known,
    ) {
        let (layout, judges, before) = (&self.layout, self.judges_drafts, &kept.drafts);
        let find = |group: &Entry| {
            let mut report = Report::default();
            let directory = layout.apis(&group.name);
            let look = Stamp::of(&directory);
            let same = before.get(&directory).is_some_and(|known| Some(known.look) == look);
            if same && !judges && layout.is_as_written() {
                layout.note_directory(&directory, look);
                return (Found::Same(directory), report);
            }
            let entries = layout.documents(&directory, &mut report);
            // Of a group that cannot be read, that error comes first.
            let stages = stages_of.get(&group.name);
            for entry in entries.iter().filter(|_| judges) {
                if let (Some(parsed), Some(stages)) = (layout.parse(&entry.path, &mut report), stages) {
                    let mut checked = Checked { source: &parsed.source, report: &mut report };
                    api::draft(&parsed.document, &entry.name, vpc_accesses, stages, &mut checked);
                }
            }
            (Found::Listed(directory, look, entries), report)
        };
        let (progress, all) = (self.progress, groups.len());
        let found = each(groups, find, |done| progress("drafts", done, all));
        let mut drafts = std::mem::take(&mut kept.drafts);
        let now = apps::now();
        for (group, (found, report)) in groups.iter().zip(found) {
            self.report.extend(report);
            match found {
                Found::Same(directory) => {
                    let Some(same) = drafts.remove(&directory) else { continue };
                    known.add(&same.names);
                    kept.drafts.insert(directory, same);
                }
                Found::Listed(directory, look, entries) => {
                    let number = |entry: &Entry| ApiNames::number(&mut kept.names, &format!("{}/{}", group.name, entry.name));
                    let names: Arc<[_]> = entries.iter().map(number).collect();
                    known.add(&names);
                    if let Some(look) = look.filter(|look| look.is_settled(now)) {
                        kept.drafts.insert(directory, Drafts { look, names });
                    }
                }
            }
        }
    }
}

//! App keys, AppCodes and names of apps: each belongs to one app, among all documents.
//!
//! Of a million apps, fingerprints are compared, which a document's apps keep as long as it does not change. Where two are
//! the same, the documents are read again for what stands there.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::app::{Written, secret_text};
use crate::catalog::load::apps::List;
use crate::catalog::{Own, both};
use crate::document::app::App as AppDocument;
use crate::document::{Diagnostic, Layout, Place, Report};

/// Finds what belongs to two apps.
pub fn check(lists: &[Arc<List>], layout: &Layout, report: &mut Report) {
    let ((names, keys), codes) = both(|| (doubled(lists, Own::Name), doubled(lists, Own::Key)), || doubled(lists, Own::AppCode));
    for (own, fingerprints) in [(Own::Name, names), (Own::Key, keys), (Own::AppCode, codes)] {
        if !fingerprints.is_empty() {
            tell(own, &fingerprints, lists, layout, report);
        }
    }
}

/// Fingerprints that are there more than once, in order.
fn doubled(lists: &[Arc<List>], own: Own) -> Vec<u64> {
    let mut sorted: Vec<u64> = Vec::with_capacity(lists.iter().map(|list| list.apps.fingerprints(own).len()).sum());
    lists.iter().for_each(|list| sorted.extend(list.apps.fingerprints(own)));
    sorted.sort_unstable();
    let mut doubled: Vec<u64> = sorted.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    doubled.dedup();
    doubled
}

fn tell(own: Own, doubled: &[u64], lists: &[Arc<List>], layout: &Layout, report: &mut Report) {
    let mut first: HashMap<String, Place> = HashMap::new();
    for list in lists {
        if !list.apps.fingerprints(own).iter().any(|fingerprint| doubled.binary_search(fingerprint).is_ok()) {
            continue;
        }
        // Errors of reading are told where the list was read.
        let mut known = Report::default();
        let Some((source, apps)) = list.document.parse(layout, &mut known) else { continue };
        for app in &apps {
            for (text, span) in written(own, app, &source.path, layout) {
                let place = Place { source: source.clone(), span };
                match first.get(&text) {
                    Some(first) => {
                        let diagnostic = Diagnostic::at(place, twice(own, &text));
                        report.push(diagnostic.related(first.clone(), "first used here"));
                    }
                    None => drop(first.insert(text, place)),
                }
            }
        }
    }
}

/// In a document, with the places.
fn written(own: Own, app: &AppDocument, list: &Path, layout: &Layout) -> Vec<(String, Range<usize>)> {
    let credentials = || app.credentials();
    match own {
        Own::Name => vec![(app.name.value.clone(), app.name.span.clone())],
        Own::Key => {
            let keys = credentials().filter_map(|table| table.app_key);
            keys.map(|key| (key.value.clone(), key.span.clone())).collect()
        }
        Own::AppCode => {
            let codes = credentials().filter_map(|table| Written::of(table.app_code, table.app_code_file));
            codes.filter_map(|code| Some((secret_text(&code, list, layout).ok()?, code.span()))).collect()
        }
    }
}

fn twice(own: Own, text: &str) -> String {
    match own {
        Own::Name => format!("there are two apps of the name `{text}`"),
        Own::Key => format!("the app key `{text}` is used twice"),
        Own::AppCode => "this AppCode is used twice".to_owned(),
    }
}

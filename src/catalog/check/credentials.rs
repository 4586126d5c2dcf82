//! App keys, AppCodes and names of apps: each belongs to one app, among all documents.
//!
//! Of a million apps, fingerprints are compared, which a document's apps keep as long as it does not change. Where two are
//! the same, the documents are read again for what stands there.

use std::path::Path;
use std::sync::Arc;

use ahash::RandomState;

use super::app::{Written, secret_text};
use crate::catalog::App;
use crate::catalog::load::apps::List;
use crate::document::app::App as AppDocument;
use crate::document::{Diagnostic, Layout, Place, Report};

/// Of the apps of a document.
#[derive(Default)]
pub struct Fingerprints([Box<[u64]>; 3]);

/// What is one app's alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    Key,
    Code,
}

const KINDS: [Kind; 3] = [Kind::Name, Kind::Key, Kind::Code];

impl Fingerprints {
    pub fn of(apps: &[App], random: &RandomState) -> Self {
        let of_kind = |kind: Kind| apps.iter().flat_map(|app| kind.of(app)).map(|text| random.hash_one(text)).collect();
        Self(KINDS.map(of_kind))
    }
}

impl Kind {
    fn of(self, app: &App) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Name => Box::new(std::iter::once(&*app.name)),
            Self::Key => Box::new(app.keys.iter().map(|key| &*key.key)),
            Self::Code => Box::new(app.app_codes.iter().map(|code| code.expose())),
        }
    }

    /// In a document, with the places.
    fn written(self, app: &AppDocument, list: &Path, layout: &Layout) -> Vec<(String, std::ops::Range<usize>)> {
        let credentials = || app.credentials();
        match self {
            Self::Name => vec![(app.name.value.clone(), app.name.span.clone())],
            Self::Key => {
                let keys = credentials().filter_map(|table| table.app_key);
                keys.map(|key| (key.value.clone(), key.span.clone())).collect()
            }
            Self::Code => {
                let codes = credentials().filter_map(|table| Written::of(table.app_code, table.app_code_file));
                codes.filter_map(|code| Some((secret_text(&code, list, layout).ok()?, code.span()))).collect()
            }
        }
    }

    fn twice(self, text: &str) -> String {
        match self {
            Self::Name => format!("there are two apps of the name `{text}`"),
            Self::Key => format!("the app key `{text}` is used twice"),
            Self::Code => "this AppCode is used twice".to_owned(),
        }
    }
}

/// Finds what belongs to two apps.
pub fn check(lists: &[Arc<List>], layout: &Layout, report: &mut Report) {
    let doubled = crate::catalog::each(&[0, 1, 2], |&kind| doubled(lists, kind), |_| ());
    for (kind, fingerprints) in KINDS.into_iter().zip(doubled) {
        if !fingerprints.is_empty() {
            tell(kind, &fingerprints, lists, layout, report);
        }
    }
}

/// Fingerprints that are there more than once, in order.
fn doubled(lists: &[Arc<List>], kind: usize) -> Vec<u64> {
    let all = || lists.iter().flat_map(|list| list.fingerprints.0[kind].iter().copied());
    let mut sorted: Vec<u64> = Vec::with_capacity(all().count());
    sorted.extend(all());
    sorted.sort_unstable();
    let mut doubled: Vec<u64> = sorted.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    doubled.dedup();
    doubled
}

fn tell(kind: Kind, doubled: &[u64], lists: &[Arc<List>], layout: &Layout, report: &mut Report) {
    let place = KINDS.iter().position(|known| *known == kind).unwrap_or_default();
    let mut first: std::collections::HashMap<String, Place> = std::collections::HashMap::new();
    for list in lists {
        if !list.fingerprints.0[place].iter().any(|fingerprint| doubled.binary_search(fingerprint).is_ok()) {
            continue;
        }
        // Errors of reading are told where the list was read.
        let mut known = Report::default();
        let Some((source, apps)) = list.document.parse(layout, &mut known) else { continue };
        for app in &apps {
            for (text, span) in kind.written(app, &source.path, layout) {
                let place = Place { source: source.clone(), span };
                match first.get(&text) {
                    Some(first) => {
                        let diagnostic = Diagnostic::at(place, kind.twice(&text));
                        report.push(diagnostic.related(first.clone(), "first used here"));
                    }
                    None => drop(first.insert(text, place)),
                }
            }
        }
    }
}

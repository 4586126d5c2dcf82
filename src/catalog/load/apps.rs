//! Documents of apps -> lists of apps. A list is kept as long as its document looks the same and all that its apps may
//! call is still there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use ahash::RandomState;
use sha2::{Digest, Sha256};

use crate::catalog::check::Checked;
use crate::catalog::check::app::app;
use crate::catalog::check::target::Context;
use crate::catalog::{ApiName, AppList};
use crate::document::app::{App as Document, AppList as ListDocument};
use crate::document::{Layout, Report, Source, Stamp, parse_text};

/// The apps of a document.
pub struct List {
    pub document: Arc<AppDocument>,
    pub apps: Arc<AppList>,
    look: Option<Stamp>,
    digest: [u8; 32],
    /// What its apps may call, each once.
    targets: Box<[ApiName]>,
    /// How it looks says all: no secret of it is in a file of its own, and it was not written a moment ago.
    is_settled: bool,
}

/// A document that apps come from.
pub struct AppDocument {
    pub path: PathBuf,
    /// Of the one app of the document; `None`: it is a list.
    pub name: Option<String>,
}

impl AppDocument {
    /// Its text, with how the file looked.
    fn read(&self, layout: &Layout, report: &mut Report) -> (Option<Stamp>, Option<Arc<Source>>) {
        match self.name {
            Some(_) => layout.look_at::<Document>(&self.path, report),
            None => layout.look_at::<ListDocument>(&self.path, report),
        }
    }

    fn apps(&self, source: &Arc<Source>, report: &mut Report) -> Option<Vec<Document>> {
        match self.name {
            Some(_) => parse_text::<Document>(source, report).map(|app| vec![app]),
            None => parse_text::<ListDocument>(source, report).map(|list| list.app),
        }
    }

    /// The apps as they are written.
    pub fn parse(&self, layout: &Layout, report: &mut Report) -> Option<(Arc<Source>, Vec<Document>)> {
        let source = self.read(layout, report).1?;
        let apps = self.apps(&source, report)?;
        Some((source, apps))
    }
}

impl List {
    /// True, with the document noted as read: it says what it said.
    pub fn is_kept(&self, layout: &Layout, context: &Context<'_>) -> bool {
        let kept = self.is_settled
            && layout.is_as_written()
            && Stamp::of(&self.document.path) == self.look
            && self.targets.iter().all(|target| context.knows(*target));
        if kept {
            layout.note(&self.document.path, self.look, Some(self.digest));
        }
        kept
    }

    /// Reads a document. With errors in the report, it is what could be read.
    pub fn read(
        document: Arc<AppDocument>,
        layout: &Layout,
        context: &Context<'_>,
        random: &RandomState,
        report: &mut Report,
    ) -> Option<Self> {
        let AppDocument { path, name } = &*document;
        let (look, source) = document.read(layout, report);
        let digest = source.as_ref().map(|source| Sha256::digest(source.text.as_bytes()).into());
        layout.note(path, look, digest);
        let (source, digest) = (source?, digest?);
        let mut has_files = false;
        let mut apps = Vec::new();
        for written in document.apps(&source, report)? {
            has_files |= written.has_files();
            apps.push(app(written, name.as_deref(), path, layout, context, &mut Checked { source: &source, report }));
        }
        let mut targets: Vec<ApiName> = apps.iter().flat_map(|app| &app.authorizations).map(|known| known.api).collect();
        targets.sort_unstable();
        targets.dedup();
        let is_settled = !has_files && look.is_some_and(|look| look.is_settled(now()));
        Some(Self { document, apps: Arc::new(AppList::new(apps, random)), look, digest, targets: targets.into(), is_settled })
    }
}

/// All documents of apps, in their order.
pub fn app_documents(layout: &Layout, report: &mut Report) -> Vec<Arc<AppDocument>> {
    let mut all = Vec::new();
    let mut add = |directory: &Path, is_list: bool| {
        for entry in layout.documents(directory, report) {
            all.push(Arc::new(AppDocument { path: entry.path, name: (!is_list).then_some(entry.name) }));
        }
    };
    add(&layout.apps(), false);
    add(&layout.app_lists(), true);
    all
}

pub fn now() -> SystemTime {
    SystemTime::now()
}

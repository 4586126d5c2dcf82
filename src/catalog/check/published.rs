//! The root manifest, the manifests of groups and the version files they name -> published APIs. Each file is known by
//! its digest, so that one that has changed since it was written is named. Files that no manifest names are not looked
//! at.

use std::path::Path;
use std::sync::Arc;

use super::api::{Definition, Within, definition};
use super::{Checked, check_name};
use crate::catalog::whole::generations;
use crate::document::manifest::{Current, GroupEntry, GroupManifest, Manifest, body};
use crate::document::version::Version;
use crate::document::{Diagnostic, Document, Files, Layout, Parsed, Place, Report, Source, digest, parse_text};

/// Reads the root manifest. `None` without an error: there is none, nothing was ever published.
pub fn root_manifest(layout: &Layout, report: &mut Report) -> Option<Parsed<Manifest>> {
    let path = layout.manifest();
    if !layout.has(&path) {
        let newest = generations(layout).pop()?;
        // Looked at again: the first publication of all may have put it there meanwhile.
        if !layout.has(&path) {
            let copy = layout.generation(newest);
            let diagnostic = Diagnostic::file(&path, "this published file is gone: without it nothing is published");
            report.push(diagnostic.help(format!("put back a copy of it: the newest is {}", copy.display())));
            return None;
        }
    }
    let source = layout.source::<Manifest>(&path, report)?;
    let actual = body(&source.text).map(digest);
    let document: Manifest = parse_text(&source, report)?;
    if actual.as_deref() != Some(document.sha256.as_str()) {
        let diagnostic = damaged(&source).note(format!("what follows its `sha256` has {}", actual.unwrap_or_default()));
        report.push(diagnostic.help("put back the copy of it that is in `published/generations/`"));
        return None;
    }
    Some(Parsed { source, document })
}

/// Reads the manifest of a group that an entry of the root names.
pub fn group_manifest(
    layout: &Layout,
    stage: &str,
    group: &str,
    entry: &GroupEntry,
    place: &Place,
    report: &mut Report,
) -> Option<Parsed<GroupManifest>> {
    Published { layout, stage, group }.manifest(entry, place, &mut Files::new(), report)
}

/// Reads the version file that an entry of a group's manifest names.
pub fn version_of(
    layout: &Layout,
    stage: &str,
    group: &str,
    api: &str,
    current: &Current,
    place: &Place,
    report: &mut Report,
) -> Option<Parsed<Version>> {
    Published { layout, stage, group }.version(api, current, place, &mut Files::new(), report)
}

/// What is published of a group in a stage.
#[derive(Clone, Copy)]
pub struct Published<'a> {
    pub layout: &'a Layout,
    pub stage: &'a str,
    pub group: &'a str,
}

impl Published<'_> {
    /// Its manifest. How the file looked is added to `files`.
    pub fn manifest(
        self,
        entry: &GroupEntry,
        place: &Place,
        files: &mut Files,
        report: &mut Report,
    ) -> Option<Parsed<GroupManifest>> {
        let Self { layout, stage, group } = self;
        // They become a path: a manifest that was tampered with must not lead out of the directory.
        names(&[stage, group], place, report)?;
        let path = layout.group_manifest(stage, group, entry.generation);
        let what = || format!("the manifest of group `{group}` in {stage}");
        let source = named::<GroupManifest>(layout, &path, &entry.sha256, (&what, MEND_MANIFEST), place, files, report)?;
        let document = parse_text(&source, report)?;
        Some(Parsed { source, document })
    }

    /// The file of a version. How it looked is added to `files`.
    pub fn version(
        self,
        api: &str,
        current: &Current,
        place: &Place,
        files: &mut Files,
        report: &mut Report,
    ) -> Option<Parsed<Version>> {
        names(&[api, &current.version], place, report)?;
        let path = self.layout.version(self.stage, self.group, api, &current.version);
        let what = || format!("the published version {}", current.version);
        let source = named::<Version>(self.layout, &path, &current.file_sha256, (&what, MEND_VERSION), place, files, report)?;
        let document = parse_text(&source, report)?;
        Some(Parsed { source, document })
    }

    /// What a version says, and where its path stands. `within` has the entry that names it.
    pub fn definition(
        self,
        api: &str,
        current: &Current,
        within: &Within<'_>,
        files: &mut Files,
        report: &mut Report,
    ) -> Option<(Definition, Place)> {
        let version = self.version(api, current, within.manifest?, files, report)?;
        let mut checked = Checked { source: &version.source, report };
        let document = &version.document.definition;
        let definition = definition(document, api, within, &mut checked)?;
        Some((definition, checked.place(&document.request.path)))
    }
}

fn names(parts: &[&str], place: &Place, report: &mut Report) -> Option<()> {
    for part in parts {
        if let Err(problem) = check_name(part) {
            report.push(Diagnostic::at(place.clone(), format!("`{part}` is not a name")).note(problem));
            return None;
        }
    }
    Some(())
}

const MEND_VERSION: &str = "publish the API again, or restore the file";
/// To publish, the manifest of the group is read.
const MEND_MANIFEST: &str = "restore the file; or put an older root of `published/generations/` in the place of `published/manifest.toml`, and \
                             publish again what came after it";

/// Reads a file that a manifest names, and that has not changed since it was written.
fn named<T: Document>(
    layout: &Layout,
    path: &Path,
    sha256: &str,
    (what, mend): (&dyn Fn() -> String, &str),
    place: &Place,
    files: &mut Files,
    report: &mut Report,
) -> Option<Arc<Source>> {
    let mut problems = Report::default();
    let (look, source) = layout.look_at::<T>(path, &mut problems);
    files.push((path.to_path_buf(), look));
    let Some(source) = source else {
        match layout.has(path) {
            true => report.extend(problems),
            false => {
                let message = format!("{} is not there: {}", what(), path.display());
                report.push(Diagnostic::at(place.clone(), message).help(mend));
            }
        }
        return None;
    };
    let actual = digest(&source.text);
    if actual != sha256 {
        let diagnostic = damaged(&source).related(place.clone(), "named here").note(format!("the file has {actual}"));
        report.push(diagnostic.help(format!("published files are never edited: {mend}")));
        return None;
    }
    Some(source)
}

fn damaged(source: &Arc<Source>) -> Diagnostic {
    Diagnostic::at(Place::start(source), "this published file is damaged: it does not have the digest that it should have")
}

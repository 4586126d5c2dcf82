//! Where documents lie in a config directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Diagnostic, Report};

/// The paths of a config directory.
#[derive(Clone, Debug)]
pub struct Layout {
    pub root: PathBuf,
}

impl Layout {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
    pub fn gateway(&self) -> PathBuf {
        self.root.join("gateway.toml")
    }
    pub fn vpc_accesses(&self) -> PathBuf {
        self.root.join("vpc-access")
    }
    pub fn vpc_access(&self, name: &str) -> PathBuf {
        self.vpc_accesses().join(format!("{name}.toml"))
    }
    pub fn groups(&self) -> PathBuf {
        self.root.join("groups")
    }
    pub fn group(&self, group: &str) -> PathBuf {
        self.groups().join(group).join("group.toml")
    }
    pub fn apis(&self, group: &str) -> PathBuf {
        self.groups().join(group).join("apis")
    }
    pub fn api(&self, group: &str, api: &str) -> PathBuf {
        self.apis(group).join(format!("{api}.toml"))
    }
    pub fn apps(&self) -> PathBuf {
        self.root.join("apps")
    }
    pub fn app(&self, name: &str) -> PathBuf {
        self.apps().join(format!("{name}.toml"))
    }
    pub fn published(&self) -> PathBuf {
        self.root.join("published")
    }
    pub fn manifest(&self) -> PathBuf {
        self.published().join("manifest.toml")
    }
    /// The directory of an API's version files in a stage.
    pub fn versions(&self, stage: &str, group: &str, api: &str) -> PathBuf {
        self.published().join(stage).join(group).join(api)
    }
    pub fn version(&self, stage: &str, group: &str, api: &str, version: &str) -> PathBuf {
        self.versions(stage, group, api).join(format!("{version}.toml"))
    }
}

/// A document or a directory of documents, and the name it has by its path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub name: String,
    pub path: PathBuf,
}

/// The documents (`NAME.toml`) of a directory, in order of their names. A directory that does not exist has none;
/// names that start with a dot, and files that are no documents, are left alone.
pub fn list_documents(directory: &Path, report: &mut Report) -> Vec<Entry> {
    list(directory, report, |path| {
        (path.extension() == Some(OsStr::new("toml"))).then(|| path.file_stem().map(OsStr::to_owned)).flatten()
    })
}

/// The directories of a directory, in order of their names.
pub fn list_directories(directory: &Path, report: &mut Report) -> Vec<Entry> {
    list(directory, report, |path| path.is_dir().then(|| path.file_name().map(OsStr::to_owned)).flatten())
}

fn list(directory: &Path, report: &mut Report, name: impl Fn(&Path) -> Option<std::ffi::OsString>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let listing = match std::fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return entries,
        Err(error) => {
            report.push(Diagnostic::file(directory, format!("this directory cannot be read: {error}")));
            return entries;
        }
    };
    for item in listing {
        let path = match item {
            Ok(item) if item.file_name().as_encoded_bytes().starts_with(b".") => continue,
            Ok(item) => item.path(),
            Err(error) => {
                report.push(Diagnostic::file(directory, format!("this directory cannot be read to its end: {error}")));
                break;
            }
        };
        let Some(name) = name(&path) else { continue };
        match name.into_string() {
            Ok(name) => entries.push(Entry { name, path }),
            Err(_) => report.push(Diagnostic::file(&path, "the name of this file is not UTF-8")),
        }
    }
    entries.sort();
    entries
}

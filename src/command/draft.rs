//! Documents that commands write: checked as if they were there, then written whole.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Failure;
use super::progress::Progress;
use crate::catalog;
use crate::document::Layout;
use crate::document::kind::Kind;
use crate::publish::atomic::{self, Access};

/// Whether a name that was given may become part of a path.
pub fn check_name(what: &str, name: &str) -> Result<(), Failure> {
    catalog::check_name(name).map_err(|problem| Failure::new(format!("`{name}` is not a name of {what}: {problem}")))
}

/// Writes a document that must not exist yet, with a line that leads editors to its schema.
pub fn create(layout: &Layout, path: &Path, text: &str, access: Access) -> Result<(), Failure> {
    if layout.has(path) {
        return Err(exists(path));
    }
    let kind = path.strip_prefix(&layout.root).ok().and_then(Kind::at);
    let text = format!("{}{text}", kind.map(Kind::schema_line).unwrap_or_default());
    check(layout, path, &text)?;
    atomic::create(path, &text, access).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(path),
        _ => Failure::file(path, error),
    })?;
    kind.map_or(Ok(()), |kind| write_schema(layout, kind).map(drop))
}

/// Writes the schema of a kind where it is not there as this version has it; its path.
pub fn write_schema(layout: &Layout, kind: &Kind) -> Result<PathBuf, Failure> {
    let path = layout.root.join(kind.schema_file());
    let text = format!("{:#}\n", kind.schema());
    if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(path);
    }
    atomic::replace(&path, &text, Access::Everyone).map_err(|error| Failure::file(&path, error))?;
    Ok(path)
}

/// As open as a file is, or closed if that cannot be known.
pub fn access(path: &Path) -> Access {
    std::fs::metadata(path).map_or(Access::Owner, |metadata| Access::As(metadata.permissions().mode()))
}

/// Writes a document in the place of the one that is there.
pub fn replace(layout: &Layout, path: &Path, text: &str, access: Access) -> Result<(), Failure> {
    check(layout, path, text)?;
    atomic::replace(path, text, access).map_err(|error| Failure::file(path, error))
}

fn exists(path: &Path) -> Failure {
    Failure::new(format!("{} exists already: edit it, or remove it first", path.display()))
}

/// The checks of `lockgate check`, for what they say of this file: other files may be unfinished.
fn check(layout: &Layout, path: &Path, text: &str) -> Result<(), Failure> {
    let (layout, progress) = (layout.clone().with(path.to_path_buf(), text.to_owned()), Progress::new());
    match catalog::load_watched(layout, &|what, done, all| progress.show(what, done, all)) {
        Ok(_) => Ok(()),
        Err(report) => match report.about(path) {
            report if report.is_empty() => Ok(()),
            report => Err(report.into()),
        },
    }
}

/// A TOML string.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The line of a key with a string, where there is one.
pub fn optional(key: &str, text: &Option<String>) -> String {
    text.as_ref().map_or_else(String::new, |text| format!("{key} = {}\n", quoted(text)))
}

/// A TOML list of strings.
pub fn quoted_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| self::quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

//! What may keep a publication from happening. With any of these, nothing has changed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::document::Report;

#[derive(Debug)]
pub enum PublishError {
    /// The documents have errors.
    Documents(Report),
    /// What was asked for does not exist, or cannot be.
    Request(String),
    /// Another publication is under way; who holds the lock, by its own account.
    Busy(String),
    Io(PathBuf, io::Error),
    Serialise(toml::ser::Error),
}

impl PublishError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::Io(path, error)
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Documents(report) => report.fmt(f),
            Self::Request(problem) => f.write_str(problem),
            Self::Busy(holder) => write!(f, "another publication is under way: {holder}"),
            Self::Io(path, error) => write!(f, "{}: {error}; nothing was published", path.display()),
            Self::Serialise(error) => write!(f, "the definition cannot be written: {error}"),
        }
    }
}

impl std::error::Error for PublishError {}

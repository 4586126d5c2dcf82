//! What may keep a publication from happening. With any of these but [`PublishError::Unconfirmed`], nothing has changed.

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
    /// The change is made and seen by everyone, and the disk has not confirmed it: a loss of power may undo it.
    Unconfirmed {
        generation: u64,
        directory: PathBuf,
        error: io::Error,
    },
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
            Self::Io(path, error) => {
                write!(f, "{}: {error}; nothing has changed\n  help: {}", path.display(), what_to_do(error.kind()))
            }
            Self::Unconfirmed { generation, directory, error } => write!(
                f,
                "{}: {error}; generation {generation} is current and is served, but the disk has not confirmed it: if the \
                 power fails now, the one before may be back\n  help: {}; the same command again has the disk confirm it",
                directory.display(),
                what_to_do(error.kind())
            ),
            Self::Serialise(error) => write!(f, "the definition cannot be written: {error}"),
        }
    }
}

impl std::error::Error for PublishError {}

fn what_to_do(error: io::ErrorKind) -> &'static str {
    match error {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the file system that this is on",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only: mount it for writing",
        io::ErrorKind::PermissionDenied => "publish as the user that owns the config directory, or let this one write there",
        _ => "the disk or its file system is at fault: the kernel's log says more (`dmesg`)",
    }
}

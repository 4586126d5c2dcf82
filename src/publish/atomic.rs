//! Files that are whole or absent, at every instant: written beside their place, synced, renamed into it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// As the umask allows.
    Everyone,
    /// The owner alone: the file holds secrets.
    Owner,
    /// These permissions, whatever the umask: those of a file that is replaced.
    As(u32),
}

/// Puts `text` in the place of `path`. Its directory is made if need be.
pub fn replace(path: &Path, text: &str, access: Access) -> io::Result<()> {
    let directory = put(path, text, access)?;
    sync_directory(&directory)
}

/// The same, seen by everyone but not known to outlive a loss of power: that takes [`sync_directory`] of what it returns.
pub(super) fn put(path: &Path, text: &str, access: Access) -> io::Result<PathBuf> {
    let directory = directory_of(path)?;
    let temporary = write_beside(path, text, access)?;
    fs::rename(&temporary, path).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    Ok(directory)
}

/// The same, for a file that must not exist yet: `AlreadyExists` otherwise, however close the race.
pub fn create(path: &Path, text: &str, access: Access) -> io::Result<()> {
    let directory = directory_of(path)?;
    let temporary = write_beside(path, text, access)?;
    // Unlike a rename, a link never replaces what is there.
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    linked?;
    sync_directory(&directory)
}

fn directory_of(path: &Path) -> io::Result<PathBuf> {
    let directory = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    // A relative path of one part has an empty parent.
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    make_directory(directory)?;
    Ok(directory.to_path_buf())
}

/// Makes a directory and those above it, and syncs each name into the directory that holds it.
pub(super) fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_directory(parent)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_directory(parent),
    }
}

/// Where a file is written before it is renamed. The dot keeps it out of every listing of documents, should it be left
/// behind.
pub(super) fn temporary(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.new", std::process::id()));
    Ok(path.with_file_name(temporary))
}

/// Writes a new file, which is not synced yet.
pub(super) fn write(path: &Path, text: &str, access: Access) -> io::Result<File> {
    let mode = match access {
        Access::Everyone => 0o666,
        Access::Owner => 0o600,
        Access::As(mode) => mode & 0o777,
    };
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    if let Access::As(_) = access {
        // The umask may have taken some away.
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    file.write_all(text.as_bytes())?;
    Ok(file)
}

fn write_beside(path: &Path, text: &str, access: Access) -> io::Result<PathBuf> {
    let temporary = temporary(path)?;
    let written = write(&temporary, text, access).and_then(|file| file.sync_all());
    written.inspect_err(|_| drop(fs::remove_file(&temporary))).map(|()| temporary)
}

pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_created_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/c.toml");
        create(&path, "one", Access::Owner).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(create(&path, "two", Access::Owner).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        replace(&path, "three", Access::Owner).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left behind");
    }
}

//! The state directory of a gateway: one gateway uses it at a time, and commands find the running one through it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The lock of the one gateway that uses the directory; says who that is.
const LOCK: &str = "gateway.lock";
const SOCKET: &str = "control.sock";

/// A state directory in use by this process.
pub struct State {
    pub directory: PathBuf,
    /// The kernel releases it when the process ends, in whatever way.
    lock: File,
}

/// Why a state directory cannot be used.
#[derive(Debug)]
pub enum StateError {
    /// Another gateway uses it; who, by its own account.
    Taken(PathBuf, String),
    Io(PathBuf, io::Error),
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Taken(directory, who) => write!(
                f,
                "another gateway uses the state directory {}: {who}\n  help: stop it, or give this one another \
                 `state_directory` in [instance]",
                directory.display()
            ),
            Self::Io(path, error) => write!(
                f,
                "the state directory cannot be used: {}: {error}\n  help: `state_directory` in [instance] names it; the \
                 gateway must be able to write there",
                path.display()
            ),
        }
    }
}

impl State {
    /// Takes a state directory, and makes it where it is not there: for its owner alone.
    pub fn take(directory: &Path) -> Result<Self, StateError> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |error| StateError::Io(path, error)
        };
        if !directory.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io(directory))?;
        }
        let path = directory.join(LOCK);
        // The file stays when the lock goes: to remove it would let two processes lock two files of one name.
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut lock = options.map_err(io(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut who = String::new();
                // Only for the message.
                let _ = lock.take(1024).read_to_string(&mut who);
                return Err(StateError::Taken(directory.to_path_buf(), who.trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(StateError::Io(path, error)),
        }
        let said = lock.set_len(0).and_then(|()| lock.rewind());
        said.and_then(|()| writeln!(lock, "process {}", std::process::id())).map_err(io(&path))?;
        Ok(Self { directory: directory.to_path_buf(), lock })
    }

    /// It is where it was. False: commands do not find this gateway any more, and another one may start beside it.
    pub fn is_in_place(&self) -> bool {
        let there = fs::metadata(self.directory.join(LOCK)).and_then(|there| Ok((there, self.lock.metadata()?)));
        there.is_ok_and(|(there, own)| (there.dev(), there.ino()) == (own.dev(), own.ino()))
    }
}

/// The path of the control socket, whatever the length of the directory's: an address of a socket has 108 bytes.
pub(super) struct SocketPlace {
    /// Keeps the short path good.
    directory: File,
}

impl SocketPlace {
    pub fn of(directory: &Path) -> io::Result<Self> {
        Ok(Self { directory: File::open(directory)? })
    }

    pub fn path(&self) -> PathBuf {
        self.named(SOCKET)
    }

    /// Beside it, until it is ready to be found.
    pub fn new_path(&self) -> PathBuf {
        self.named(".control.sock.new")
    }

    fn named(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.directory.as_raw_fd()))
    }
}

/// As people are told it.
pub(super) fn shown_socket(directory: &Path) -> String {
    directory.join(SOCKET).display().to_string()
}

/// Takes away what a gateway that died has left.
pub(super) fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn one_gateway_uses_a_state_directory() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("a/state");
        let state = State::take(&directory).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        let error = State::take(&directory).err().expect("it is taken").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(state.is_in_place());
        let aside = parent.path().join("aside");
        fs::rename(&directory, &aside).unwrap();
        assert!(!state.is_in_place(), "it is gone");
        let other = State::take(&directory).unwrap_or_else(|error| panic!("{error}"));
        assert!(!state.is_in_place() && other.is_in_place(), "it is another");
        fs::remove_dir_all(&directory).unwrap();
        fs::rename(&aside, &directory).unwrap();
        assert!(state.is_in_place());
        drop(state);
        assert!(State::take(&directory).is_ok());
    }
}

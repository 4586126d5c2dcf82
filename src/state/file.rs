//! One file of state: a header that says what it is, then words that processes share.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip::SipHasher24;

use super::StateError;
use crate::sys::map;

const MAGIC: u64 = u64::from_le_bytes(*b"LOCKGATE");
/// One page, so that what follows begins on one.
const HEADER_WORDS: usize = 512;

/// What the words are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nonces = 2,
    Counters = 3,
}

impl Kind {
    /// Of the layout of the words. One that is not known is not read.
    fn version(self) -> u64 {
        match self {
            // `gate::authenticate::nonce`: its bins.
            Self::Nonces => 3,
            // `gate::quota::map`: its seats, leases and buckets.
            Self::Counters => 3,
        }
    }
}

/// What a file must be to be of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub kind: Kind,
    /// Behind the header.
    pub words: usize,
    /// What the number of words follows from.
    pub sizes: [u64; 2],
}

/// A file that has been mapped.
#[derive(Clone, Copy)]
pub struct Region {
    pub words: &'static [AtomicU64],
    pub sizes: [u64; 2],
    /// Random, made with the file: for fingerprints that mean the same in every process.
    pub key: [u8; 16],
}

#[derive(Debug)]
pub enum FileError {
    Io(io::Error),
    /// There is no room for it.
    Room {
        bytes: u64,
        error: io::Error,
    },
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Room { bytes, error } => write!(f, "no room for a file of {bytes} bytes: {error}"),
        }
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a file turned out to be.
enum Found {
    Good(Region),
    /// There is none.
    Absent,
    /// Damaged, or not ours: why.
    Foreign(String),
}

/// Opens a file, or makes it. Called under the lock of the directory.
///
/// A file that is no good is set aside and made anew. One of another size is made anew with what `carry` brings over, if this
/// process is `alone`; otherwise it stays as it is. What an operator should know of it goes to `notices`.
pub fn open(
    path: &Path,
    wanted: &Shape,
    alone: bool,
    now_ms: u64,
    notices: &mut Vec<String>,
    carry: impl FnOnce(&Region, &Region),
) -> Result<Region, StateError> {
    let failed = |error: FileError| StateError::File(path.to_owned(), error);
    let old = match read(path, wanted.kind).map_err(|error| failed(error.into()))? {
        Found::Good(region) if region.sizes == wanted.sizes => return Ok(region),
        Found::Good(region) if !alone => {
            notices
                .push(format!("{}: another process uses it: it keeps its size until a start with nobody else", path.display()));
            return Ok(region);
        }
        Found::Good(region) => Some(region),
        Found::Absent => None,
        Found::Foreign(why) => {
            let aside = PathBuf::from(format!("{}.set-aside-{now_ms}", path.display()));
            fs::rename(path, &aside).map_err(|error| failed(error.into()))?;
            notices.push(format!("{}: {why}; set aside as {}, and begun anew", path.display(), aside.display()));
            None
        }
    };
    let new = path.with_extension("new");
    let region = make(&new, wanted, old.as_ref().map(|old| old.key)).map_err(failed)?;
    if let Some(old) = old {
        carry(&old, &region);
    }
    fs::rename(&new, path).map_err(|error| failed(error.into()))?;
    Ok(region)
}

/// Opens a file that others use, as it is.
pub fn look(path: &Path, kind: Kind) -> Result<Region, StateError> {
    match read(path, kind).map_err(|error| StateError::File(path.to_owned(), error.into()))? {
        Found::Good(region) => Ok(region),
        Found::Absent => Err(StateError::Absent(path.to_owned())),
        Found::Foreign(why) => Err(StateError::Foreign(path.to_owned(), why)),
    }
}

fn read(path: &Path, kind: Kind) -> io::Result<Found> {
    let file = match OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::EISDIR | libc::ENXIO)) => {
            return Ok(Found::Foreign("this is no regular file".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let foreign = |why: &str| Ok(Found::Foreign(why.to_owned()));
    if !metadata.is_file() {
        return foreign("this is no regular file");
    }
    let words = usize::try_from(metadata.len() / 8).unwrap_or(usize::MAX);
    if words < HEADER_WORDS {
        return foreign("this is no state file of Lockgate: it is too short");
    }
    let header = Header::of(map::map_words(&file, HEADER_WORDS)?);
    if header.magic != MAGIC {
        return foreign("this is no state file of Lockgate");
    }
    let (version, known) = (header.version, kind.version());
    if version != known {
        return Ok(Found::Foreign(format!("this is a state file of version {version}, and version {known} is known")));
    }
    if header.checksum != header.sum() || header.kind != kind as u64 {
        return foreign("the header of this state file is damaged");
    }
    if metadata.len() != (HEADER_WORDS as u64 + header.words) * 8 {
        return foreign("this state file has been cut");
    }
    let words = map::map_words(&file, words)?;
    Ok(Found::Good(Region { words: &words[HEADER_WORDS..], sizes: header.sizes, key: header.key() }))
}

fn make(path: &Path, shape: &Shape, key: Option<[u8; 16]>) -> Result<Region, FileError> {
    let mut options = OpenOptions::new();
    let file: File = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let bytes = (HEADER_WORDS + shape.words) as u64 * 8;
    if let Err(error) = map::allocate(&file, bytes) {
        let _ = fs::remove_file(path);
        return Err(FileError::Room { bytes, error });
    }
    let key = match key {
        Some(key) => key,
        None => {
            let mut key = [0; 16];
            getrandom::fill(&mut key).map_err(|error| FileError::Io(error.into()))?;
            key
        }
    };
    let words = map::map_words(&file, HEADER_WORDS + shape.words)?;
    let (low, high) = key.split_at(8);
    let half = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let mut header = Header {
        magic: MAGIC,
        version: shape.kind.version(),
        kind: shape.kind as u64,
        words: shape.words as u64,
        sizes: shape.sizes,
        key_halves: [half(low), half(high)],
        checksum: 0,
    };
    header.checksum = header.sum();
    header.write(words);
    Ok(Region { words: &words[HEADER_WORDS..], sizes: shape.sizes, key })
}

#[derive(Clone, Copy)]
struct Header {
    magic: u64,
    version: u64,
    kind: u64,
    words: u64,
    sizes: [u64; 2],
    key_halves: [u64; 2],
    checksum: u64,
}

impl Header {
    fn of(words: &[AtomicU64]) -> Self {
        let at = |n: usize| words[n].load(Ordering::Relaxed);
        Self {
            magic: at(0),
            version: at(1),
            kind: at(2),
            words: at(3),
            sizes: [at(4), at(5)],
            key_halves: [at(6), at(7)],
            checksum: at(8),
        }
    }

    fn fields(&self) -> [u64; 8] {
        let Self { magic, version, kind, words, sizes, key_halves, checksum: _ } = *self;
        [magic, version, kind, words, sizes[0], sizes[1], key_halves[0], key_halves[1]]
    }

    fn write(&self, words: &[AtomicU64]) {
        let fields = self.fields().into_iter().chain([self.checksum]);
        words.iter().zip(fields).for_each(|(word, field)| word.store(field, Ordering::Relaxed));
    }

    /// Against damage, not against people.
    fn sum(&self) -> u64 {
        use std::hash::Hasher;
        let mut hasher = SipHasher24::new();
        self.fields().into_iter().for_each(|field| hasher.write_u64(field));
        hasher.finish()
    }

    fn key(&self) -> [u8; 16] {
        let mut key = [0; 16];
        let bytes = self.key_halves.into_iter().flat_map(u64::to_le_bytes);
        key.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        key
    }
}

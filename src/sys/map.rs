//! Files mapped into memory, as words that processes share.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU64;

/// Maps the first words of a file, which is at least as long, until the process ends: workers read them until then.
pub fn map_words(file: &File, words: usize) -> io::Result<&'static [AtomicU64]> {
    let bytes = words.checked_mul(size_of::<AtomicU64>()).filter(|&bytes| bytes > 0).ok_or(io::ErrorKind::InvalidInput)?;
    if file.metadata()?.len() < bytes as u64 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than what is mapped of it"));
    }
    // SAFETY: a new mapping at a place of the kernel's choice; the descriptor is open, and the file as long as the mapping.
    let place = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    if place == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping begins on a page, has this many words, and is never unmapped. Any bytes are a word; whoever else
    // has the file mapped changes it by whole words, which is what atomics are for.
    Ok(unsafe { std::slice::from_raw_parts(place.cast::<AtomicU64>(), words) })
}

/// Gives a file its length and the room on the disk for all of it, so that no later write finds the disk full.
pub fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    let length = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: takes no pointer; the descriptor is open.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn two_mappings_of_a_file_are_one_memory() {
        let file = tempfile::tempfile().unwrap();
        allocate(&file, 8192).unwrap();
        let (a, b) = (map_words(&file, 1024).unwrap(), map_words(&file, 1024).unwrap());
        a[1023].store(7, Ordering::Relaxed);
        assert_eq!(b[1023].load(Ordering::Relaxed), 7);
        assert!(map_words(&file, 1025).is_err(), "a mapping past the file's end would be deadly to touch");
        assert!(map_words(&file, 0).is_err());
    }
}

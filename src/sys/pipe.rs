//! Bytes moved from socket to socket through a pipe, without being copied. Plain calls that never wait: on a ring the
//! operation for it takes a thread of the kernel.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Both ends of a new pipe with room for so many bytes: one to read from, one to write to.
pub fn pipe(room: usize) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    // SAFETY: the pointer is to two descriptors that outlive the call.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both have just been opened, and belong to nobody else.
    let (read, write) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    // SAFETY: takes an integer; the descriptor is open.
    match unsafe { libc::fcntl(ends[1], libc::F_SETPIPE_SZ, libc::c_int::try_from(room).unwrap_or(libc::c_int::MAX)) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok((read, write)),
    }
}

/// Moves up to so many bytes from one to the other, of which one is a pipe. A socket must not be a blocking one.
pub fn splice(from: RawFd, to: RawFd, at_most: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: neither has an offset, so both pointers may be null; descriptors that are not open only make it fail.
    let n = unsafe { libc::splice(from, ptr::null_mut(), to, ptr::null_mut(), at_most, flags) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

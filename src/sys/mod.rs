//! System calls that no crate covers. The only module that calls the kernel by hand.

pub mod cache;
pub mod lanes;
pub mod map;
pub mod pipe;

use std::io;
use std::os::fd::RawFd;

/// Which direction of a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Read,
    Write,
    Both,
}

/// Ends a socket's traffic, and with it every operation in flight on it: the one way to cancel.
/// A socket that is already closed or not yet connected is no error: the operation ends all the same.
pub fn shutdown(fd: RawFd, direction: Direction) {
    let how = match direction {
        Direction::Read => libc::SHUT_RD,
        Direction::Write => libc::SHUT_WR,
        Direction::Both => libc::SHUT_RDWR,
    };
    // SAFETY: shutdown(2) takes no pointer; a descriptor that is not a socket only makes it fail.
    unsafe { libc::shutdown(fd, how) };
}

/// What stands at the front of a socket's receive queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peeked {
    /// Nothing yet; the peer is there.
    Nothing,
    Bytes,
    /// The peer has ended its side.
    End,
    /// The connection is broken.
    Broken,
}

/// Looks at a socket's receive queue without taking anything from it.
pub fn peek(fd: RawFd) -> Peeked {
    let mut byte = 0u8;
    // SAFETY: the pointer is to one byte that outlives the call, and the length given is one.
    let n = unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    match n {
        0 => Peeked::End,
        n if n > 0 => Peeked::Bytes,
        _ => match io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Peeked::Nothing,
            _ => Peeked::Broken,
        },
    }
}

/// Waits until all that was written to the file system of an open file is on its disk, files and entries of directories.
/// What could not be written since the file was opened is an error.
pub fn sync_file_system(fd: RawFd) -> io::Result<()> {
    // SAFETY: syncfs(2) takes no pointer; a descriptor that is not open only makes it fail.
    match unsafe { libc::syncfs(fd) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends what the socket takes at once; false when the connection is broken.
pub fn send_now(fd: RawFd, bytes: &[u8]) -> bool {
    // SAFETY: pointer and length are of one live slice; the kernel only reads it, and only during the call.
    let n = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    n >= 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN)
}

/// Sends all of `bytes` at once; false when that cannot be.
pub fn send_whole_now(fd: RawFd, bytes: &[u8]) -> bool {
    // SAFETY: pointer and length are of one live slice; the kernel only reads it, and only during the call.
    let n = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    usize::try_from(n) == Ok(bytes.len())
}

/// Receives what is there, without waiting.
pub fn recv_now(fd: RawFd, room: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are of one live slice that nothing else reads or writes during the call.
    let n = unsafe { libc::recv(fd, room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Whether the peer has reset the connection.
pub fn is_reset(fd: RawFd) -> bool {
    let mut poll = libc::pollfd { fd, events: 0, revents: 0 };
    // SAFETY: one pollfd that outlives the call, and a count of one; with a time-out of 0 it returns at once.
    let n = unsafe { libc::poll(&raw mut poll, 1, 0) };
    n > 0 && poll.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0
}

/// Lets the kernel choose the port of a bound address when the destination is known, so that one address serves many
/// destinations (`IP_BIND_ADDRESS_NO_PORT`). Where it is not known to the kernel, ports run out earlier; no more.
pub fn choose_port_when_connecting(fd: RawFd) {
    let on: libc::c_int = 1;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: pointer and size are of one integer that outlives the call.
    unsafe { libc::setsockopt(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, (&raw const on).cast(), size) };
}

/// This thread, as the kernel numbers it.
pub fn thread_id() -> u64 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() as u64 }
}

/// The most descriptors this process may open, raised to its hard limit first.
pub fn raise_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: one rlimit that outlives both calls.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return 1024;
        }
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) == 0 { limit.rlim_max } else { limit.rlim_cur }
    }
}

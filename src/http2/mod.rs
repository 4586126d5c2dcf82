//! HTTP/2 as those who speak HTTP/1.1 see it: each stream of a connection is a [`crate::net::Stream`] of its own, on which
//! messages are spelled as in HTTP/1.1. So a request takes the same steps whatever it came by, and there is one reader
//! of heads.
//!
//! [`carrier`] brings the frames of a connection to the `h2` crate and back. [`lane`] is one stream of a client, [`call`] one
//! to a backend; [`request`] and [`response`] spell heads, [`incoming`] and [`outgoing`] bodies.

pub mod call;
pub mod carrier;
pub mod drive;
mod incoming;
pub mod lane;
mod outgoing;
pub mod request;
mod response;

use std::io;

use h2::{Error, Reason};

/// What a field costs in a list of fields besides its bytes (RFC 9113, section 6.5.2).
pub const FIELD_BYTES: usize = 32;

/// What went wrong on a stream, as a socket would say it: refused, before anything came of it (RFC 9113, section 8.7); reset; no
/// HTTP/2; or the end of the connection.
fn failure(error: Error) -> io::Error {
    let kind = match error.reason() {
        Some(Reason::REFUSED_STREAM) => io::ErrorKind::ConnectionRefused,
        // The other side goes, and says that it has not looked at this stream.
        Some(_) if error.is_go_away() && error.is_remote() => io::ErrorKind::ConnectionRefused,
        Some(_) if error.is_remote() => io::ErrorKind::ConnectionReset,
        Some(_) => io::ErrorKind::InvalidData,
        None => io::ErrorKind::UnexpectedEof,
    };
    io::Error::new(kind, error)
}

//! Wire formats of HTTP/1.1, pure: bytes in, values out. No socket, no clock, no runtime.
//!
//! Start at [`head`]: a head is parsed once, in place, into ranges over the buffer that received it.
//! [`target`] takes the request target apart and finds the host that was called, [`framing`] says where the body ends,
//! [`connection`] which fields stay behind, [`chunked`] walks a body, [`serialise`] writes what goes out.

pub mod chunked;
pub mod connection;
pub mod date;
pub mod field;
pub mod frames;
pub mod framing;
pub mod head;
pub mod percent;
pub mod serialise;
pub mod target;

#[cfg(test)]
mod corpus;

//! Wire formats of HTTP/1.1, pure: bytes in, values out. No socket, no clock, no runtime.
//!
//! Start at [`head`]: a head is parsed once, in place, into ranges over the buffer that received it.
//! [`framing`] says where the body ends, [`chunked`] walks it, [`serialise`] writes what goes out.

pub mod chunked;
pub mod field;
pub mod framing;
pub mod head;
pub mod serialise;
pub mod target;

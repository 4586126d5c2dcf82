//! HTTP/2 as those who speak HTTP/1.1 see it: each stream of a connection is a [`crate::net::Stream`] of its own, on which
//! messages are spelled as in HTTP/1.1. So a request takes the same steps whatever it came by, and there is one reader
//! of heads.
//!
//! [`carrier`] brings the frames of a connection to the `h2` crate and back, [`lane`] is one stream; [`request`] and
//! [`response`] spell heads, [`incoming`] and [`outgoing`] bodies.

pub mod carrier;
mod incoming;
pub mod lane;
mod outgoing;
pub mod request;
mod response;

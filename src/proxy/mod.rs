//! A connection's life: the one place that joins gate, http and upstream.
//!
//! Read [`exchange`] first: it is the list of steps that every request takes. [`connection`] repeats it,
//! [`forward`] is the client's side of it and [`answer`] the backend's; [`transfer`] is what happens to body bytes,
//! [`tunnel`] what happens once a connection has switched to another protocol.
//! The two pure parts, which write what the next hop reads, are public for the fuzzer.

mod answer;
mod connection;
mod core;
mod engine;
mod exchange;
mod failure;
mod forward;
mod http2;
mod options;
mod pace;
mod queue;
mod reach;
mod redirect;
mod refuse;
mod request;
mod request_id;
pub mod response_head;
mod secure;
mod splice;
mod story;
pub mod tally;
pub mod transfer;
mod tunnel;
mod upgraded;

pub use connection::serve;
pub use core::{Core, Running};
pub use engine::Waiting;

//! The decision: may this call pass, and as what request to which backend? Pure: bytes, tables, counters and the
//! time come in, a [`Verdict`] goes out.
//!
//! Start at [`decide`]: its body is the list of steps, in order.

pub mod authenticate;
pub mod authorize;
pub mod error;
pub mod map;
pub mod quota;
pub mod route;
pub mod tables;
pub mod verdict;

use std::net::IpAddr;

use crate::catalog::Scheme;
use crate::http::head::RequestView;
use crate::http::target::Target;

pub use error::{ErrorCode, Refusal};
pub use tables::{Shared, Tables};
pub use verdict::{Decision, Forward, Verdict};

/// A request as the gate sees it.
pub struct Call<'a> {
    pub request: RequestView<'a>,
    pub target: Target<'a>,
    /// Of the listener.
    pub scheme: Scheme,
    pub peer: IpAddr,
    /// The decoded body, once [`Verdict::NeedForm`] asked for it.
    pub form: Option<&'a [u8]>,
    /// Unix time, in milliseconds.
    pub now_ms: u64,
}

/// Buffers that a worker keeps for the gate, so that a decision allocates nothing.
#[derive(Default)]
pub struct Scratch {
    pub authenticate: authenticate::Scratch,
}

/// Decides one call.
pub fn decide(_call: &Call<'_>, _tables: &Tables, _shared: &Shared, _scratch: &mut Scratch) -> Decision {
    todo!()
}

//! Domain, stage, method and path -> API.

use crate::http::head::Span;

/// The most path parameters a template may have.
pub const MAX_PARAMETERS: usize = 16;

/// Where the parameters of a matched template stand in the call's path (still percent-encoded), by their place in the
/// template, and the rest that `*` matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathMatch {
    pub parameters: [Span; MAX_PARAMETERS],
    /// Range of the path after the `/` that stands before `*`.
    pub rest: Option<Span>,
}

//! Request targets (RFC 9112, section 3.2), paths, queries and percent-encoding (RFC 3986).

use super::head::HeadError;

/// A request target taken apart. Slices are as received: still percent-encoded, every escape well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The authority of an absolute-form target; it takes the place of `Host` (RFC 9112, section 3.2.2).
    pub authority: Option<&'a [u8]>,
    /// Starts with `/`; `*` for `OPTIONS *`.
    pub path: &'a [u8],
    /// What follows the first `?`.
    pub query: Option<&'a [u8]>,
}

pub fn parse_target<'a>(_method: &[u8], _target: &'a [u8]) -> Result<Target<'a>, HeadError> {
    todo!()
}

//! What each step of a decision found, for those who ask. The live path passes `()`, which is told nothing: its calls are
//! empty, and the compiler leaves them out.

use super::authenticate::Credential;
use super::route::Route;
use crate::catalog::{AppId, GroupId, StageId};

/// Told what the steps find, in their order. A step that is not told of has refused the call.
pub trait Observer {
    fn saw(&mut self, step: Seen);
}

impl Observer for () {
    #[inline(always)]
    fn saw(&mut self, _: Seen) {}
}

/// A step that let the call pass, and why.
#[derive(Clone, Copy, Debug)]
pub enum Seen {
    Domain(HowNamed),
    /// The group with the longest base path; `base_end`: where that ends in the call's path.
    Group {
        group: GroupId,
        base_end: usize,
    },
    Stage {
        stage: StageId,
        /// The domain is bound to it, whatever the call says.
        bound: bool,
    },
    Api(Route),
    Protocol,
    /// Of a length that the API takes.
    Body,
    /// Who calls; `None`: the API does not ask.
    Caller(Option<(AppId, Credential)>),
    Authorized,
    Admitted,
}

/// By which kind of domain a Host was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HowNamed {
    Exact,
    Wildcard,
    Default,
    Address,
    Any,
}

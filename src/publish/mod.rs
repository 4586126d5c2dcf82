//! Publishing: a draft becomes a version file, and the manifests make it current; older versions become current again,
//! or none. Start at [`publish`] and [`transaction`], where all of them end.
//!
//! A change is one transaction. Version files and manifests of groups are written and synced first; nothing serves them.
//! Then one rename puts the next root manifest in the place of the last: before it nothing has changed, after it
//! everything has, whatever dies in between.

pub mod atomic;
mod batch;
pub mod diff;
mod error;
mod history;
mod lock;
mod manifest;
mod publication;
mod retention;
mod rollback;
mod stage;
mod state;
mod target;
mod transaction;
mod version;

pub use error::PublishError;
pub use history::{Entry, Generation, find, generations, versions};
pub use publication::{Outcome, Preview, Request, preview, publish};
pub use rollback::{Move, Moved, Rollback, offline, rollback};
pub use target::Target;
pub use transaction::{Author, Committed};

/// Is told what is being done, how much of it is done, and how much there is.
pub type Progress<'p> = &'p dyn Fn(&'static str, usize, usize);

//! Publishing: a draft becomes a version file, and the manifest makes it current. Start at [`publish`].
//!
//! A publication is one transaction. Version files are written and synced first; nothing serves them. Then one rename
//! puts the next manifest in the place of the last: before it nothing has changed, after it everything has, whatever
//! dies in between. Version files that no manifest names are ignored, and stay for history.

pub mod atomic;
mod lock;
mod manifest;
mod state;
mod transaction;
mod version;

pub use transaction::{Outcome, PublishError, Request, Target, publish};

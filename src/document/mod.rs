//! Documents: files as written. One file here a kind of document; every key is documented in its type.
//!
//! A document is read ([`Source`]), parsed with its spans ([`parse_text`]), and handed on as it stands: what its values
//! mean, and whether they agree with those of other documents, is for the catalog to say. Errors of both come
//! together in one [`Report`], so that a person sees all of them at once.

pub mod api;
pub mod app;
mod at;
pub mod cluster;
mod diagnostic;
mod digest;
pub mod format;
pub mod gateway;
pub mod group;
pub mod kind;
mod layout;
pub mod limits;
pub mod manifest;
mod parse;
mod plain;
pub mod policy;
mod reading;
mod recover;
pub mod schema;
mod source;
mod stamp;
mod suggest;
pub mod version;
pub mod vpc_access;

pub use at::At;
pub use diagnostic::{Diagnostic, Place, Report, Severity};
pub use digest::digest;
pub use layout::{Entry, Layout};
pub use parse::{Document, Parsed, parse_text};
pub use reading::{Reading, Removing};
pub use source::{Source, read_text};
pub use stamp::{Files, Look, Stamp, Stamps};
pub use suggest::nearest;

//! What documents say and hardly mean. The catalog refuses what is wrong; here is what it accepts and a person would want
//! to know: APIs that meet, paths that nobody reaches, authorizations and certificates that have ended, secrets that
//! everyone can read, policies that limit nothing.
//!
//! Every finding is a warning with a name of its own. Documents with errors are left out: those errors come first.

mod apps;
mod certificates;
mod conflicts;
mod documents;
mod policies;
mod unreachable;

use crate::document::{Layout, Report};
use documents::Documents;

/// Looks at every document of a config directory. `now_ms`: Unix time, for what has ended.
pub fn lint(layout: &Layout, now_ms: u64) -> Report {
    let documents = Documents::read(layout);
    let mut report = Report::default();
    conflicts::find(&documents, &mut report);
    unreachable::find(&documents, &mut report);
    apps::find(layout, now_ms, &mut report);
    certificates::find(&documents, layout, now_ms, &mut report);
    policies::find(&documents, &mut report);
    report.sort();
    report
}

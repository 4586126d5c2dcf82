//! An access log, decided again: by the tables as they are and by the tables as they would be. The decision is the gate's
//! own; what a record does not say ([`judge`] lists it) is not guessed at.
//!
//! Start at [`replay`]. Route, protocol, which app calls, what it is authorized for and until when (at the time of the
//! record), the kind of credentials that an API takes, and daily quotas counted from the first record on are judged. Not
//! judged: a request refused for its head or body, which no table decides; whether an AppCode or a signature is right, which
//! stays as it was; and what a backend answers.

mod judge;
mod line;
mod log;
mod report;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;

use crate::catalog::Catalog;
use judge::Side;
use log::Log;

pub use log::LogError;
pub use report::Report;
use tally::Tally;

/// Is told how many bytes are done, and how many there are.
pub type Progress<'p> = &'p dyn Fn(u64, u64);

/// What became, and becomes, of one request.
pub struct Foretold<'a> {
    pub request_id: &'a str,
    /// By its record.
    pub logged: String,
    /// By the tables as they are.
    pub before: String,
    /// By the tables as they would be.
    pub after: String,
}

/// Replays the records of this instance. `each` is told of every request that was judged.
pub fn replay(
    files: &[PathBuf],
    before: Arc<Catalog>,
    after: Arc<Catalog>,
    each: &mut dyn FnMut(&Foretold<'_>) -> std::io::Result<()>,
    progress: Progress<'_>,
) -> Result<Report, LogError> {
    let mut log = Log::open(files)?;
    let instance = before.instance.name.clone();
    let (mut before, mut after) = (Side::new(before), Side::new(after));
    let mut tally = Tally::default();
    while let Some((line, place)) = log.next(progress)? {
        let Some(line) = line else {
            tally.damaged(place.place());
            continue;
        };
        if line.instance != instance {
            tally.of_another(&line.instance);
            continue;
        }
        let Some(call) = line.call() else {
            tally.not_judged(line.refusal());
            continue;
        };
        let judged = tally.judged(&line, &before.judge(&line, &call), &after.judge(&line, &call), place);
        if let Some(judged) = judged {
            each(&judged).map_err(LogError::Outcomes)?;
        }
    }
    Ok(tally.report(log.files()))
}

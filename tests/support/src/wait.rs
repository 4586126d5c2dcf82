//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant, SystemTime};

/// Longest wait for anything that a test expects to happen.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Pause between two looks at a condition that nothing announces.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub struct Deadline(Instant);

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "a test's deadline is not the gateway's clock")]
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    #[expect(clippy::disallowed_methods, reason = "a test's deadline is not the gateway's clock")]
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Pauses before the next look; false once the deadline has passed.
    pub fn look_again(&self) -> bool {
        if self.remaining().is_zero() {
            return false;
        }
        std::thread::sleep(LOOK_AGAIN);
        true
    }
}

/// Looks at a condition until it holds.
///
/// # Panics
/// When it does not within [`DEADLINE`].
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(DEADLINE);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(deadline.look_again(), "did not happen within {DEADLINE:?}: {what}");
    }
}

/// Unix time, in milliseconds.
pub fn now_ms() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_millis() as u64
}

/// `YYYY-MM-DD hh:mm:ss` of a Unix time (Howard Hinnant's civil_from_days).
pub(crate) fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

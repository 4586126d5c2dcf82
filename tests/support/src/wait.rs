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

//! How long a client may take over a body: each of its bytes in its time, and all of them at a pace. A trickle that keeps
//! within every single wait would otherwise never end. Pure.

use std::time::Duration;

/// The waits for a body so far.
#[derive(Debug, Default)]
pub struct Pace {
    bytes: u64,
    waited_ms: u64,
}

impl Pace {
    /// How long the next wait may be: `longest`, or less where all waits together have used up what the bytes so far
    /// allow at `rate` bytes a second, with one such wait beforehand. A backend that takes the body slowly costs its
    /// client nothing: only waits for the client count.
    pub fn allows(&self, longest: Duration, rate: u64) -> Duration {
        let longest_ms = longest.as_millis() as u64;
        let Some(earned_ms) = self.bytes.saturating_mul(1000).checked_div(rate) else { return longest };
        let left_ms = longest_ms.saturating_add(earned_ms).saturating_sub(self.waited_ms);
        Duration::from_millis(left_ms.min(longest_ms))
    }

    /// A wait has ended with so many bytes.
    pub fn note(&mut self, waited_ms: u64, bytes: usize) {
        self.waited_ms = self.waited_ms.saturating_add(waited_ms);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(30);

    /// How long it takes until a client that sends so many bytes every so often has used up its time.
    fn ends_after_ms(bytes: usize, every_ms: u64, rate: u64) -> Option<u64> {
        let (mut pace, mut waited_ms) = (Pace::default(), 0);
        while waited_ms < 10_000_000 {
            let allowed_ms = pace.allows(LONGEST, rate).as_millis() as u64;
            if allowed_ms < every_ms {
                return Some(waited_ms + allowed_ms);
            }
            pace.note(every_ms, bytes);
            waited_ms += every_ms;
        }
        None
    }

    #[test]
    fn a_trickle_ends_and_a_body_at_the_pace_does_not() {
        assert_eq!(ends_after_ms(1, 29_999, 256), Some(30_003));
        // A byte a second earns 4 ms of each second.
        assert_eq!(ends_after_ms(1, 1000, 256).map(|ms| ms / 1000), Some(30));
        assert_eq!(ends_after_ms(128, 1000, 256), Some(59_500));
        assert_eq!(ends_after_ms(256, 1000, 256), None);
        assert_eq!(ends_after_ms(1, 1000, 0), None, "no pace asked for");
        assert_eq!(ends_after_ms(1_000_000, 30_001, 256), Some(30_000), "each wait has its own end");
    }

    #[test]
    fn no_number_is_too_large() {
        let mut pace = Pace::default();
        pace.note(u64::MAX, usize::MAX);
        pace.note(u64::MAX, usize::MAX);
        assert_eq!(pace.allows(LONGEST, u64::MAX), Duration::ZERO);
        assert_eq!(pace.allows(Duration::MAX, 1), Duration::ZERO);
    }
}

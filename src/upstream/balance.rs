//! Which of two instances has less to do for its weight. Pure.

/// What an instance with its whole weight has, for each unit of it: an instance that came back begins with less.
const WHOLE: u64 = 1000;
/// What an instance that came back begins with.
const AT_FIRST: u64 = WHOLE / 10;

/// How much an instance has to do, if it gets one more call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    calls: u64,
    weight: u64,
}

impl Load {
    /// `in_flight`: calls that it has already.
    pub fn new(in_flight: u64, weight: u64) -> Self {
        Self { calls: in_flight.saturating_add(1), weight: weight.max(1) }
    }

    /// Calls per weight, compared without dividing.
    pub fn is_less_than(self, other: Self) -> bool {
        u128::from(self.calls) * u128::from(other.weight) < u128::from(other.calls) * u128::from(self.weight)
    }
}

/// The weight of an instance that came back at `since_ms` (0: it was never away): it grows from a tenth to the whole.
pub fn weight(whole: u32, since_ms: u64, now_ms: u64, slow_start_ms: u64) -> u64 {
    let back_for_ms = now_ms.saturating_sub(since_ms);
    let share = if since_ms == 0 || back_for_ms >= slow_start_ms {
        WHOLE
    } else {
        (back_for_ms.saturating_mul(WHOLE) / slow_start_ms).max(AT_FIRST)
    };
    u64::from(whole) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_count_against_weights() {
        assert!(Load::new(0, 100).is_less_than(Load::new(1, 100)));
        assert!(Load::new(1, 300).is_less_than(Load::new(0, 100)));
        assert!(!Load::new(2, 300).is_less_than(Load::new(0, 100)));
    }

    #[test]
    fn the_weight_of_an_instance_that_came_back_grows() {
        let weights = [5000, 5500, 7500, 10_000, 14_999, 15_000, 99_000].map(|now_ms| weight(100, 5000, now_ms, 10_000));
        assert_eq!(weights, [10_000, 10_000, 25_000, 50_000, 99_900, 100_000, 100_000]);
    }

    #[test]
    fn an_instance_that_was_never_away_and_one_without_slow_start_have_their_whole_weight() {
        assert_eq!((weight(7, 0, 1, 10_000), weight(7, 5000, 5000, 0)), (7000, 7000));
    }
}

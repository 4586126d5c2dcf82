//! Which of the instances is picked: the one with the least to do for its weight, and of equals each in turn, as often as
//! its weight says. Pure.

use std::cell::Cell;
use std::cmp::Ordering;

/// What an instance with its whole weight has, for each unit of it: an instance that came back begins with less.
const WHOLE: u64 = 1000;
/// What an instance that came back begins with.
const AT_FIRST: u64 = WHOLE / 10;

/// How much an instance has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    calls: u64,
    weight: u64,
}

impl Load {
    pub fn new(calls: u64, weight: u64) -> Self {
        Self { calls, weight: weight.max(1) }
    }

    /// Calls per weight, compared without dividing.
    pub fn compare(self, other: Self) -> Ordering {
        let across = |a: Self, b: Self| u128::from(a.calls) * u128::from(b.weight);
        across(self, other).cmp(&across(other, self))
    }
}

/// An instance's standing in a choice.
#[derive(Debug, Default)]
pub struct Standing {
    /// `None`: it is not to be picked.
    load: Cell<Option<Load>>,
    /// Among equals, each choice adds to every claim the weight of its instance, and takes the sum of all from the one
    /// chosen: over many choices each is chosen as often as its weight says, evenly spread.
    claim: Cell<i64>,
}

impl Standing {
    /// One that is a little ahead of its equals.
    pub fn ahead() -> Self {
        Self { claim: Cell::new(1), ..Self::default() }
    }

    pub fn set(&self, load: Option<Load>) {
        self.load.set(load);
    }
}

/// The place of the least busy; `None` when there is none to be picked.
pub fn choose<'a>(standings: impl Iterator<Item = &'a Standing> + Clone) -> Option<usize> {
    let least = standings.clone().filter_map(|standing| standing.load.get()).min_by(|a, b| a.compare(*b))?;
    let mut sum = 0i64;
    let mut first: Option<(usize, &Standing)> = None;
    for (place, standing) in standings.enumerate() {
        let Some(load) = standing.load.get().filter(|load| load.compare(least) == Ordering::Equal) else { continue };
        let weight = i64::try_from(load.weight).unwrap_or(i64::MAX);
        standing.claim.set(standing.claim.get().saturating_add(weight));
        sum = sum.saturating_add(weight);
        if first.is_none_or(|(_, other)| standing.claim.get() > other.claim.get()) {
            first = Some((place, standing));
        }
    }
    let (place, standing) = first?;
    standing.claim.set(standing.claim.get().saturating_sub(sum));
    Some(place)
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
        assert_eq!(Load::new(0, 100).compare(Load::new(1, 100)), Ordering::Less);
        assert_eq!(Load::new(2, 300).compare(Load::new(1, 100)), Ordering::Less);
        assert_eq!(Load::new(3, 300).compare(Load::new(1, 100)), Ordering::Equal);
        assert_eq!(Load::new(0, 300).compare(Load::new(0, 100)), Ordering::Equal);
    }

    #[test]
    fn of_equals_each_is_chosen_as_often_as_its_weight_says() {
        let standings = [Standing::default(), Standing::default(), Standing::ahead()];
        standings.iter().zip([1, 1, 3]).for_each(|(standing, weight)| standing.set(Some(Load::new(0, weight))));
        let mut chosen = [0; 3];
        for _ in 0..50 {
            chosen[choose(standings.iter()).expect("there are some")] += 1;
        }
        assert_eq!(chosen, [10, 10, 30]);
        standings.iter().for_each(|standing| standing.set(None));
        assert_eq!(choose(standings.iter()), None);
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

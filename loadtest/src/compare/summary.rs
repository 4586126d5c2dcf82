//! Rounds into figures: medians, and how far the rounds lie apart. Pure.

use serde::{Deserialize, Serialize};

/// The middle of some rounds, and the ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    /// `None` of nothing, or of anything that is not a number.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        if sorted.iter().any(|value| !value.is_finite()) {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self { median: (lower + upper) / 2.0, low, high })
    }

    /// Of the ratios within each round: two peers of one round saw the same machine, those of two rounds did not.
    pub fn of_ratios(values: &[f64], bases: &[f64]) -> Option<Self> {
        Self::of(values.iter().zip(bases).map(|(value, base)| value / base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_rounds_and_their_ends() {
        assert_eq!(Spread::of([3.0, 1.0, 10.0]), Some(Spread { median: 3.0, low: 1.0, high: 10.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]), Some(Spread { median: 2.5, low: 1.0, high: 4.0 }));
        assert_eq!(Spread::of([7.0]), Some(Spread { median: 7.0, low: 7.0, high: 7.0 }));
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([1.0, f64::NAN]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ratios = Spread::of_ratios(&[10.0, 40.0, 15.0], &[20.0, 50.0, 20.0]);
        assert_eq!(ratios, Some(Spread { median: 0.75, low: 0.5, high: 0.8 }));
        assert_eq!(Spread::of_ratios(&[1.0], &[0.0]), None);
    }
}

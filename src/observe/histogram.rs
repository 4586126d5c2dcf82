//! How long something took, in buckets of fixed bounds.

use super::counters::Count;

/// Upper bounds of the buckets, in microseconds; beyond the last there is one more.
pub const BOUNDS_US: [u32; 14] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000];

/// Written by one worker, read by anyone.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Count; BOUNDS_US.len() + 1],
    sum_us: Count,
}

/// A sum of histograms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Not cumulative; the last is beyond all bounds.
    pub buckets: [u64; BOUNDS_US.len() + 1],
    pub sum_us: u64,
}

impl Histogram {
    #[inline]
    pub fn record(&self, us: u64) {
        let compared = u32::try_from(us).unwrap_or(u32::MAX);
        // All bounds are compared, without a branch.
        let bucket: usize = BOUNDS_US.iter().map(|bound| usize::from(compared > *bound)).sum();
        self.buckets[bucket].add(1);
        self.sum_us.add(us);
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().map(Count::get).sum()
    }
}

impl Distribution {
    pub fn add(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.get();
        }
        self.sum_us += histogram.sum_us.get();
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_in_its_own_bucket() {
        let histogram = Histogram::default();
        for us in [0, 500, 501, 10_000_000, 10_000_001, u64::from(u32::MAX) + 7] {
            histogram.record(us);
        }
        let mut sum = Distribution::default();
        sum.add(&histogram);
        sum.add(&histogram);
        assert_eq!((sum.buckets[0], sum.buckets[1], sum.buckets[13], sum.buckets[14]), (4, 2, 2, 4));
        assert_eq!((sum.count(), histogram.count()), (12, 6));
    }
}

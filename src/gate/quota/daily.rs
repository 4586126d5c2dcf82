//! A budget a day, counted in one cell that all workers share.

use std::sync::atomic::{AtomicU64, Ordering};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Bits of the cell that count; the day stands above them. Both suffice: 17 million million calls, and 2,800 years.
const COUNT_BITS: u32 = 44;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// Calls used of a day's budget. Days are UTC, as in the product. Day and count change together, so that no call is
/// counted to the wrong day, and none twice.
#[derive(Default)]
pub struct DailyQuota {
    /// Day since 1970 << `COUNT_BITS` | calls used.
    cell: AtomicU64,
}

impl DailyQuota {
    /// Takes one call of today's `budget`; false when nothing is left of it.
    pub fn take(&self, budget: u64, now_ms: u64) -> bool {
        let budget = budget.min(COUNT_MASK);
        let today = now_ms / DAY_MS;
        let mut cell = self.cell.load(Ordering::Relaxed);
        loop {
            // A worker whose clock is a moment behind midnight counts to the day that has begun: a day never returns.
            let (day, used) = if cell >> COUNT_BITS >= today { (cell >> COUNT_BITS, cell & COUNT_MASK) } else { (today, 0) };
            if used >= budget {
                return false;
            }
            let next = day << COUNT_BITS | (used + 1);
            match self.cell.compare_exchange_weak(cell, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(current) => cell = current,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_admits_exactly_its_calls_and_returns_the_next_day() {
        let quota = DailyQuota::default();
        let noon = 20_000 * DAY_MS + DAY_MS / 2;
        assert_eq!((0..10).filter(|_| quota.take(3, noon)).count(), 3);
        assert!(!quota.take(3, 20_001 * DAY_MS - 1));
        assert_eq!((0..10).filter(|_| quota.take(3, 20_001 * DAY_MS)).count(), 3);
    }

    #[test]
    fn a_clock_behind_midnight_does_not_bring_yesterday_back() {
        let quota = DailyQuota::default();
        let midnight = 20_001 * DAY_MS;
        assert!(quota.take(2, midnight));
        assert!(quota.take(2, midnight - 1));
        assert!(!quota.take(2, midnight));
        assert!(!quota.take(2, midnight - 1));
    }

    #[test]
    fn no_budget_admits_nothing() {
        assert!(!DailyQuota::default().take(0, 0));
    }

    #[test]
    fn threads_share_it_exactly_across_a_change_of_day() {
        let quota = DailyQuota::default();
        let midnight = 20_001 * DAY_MS;
        let admitted = |now_ms: u64| -> usize {
            std::thread::scope(|scope| {
                let threads: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| (0..5_000).filter(|_| quota.take(7_000, now_ms)).count())).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
            })
        };
        assert_eq!(admitted(midnight - 1), 7_000);
        assert_eq!(admitted(midnight), 7_000);
    }
}

//! How many requests may be sent again: a share of the recent ones and a few besides, so that a backend in trouble does
//! not get its load twice. Pure: `now` is an argument.

use std::cell::Cell;

/// Requests and retries are counted for at least this long, and for at most twice as long.
const WINDOW_MS: u64 = 5000;

/// What may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Of the recent requests.
    pub percent: u64,
    /// Whatever the number of requests.
    pub always: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u64,
    retries: u64,
}

/// Counts of the window that runs, and of the one before.
#[derive(Debug, Default)]
pub struct Budget {
    window: Cell<u64>,
    current: Cell<Counts>,
    previous: Cell<Counts>,
}

impl Budget {
    pub fn request(&self, now_ms: u64) {
        self.turn(now_ms);
        let counts = self.current.get();
        self.current.set(Counts { requests: counts.requests + 1, ..counts });
    }

    /// Takes one retry; false: there is none to be had.
    pub fn retry(&self, now_ms: u64, allowance: Allowance) -> bool {
        self.turn(now_ms);
        let (current, previous) = (self.current.get(), self.previous.get());
        let requests = current.requests + previous.requests;
        let allowed = current.retries + previous.retries < requests * allowance.percent / 100 + allowance.always;
        if allowed {
            self.current.set(Counts { retries: current.retries + 1, ..current });
        }
        allowed
    }

    fn turn(&self, now_ms: u64) {
        let window = now_ms / WINDOW_MS;
        let passed = window.saturating_sub(self.window.get());
        if passed > 0 {
            self.previous.set(if passed == 1 { self.current.get() } else { Counts::default() });
            self.current.set(Counts::default());
            self.window.set(window);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALLOWANCE: Allowance = Allowance { percent: 20, always: 3 };

    fn taken(budget: &Budget, now_ms: u64) -> usize {
        (0..1000).take_while(|_| budget.retry(now_ms, ALLOWANCE)).count()
    }

    #[test]
    fn a_share_of_the_requests_and_a_few_besides() {
        let budget = Budget::default();
        assert_eq!(taken(&budget, 0), 3);
        (0..100).for_each(|_| budget.request(0));
        assert_eq!(taken(&budget, 0), 20);
        assert_eq!(taken(&budget, 0), 0);
    }

    #[test]
    fn what_is_long_past_does_not_count() {
        let budget = Budget::default();
        (0..100).for_each(|_| budget.request(0));
        assert_eq!(taken(&budget, WINDOW_MS), 23);
        assert_eq!(taken(&budget, 3 * WINDOW_MS), 3);
    }

    proptest! {
        /// Of every two windows in a row, retries are at most the share of their requests and those before, and a few.
        #[test]
        fn retries_keep_to_the_budget(steps in prop::collection::vec((0u64..3000, 0usize..50, 0usize..50), 1..60)) {
            let (budget, mut now_ms) = (Budget::default(), 0);
            let mut windows = std::collections::BTreeMap::<u64, (u64, u64)>::new();
            for (pass, requests, retries) in steps {
                now_ms += pass;
                let counts = windows.entry(now_ms / WINDOW_MS).or_default();
                for _ in 0..requests {
                    budget.request(now_ms);
                    counts.0 += 1;
                }
                counts.1 += (0..retries).filter(|_| budget.retry(now_ms, ALLOWANCE)).count() as u64;
                let window = now_ms / WINDOW_MS;
                let (requests, retries) = windows.range(window.saturating_sub(1)..).fold((0, 0), |s, (_, c)| (s.0 + c.0, s.1 + c.1));
                let before = window.checked_sub(2).and_then(|w| windows.get(&w)).map_or(0, |c| c.0);
                prop_assert!(retries <= (requests + before) / 5 + 2 * ALLOWANCE.always, "{retries} of {requests}");
            }
        }
    }
}

//! Token buckets: so many calls a second, evenly; what comes at once waits its turn, in a queue that is bounded.
//!
//! A bucket is one shared word: the time until which its tokens are taken, in milliseconds and parts of one, of which there
//! are as many as tokens a second. A call moves it on by a token's time. Where that is behind the present, there are tokens to
//! spare; where it is ahead, calls wait, and each knows for how long: the next token is for who came first, over all workers and
//! processes. As it is a time, it means the same (to a millisecond) when the limit is another one.

use super::memory::Memory;
use super::table::UNTIL;
use super::word::DEAD;

/// A token is so many marks: parts of a millisecond that has as many of them as there are tokens a second.
const TOKEN: u64 = 1000;
/// The largest limit: the marks of a millisecond fit their bits.
pub const MOST_PER_SECOND: u64 = 5_000_000;
const MARK_BITS: u32 = 23;
const _: () = assert!(MOST_PER_SECOND < 1 << MARK_BITS);
/// Times are counted from here (September 2020), and fit their bits until the year 2090.
const SINCE_MS: u64 = 1_600_000_000_000;
/// Nobody waits for as long: a bucket that is further ahead was counted by before the clock was set back.
const MOST_AHEAD_MS: u64 = 61_000;
/// How long a bucket's place is kept after its last call, at least. It is full again long before.
const KEPT_MS: u64 = 120_000;

/// Marks since then of a word, which may have been written under another limit.
fn marks(word: u64, limit: u64) -> u64 {
    (word >> MARK_BITS) * limit + (word & ((1 << MARK_BITS) - 1)).min(limit.saturating_sub(1))
}

fn word_at(marks: u64, limit: u64) -> u64 {
    ((marks / limit) << MARK_BITS) | (marks % limit)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// In so many milliseconds.
    In(u64),
    /// As many wait as may; the next token that is free comes in so many milliseconds.
    None(u64),
    Gone,
}

/// Takes a token of a bucket of `limit` a second, which holds as many at most; `queue`: calls that may wait.
pub fn take(memory: &(impl Memory + ?Sized), at: usize, limit: u64, queue: u64, now_ms: u64) -> Token {
    let limit = limit.min(MOST_PER_SECOND);
    let present = now_ms.saturating_sub(SINCE_MS) * limit;
    let mut word = memory.load(at);
    loop {
        if word == DEAD {
            return Token::Gone;
        }
        if limit == 0 {
            return Token::None(1000);
        }
        let mut taken = marks(word, limit);
        if taken > present + limit * MOST_AHEAD_MS {
            taken = present;
        }
        let next = taken.max(present.saturating_sub(limit * TOKEN)) + TOKEN;
        let ahead = next.saturating_sub(present);
        let wait_ms = ahead.div_ceil(limit);
        if ahead.div_ceil(TOKEN) > queue {
            return Token::None(ahead.saturating_sub(queue * TOKEN).div_ceil(limit));
        }
        match memory.exchange(at, word, word_at(next, limit)) {
            Ok(()) => {
                keep(memory, at, now_ms);
                return Token::In(wait_ms);
            }
            Err(other) => word = other,
        }
    }
}

/// Its place is its own for a while.
pub fn keep(memory: &(impl Memory + ?Sized), at: usize, now_ms: u64) {
    let until_ms = memory.load(at + UNTIL);
    if until_ms == u64::MAX || until_ms < now_ms + KEPT_MS {
        memory.store(at + UNTIL, now_ms + 2 * KEPT_MS);
    }
}

/// Gives back a token that was taken a moment ago: those who wait keep their places.
pub fn give_back(memory: &(impl Memory + ?Sized), at: usize, limit: u64) {
    let limit = limit.clamp(1, MOST_PER_SECOND);
    let mut word = memory.load(at);
    while word != DEAD
        && let Err(other) = memory.exchange(at, word, word_at(marks(word, limit).saturating_sub(TOKEN), limit))
    {
        word = other;
    }
}

/// The word of a bucket whose tokens are taken until then.
pub fn taken_until(at_ms: u64) -> u64 {
    at_ms.saturating_sub(SINCE_MS) << MARK_BITS
}

/// Tokens that are there now.
pub fn left(word: u64, limit: u64, now_ms: u64) -> u64 {
    let limit = limit.min(MOST_PER_SECOND);
    let present = now_ms.saturating_sub(SINCE_MS) * limit;
    (present.saturating_sub(marks(word, limit)) / TOKEN).min(limit)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn bucket() -> Vec<AtomicU64> {
        (0..2).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn a_full_bucket_gives_its_limit_at_once_and_then_as_time_passes() {
        let memory = &bucket()[..];
        let taken = |now_ms| (0..100).filter(|_| take(memory, 0, 10, 0, now_ms) == Token::In(0)).count();
        assert_eq!(taken(NOW_MS), 10);
        assert_eq!(taken(NOW_MS), 0);
        assert_eq!(take(memory, 0, 10, 0, NOW_MS), Token::None(100));
        assert_eq!(taken(NOW_MS + 99), 0);
        assert_eq!(taken(NOW_MS + 100), 1);
        assert_eq!(taken(NOW_MS + 350), 2);
        assert_eq!(taken(NOW_MS + 60_000), 10, "it holds no more than its limit");
    }

    #[test]
    fn who_waits_gets_the_next_token_and_the_queue_is_bounded() {
        let memory = &bucket()[..];
        (0..10).for_each(|_| assert_eq!(take(memory, 0, 10, 3, NOW_MS), Token::In(0)));
        assert_eq!([1, 2, 3].map(|_| take(memory, 0, 10, 3, NOW_MS)), [100, 200, 300].map(Token::In));
        assert_eq!(take(memory, 0, 10, 3, NOW_MS), Token::None(100));
        // A token has come; it is for the first of those who wait, and one more may wait behind them.
        assert_eq!(take(memory, 0, 10, 3, NOW_MS + 100), Token::In(300));
        assert_eq!(take(memory, 0, 10, 3, NOW_MS + 100), Token::None(100));
        give_back(memory, 0, 10);
        assert_eq!(take(memory, 0, 10, 3, NOW_MS + 100), Token::In(300));
    }

    #[test]
    fn tokens_come_at_the_rate_of_the_limit_to_the_last_one() {
        for limit in [1, 3, 7, 999, 123_457] {
            let memory = &bucket()[..];
            let seconds = 1_000_000_u64.div_ceil(limit).min(50);
            let taken = |now_ms| (0..).take_while(|_| matches!(take(memory, 0, limit, 0, now_ms), Token::In(_))).count() as u64;
            let all: u64 = (0..=seconds * 1000).step_by(250).map(|ms| taken(NOW_MS + ms)).sum();
            assert_eq!(all, limit * (seconds + 1), "{limit} a second");
        }
    }

    #[test]
    fn a_limit_that_changes_goes_on_where_it_was() {
        let memory = &bucket()[..];
        let taken = |limit, now_ms| (0..2000).filter(|_| take(memory, 0, limit, 0, now_ms) == Token::In(0)).count();
        assert_eq!(taken(1000, NOW_MS), 1000);
        for (limit, at_ms) in [(10, 1000), (500, 2000), (1, 3000), (999, 4000), (2, 4500), (1000, 4500), (4, 4750)] {
            let since_ms = if at_ms % 1000 == 0 { 1000 } else { at_ms % 500 };
            assert_eq!(
                taken(limit, NOW_MS + at_ms) as u64,
                limit * since_ms / 1000 + u64::from(at_ms == 4500 && limit == 2),
                "{limit} at {at_ms} ms"
            );
        }
        // Those who wait for their turn keep it, whatever comes behind them.
        assert_eq!(take(memory, 0, 10, 5, NOW_MS + 4750), Token::In(100));
        assert_eq!(take(memory, 0, 100, 50, NOW_MS + 4750), Token::In(110));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_lock_a_bucket() {
        let memory = &bucket()[..];
        assert_eq!(take(memory, 0, 10, 5, NOW_MS + 3_600_000), Token::In(0));
        assert_eq!(take(memory, 0, 10, 5, NOW_MS), Token::In(100), "what may have been to spare is taken");
        assert_eq!(take(memory, 0, 10, 0, NOW_MS + 200), Token::In(0));
    }

    #[test]
    fn large_and_no_limits() {
        let memory = &bucket()[..];
        assert_eq!(take(memory, 0, 0, 5, NOW_MS), Token::None(1000));
        assert_eq!(take(memory, 0, MOST_PER_SECOND, 0, NOW_MS), Token::In(0));
        assert_eq!(left(memory.load(0), MOST_PER_SECOND, NOW_MS), MOST_PER_SECOND - 1);
    }
}

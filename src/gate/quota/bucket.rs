//! Token buckets: so many calls a second, evenly; what comes at once waits its turn, in a queue that is bounded.
//!
//! A bucket is one shared word: how far its calls have come on a scale on which time passes at a thousand marks for each
//! token. A call moves it on by a thousand. Where that is behind the present, there are tokens to spare; where it is ahead,
//! calls wait, and each knows for how long: the next token is for who came first, over all workers and processes.

use super::memory::Memory;
use super::table::UNTIL;
use super::word::DEAD;

const TOKEN: u64 = 1000;
/// The largest limit: the scale's marks since 1970 fit a word until the year 2086.
pub const MOST_PER_SECOND: u64 = 5_000_000;
/// How long a bucket's place is kept after its last call, at least. It is full again long before.
const KEPT_MS: u64 = 120_000;

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
    let present = now_ms * limit;
    let mut word = memory.load(at);
    loop {
        if word == DEAD {
            return Token::Gone;
        }
        let next = word.max(present.saturating_sub(limit * TOKEN)) + TOKEN;
        let ahead = next.saturating_sub(present);
        let wait_ms = if limit == 0 { 1000 } else { ahead.div_ceil(limit) };
        if limit == 0 || ahead.div_ceil(TOKEN) > queue {
            let free_in = ahead.saturating_sub(queue * TOKEN);
            return Token::None(if limit == 0 { 1000 } else { free_in.div_ceil(limit) });
        }
        match memory.exchange(at, word, next) {
            Ok(()) => {
                let until_ms = memory.load(at + UNTIL);
                if until_ms == u64::MAX || until_ms < now_ms + KEPT_MS {
                    memory.store(at + UNTIL, now_ms + 2 * KEPT_MS);
                }
                return Token::In(wait_ms);
            }
            Err(other) => word = other,
        }
    }
}

/// Gives back a token that was taken a moment ago: those who wait keep their places.
pub fn give_back(memory: &(impl Memory + ?Sized), at: usize) {
    let mut word = memory.load(at);
    while word != DEAD
        && let Err(other) = memory.exchange(at, word, word.saturating_sub(TOKEN))
    {
        word = other;
    }
}

/// Tokens that are there now.
pub fn left(word: u64, limit: u64, now_ms: u64) -> u64 {
    let present = now_ms * limit.min(MOST_PER_SECOND);
    (present.saturating_sub(word) / TOKEN).min(limit)
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
        give_back(memory, 0);
        assert_eq!(take(memory, 0, 10, 3, NOW_MS + 100), Token::In(300));
    }

    #[test]
    fn large_and_no_limits() {
        let memory = &bucket()[..];
        assert_eq!(take(memory, 0, 0, 5, NOW_MS), Token::None(1000));
        assert_eq!(take(memory, 0, MOST_PER_SECOND, 0, NOW_MS), Token::In(0));
        assert_eq!(left(memory.load(0), MOST_PER_SECOND, NOW_MS), MOST_PER_SECOND - 1);
    }
}

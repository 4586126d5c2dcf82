//! Tokens of so many a second that all nodes of a cluster share: *turns*, which the engine gives out by its clock.
//!
//! Of a limit L there are L turns each second, numbered since 1970: turn K comes at K / L seconds. The engine gives each of them
//! to one node, once; a node gives it to one call, once. So in any span of T seconds no more than L × (1 + T) are given to
//! calls, over all nodes, whatever their clocks say. A node keeps what it was given beside the counter, in the word in which a
//! window has its allowance: the first turn and how many follow it. What it does not use goes back within moments.
//!
//! Where the engine has nothing for anybody, the word says until when it is not to be asked again.

use super::memory::Memory;
use super::table::ALLOWANCE;

const TURN_BITS: u32 = 36;
const COUNT_BITS: u32 = 18;
const MODULUS: u64 = 1 << TURN_BITS;
/// As many turns as fit a word.
pub const MOST_TURNS: u64 = (1 << COUNT_BITS) - 1;
/// A turn that is so near has come: the node's clock and what it knows of the engine's are a little apart.
const CLOCKS_APART_MS: u64 = 5;
/// The longest time for which the engine is not asked again.
const REFUSED_MOST_MS: u64 = 1000;

/// Turns that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Turns {
    pub first: u64,
    pub n: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This one, in so many milliseconds.
    In(u64, u64),
    /// The engine has said that there is none, and may be asked again in so many milliseconds.
    None(u64),
    /// The engine is to be asked.
    Ask,
}

/// The turn that has come last. All times are the engine's.
pub fn present(now_ms: u64, limit: u64) -> u64 {
    now_ms * limit / 1000
}

/// When a turn comes.
pub fn comes_ms(turn: u64, limit: u64) -> u64 {
    (turn * 1000).div_ceil(limit.max(1))
}

/// Turns of one limit are not those of another.
fn tag(limit: u64) -> u64 {
    limit.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (TURN_BITS + COUNT_BITS)
}

fn word(limit: u64, turns: Turns) -> u64 {
    match turns.n {
        0 => 0,
        n => tag(limit) << (TURN_BITS + COUNT_BITS) | n.min(MOST_TURNS) << TURN_BITS | (turns.first % MODULUS),
    }
}

/// What of a word is of use now. Turns that came more than a second before the oldest that anyone may have are void: whoever
/// held them has been away.
fn read(word: u64, limit: u64, now_ms: u64) -> Result<Turns, Turn> {
    if word >> (TURN_BITS + COUNT_BITS) != tag(limit) {
        return Err(Turn::Ask);
    }
    // The number that is nearest to one that is known.
    let near =
        |known: u64| known.wrapping_add_signed(((word.wrapping_sub(known) << (64 - TURN_BITS)) as i64) >> (64 - TURN_BITS));
    let n = (word >> TURN_BITS) & MOST_TURNS;
    if n == 0 {
        let left_ms = near(now_ms).saturating_sub(now_ms);
        return Err(if (1..=REFUSED_MOST_MS).contains(&left_ms) { Turn::None(left_ms) } else { Turn::Ask });
    }
    let present = present(now_ms, limit);
    let first = near(present);
    let void = (present.saturating_sub(2 * limit) + 1).saturating_sub(first);
    match n.saturating_sub(void) {
        0 => Err(Turn::Ask),
        n => Ok(Turns { first: first + void, n }),
    }
}

/// Takes the next turn that this node has. `queue`: calls that may wait, over all nodes.
pub fn take(memory: &(impl Memory + ?Sized), pool: usize, limit: u64, queue: u64, now_ms: u64) -> Turn {
    let mut seen = memory.load(pool + ALLOWANCE);
    loop {
        let Turns { first, n } = match read(seen, limit, now_ms) {
            Ok(turns) => turns,
            Err(turn) => return turn,
        };
        match memory.exchange(pool + ALLOWANCE, seen, word(limit, Turns { first: first + 1, n: n - 1 })) {
            Ok(()) => {
                let wait_ms = comes_ms(first, limit).saturating_sub(now_ms);
                // However wrong the clock is for a moment: nobody was given a turn beyond the queue.
                let wait_ms = wait_ms.min((queue * 1000).div_ceil(limit) + CLOCKS_APART_MS);
                return Turn::In(first, if wait_ms > CLOCKS_APART_MS { wait_ms } else { 0 });
            }
            Err(other) => seen = other,
        }
    }
}

/// Adds turns to those of this node. False: it has others, which they do not follow or precede.
pub fn give(memory: &(impl Memory + ?Sized), pool: usize, limit: u64, turns: Turns, now_ms: u64) -> bool {
    let mut seen = memory.load(pool + ALLOWANCE);
    loop {
        let joined = match read(seen, limit, now_ms) {
            Err(_) => turns,
            Ok(has) if has.n + turns.n > MOST_TURNS => return false,
            Ok(has) if has.first + has.n == turns.first => Turns { first: has.first, n: has.n + turns.n },
            Ok(has) if turns.first + turns.n == has.first => Turns { first: turns.first, n: has.n + turns.n },
            Ok(_) => return false,
        };
        match memory.exchange(pool + ALLOWANCE, seen, word(limit, joined)) {
            Ok(()) => return true,
            Err(other) => seen = other,
        }
    }
}

/// Takes all turns that this node has.
pub fn collect(memory: &(impl Memory + ?Sized), pool: usize, limit: u64, now_ms: u64) -> Option<Turns> {
    let mut seen = memory.load(pool + ALLOWANCE);
    loop {
        let turns = read(seen, limit, now_ms).ok()?;
        match memory.exchange(pool + ALLOWANCE, seen, 0) {
            Ok(()) => return Some(turns),
            Err(other) => seen = other,
        }
    }
}

/// How many turns this node has.
pub fn left(memory: &(impl Memory + ?Sized), pool: usize, limit: u64, now_ms: u64) -> u64 {
    read(memory.load(pool + ALLOWANCE), limit, now_ms).map_or(0, |turns| turns.n)
}

/// Nobody has a turn for anybody until then.
pub fn refuse(memory: &(impl Memory + ?Sized), pool: usize, limit: u64, until_ms: u64, now_ms: u64) {
    let seen = memory.load(pool + ALLOWANCE);
    if read(seen, limit, now_ms).is_err() {
        // Or turns have come meanwhile.
        let _ = memory.exchange(pool + ALLOWANCE, seen, tag(limit) << (TURN_BITS + COUNT_BITS) | (until_ms % MODULUS));
    }
}

/// Whatever this node had is void.
pub fn clear(memory: &(impl Memory + ?Sized), pool: usize) {
    let seen = memory.load(pool + ALLOWANCE);
    let _ = memory.exchange(pool + ALLOWANCE, seen, 0);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn words() -> Vec<AtomicU64> {
        (0..=ALLOWANCE).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn turns_come_at_the_rate_of_the_limit() {
        for limit in [1, 3, 7, 999, 5_000_000] {
            let now = present(NOW_MS, limit);
            assert_eq!(present(NOW_MS + 1000, limit), now + limit);
            for turn in now..now + 20.min(limit) {
                let at_ms = comes_ms(turn, limit);
                assert!(present(at_ms, limit) >= turn && present(at_ms - 1, limit) < turn, "{limit}: {turn}");
            }
        }
    }

    #[test]
    fn each_turn_is_taken_once_and_in_its_time() {
        let memory = &words()[..];
        let now = present(NOW_MS, 10);
        assert_eq!(take(memory, 0, 10, 5, NOW_MS), Turn::Ask);
        assert!(give(memory, 0, 10, Turns { first: now, n: 3 }, NOW_MS));
        assert!(!give(memory, 0, 10, Turns { first: now + 5, n: 1 }, NOW_MS), "a gap");
        assert!(
            give(memory, 0, 10, Turns { first: now + 3, n: 1 }, NOW_MS)
                && give(memory, 0, 10, Turns { first: now - 1, n: 1 }, NOW_MS)
        );
        assert_eq!(left(memory, 0, 10, NOW_MS), 5);
        for (turn, wait_ms) in [(now - 1, 0), (now, 0), (now + 1, 100), (now + 2, 200)] {
            assert_eq!(take(memory, 0, 10, 5, NOW_MS), Turn::In(turn, wait_ms));
        }
        assert_eq!(collect(memory, 0, 10, NOW_MS), Some(Turns { first: now + 3, n: 1 }));
        assert_eq!((collect(memory, 0, 10, NOW_MS), take(memory, 0, 10, 5, NOW_MS)), (None, Turn::Ask));
    }

    #[test]
    fn what_is_too_old_or_of_another_limit_is_void() {
        let memory = &words()[..];
        let now = present(NOW_MS, 10);
        assert!(give(memory, 0, 10, Turns { first: now - 9, n: 10 }, NOW_MS));
        assert_eq!(take(memory, 0, 11, 0, NOW_MS), Turn::Ask);
        assert_eq!(take(memory, 0, 10, 0, NOW_MS + 1300), Turn::In(now - 6, 0));
        assert_eq!(left(memory, 0, 10, NOW_MS + 2000), 0);
        assert!(give(memory, 0, 10, Turns { first: now + 20, n: 1 }, NOW_MS + 2000));
        // A clock that is an hour late for a moment.
        assert_eq!(take(memory, 0, 10, 5, NOW_MS - 3_600_000), Turn::In(now + 20, 505));
    }

    #[test]
    fn a_refusal_is_remembered_for_its_time() {
        let memory = &words()[..];
        refuse(memory, 0, 10, NOW_MS + 9, NOW_MS);
        assert_eq!(take(memory, 0, 10, 0, NOW_MS + 2), Turn::None(7));
        assert_eq!(take(memory, 0, 10, 0, NOW_MS + 9), Turn::Ask);
        assert_eq!(take(memory, 0, 10, 0, NOW_MS - 60_000), Turn::Ask, "the clock was set back");
        let turns = Turns { first: present(NOW_MS, 10), n: 1 };
        assert!(give(memory, 0, 10, turns, NOW_MS));
        refuse(memory, 0, 10, NOW_MS + 9, NOW_MS);
        assert_eq!(collect(memory, 0, 10, NOW_MS), Some(turns), "what has come is not forgotten");
    }
}

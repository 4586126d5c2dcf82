//! What the shared words of a counter say.
//!
//! A *pool* word belongs to one counter: its window, how many units have been granted from it, and whether it is known to be
//! dry. Window and count change together, so that a window begins with its first call and needs nobody to reset it.
//!
//! A *lease* word belongs to one worker: units that it has been granted and not used. It names its counter and window by a
//! tag of 40 bits, so that units of a window that is over are void where they stand, and nobody takes them for another's.

use super::window::{Period, Window};

/// The mark of a pool that its counter's place in the table has been taken from.
pub const DEAD: u64 = u64::MAX;

/// How far ahead a pool's window may be of the caller's clock before that is taken for a clock that was set back. A worker
/// is late by much less.
const CLOCK_SET_BACK_MS: u64 = 300_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    pub window: Window,
    pub granted: u64,
    /// All units granted have been used: nothing comes back in this window.
    pub dry: bool,
}

const fn number_bits(period: Period) -> u32 {
    // Up to the year 2106 and further.
    match period {
        Period::Second => 32,
        Period::Minute => 27,
        Period::Hour => 22,
        Period::Day => 17,
    }
}

/// The most units of a window: what a pool word can count.
pub const fn most_units(period: Period) -> u64 {
    (1 << (61 - number_bits(period))) - 1
}

impl Pool {
    pub fn fresh(window: Window) -> Self {
        Self { window, granted: 0, dry: false }
    }

    /// The pool as it stands for a caller whose clock says `window`.
    ///
    /// A caller whose clock is a moment behind counts to the window that has begun: a window never returns. Only where the
    /// pool is far ahead has the clock been set back, and the caller's window counts.
    pub fn read(word: u64, window: Window) -> Self {
        let bits = number_bits(window.period);
        let number = (word >> (62 - bits)) & ((1 << bits) - 1);
        let ms = window.period.ms();
        let ahead_ms = number.saturating_sub(window.number).saturating_mul(ms);
        if word >> 62 != window.period as u64 || number < window.number || ahead_ms > CLOCK_SET_BACK_MS.max(ms) {
            return Self::fresh(window);
        }
        let granted = (word >> 1) & most_units(window.period);
        Self { window: Window { number, ..window }, granted, dry: word & 1 == 1 }
    }

    /// The window of a pool, whatever a caller's clock says.
    pub fn window(word: u64) -> Option<Window> {
        let &period = Period::ALL.get((word >> 62) as usize).filter(|_| word != DEAD)?;
        let bits = number_bits(period);
        Some(Window { period, number: (word >> (62 - bits)) & ((1 << bits) - 1) })
    }

    pub fn word(self) -> u64 {
        let period = self.window.period;
        let number = self.window.number & ((1 << number_bits(period)) - 1);
        (period as u64) << 62
            | number << (62 - number_bits(period))
            | self.granted.min(most_units(period)) << 1
            | u64::from(self.dry)
    }

    /// Whether a pool's window has been over for long enough that no caller's clock can still be in it.
    pub fn is_over(word: u64, now_ms: u64) -> bool {
        /// At least; a window's own length, if that is longer, covers zones.
        const GRACE_MS: u64 = 60_000;
        let Some(window) = Self::window(word) else { return false };
        window.end_ms(0) + window.period.ms().max(GRACE_MS) <= now_ms
    }
}

const UNITS_BITS: u32 = 24;
/// The most units that a lease word can hold.
pub const MOST_LEASED: u64 = (1 << UNITS_BITS) - 1;

/// The upper bits of a lease word of this counter and window.
pub fn lease_tag(counter: u64, window: Window) -> u64 {
    let salt = window.number << 2 | window.period as u64;
    mix(counter, salt.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1) & !MOST_LEASED
}

/// Units in a lease word, if it has this tag.
pub fn leased(word: u64, tag: u64) -> u64 {
    if word & !MOST_LEASED == tag { word & MOST_LEASED } else { 0 }
}

/// Makes one of two: every bit of either counts.
pub fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x2D35_8DCC_AA6C_78A5) * u128::from(b ^ 0x8BB8_4B93_962E_ACC9);
    let folded = product as u64 ^ (product >> 64) as u64;
    (folded ^ folded >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ a.rotate_left(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(period: Period, number: u64) -> Window {
        Window { period, number }
    }

    #[test]
    fn a_pool_reads_back_as_it_was_written() {
        for period in Period::ALL {
            let now = Window::at(period, 1_800_000_000_000, 0);
            for granted in [0, 1, 1_000_000, most_units(period)] {
                for dry in [false, true] {
                    let pool = Pool { window: now, granted, dry };
                    assert_eq!(Pool::read(pool.word(), now), pool);
                    assert_ne!(pool.word(), DEAD);
                }
            }
            assert_eq!(Pool::read(0, now), Pool::fresh(now));
        }
        assert!(most_units(Period::Second) > 500_000_000 && most_units(Period::Minute) > 10_000_000_000);
    }

    #[test]
    fn a_new_window_is_fresh_and_a_late_caller_counts_to_it() {
        let pool = Pool { window: window(Period::Second, 100), granted: 7, dry: true };
        assert_eq!(Pool::read(pool.word(), window(Period::Second, 101)), Pool::fresh(window(Period::Second, 101)));
        assert_eq!(Pool::read(pool.word(), window(Period::Second, 99)), pool);
        assert_eq!(Pool::read(pool.word(), window(Period::Minute, 1)), Pool::fresh(window(Period::Minute, 1)));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_lock_a_counter() {
        let pool = Pool { window: window(Period::Second, 10_000), granted: 7, dry: true };
        assert_eq!(Pool::read(pool.word(), window(Period::Second, 5_000)), Pool::fresh(window(Period::Second, 5_000)));
        let day = Pool { window: window(Period::Day, 20_001), granted: 7, dry: true };
        assert_eq!(Pool::read(day.word(), window(Period::Day, 20_000)), day);
        assert_eq!(Pool::read(day.word(), window(Period::Day, 19_999)), Pool::fresh(window(Period::Day, 19_999)));
    }

    #[test]
    fn a_window_is_over_only_when_no_clock_is_in_it() {
        for period in Period::ALL {
            let now = Window::at(period, 1_800_000_000_000, 0);
            let word = Pool::fresh(now).word();
            let end_ms = now.end_ms(0);
            assert!(!Pool::is_over(word, end_ms + 10_000));
            assert!(Pool::is_over(word, end_ms + period.ms() + 60_000));
        }
        assert!(!Pool::is_over(DEAD, 1_800_000_000_000));
    }

    #[test]
    fn a_lease_is_of_one_counter_and_window() {
        let tag = lease_tag(77, window(Period::Minute, 5));
        assert_eq!(leased(tag | 9, tag), 9);
        assert_eq!(leased(tag, tag), 0);
        for other in [
            lease_tag(78, window(Period::Minute, 5)),
            lease_tag(77, window(Period::Minute, 6)),
            lease_tag(77, window(Period::Hour, 5)),
        ] {
            assert_eq!(leased(tag | 9, other), 0);
        }
    }
}

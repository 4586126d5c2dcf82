//! Windows: into what spans of time a budget is divided.

pub use crate::catalog::Period;

/// One window of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    pub period: Period,
    /// Counted since 1970.
    pub number: u64,
}

impl Window {
    /// `zone_ms`: how far the clock by which windows begin is ahead of UTC.
    pub fn at(period: Period, now_ms: u64, zone_ms: i64) -> Self {
        Self { period, number: now_ms.saturating_add_signed(zone_ms) / period.ms() }
    }

    /// The first moment after the window, in Unix time.
    pub fn end_ms(self, zone_ms: i64) -> u64 {
        (self.number + 1).saturating_mul(self.period.ms()).saturating_add_signed(-zone_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_aligned_and_days_follow_their_zone() {
        // 2027-01-15T08:00:00Z
        let now_ms = 1_800_000_000_000;
        for period in Period::ALL {
            let window = Window::at(period, now_ms, 0);
            assert_eq!(Window::at(period, window.end_ms(0) - 1, 0), window);
            assert_eq!(Window::at(period, window.end_ms(0), 0).number, window.number + 1);
        }
        let hours = 3_600_000;
        assert_eq!(Window::at(Period::Day, now_ms, 0).end_ms(0), now_ms + 16 * hours);
        let east = 8 * hours as i64;
        assert_eq!(Window::at(Period::Day, now_ms, east).end_ms(east), now_ms + 8 * hours);
        assert_eq!(Window::at(Period::Day, now_ms, -east).end_ms(-east), now_ms + 24 * hours);
    }
}

//! What a call needs of counters, and what came of it.

use super::allowance::EngineLoss;
use super::window::{Period, Window};

/// Units that one call may need: a rule for each of what it is, and some by its parameters.
pub const MOST_WANTS: usize = 16;

/// One unit that a call needs: of which counter, and out of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want<'a> {
    /// Of the counter: the same in every process and after every restart ([`super::Quotas::id`]).
    pub id: u64,
    pub budget: Budget,
    pub limit: u64,
    /// For those who look at counters: which rule counts, and whom.
    pub rule: u64,
    pub subject: &'a [u8],
    /// Of the bucket: how long until its token comes. After a refusal: until one comes that nobody waits for.
    pub wait_ms: u64,
    /// Of the bucket, in a cluster: which turn was taken.
    pub turn: Option<u64>,
    /// In a cluster: what happens without its engine.
    pub loss: EngineLoss,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Budget {
    /// `limit` units of this window. Once answered: of the window that was counted to, which may have begun since the caller
    /// read its clock.
    Window(Window),
    /// `limit` a second, with so many calls that wait.
    Bucket { queue: u64 },
}

impl Default for Budget {
    fn default() -> Self {
        Self::Bucket { queue: 0 }
    }
}

impl Budget {
    /// `zone_ms`: how far the clock by which windows begin is ahead of UTC.
    pub fn window(period: Period, now_ms: u64, zone_ms: i64) -> Self {
        Self::Window(Window::at(period, now_ms, zone_ms))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    Taken,
    /// Nothing is left.
    Dry,
    /// Units are in someone's hands: ask again in a moment.
    InDoubt,
    /// Units are asked of the cluster's engine: ask again when it has answered.
    Awaited,
    /// The cluster's engine cannot be reached, and the limit gives nothing out without it.
    Lost,
    /// There is no room for another counter.
    Full,
}

/// What one call needs: a list without an allocation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wants<'a> {
    list: [Want<'a>; MOST_WANTS],
    len: usize,
}

impl<'a> Wants<'a> {
    /// False: there is no room, and the call cannot be counted.
    #[must_use]
    pub fn push(&mut self, want: Want<'a>) -> bool {
        let place = self.list.get_mut(self.len);
        let has_place = place.is_some();
        if let Some(place) = place {
            *place = want;
            self.len += 1;
        }
        has_place
    }

    pub fn remove(&mut self, n: usize) {
        if n < self.len {
            self.list.copy_within(n + 1..self.len, n);
            self.len -= 1;
        }
    }
}

impl<'a> std::ops::Deref for Wants<'a> {
    type Target = [Want<'a>];
    fn deref(&self) -> &[Want<'a>] {
        self.list.get(..self.len).unwrap_or_default()
    }
}

impl std::ops::DerefMut for Wants<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.list.get_mut(..self.len).unwrap_or_default()
    }
}

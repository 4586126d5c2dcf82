//! What this node asks of the engine, and how much: pure, with the time and the node's counters handed in.
//!
//! One request is under way for a counter at a time. Each says how much this process has received of the window and not given
//! back (`have`), and how much the node may give out in all (`allowed`): so an answer that was lost, and an engine that has
//! forgotten, are put right by the next request. To give units back is to say that one has fewer.
//!
//! A lease grows where the node comes back soon, and shrinks where it comes back late; the engine makes it smaller where
//! little is left. Where the engine has nothing, other nodes are called to give back what they do not use.

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::gate::quota::allowance::{Cause, Collected, Need};
use crate::gate::quota::window::Window;
use crate::gate::quota::{Budget, Quotas};

/// A node that comes back within this time is to have twice as much.
const SOON_MS: u64 = 250;
/// One that comes back after this time, half as much.
const LATE_MS: u64 = 2000;
/// The largest lease of a node.
const LARGEST: u64 = 1 << 24;
/// The first one, as a part of the limit.
const FIRST_PART: u64 = 256;
/// Units that came for calls that wait are left to them for so long before another node may have them.
const HOLD_MS: u64 = 5;
/// How soon the engine is asked again while other nodes are called to give back, at first and later.
const RETRY_MS: u64 = 1;
const RETRY_MOST_MS: u64 = 16;
/// Accounts of windows that are over go when there are so many.
const TIDY_AT: usize = 4096;

/// The counters of this node, as the ledger needs them.
pub trait Node {
    fn allowance(&self, id: u64, window: Window) -> u64;
    fn is_empty(&self, id: u64, window: Window) -> bool;
    fn collect(&self, id: u64, window: Window) -> Collected;
    fn grant(&self, id: u64, window: Window, units: u64) -> bool;
    fn mark_final(&self, id: u64, window: Window);
    /// False: workers are in the middle of something, call again.
    fn clear(&self, id: u64, window: Window) -> bool;
}

impl Node for Quotas {
    fn allowance(&self, id: u64, window: Window) -> u64 {
        self.allowance(id, window).unwrap_or(0)
    }
    fn is_empty(&self, id: u64, window: Window) -> bool {
        self.is_empty(id, window)
    }
    fn collect(&self, id: u64, window: Window) -> Collected {
        self.collect(id, window)
    }
    fn grant(&self, id: u64, window: Window, units: u64) -> bool {
        self.grant(id, window, units)
    }
    fn mark_final(&self, id: u64, window: Window) {
        self.mark_final(id, window);
    }
    fn clear(&self, id: u64, window: Window) -> bool {
        self.clear(id, window) != crate::gate::quota::look::Reset::InDoubt
    }
}

/// One request to the engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    pub id: u64,
    pub window: Window,
    /// Orders the requests of this process.
    pub seq: u64,
    /// Units; 0: this is only to tell.
    pub wanted: u64,
    pub limit: u64,
    pub have: i64,
    pub allowed: u64,
    /// Nothing is unused on this node.
    pub empty: bool,
    pub urgent: bool,
    pub resets: u64,
}

/// What the engine says to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Granted(u64),
    /// Nothing is left, with anyone.
    Dry,
    /// Others may have unused units, and are called to give them back.
    Recalling,
    /// The engine has begun anew, and nodes are telling it what they have.
    Settling,
    /// It came after one that was sent later.
    Stale,
    /// The counter has been begun anew, for so many times now.
    Reset(u64),
    /// Nothing that matters.
    Noted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Account {
    window: Window,
    have: i64,
    resets: u64,
    size: u64,
    asked_ms: u64,
    under_way: bool,
    want: Option<Wanted>,
    /// Others need what this node does not use.
    recalled: bool,
    not_before_ms: u64,
    retry_ms: u64,
    hold_until_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    limit: u64,
    urgent: bool,
    until_ms: u64,
}

/// One for each process that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    accounts: BTreeMap<u64, Account>,
    /// Those with something to be done.
    open: BTreeSet<u64>,
    seq: u64,
}

impl Ledger {
    /// `wait_ms`: how long a call waits.
    pub fn need(&mut self, need: &Need, now_ms: u64, wait_ms: u64) {
        let Budget::Window(window) = need.budget else { return };
        let Some(account) = self.account(need.id, window, need.limit) else { return };
        let before = account.want.filter(|want| want.urgent).is_some();
        account.want = Some(Wanted {
            limit: need.limit,
            urgent: need.cause == Cause::Waits || before,
            until_ms: now_ms.saturating_add(wait_ms),
        });
        self.open.insert(need.id);
    }

    /// Another node needs what this one does not use.
    pub fn recall(&mut self, id: u64, window: Window) {
        if let Some(account) = self.accounts.get_mut(&id).filter(|account| account.window == window) {
            account.recalled = true;
            self.open.insert(id);
        }
    }

    /// The counter has been begun anew.
    pub fn reset(&mut self, id: u64, window: Window, resets: u64, node: &impl Node) -> bool {
        let Some(account) = self.account(id, window, 1) else { return true };
        let done = account.resets >= resets || node.clear(id, window);
        if done && account.resets < resets {
            (account.resets, account.have) = (resets, 0);
        }
        done
    }

    /// After the connection has been made anew: the engine is told what this node may give out.
    pub fn tell(&mut self, id: u64, window: Window, node: &impl Node) -> Option<Ask> {
        let allowed = node.allowance(id, window);
        let account = self.account(id, window, 1)?;
        account.under_way = false;
        let account = account.clone();
        (allowed > 0).then(|| self.ask(id, &account, 0, 0, allowed, false, false))
    }

    /// No answer will come to what is under way.
    pub fn abandon(&mut self) {
        for (id, account) in &mut self.accounts {
            if std::mem::take(&mut account.under_way) {
                self.open.insert(*id);
            }
        }
    }

    /// What is to be asked now.
    pub fn due(&mut self, now_ms: u64, node: &impl Node) -> Vec<Ask> {
        if self.accounts.len() > TIDY_AT {
            self.tidy(now_ms);
        }
        let mut asks = Vec::new();
        for id in std::mem::take(&mut self.open) {
            let Some(mut account) = self.accounts.get(&id).cloned() else { continue };
            if account.want.is_some_and(|want| want.until_ms <= now_ms) {
                account.want = None;
            }
            if !account.under_way && account.not_before_ms <= now_ms {
                self.one(id, &mut account, now_ms, node, &mut asks);
            }
            if account.recalled || (account.want.is_some() && !account.under_way) {
                self.open.insert(id);
            }
            self.accounts.insert(id, account);
        }
        asks
    }

    /// When there may be something to be done next.
    pub fn next_ms(&self, now_ms: u64) -> Option<u64> {
        let at = |account: &Account| match account.recalled && account.want.is_none() {
            true => account.not_before_ms.max(account.hold_until_ms),
            false => account.not_before_ms,
        };
        let accounts = self.open.iter().filter_map(|id| self.accounts.get(id)).filter(|account| !account.under_way);
        accounts.map(|account| at(account).max(now_ms + RETRY_MS)).min()
    }

    /// Takes an answer in. Whether it is of interest to calls that wait.
    pub fn answered(&mut self, ask: &Ask, answer: Answer, now_ms: u64, node: &impl Node) -> bool {
        let Some(account) = self.accounts.get_mut(&ask.id).filter(|account| account.window == ask.window) else { return false };
        let is_question = ask.wanted > 0;
        account.under_way &= !is_question;
        match answer {
            Answer::Granted(units) => {
                // What nobody can use any more is not had: the next request says so.
                if node.grant(ask.id, ask.window, units) {
                    account.have += units as i64;
                }
                account.hold_until_ms = now_ms + HOLD_MS;
                (account.want, account.retry_ms) = (None, RETRY_MS);
            }
            Answer::Dry => {
                node.mark_final(ask.id, ask.window);
                account.want = None;
            }
            Answer::Recalling => {
                account.not_before_ms = now_ms + account.retry_ms;
                account.retry_ms = (account.retry_ms * 2).min(RETRY_MOST_MS);
                self.open.insert(ask.id);
                return false;
            }
            Answer::Reset(resets) => {
                self.reset(ask.id, ask.window, resets, node);
                self.open.insert(ask.id);
            }
            Answer::Stale => _ = self.open.insert(ask.id),
            Answer::Settling | Answer::Noted if is_question => account.want = None,
            Answer::Settling | Answer::Noted => {}
        }
        is_question
    }

    fn one(&mut self, id: u64, account: &mut Account, now_ms: u64, node: &impl Node, asks: &mut Vec<Ask>) {
        let urgent = account.want.is_some_and(|want| want.urgent);
        let mut empty = urgent && node.is_empty(id, account.window);
        if account.recalled && account.hold_until_ms <= now_ms {
            let allowed = node.allowance(id, account.window);
            let Collected { units, all } = node.collect(id, account.window);
            if units > 0 {
                // First what it was, so that the engine knows of what this is less.
                asks.push(self.ask(id, account, 0, 0, allowed, false, false));
                account.have -= units as i64;
            }
            account.recalled = !all;
            empty = all;
            if account.want.is_none() {
                asks.push(self.ask(id, account, 0, 0, allowed.saturating_sub(units), empty, false));
            }
        }
        if let Some(want) = account.want {
            account.size = match now_ms.saturating_sub(account.asked_ms) {
                ..=SOON_MS => account.size.saturating_mul(2).min(LARGEST),
                LATE_MS.. => (account.size / 2).max(1),
                _ => account.size,
            };
            account.asked_ms = now_ms;
            account.under_way = true;
            let allowed = node.allowance(id, account.window);
            asks.push(self.ask(id, account, account.size, want.limit, allowed, empty, want.urgent));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a request")]
    fn ask(&mut self, id: u64, of: &Account, wanted: u64, limit: u64, allowed: u64, empty: bool, urgent: bool) -> Ask {
        self.seq += 1;
        let Account { window, have, resets, .. } = *of;
        Ask { id, window, seq: self.seq, wanted, limit, have, allowed, empty, urgent, resets }
    }

    /// `None`: a later window has begun.
    fn account(&mut self, id: u64, window: Window, limit: u64) -> Option<&mut Account> {
        let fresh = |size| Account {
            window,
            have: 0,
            resets: 0,
            size,
            asked_ms: 0,
            under_way: false,
            want: None,
            recalled: false,
            not_before_ms: 0,
            retry_ms: RETRY_MS,
            hold_until_ms: 0,
        };
        let account = self.accounts.entry(id).or_insert_with(|| fresh((limit / FIRST_PART).clamp(2, LARGEST)));
        if account.window.period != window.period || account.window.number < window.number {
            *account = Account { asked_ms: account.asked_ms, ..fresh(account.size) };
        }
        (account.window == window).then_some(account)
    }

    fn tidy(&mut self, now_ms: u64) {
        /// Days begin at different times in different zones.
        const ZONES_MS: u64 = 86_400_000;
        self.accounts.retain(|_, account| account.window.end_ms(0) + ZONES_MS > now_ms || account.under_way);
    }
}

//! Which turns this node asks of the engine, where a limit is so many a second: pure, with the time (the engine's) and the
//! node's counters handed in.
//!
//! What calls wait for is asked for in one request, and one is under way for a bucket at a time. Where calls come soon after
//! each other, some turns are asked for ahead of them; the engine gives these only out of plenty. What is unused goes back
//! within moments, turn by turn, and the engine says that there is nothing only when nobody has any.

#[cfg(test)]
mod model;

use std::collections::{BTreeMap, BTreeSet};

use crate::gate::quota::allowance::{Cause, Need};
use crate::gate::quota::turn::{MOST_TURNS, Turns, comes_ms, present};
use crate::gate::quota::{Budget, Quotas};

/// How long turns are left to this node's calls before they go back. Who asks again sooner is to have some ahead.
const HOLD_MS: u64 = 20;
/// The most turns that are asked for ahead.
const MOST_AHEAD: u64 = 1 << 14;
/// How soon the engine is asked again while others have turns that may come back, at first and later.
const RETRY_MS: u64 = 1;
const RETRY_MOST_MS: u64 = 8;
/// How long the engine's word that there is nothing is taken for this node's own: until the next token comes, within these bounds.
const REFUSED_LEAST_MS: u64 = 2;
const REFUSED_MOST_MS: u64 = 10;
/// Parts of turns that go back in one request.
const MOST_PARTS: usize = 16;
/// Accounts that are not used go when there are so many.
const TIDY_AT: usize = 4096;
const UNUSED_MS: u64 = 60_000;

/// The buckets of this node.
pub trait Node {
    fn left(&self, id: u64, limit: u64, now_ms: u64) -> u64;
    /// False: there are others, which have to be taken first.
    fn give(&self, id: u64, limit: u64, turns: Turns, now_ms: u64) -> bool;
    fn collect(&self, id: u64, limit: u64, now_ms: u64) -> Option<Turns>;
    fn refuse(&self, id: u64, limit: u64, until_ms: u64, now_ms: u64);
}

impl Node for Quotas {
    fn left(&self, id: u64, limit: u64, now_ms: u64) -> u64 {
        self.turns_left(id, limit, now_ms)
    }
    fn give(&self, id: u64, limit: u64, turns: Turns, now_ms: u64) -> bool {
        self.give_turns(id, limit, turns, now_ms)
    }
    fn collect(&self, id: u64, limit: u64, now_ms: u64) -> Option<Turns> {
        self.collect_turns(id, limit, now_ms)
    }
    fn refuse(&self, id: u64, limit: u64, until_ms: u64, now_ms: u64) {
        self.refuse_turns(id, limit, until_ms, now_ms);
    }
}

/// One request to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub id: u64,
    /// Orders the requests of this process.
    pub seq: u64,
    pub limit: u64,
    pub queue: u64,
    /// For calls that wait.
    pub calls: u64,
    /// For those to come.
    pub ahead: u64,
    /// This node still has some.
    pub holds: bool,
    /// Calls that had their turns, and have left.
    pub left: u64,
    /// Unused: they are the engine's again.
    pub back: Vec<Turns>,
    /// The last turn that this process was given, for an engine that may have forgotten.
    pub last: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Granted(Vec<Turns>),
    /// And nobody has any more.
    Last(Vec<Turns>),
    /// Nobody has any.
    Dry,
    /// Others have some that may come back.
    Recalling,
    /// The engine has begun anew, and nodes are telling it what they have.
    Settling,
    /// Nothing that matters.
    Noted,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Account {
    limit: u64,
    queue: u64,
    /// Calls that wait, as far as they have said so since the last answer.
    calls: u64,
    calls_until_ms: u64,
    /// Some are wanted for those to come; so many at a time.
    wants_ahead: bool,
    size: u64,
    /// The next time more of them, if there is enough for all who wait now: they have come soon after each other.
    grows: bool,
    asked_ms: u64,
    under_way: bool,
    /// Turns that do not follow those which the calls have now.
    stock: Vec<Turns>,
    left: u64,
    last: u64,
    /// The engine takes this node for one that has some, until it is told otherwise.
    is_marked: bool,
    /// Until when nobody has any, as the engine has said.
    dry_until_ms: u64,
    hold_until_ms: u64,
    not_before_ms: u64,
    retry_ms: u64,
}

/// One for each process that counts.
#[derive(Clone, Debug, Default)]
pub struct Waiters {
    accounts: BTreeMap<u64, Account>,
    /// Those with something to be done.
    open: BTreeSet<u64>,
    seq: u64,
}

impl Waiters {
    /// `wait_ms`: how long a call waits.
    pub fn need(&mut self, need: &Need, now_ms: u64, wait_ms: u64) {
        let Budget::Bucket { queue } = need.budget else { return };
        let account = self.accounts.entry(need.id).or_default();
        if account.limit != need.limit {
            // Turns of another limit are of no use.
            *account =
                Account { limit: need.limit, is_marked: account.is_marked, under_way: account.under_way, ..Account::default() };
        }
        account.queue = queue;
        match need.cause {
            Cause::Waits => {
                account.calls += 1;
                account.calls_until_ms = now_ms.saturating_add(wait_ms);
            }
            Cause::Ahead => account.wants_ahead = true,
            Cause::Left => account.left += 1,
            Cause::Back(turn) => {
                account.stock.push(Turns { first: turn, n: 1 });
                account.is_marked = true;
            }
        }
        self.open.insert(need.id);
    }

    /// After the connection has been made anew: the engine is told which turns have been given out.
    pub fn tell(&mut self) -> Vec<Ask> {
        let known: Vec<(u64, Account)> = self.accounts.iter().map(|(&id, account)| (id, account.clone())).collect();
        known.into_iter().filter(|(_, account)| account.last > 0).map(|(id, account)| self.ask(id, &account)).collect()
    }

    /// No answer will come to what is under way.
    pub fn abandon(&mut self) {
        for (id, account) in &mut self.accounts {
            if std::mem::take(&mut account.under_way) {
                self.open.insert(*id);
            }
        }
    }

    /// The process ends: what is unused goes back at once.
    pub fn release(&mut self) {
        for (id, account) in &mut self.accounts {
            (account.hold_until_ms, account.calls) = (0, 0);
            self.open.insert(*id);
        }
    }

    /// What is to be asked now; and whether calls that wait have something to look at.
    pub fn due(&mut self, now_ms: u64, node: &impl Node) -> (Vec<Ask>, bool) {
        if self.accounts.len() > TIDY_AT {
            let is_used = |account: &Account| account.under_way || account.asked_ms + UNUSED_MS > now_ms;
            self.accounts.retain(|id, account| is_used(account) || self.open.contains(id));
        }
        let (mut asks, mut news) = (Vec::new(), false);
        for id in std::mem::take(&mut self.open) {
            let Some(mut account) = self.accounts.remove(&id) else { continue };
            if account.calls_until_ms <= now_ms {
                account.calls = 0;
            }
            news |= account.stocked(id, now_ms, node);
            if account.calls > 0 && (node.left(id, account.limit, now_ms) > 0 || now_ms < account.dry_until_ms) {
                node.refuse(id, account.limit, account.dry_until_ms, now_ms);
                (account.calls, news) = (0, true);
            }
            if !account.under_way && account.not_before_ms <= now_ms {
                asks.extend(self.one(id, &mut account, now_ms, node));
            }
            let waits = account.calls > 0 || account.is_marked || account.left > 0 || !account.stock.is_empty();
            if waits && !account.under_way {
                self.open.insert(id);
            }
            self.accounts.insert(id, account);
        }
        (asks, news)
    }

    /// When there may be something to be done next.
    pub fn next_ms(&self, now_ms: u64) -> Option<u64> {
        let at = |account: &Account| match account.calls > 0 || account.left > 0 {
            true => account.not_before_ms,
            false => account.not_before_ms.max(account.hold_until_ms),
        };
        let accounts = self.open.iter().filter_map(|id| self.accounts.get(id)).filter(|account| !account.under_way);
        accounts.map(|account| at(account).max(now_ms + RETRY_MS)).min()
    }

    /// Takes an answer in. Whether it is of interest to calls that wait.
    pub fn answered(&mut self, ask: &Ask, answer: Answer, now_ms: u64, node: &impl Node) -> bool {
        let Some(account) = self.accounts.get_mut(&ask.id) else { return false };
        account.under_way = false;
        self.open.insert(ask.id);
        if account.limit != ask.limit {
            // The engine hears of the new limit next, and what was given of the old one is void.
            account.is_marked = true;
            return true;
        }
        match answer {
            Answer::Granted(_) if account.grows => account.size = (account.size * 2).clamp(1, MOST_AHEAD),
            Answer::Last(_) | Answer::Dry => account.size = 0,
            _ => {}
        }
        if matches!(answer, Answer::Last(_) | Answer::Dry) {
            let next_ms = comes_ms(present(now_ms, ask.limit) + 1, ask.limit);
            account.dry_until_ms = next_ms.clamp(now_ms + REFUSED_LEAST_MS, now_ms + REFUSED_MOST_MS);
        }
        match answer {
            Answer::Granted(turns) | Answer::Last(turns) => {
                account.last = turns.iter().map(|turns| turns.first + turns.n - 1).fold(account.last, u64::max);
                account.stock.extend(turns);
                account.stock.sort_unstable_by_key(|turns| turns.first);
                account.is_marked = true;
                account.hold_until_ms = now_ms + HOLD_MS;
                account.retry_ms = RETRY_MS;
                // Whoever gets none of these says so again.
                account.calls = 0;
                account.stocked(ask.id, now_ms, node);
            }
            Answer::Dry => {
                node.refuse(ask.id, ask.limit, account.dry_until_ms, now_ms);
                account.calls = 0;
            }
            Answer::Recalling => {
                account.not_before_ms = now_ms + account.retry_ms.max(RETRY_MS);
                account.retry_ms = (account.retry_ms * 2).clamp(RETRY_MS, RETRY_MOST_MS);
                return false;
            }
            // Who has asked for nothing has been told nothing: calls that have come since are asked for next.
            Answer::Settling | Answer::Noted if ask.calls == 0 => return false,
            Answer::Settling | Answer::Noted => account.calls = 0,
        }
        true
    }

    fn one(&mut self, id: u64, account: &mut Account, now_ms: u64, node: &impl Node) -> Option<Ask> {
        let (limit, mut back) = (account.limit, Vec::new());
        if account.hold_until_ms <= now_ms && account.calls == 0 {
            account.stock.extend(node.collect(id, limit, now_ms));
            back = account.stock.split_off(account.stock.len().saturating_sub(MOST_PARTS));
            if !back.is_empty() {
                account.size /= 2;
            }
        }
        let holds = !account.stock.is_empty() || node.left(id, limit, now_ms) > 0;
        let wants_ahead = std::mem::take(&mut account.wants_ahead) && back.is_empty();
        let calls = account.calls;
        account.grows = calls > 0 && now_ms.saturating_sub(account.asked_ms) <= HOLD_MS;
        let few = account.stock.is_empty() && node.left(id, limit, now_ms) <= account.size / 2;
        let ahead = if calls > 0 || (wants_ahead && few) { account.size } else { 0 };
        let tells = !back.is_empty() || account.left > 0 || (account.is_marked && !holds);
        if calls == 0 && ahead == 0 && !tells {
            return None;
        }
        if calls > 0 || ahead > 0 {
            account.asked_ms = now_ms;
        }
        account.under_way = true;
        account.is_marked = holds;
        let left = std::mem::take(&mut account.left);
        let ask = self.ask(id, account);
        Some(Ask { calls: calls.min(MOST_TURNS), ahead, holds, left, back, last: 0, ..ask })
    }

    fn ask(&mut self, id: u64, of: &Account) -> Ask {
        self.seq += 1;
        let Account { limit, queue, last, .. } = *of;
        let (calls, ahead, left, back) = (0, 0, 0, Vec::new());
        Ask { id, seq: self.seq, limit, queue, calls, ahead, holds: of.is_marked, left, back, last }
    }
}

impl Account {
    /// Lets calls have what is in stock, as far as it can be told from what they have. Whether it did.
    fn stocked(&mut self, id: u64, now_ms: u64, node: &impl Node) -> bool {
        let before = self.stock.len();
        while let Some(&turns) = self.stock.first()
            && node.give(id, self.limit, turns, now_ms)
        {
            self.stock.remove(0);
        }
        self.stock.len() < before
    }
}

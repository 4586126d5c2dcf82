//! The lease of nodes, checked: every order of what workers, engine threads and the engine do, at small sizes.
//!
//! Workers run the code of [`crate::gate::quota::lease`], threads that of [`Ledger`] and
//! [`crate::gate::quota::allowance`], each step whole; what interleaves within a node is checked by
//! `gate/quota/model.rs`. The engine is a copy of `lease.lua`. Messages may be late, answers may be lost, and the engine may
//! forget. Time stands still: whatever waits for it has waited long enough.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Account, Answer, Ask, Ledger, Node};
use crate::gate::quota::allowance::{self, Collected, View};
use crate::gate::quota::lease::Lessee;
use crate::gate::quota::map::Map;
use crate::gate::quota::memory::Memory;
use crate::gate::quota::table::{Find, find};
use crate::gate::quota::window::{Period, Window};
use crate::gate::quota::{Budget, Take, Want};

const ID: u64 = 1000;
const WINDOW: Window = Window { period: Period::Day, number: 20_000 };
/// States that a search looks at: all of those without losses. `LOCKGATE_LEASE_STATES=200000` looks at all of the others.
const MOST_STATES: usize = 15_000;
/// Beyond every limit here.
const LARGE: u64 = 16;
const NOW_MS: u64 = 20_000 * 86_400_000 + 5;

/// What a broken protocol would do: the search must find each of these.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// The engine says that nothing is left without asking who may have unused units.
    DryTooSoon,
    /// Requests have no numbers: one that comes late is taken for a new one.
    NoNumbers,
    /// After it has forgotten, the engine is told nothing.
    NothingTold,
}

/// The counters of one node.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Counters {
    map: Map,
    words: RefCell2,
}

/// A cell that can be compared and hashed.
#[derive(Clone, PartialEq, Eq)]
struct RefCell2(RefCell<Vec<u64>>);

impl Hash for RefCell2 {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.borrow().hash(hasher);
    }
}

impl Memory for Counters {
    fn load(&self, at: usize) -> u64 {
        self.words.0.borrow()[at]
    }
    fn exchange(&self, at: usize, current: u64, new: u64) -> Result<(), u64> {
        let word = &mut self.words.0.borrow_mut()[at];
        if *word != current {
            return Err(*word);
        }
        *word = new;
        Ok(())
    }
    fn store(&self, at: usize, new: u64) {
        self.words.0.borrow_mut()[at] = new;
    }
}

impl Counters {
    fn pool(&self) -> usize {
        match find(self, &self.map, 0, &want(0), NOW_MS) {
            Find::At(at) => at,
            other => panic!("{other:?}"),
        }
    }
}

impl Node for Counters {
    fn allowance(&self, _: u64, window: Window) -> u64 {
        allowance::read(self, self.pool(), window).granted
    }
    fn is_empty(&self, id: u64, window: Window) -> bool {
        allowance::is_empty(self, &self.map, id, self.pool(), window)
    }
    fn collect(&self, id: u64, window: Window) -> Collected {
        allowance::collect(self, &self.map, id, self.pool(), window)
    }
    fn grant(&self, _: u64, window: Window, units: u64) -> bool {
        allowance::grant(self, self.pool(), window, units)
    }
    fn mark_final(&self, _: u64, window: Window) {
        allowance::mark_final(self, self.pool(), window);
    }
    fn clear(&self, _: u64, _: Window) -> bool {
        unreachable!("no counter is begun anew here")
    }
}

fn want(limit: u64) -> Want<'static> {
    Want { id: ID, budget: Budget::Window(WINDOW), limit, ..Want::default() }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Member {
    counters: Counters,
    /// Calls that each worker has still to make; and whether the first waits for news.
    calls: Vec<(usize, bool)>,
    ledger: Ledger,
    /// On their way to the engine; from connections that are gone; and back.
    asks: VecDeque<Ask>,
    late: Vec<Ask>,
    answers: VecDeque<(Ask, Answer)>,
    recalled: bool,
}

/// As `lease.lua` has it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Engine {
    given: u64,
    of_node: BTreeMap<usize, u64>,
    mine: BTreeMap<usize, i64>,
    holds: BTreeMap<usize, bool>,
    seen: BTreeMap<usize, u64>,
}

impl Engine {
    fn hear(&mut self, n: usize, ask: &Ask, nodes: usize, flaw: Flaw) -> Answer {
        if ask.seq <= self.seen.get(&n).copied().unwrap_or(0) && flaw != Flaw::NoNumbers {
            return Answer::Stale;
        }
        self.seen.insert(n, ask.seq);
        let mine = self.mine.get(&n).copied().unwrap_or(ask.have);
        let mut of_node = self.of_node.get(&n).copied().unwrap_or(0);
        let fewer = u64::try_from(mine - ask.have).unwrap_or(0);
        (self.given, of_node) = (self.given.saturating_sub(fewer), of_node.saturating_sub(fewer));
        if ask.allowed > of_node {
            (self.given, of_node) = (self.given + ask.allowed - of_node, ask.allowed);
        }
        let (mut units, mut answer) = (0, Answer::Noted);
        if ask.wanted > 0 {
            let left = ask.limit.saturating_sub(self.given);
            let others = self.holds.iter().any(|(&other, &holds)| other != n && holds) && flaw != Flaw::DryTooSoon;
            if left > 0 {
                units = ask.wanted.min((left / (2 * nodes as u64)).max(1));
                answer = Answer::Granted(units);
            } else if ask.urgent {
                answer = if others || !ask.empty { Answer::Recalling } else { Answer::Dry };
            }
        }
        self.given += units;
        self.of_node.insert(n, of_node + units);
        self.mine.insert(n, ask.have + units as i64);
        self.holds.insert(n, units > 0 || !ask.empty);
        answer
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    members: Vec<Member>,
    engine: Engine,
    passed: u64,
    refused: bool,
    /// How often answers may still be lost, and the engine forget.
    losses: usize,
    forgets: usize,
    lost: bool,
}

#[derive(Clone, Copy)]
enum Step {
    Call(usize, usize),
    /// The thread looks what is due.
    Send(usize),
    Hear(usize),
    HearLate(usize),
    Answer(usize),
    Lose(usize),
    Forget,
}

struct Model {
    limit: u64,
    flaw: Flaw,
}

impl Model {
    /// `calls`: of each worker of each node.
    fn start(&self, calls: &[&[usize]], losses: usize, forgets: usize) -> State {
        let member = |calls: &&[usize]| {
            let map = Map { processes: 1, workers: calls.len(), leases: 1, buckets: 1 };
            let counters = Counters { map, words: RefCell2(RefCell::new(vec![0; map.words()])) };
            (0..calls.len()).for_each(|n| _ = Lessee::sit(&counters, map, 0, n));
            Member {
                counters,
                calls: calls.iter().map(|&n| (n, false)).collect(),
                ledger: Ledger::default(),
                asks: VecDeque::new(),
                late: Vec::new(),
                answers: VecDeque::new(),
                recalled: false,
            }
        };
        let members = calls.iter().map(member).collect();
        State { members, engine: Engine::default(), passed: 0, refused: false, losses, forgets, lost: false }
    }

    fn steps(state: &State) -> Vec<Step> {
        let mut steps = Vec::new();
        for (n, member) in state.members.iter().enumerate() {
            let calls = member.calls.iter().enumerate().filter(|(_, (left, waits))| *left > 0 && !waits);
            steps.extend(calls.map(|(worker, _)| Step::Call(n, worker)));
            let can = |step: Step, can: bool| can.then_some(step);
            let under_way = !member.asks.is_empty() || !member.answers.is_empty();
            let sends = !under_way && (member.recalled || !member.ledger.open.is_empty());
            steps.extend(can(Step::Send(n), sends));
            steps.extend(can(Step::Hear(n), !member.asks.is_empty()));
            steps.extend(can(Step::HearLate(n), !member.late.is_empty()));
            steps.extend(can(Step::Answer(n), !member.answers.is_empty()));
            steps.extend(can(Step::Lose(n), under_way && state.losses > 0));
        }
        steps.extend((state.forgets > 0).then_some(Step::Forget));
        steps
    }

    fn take(&self, state: &mut State, step: Step) {
        let nodes = state.members.len();
        match step {
            Step::Call(n, worker) => {
                let member = &mut state.members[n];
                // Without a memory of its pace, so that it takes unit by unit: how often it has looked makes no difference.
                let mut lessee = Lessee::sit(&member.counters, member.counters.map, 0, worker);
                lessee.view = Some(View { lost: false, nodes: nodes as u64 });
                let taken = lessee.take_all(&member.counters, &mut [want(self.limit)], NOW_MS);
                for need in lessee.needs.drain(..) {
                    member.ledger.need(&need, 0, u64::MAX);
                }
                match taken {
                    Ok(()) => (state.passed, member.calls[worker].0) = (state.passed + 1, member.calls[worker].0 - 1),
                    Err((_, Take::Dry)) => (state.refused, member.calls[worker].0) = (true, member.calls[worker].0 - 1),
                    Err((_, Take::Awaited)) => member.calls[worker].1 = true,
                    Err((_, other)) => panic!("{other:?}"),
                }
            }
            Step::Send(n) => {
                let member = &mut state.members[n];
                if std::mem::take(&mut member.recalled) {
                    member.ledger.recall(ID, WINDOW);
                }
                member.asks = member.ledger.due(u64::MAX / 2, &member.counters).into();
            }
            Step::Hear(n) => {
                let Some(ask) = state.members[n].asks.pop_front() else { return };
                let answer = state.engine.hear(n, &ask, nodes, self.flaw);
                if self.flaw != Flaw::NoNumbers {
                    // Whatever is later than this comes to nothing.
                    state.members[n].late.retain(|late| late.seq > ask.seq);
                }
                state.members[n].answers.push_back((ask, answer));
                if answer == Answer::Recalling {
                    let others = state.members.iter_mut().enumerate().filter(|(other, _)| *other != n);
                    others.for_each(|(_, member)| member.recalled = true);
                }
            }
            Step::HearLate(n) => {
                let ask = state.members[n].late.remove(0);
                state.engine.hear(n, &ask, nodes, self.flaw);
            }
            Step::Answer(n) => {
                let member = &mut state.members[n];
                let Some((ask, answer)) = member.answers.pop_front() else { return };
                if member.ledger.answered(&ask, answer, 0, &member.counters) {
                    member.calls.iter_mut().for_each(|(_, waits)| *waits = false);
                }
            }
            Step::Lose(n) => {
                (state.losses, state.lost) = (state.losses - 1, true);
                let member = &mut state.members[n];
                member.late.extend(member.asks.drain(..));
                member.answers.clear();
                self.rejoin(state, n);
            }
            Step::Forget => {
                (state.forgets, state.lost) = (state.forgets - 1, true);
                state.engine = Engine::default();
                for n in 0..nodes {
                    let member = &mut state.members[n];
                    (member.asks, member.late, member.answers) = Default::default();
                    self.rejoin(state, n);
                }
            }
        }
    }

    /// The connection is made anew.
    fn rejoin(&self, state: &mut State, n: usize) {
        let nodes = state.members.len();
        let member = &mut state.members[n];
        member.ledger.abandon();
        if let Some(ask) = member.ledger.tell(ID, WINDOW, &member.counters)
            && self.flaw != Flaw::NothingTold
        {
            state.engine.hear(n, &ask, nodes, self.flaw);
        }
        // What calls wait for is asked again: they wait no longer than their patience, and look.
        state.members[n].calls.iter_mut().for_each(|(_, waits)| *waits = false);
    }

    /// The states that can be reached; how many there are, or the first fault.
    fn search(&self, start: State) -> Result<usize, String> {
        let most = std::env::var("LOCKGATE_LEASE_STATES").map_or(MOST_STATES, |n| n.parse().unwrap());
        let (mut seen, mut open) = (HashSet::new(), vec![start]);
        while let Some(state) = open.pop().filter(|_| seen.len() < most || self.flaw != Flaw::None) {
            if state.passed > self.limit {
                return Err(format!("{} of {} passed", state.passed, self.limit));
            }
            let steps = Self::steps(&state);
            let done = state.members.iter().all(|member| member.calls.iter().all(|(left, _)| *left == 0));
            if done && state.refused && state.passed < self.limit && !state.lost {
                return Err(format!("a call was refused, and only {} of {} passed", state.passed, self.limit));
            }
            if steps.is_empty() && !done {
                return Err("calls wait, and nothing comes".to_owned());
            }
            for step in steps {
                let mut next = state.clone();
                self.take(&mut next, step);
                if seen.insert(print(&next)) {
                    open.push(next);
                }
            }
        }
        Ok(seen.len())
    }
}

/// Of 128 bits. Numbers of requests count only against each other, and a lease that is larger than the limit is as good as any.
fn print(state: &State) -> u128 {
    let mut state = state.clone();
    for (n, member) in state.members.iter_mut().enumerate() {
        let now = member.ledger.seq;
        let asks = member.asks.iter_mut().chain(&mut member.late).chain(member.answers.iter_mut().map(|(ask, _)| ask));
        asks.for_each(|ask| (ask.seq, ask.wanted) = (now - ask.seq, ask.wanted.min(LARGE)));
        state.engine.seen.entry(n).and_modify(|seen| *seen = now - *seen);
        for account in member.ledger.accounts.values_mut() {
            // Whatever was waited for has been.
            let size = account.size.min(LARGE);
            *account = Account { size, asked_ms: 0, not_before_ms: 0, retry_ms: 0, hold_until_ms: 0, ..account.clone() };
        }
        member.ledger.seq = 0;
    }
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        (salt, &state).hash(&mut hasher);
        hasher.finish()
    };
    u128::from(half(1)) << 64 | u128::from(half(2))
}

fn found(limit: u64, flaw: Flaw, calls: &[&[usize]], losses: usize, forgets: usize) -> Result<usize, String> {
    let model = Model { limit, flaw };
    model.search(model.start(calls, losses, forgets))
}

fn is_exact(limit: u64, calls: &[&[usize]], losses: usize, forgets: usize, least: usize) {
    let states = found(limit, Flaw::None, calls, losses, forgets).unwrap();
    assert!(states > least, "{states} states");
}

#[test]
fn of_two_nodes_exactly_the_limit_passes_in_any_order() {
    is_exact(1, &[&[1], &[1]], 0, 0, 5000);
    is_exact(2, &[&[1], &[2]], 0, 0, 5000);
}

#[test]
fn of_nodes_and_workers_exactly_the_limit_passes_in_any_order() {
    is_exact(2, &[&[1, 1], &[1]], 0, 0, 5000);
}

#[test]
fn answers_that_are_lost_never_add_to_it() {
    is_exact(1, &[&[1], &[1]], 1, 0, 5000);
}

#[test]
fn an_engine_that_forgets_never_adds_to_it() {
    is_exact(1, &[&[1], &[1]], 0, 1, 5000);
}

/// The search itself: what is broken on purpose is found.
#[test]
fn a_broken_protocol_is_found() {
    let early = found(3, Flaw::DryTooSoon, &[&[2], &[2]], 0, 0).unwrap_err();
    assert!(early.contains("was refused, and only"), "{early}");
    let doubled = found(3, Flaw::NoNumbers, &[&[3], &[3]], 1, 0).unwrap_err();
    assert!(doubled.contains("4 of 3"), "{doubled}");
    let forgotten = found(2, Flaw::NothingTold, &[&[2], &[2]], 0, 1).unwrap_err();
    assert!(forgotten.contains("3 of 2"), "{forgotten}");
}

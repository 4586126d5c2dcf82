//! How nodes share so many a second, checked by seeded simulation: nodes with their workers' code, late and lost messages, clocks that
//! are a little apart, and an engine that forgets. The engine is a copy of `turns.lua`.
//!
//! Two things must hold. A turn is given to one call, whatever is lost. And where nothing is lost, a call is refused only when no turn
//! that it might have had is unused at any node.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Answer, Ask, Node, Waiters};
use crate::gate::quota::allowance::View;
use crate::gate::quota::lease::Lessee;
use crate::gate::quota::map::Map;
use crate::gate::quota::memory::Words;
use crate::gate::quota::table::{Find, find};
use crate::gate::quota::turn::{self, Turns, present};
use crate::gate::quota::{Budget, Take, Want};

const ID: u64 = 1000;
const START_MS: u64 = 1_800_000_000_000;
const SETTLE_MS: u64 = 1000;
const MARKED_MS: u64 = 300;
/// Of a run.
const LENGTH_MS: u64 = 4000;
/// Without further calls: the longest queue is of three seconds.
const TAIL_MS: u64 = 6000;

/// What a broken protocol would do: the simulation must find each of these.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// The engine says that there is nothing without a look at who may have unused turns.
    NoMarks,
    /// Requests have no numbers: one that comes late is taken for a new one.
    NoNumbers,
    /// After it has forgotten, the engine is told nothing.
    NothingTold,
}

struct Counters {
    map: Map,
    words: Words,
}

impl Counters {
    fn pool(&self) -> usize {
        let want = Want { id: ID, budget: Budget::Bucket { queue: 0 }, ..Want::default() };
        match find(&*self.words, &self.map, 0, &want, START_MS) {
            Find::At(at) => at,
            other => panic!("{other:?}"),
        }
    }
}

impl Node for Counters {
    fn left(&self, _: u64, limit: u64, now_ms: u64) -> u64 {
        turn::left(&*self.words, self.pool(), limit, now_ms)
    }
    fn give(&self, _: u64, limit: u64, turns: Turns, now_ms: u64) -> bool {
        turn::give(&*self.words, self.pool(), limit, turns, now_ms)
    }
    fn collect(&self, _: u64, limit: u64, now_ms: u64) -> Option<Turns> {
        turn::collect(&*self.words, self.pool(), limit, now_ms)
    }
    fn refuse(&self, _: u64, limit: u64, until_ms: u64, now_ms: u64) {
        turn::refuse(&*self.words, self.pool(), limit, until_ms, now_ms);
    }
}

struct Member {
    counters: Counters,
    lessee: Lessee,
    waiters: Waiters,
    /// Calls that are to look (again), and that wait for news.
    awake: u64,
    waiting: u64,
    asks: VecDeque<(u64, Ask)>,
    answers: VecDeque<(u64, Ask, Answer)>,
    /// How far its idea of the engine's clock is ahead of that, and 2 ms.
    ahead_ms: u64,
}

/// As `turns.lua` has it.
#[derive(Default)]
struct Engine {
    given: Option<u64>,
    parts: Vec<Turns>,
    marks: BTreeMap<usize, u64>,
    seen: BTreeMap<usize, u64>,
    settles_until_ms: u64,
}

impl Engine {
    fn hear(&mut self, n: usize, ask: &Ask, now_ms: u64, nodes: u64, flaw: Flaw) -> Answer {
        let (limit, present) = (ask.limit, present(now_ms, ask.limit));
        if ask.seq <= self.seen.get(&n).copied().unwrap_or(0) && flaw != Flaw::NoNumbers {
            return Answer::Noted;
        }
        self.seen.insert(n, ask.seq);
        self.parts.extend(&ask.back);
        self.parts.sort_unstable_by_key(|part| part.first);
        let last_part = self.parts.last().map_or(0, |part| part.first + part.n - 1);
        let given = self.given.unwrap_or(present - limit);
        let mut given = (given - ask.left).max(last_part).max(present - limit).max(ask.last);
        while let Some(part) = self.parts.pop_if(|part| part.first + part.n - 1 == given) {
            given = part.first - 1;
        }
        self.given = Some(given);
        let mut granted = Vec::new();
        let mut answer = Answer::Noted;
        if now_ms < self.settles_until_ms {
            answer = Answer::Settling;
        } else if ask.calls + ask.ahead > 0 {
            self.take(ask.calls, present + ask.queue, present - limit, &mut granted);
            let old =
                |part: &Turns| (part.first + part.n - 1).min(present).saturating_sub(part.first.max(present - limit + 1) - 1);
            let plenty = present.saturating_sub(self.given.unwrap()) + self.parts.iter().map(old).sum::<u64>();
            self.take(ask.ahead.min(plenty / (2 * nodes)), present, present - limit, &mut granted);
            let others =
                || self.marks.iter().any(|(&other, &at_ms)| other != n && now_ms - at_ms < MARKED_MS && flaw != Flaw::NoMarks);
            if !granted.is_empty() {
                let few = granted.iter().map(|turns| turns.n).sum::<u64>() < ask.calls && !others();
                answer = if few { Answer::Last(granted.clone()) } else { Answer::Granted(granted.clone()) };
            } else if ask.calls > 0 {
                answer = if others() { Answer::Recalling } else { Answer::Dry };
            }
        }
        match !granted.is_empty() || ask.holds {
            true => _ = self.marks.insert(n, now_ms),
            false => _ = self.marks.remove(&n),
        }
        answer
    }

    fn take(&mut self, mut n: u64, most: u64, too_old: u64, granted: &mut Vec<Turns>) {
        let mut rest = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            let (first, past) = (part.first.max(too_old + 1), part.first + part.n);
            let units = past.saturating_sub(first).min(n).min((most + 1).saturating_sub(first));
            if units > 0 {
                granted.push(Turns { first, n: units });
                n -= units;
            }
            if past > first + units {
                rest.push(Turns { first: first + units, n: past - first - units });
            }
        }
        self.parts = rest;
        let given = self.given.unwrap();
        let units = n.min(most.saturating_sub(given));
        if units > 0 {
            granted.push(Turns { first: given + 1, n: units });
            self.given = Some(given + units);
        }
    }
}

struct Run {
    limit: u64,
    queue: u64,
    flaw: Flaw,
    /// One of so many messages is lost; none is.
    loses: Option<u64>,
    forgets: bool,
    random: u64,
    engine: Engine,
    members: Vec<Member>,
    used: BTreeSet<u64>,
    refused: u64,
}

impl Run {
    fn new(seed: u64, flaw: Flaw, loses: Option<u64>, forgets: bool) -> Self {
        let mut run = Self {
            limit: 0,
            queue: 0,
            flaw,
            loses,
            forgets,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            engine: Engine::default(),
            members: Vec::new(),
            used: BTreeSet::new(),
            refused: 0,
        };
        run.limit = [3, 20, 100][run.below(3) as usize];
        run.queue = if forgets { 3 * run.limit } else { [0, 2, 30][run.below(3) as usize] };
        for _ in 0..2 + run.below(3) {
            let map = Map { processes: 1, workers: 1, leases: 1, buckets: 1 };
            let counters = Counters { map, words: Words::own(map.words()) };
            let lessee = Lessee::sit(&*counters.words, map, 0, 0);
            let (asks, answers, ahead_ms) = (VecDeque::new(), VecDeque::new(), run.below(5));
            let (awake, waiting, waiters) = (0, 0, Waiters::default());
            run.members.push(Member { counters, lessee, waiters, awake, waiting, asks, answers, ahead_ms });
        }
        run
    }

    fn below(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % n
    }

    /// To the end; the first fault.
    fn run(mut self) -> Result<Self, String> {
        let (mut storm, most_late_ms) = (0, 1 + self.below(30));
        for now_ms in START_MS..START_MS + LENGTH_MS + TAIL_MS {
            if now_ms % 250 == 0 {
                storm = self.below(3);
            }
            if self.forgets && now_ms == START_MS + LENGTH_MS / 2 {
                self.forget(now_ms);
            }
            for n in 0..self.members.len() {
                if now_ms < START_MS + LENGTH_MS && self.below(40) < [1, 4, 30][storm as usize] {
                    self.members[n].awake += 1 + self.below(1 + self.limit / 20);
                }
                self.calls(n, now_ms)?;
                self.thread(n, now_ms, most_late_ms);
                self.arrivals(n, now_ms, most_late_ms)?;
            }
        }
        let waiting: u64 = self.members.iter().map(|member| member.waiting).sum();
        if waiting > 0 && self.loses.is_none() {
            return Err(format!("{waiting} calls wait, and nothing comes"));
        }
        Ok(self)
    }

    fn calls(&mut self, n: usize, now_ms: u64) -> Result<(), String> {
        let (nodes, limit, queue) = (self.members.len() as u64, self.limit, self.queue);
        let member = &mut self.members[n];
        for _ in 0..std::mem::take(&mut member.awake) {
            let budget = Budget::Bucket { queue };
            let want = &mut [Want { id: ID, budget, limit, ..Want::default() }];
            member.lessee.view = Some(View { lost: false, nodes });
            let node_ms = now_ms + member.ahead_ms - 2;
            let taken = member.lessee.take_all(&*member.counters.words, want, node_ms);
            member.lessee.needs.drain(..).for_each(|need| member.waiters.need(&need, node_ms, 10_000));
            match taken {
                Ok(()) => {
                    let turn = want[0].turn.ok_or("a token of the node's own")?;
                    if !self.used.insert(turn) {
                        return Err(format!("turn {turn} was given to two calls"));
                    }
                    let present = present(now_ms, limit);
                    if !(present - 2 * limit..=present + queue + 1).contains(&turn) {
                        return Err(format!("turn {turn} was given at {present}"));
                    }
                }
                Err((_, Take::Dry)) => self.refused += 1,
                Err((_, Take::Awaited)) => member.waiting += 1,
                Err((_, other)) => return Err(format!("{other:?}")),
            }
        }
        Ok(())
    }

    /// The node's thread looks what is due; one round trip at a time.
    fn thread(&mut self, n: usize, now_ms: u64, most_late_ms: u64) {
        let late_ms = now_ms + self.below(most_late_ms);
        let member = &mut self.members[n];
        if !member.asks.is_empty() || !member.answers.is_empty() {
            return;
        }
        let (asks, news) = member.waiters.due(now_ms + member.ahead_ms - 2, &member.counters);
        member.asks = asks.into_iter().map(|ask| (late_ms, ask)).collect();
        if news {
            member.awake += std::mem::take(&mut member.waiting);
        }
    }

    /// Messages that come now.
    fn arrivals(&mut self, n: usize, now_ms: u64, most_late_ms: u64) -> Result<(), String> {
        if let Some((_, ask)) = self.members[n].asks.pop_front_if(|(at_ms, _)| *at_ms <= now_ms) {
            let answer = self.engine.hear(n, &ask, now_ms, self.members.len() as u64, self.flaw);
            if matches!(answer, Answer::Dry | Answer::Last(_)) && self.loses.is_none() && !self.forgets {
                self.nothing_is_unused(&answer, now_ms)?;
            }
            if let Some(of) = self.loses
                && self.below(of) == 0
            {
                // The request comes a second time, and its answer never does.
                self.engine.hear(n, &ask, now_ms, self.members.len() as u64, self.flaw);
                self.rejoin(n, now_ms);
            } else {
                let late_ms = now_ms + self.below(most_late_ms);
                self.members[n].answers.push_back((late_ms, ask, answer));
            }
        }
        if let Some((_, ask, answer)) = self.members[n].answers.pop_front_if(|(at_ms, ..)| *at_ms <= now_ms) {
            let member = &mut self.members[n];
            if member.waiters.answered(&ask, answer, now_ms + member.ahead_ms - 2, &member.counters) {
                member.awake += std::mem::take(&mut member.waiting);
            }
        }
        Ok(())
    }

    /// Whoever is refused now might have had any turn up to the end of the queue.
    fn nothing_is_unused(&self, answer: &Answer, now_ms: u64) -> Result<(), String> {
        let just_given = |turn: u64| match answer {
            Answer::Last(turns) => turns.iter().any(|turns| (turns.first..turns.first + turns.n).contains(&turn)),
            _ => false,
        };
        let present = present(now_ms, self.limit);
        let given = self.engine.given.unwrap();
        match (present - self.limit + 1..=(present + self.queue).min(given))
            .find(|&turn| !self.used.contains(&turn) && !just_given(turn))
        {
            Some(turn) => Err(format!("a call is refused at {present}, and turn {turn} is unused")),
            None => Ok(()),
        }
    }

    fn rejoin(&mut self, n: usize, now_ms: u64) {
        let member = &mut self.members[n];
        (member.asks, member.answers) = Default::default();
        member.waiters.abandon();
        for ask in member.waiters.tell() {
            if self.flaw != Flaw::NothingTold {
                self.engine.hear(n, &ask, now_ms, 1, self.flaw);
            }
        }
        member.awake += std::mem::take(&mut member.waiting);
    }

    fn forget(&mut self, now_ms: u64) {
        self.engine = Engine { settles_until_ms: now_ms + SETTLE_MS, ..Engine::default() };
        (0..self.members.len()).for_each(|n| self.rejoin(n, now_ms));
    }
}

fn runs(seeds: u64, flaw: Flaw, loses: Option<u64>, forgets: bool) -> Result<(), String> {
    let mut refused = 0;
    for seed in 1..=seeds {
        let run = Run::new(seed, flaw, loses, forgets).run().map_err(|fault| format!("seed {seed}: {fault}"))?;
        // There were calls enough for nearly all.
        let (used, all) = (run.used.len() as u64, run.limit * LENGTH_MS / 1000);
        let least = if loses.is_some() || forgets { all / 4 } else { all / 2 };
        if used < least {
            return Err(format!("seed {seed}: {used} of {all} passed"));
        }
        refused += u64::from(run.refused > 0);
    }
    if 2 * refused > seeds { Ok(()) } else { Err(format!("limits were reached in {refused} of {seeds} runs")) }
}

/// `LOCKGATE_TURN_RUNS=300` is a long form.
fn seeds() -> u64 {
    std::env::var("LOCKGATE_TURN_RUNS").map_or(10, |runs| runs.parse().unwrap())
}

#[test]
fn a_turn_is_given_once_and_a_refusal_means_that_none_is_left() {
    runs(seeds(), Flaw::None, None, false).unwrap();
}

#[test]
fn what_is_lost_or_forgotten_gives_no_turn_twice() {
    runs(seeds(), Flaw::None, Some(10), false).unwrap();
    runs(seeds(), Flaw::None, None, true).unwrap();
}

/// The simulation itself: what is broken on purpose is found.
#[test]
fn a_broken_protocol_is_found() {
    let early = runs(300, Flaw::NoMarks, None, false).unwrap_err();
    assert!(early.contains("is unused"), "{early}");
    let doubled = runs(300, Flaw::NoNumbers, Some(10), false).unwrap_err();
    assert!(doubled.contains("two calls"), "{doubled}");
    let forgotten = runs(300, Flaw::NothingTold, None, true).unwrap_err();
    assert!(forgotten.contains("two calls"), "{forgotten}");
}

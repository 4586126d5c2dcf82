//! The lease protocol, checked: every interleaving at small sizes, seeded walks at large ones.
//!
//! What is run is the code of [`lease`](super::lease) itself, over a memory that lets it make one access at a time. Which
//! worker goes on is chosen by the search. An operation that was stopped is run again from its start with the answers that it
//! had: so its state is only the list of them, and a state of the whole can be kept, compared and returned to. What it does
//! past its one access it does to a copy, and that is forgotten.

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::lease::{Lessee, clear_mark};
use super::map::Map;
use super::memory::Memory;
use super::table::find;
use super::want::{Budget, Take, Want};
use super::window::{Period, Window};
use super::word::{lease_tag, leased};

/// The id of the first counter.
const FIRST: u64 = 1000;

/// What a broken lease would do: the checks must find each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// Words of leases are written without a look at what they have become.
    BlindLeases,
    /// Nobody says that it is in doubt.
    NoMarks,
}

/// One call: it needs a unit of each of these counters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Call {
    counters: Vec<usize>,
    window: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Worker {
    lessee: Lessee,
    calls: Vec<Call>,
    done: usize,
    /// What its current call has been answered so far.
    answers: Vec<u64>,
    /// How often its current call has been told to ask again.
    asked_again: usize,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    words: Vec<u64>,
    workers: Vec<Worker>,
    /// Calls that passed, by counter and window.
    passed: Vec<[u64; 3]>,
    /// Windows in which a call was refused, by counter.
    refused: Vec<[bool; 3]>,
    crashes_left: usize,
    crashed: bool,
}

struct Model {
    map: Map,
    limits: Vec<u64>,
    flaw: Flaw,
    /// How often a call may be told to ask again, in a search: where it gives units back before, there is no end to it.
    ask_again: Option<usize>,
    /// When all calls are made.
    now_ms: u64,
}

/// The memory of one worker's step.
struct Stopping<'a> {
    model: &'a Model,
    inner: RefCell<Inner<'a>>,
}

struct Inner<'a> {
    words: &'a mut Vec<u64>,
    answers: &'a mut Vec<u64>,
    at: usize,
    /// Accesses until it stops.
    budget: usize,
    /// Of the memory, once it has stopped.
    copy: Option<Vec<u64>>,
}

impl Stopping<'_> {
    fn access(&self, act: impl FnOnce(&mut Vec<u64>) -> u64) -> u64 {
        let inner = &mut *self.inner.borrow_mut();
        inner.at += 1;
        if let Some(&answer) = inner.answers.get(inner.at - 1) {
            return answer;
        }
        if inner.budget == 0 {
            return act(inner.copy.get_or_insert_with(|| inner.words.clone()));
        }
        inner.budget -= 1;
        let answer = act(inner.words);
        inner.answers.push(answer);
        answer
    }
}

impl Memory for Stopping<'_> {
    fn load(&self, at: usize) -> u64 {
        // Who has a seat and where counters are does not change: no need to stop for it.
        let map = &self.model.map;
        if at < map.mark(0) || (map.home(0)..map.entry(0)).contains(&at) {
            return self.inner.borrow().words[at];
        }
        self.access(|words| words[at])
    }
    fn exchange(&self, at: usize, current: u64, new: u64) -> Result<(), u64> {
        let blind = self.model.flaw == Flaw::BlindLeases && self.model.is_lease(at);
        let found = self.access(|words| {
            let found = words[at];
            if found == current || blind {
                words[at] = new;
            }
            found
        });
        if found == current || blind { Ok(()) } else { Err(found) }
    }
    fn store(&self, at: usize, new: u64) {
        self.access(|words| {
            if self.model.flaw != Flaw::NoMarks {
                words[at] = new;
            }
            0
        });
    }
}

impl Model {
    /// `seats`: workers of one process. All counters' leases are in one place, unless there are `places`.
    fn new(seats: usize, places: usize, limits: &[u64], flaw: Flaw) -> Self {
        let map = Map { processes: 1, workers: seats, leases: places, buckets: 1 };
        Self { map, limits: limits.to_vec(), flaw, ask_again: None, now_ms: 10_000_000 }
    }

    fn is_lease(&self, at: usize) -> bool {
        (self.map.lease(0, 0)..self.map.lease(self.map.workers, 0)).contains(&at)
    }

    fn want(&self, counter: usize, window: u64) -> Want<'static> {
        let budget = Budget::Window(Window { period: Period::Minute, number: 100 + window });
        Want { id: FIRST + counter as u64, budget, limit: self.limits[counter], ..Want::default() }
    }

    fn start(&self, calls: &[Vec<Call>], crashes: usize) -> State {
        let mut words = vec![0; self.map.words()];
        let memory = self.whole(&mut words);
        let counters = self.limits.len();
        for counter in 0..counters {
            find(&memory, &self.map, 0, &self.want(counter, 0), self.now_ms);
        }
        let workers = calls.iter().enumerate().map(|(n, calls)| {
            let lessee = Lessee::sit(&memory, self.map, 0, n);
            Worker { lessee, calls: calls.clone(), done: 0, answers: Vec::new(), asked_again: 0 }
        });
        let workers = workers.collect();
        let (passed, refused) = (vec![[0; 3]; counters], vec![[false; 3]; counters]);
        State { words, workers, passed, refused, crashes_left: crashes, crashed: false }
    }

    /// A memory that never stops.
    fn whole<'a>(&'a self, words: &'a mut Vec<u64>) -> Whole<'a> {
        Whole { words: RefCell::new(words) }
    }

    /// Some accesses by one worker, to the end of its call at most.
    fn step(&self, state: &mut State, n: usize, budget: usize) {
        let worker = &mut state.workers[n];
        let call = worker.calls[worker.done].clone();
        let mut lessee = worker.lessee.clone();
        let mut wants: Vec<Want<'_>> = call.counters.iter().map(|&counter| self.want(counter, call.window)).collect();
        let memory = Stopping {
            model: self,
            inner: RefCell::new(Inner { words: &mut state.words, answers: &mut worker.answers, at: 0, budget, copy: None }),
        };
        let taken = lessee.take_all(&memory, &mut wants, self.now_ms);
        if memory.inner.into_inner().copy.is_some() {
            return;
        }
        worker.lessee = lessee;
        worker.answers.clear();
        let window_of = |want: &Want<'_>| match want.budget {
            Budget::Window(window) => (window.number - 100) as usize,
            Budget::Bucket { .. } => unreachable!("all budgets are windows"),
        };
        match taken {
            Ok(()) => {
                for (&counter, want) in call.counters.iter().zip(&wants) {
                    state.passed[counter][window_of(want)] += 1;
                }
                worker.done += 1;
            }
            Err((n, Take::Dry)) => {
                state.refused[call.counters[n]][window_of(&wants[n])] = true;
                worker.done += 1;
            }
            Err((_, Take::InDoubt)) => {
                worker.asked_again += usize::from(self.ask_again.is_some());
                return;
            }
            Err((_, other)) => panic!("{other:?}"),
        }
        worker.asked_again = 0;
    }

    /// A worker is killed, and its successor takes its seat and its further calls.
    fn crash(&self, state: &mut State, n: usize) {
        state.crashes_left -= 1;
        state.crashed = true;
        let worker = &mut state.workers[n];
        let memory = self.whole(&mut state.words);
        clear_mark(&memory, self.map.mark(self.map.seat(0, n)));
        worker.lessee = Lessee::sit(&memory, self.map, 0, n);
        worker.answers.clear();
        worker.done = (worker.done + 1).min(worker.calls.len());
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let over = state.workers.iter().all(|worker| worker.done == worker.calls.len());
        for (counter, &limit) in self.limits.iter().enumerate() {
            for window in 0..3 {
                let passed = state.passed[counter][window];
                if passed > limit {
                    return Err(format!("{passed} of {limit} passed"));
                }
                if over && state.refused[counter][window] && passed < limit && !state.crashed {
                    return Err(format!("a call was refused, and only {passed} of {limit} passed"));
                }
            }
        }
        Ok(())
    }

    /// Every state that can be reached from `start`; how many there are, or the first fault.
    fn search(&self, start: State) -> Result<usize, String> {
        let mut seen = HashSet::new();
        let mut open = vec![start];
        while let Some(state) = open.pop() {
            self.check(&state)?;
            for n in 0..state.workers.len() {
                if state.workers[n].done == state.workers[n].calls.len() {
                    continue;
                }
                let mut next = vec![state.clone()];
                self.step(&mut next[0], n, 1);
                if state.crashes_left > 0 {
                    next.push(state.clone());
                    self.crash(&mut next[1], n);
                }
                let within = |next: &State| next.workers.iter().all(|worker| worker.asked_again <= self.ask_again.unwrap_or(0));
                open.extend(next.into_iter().filter(|next| within(next) && seen.insert(print(next))));
            }
        }
        Ok(seen.len())
    }

    /// One random walk to the end.
    fn walk(&self, mut state: State, random: &mut u64) -> Result<State, String> {
        loop {
            let busy: Vec<usize> =
                (0..state.workers.len()).filter(|&n| state.workers[n].done < state.workers[n].calls.len()).collect();
            if busy.is_empty() {
                self.check(&state)?;
                return Ok(state);
            }
            let n = busy[draw(random, busy.len())];
            if state.crashes_left > 0 && draw(random, 500) == 0 {
                self.crash(&mut state, n);
            }
            if state.workers[n].done < state.workers[n].calls.len() {
                self.step(&mut state, n, 1 + draw(random, 40));
            }
        }
    }
}

struct Whole<'a> {
    words: RefCell<&'a mut Vec<u64>>,
}

impl Memory for Whole<'_> {
    fn load(&self, at: usize) -> u64 {
        self.words.borrow()[at]
    }
    fn exchange(&self, at: usize, current: u64, new: u64) -> Result<(), u64> {
        let word = &mut self.words.borrow_mut()[at];
        if *word != current {
            return Err(*word);
        }
        *word = new;
        Ok(())
    }
    fn store(&self, at: usize, new: u64) {
        self.words.borrow_mut()[at] = new;
    }
}

/// States are told apart by 128 bits: two that meet would be taken for one, once in a very long time.
fn print(state: &State) -> u128 {
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        state.hash(&mut hasher);
        hasher.finish()
    };
    u128::from(half(1)) << 64 | u128::from(half(2))
}

/// A number below `below` (xorshift).
fn draw(random: &mut u64, below: usize) -> usize {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    (*random % below as u64) as usize
}

fn calls(n: usize, counters: &[usize], window: u64) -> Vec<Call> {
    vec![Call { counters: counters.to_vec(), window }; n]
}

/// Calls made one after the other by one worker: it comes to hold a lease where they are `soon`, and takes unit by unit
/// where they are not.
fn warm_up(model: &mut Model, state: &mut State, n: usize, counters: &[usize], times: usize, soon: bool) {
    let rest = std::mem::replace(&mut state.workers[n].calls, calls(times, counters, 0));
    while state.workers[n].done < times {
        model.now_ms += if soon { 1 } else { 50 };
        model.step(state, n, usize::MAX);
    }
    state.workers[n].calls = rest;
    state.workers[n].done = 0;
}

/// One counter, of which worker 0 holds a lease of three units, and one is left in the pool.
fn nearly_dry(flaw: Flaw, each: &[Vec<Call>], crashes: usize) -> (Model, State) {
    let limit = 1 + 2 + 4 + 13;
    let mut model = Model::new(each.len(), 1, &[limit], flaw);
    let mut state = model.start(each, crashes);
    // Two workers: a lease is a quarter of what is left, at most.
    state.words[model.map.staff(0)] = 2;
    warm_up(&mut model, &mut state, 0, &[0], 4, true);
    warm_up(&mut model, &mut state, 1, &[0], 12, false);
    state.words[model.map.staff(0)] = each.len() as u64;
    assert_eq!(state.passed[0][0], limit - 4);
    let tag = lease_tag(FIRST, Window { period: Period::Minute, number: 100 });
    assert_eq!(leased(state.words[model.map.lease(0, FIRST)], tag), 3);
    (model, state)
}

fn one_counter(flaw: Flaw, calls_of: &[usize]) -> Result<usize, String> {
    let each: Vec<_> = calls_of.iter().map(|&n| calls(n, &[0], 0)).collect();
    let (model, state) = nearly_dry(flaw, &each, 0);
    model.search(state)
}

#[test]
fn one_counter_admits_exactly_its_limit_whatever_the_interleaving() {
    let states = [&[3, 3][..], &[1, 5], &[5, 1], &[1, 2, 1]].map(|calls_of| one_counter(Flaw::None, calls_of).unwrap());
    assert!(states.iter().sum::<usize>() > 10_000, "{states:?}");
}

/// Worker 0 holds a lease of the first counter, of which two units are left in all, and one of the second. A call of the
/// first alone must not be refused for a unit that a call of both holds and gives back.
fn two_counters(flaw: Flaw) -> Result<usize, String> {
    let mut model = Model::new(2, 2, &[20, 1], flaw);
    model.ask_again = Some(2);
    let each = [calls(1, &[0, 1], 0), [calls(1, &[0, 1], 0), calls(1, &[0], 0)].concat()];
    let mut state = model.start(&each, 0);
    warm_up(&mut model, &mut state, 0, &[0], 4, true);
    warm_up(&mut model, &mut state, 1, &[0], 14, false);
    model.search(state)
}

#[test]
fn a_call_that_one_counter_refuses_takes_nothing_of_the_other() {
    let states = two_counters(Flaw::None).unwrap();
    assert!(states > 1000, "{states}");
}

#[test]
fn windows_change_under_calls_that_are_under_way() {
    let late = [calls(2, &[0], 0), calls(1, &[0], 1)].concat();
    let early = [calls(1, &[0], 1), calls(1, &[0], 2)].concat();
    let (model, state) = nearly_dry(Flaw::None, &[late, early], 0);
    let states = model.search(state).unwrap();
    assert!(states > 500, "{states}");
}

#[test]
fn a_worker_that_is_killed_loses_units_and_never_doubles_them() {
    let (model, state) = nearly_dry(Flaw::None, &[calls(3, &[0], 0), calls(2, &[0], 0)], 2);
    let states = model.search(state).unwrap();
    assert!(states > 500, "{states}");
}

/// The checks themselves: a lease that is broken on purpose is found.
#[test]
fn a_broken_lease_is_found() {
    let doubled = one_counter(Flaw::BlindLeases, &[3, 3]).unwrap_err();
    assert!(doubled.contains("21 of 20"), "{doubled}");
    let stranded = one_counter(Flaw::NoMarks, &[3, 2]).unwrap_err();
    assert!(stranded.contains("was refused, and only"), "{stranded}");
    two_counters(Flaw::NoMarks).unwrap_err();
}

/// Many workers, several counters, windows that change, seeded walks.
fn simulate(seed: u64, crashes: usize, flaw: Flaw) -> Result<[u64; 2], String> {
    let random = &mut (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let limits = [50, 20 + draw(random, 40) as u64, 1 + draw(random, 20) as u64];
    let model = Model::new(2 + draw(random, 6), 2, &limits, flaw);
    let needs: [&[usize]; 6] = [&[0], &[1], &[0], &[0, 1], &[0, 1, 2], &[2]];
    let each: Vec<Vec<Call>> = (0..model.map.workers)
        .map(|_| {
            let mut calls: Vec<Call> = (0..60)
                .map(|_| Call { counters: needs[draw(random, needs.len())].to_vec(), window: draw(random, 3) as u64 })
                .collect();
            calls.sort_by_key(|call| call.window);
            calls
        })
        .collect();
    let state = model.walk(model.start(&each, crashes), random)?;
    let sum = |of: &dyn Fn(usize, usize) -> u64| (0..3).flat_map(|c| (0..3).map(move |w| of(c, w))).sum();
    Ok([sum(&|c, w| state.passed[c][w]), sum(&|c, w| u64::from(state.refused[c][w]))])
}

#[test]
fn seeded_walks_of_many_workers_are_exact() {
    let mut refused = 0;
    for seed in 0..15 {
        let [_, windows] = simulate(seed, 0, Flaw::None).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        refused += windows;
        simulate(seed, 3, Flaw::None).unwrap_or_else(|fault| panic!("seed {seed}, with crashes: {fault}"));
    }
    assert!(refused > 50, "limits were reached in {refused} windows");
    assert!((0..10).any(|seed| simulate(seed, 0, Flaw::BlindLeases).is_err()));
}

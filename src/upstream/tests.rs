use super::board::Board;
use super::health::Fault;
use super::*;
use crate::catalog::{BackendInstance, Balance};

const LIMITS: fn() -> Limits = Limits::default;

pub(super) fn access(weights: &[u32], when_all_down: WhenAllDown) -> VpcAccess {
    let instance = |(port, weight): (u16, &u32)| BackendInstance {
        id: format!("i-{port}"),
        address: ([127, 0, 0, 1], port).into(),
        weight: *weight,
    };
    VpcAccess {
        name: "a".into(),
        vpc_id: "v".into(),
        host: None,
        tls: None,
        http2: false,
        instances: (1..).zip(weights).map(instance).collect(),
        balance: Balance { when_all_down, ..Balance::default() },
        health: None,
    }
}

fn on(board: &Board, worker: usize, access: &VpcAccess) -> Upstreams {
    next(board, worker, access, None)
}

/// The access as the next generation has it.
fn next(board: &Board, worker: usize, access: &VpcAccess, before: Option<&Upstreams>) -> Upstreams {
    let settings = before.map_or_else(|| Rc::new(Settings::of(&LIMITS())), |before| before.settings.clone());
    let pools = before.map_or_else(Rc::default, |before| before.pools.clone());
    let known = before.map(|before| &before.accesses[0]);
    let built = Access::build(&Arc::new(access.clone()), &board.some(access), &settings, worker, &pools, known);
    Upstreams { accesses: vec![Rc::new(built)], settings, pools, egress_addresses: vec![], next_egress: Cell::new(0) }
}

fn upstreams(weights: &[u32]) -> Upstreams {
    on(&Board::new(1), 0, &access(weights, WhenAllDown::TryAll))
}

impl Upstreams {
    fn one(&self, now_ms: u64) -> Pick {
        self.pick(VpcAccessId(0), now_ms, &mut Tries::default()).unwrap()
    }

    fn instance(&self, place: usize) -> &Instance {
        &self.accesses[0].instances[place]
    }

    fn refuses(&self, place: usize, now_ms: u64) {
        let policy = &self.settings.policy;
        self.instance(place).entry.change(|health| Some(health.failed(Fault::Refused, false, now_ms, policy, 0)));
    }

    /// How many of so many calls at once each instance gets.
    fn spread(&self, calls: usize, now_ms: u64) -> Vec<u32> {
        let held: Vec<Pick> = (0..calls).map(|_| self.one(now_ms)).collect();
        let spread = self.accesses[0].instances.iter().map(|i| i.entry.own_calls()).collect();
        drop(held);
        assert!(self.accesses[0].instances.iter().all(|i| i.entry.own_calls() == 0));
        spread
    }
}

#[test]
fn equal_weights_share_equally() {
    assert_eq!(upstreams(&[100, 100, 100]).spread(30, 0), [10, 10, 10]);
}

#[test]
fn weights_set_the_shares() {
    assert_eq!(upstreams(&[100, 300]).spread(40, 0), [10, 30]);
}

#[test]
fn equals_take_turns() {
    let upstreams = upstreams(&[100, 100]);
    let places: Vec<_> = (0..4).map(|_| upstreams.one(0).place).collect();
    assert_eq!(places, [0, 1, 0, 1]);
}

#[test]
fn one_call_after_the_other_goes_by_weight_too() {
    let upstreams = upstreams(&[100, 300]);
    let mut calls = [0; 2];
    (0..40).for_each(|_| calls[upstreams.one(0).place as usize] += 1);
    assert_eq!(calls, [10, 30]);
}

#[test]
fn the_calls_of_all_workers_count() {
    let (board, access) = (Board::new(2), access(&[100, 100], WhenAllDown::TryAll));
    let (near, far) = (on(&board, 0, &access), on(&board, 1, &access));
    let mut far_calls: Vec<_> = (0..10).map(|_| far.one(0)).collect();
    far_calls.retain(|pick| pick.place == 0);
    assert_eq!(far_calls.len(), 5);
    assert_eq!(near.spread(7, 0), [1, 6]);
}

#[test]
fn an_instance_that_stands_aside_is_the_last_resort() {
    let upstreams = upstreams(&[100, 100]);
    upstreams.refuses(0, 0);
    assert_eq!(upstreams.spread(6, 1), [0, 6]);
    upstreams.refuses(1, 0);
    assert_eq!(upstreams.spread(6, 1), [3, 3]);
}

#[test]
fn with_fail_fast_there_is_no_last_resort() {
    for weights in [&[100][..], &[100, 100]] {
        let upstreams = on(&Board::new(1), 0, &access(weights, WhenAllDown::FailFast));
        (0..weights.len()).for_each(|place| upstreams.refuses(place, 0));
        let picked = upstreams.pick(VpcAccessId(0), 1, &mut Tries::default());
        assert_eq!(picked.err(), Some(NoPick::AllDown));
        assert_eq!(upstreams.one(10_000).place, 0, "a trial is no last resort");
    }
}

#[test]
fn one_call_tries_an_instance_that_may_be_back() {
    let upstreams = upstreams(&[100, 100]);
    upstreams.refuses(0, 0);
    let held: Vec<Pick> = (0..6).map(|_| upstreams.one(5000)).collect();
    assert_eq!(held.iter().filter(|pick| pick.place == 0).count(), 1);
    drop(held);
    // It told nothing: the next one is a trial again.
    let trial = upstreams.one(5000);
    assert_eq!(trial.place, 0);
    trial.answered(5000);
    drop(trial);
    assert_eq!(upstreams.spread(22, 5000), [2, 20], "it begins with a tenth of its weight");
    assert_eq!(upstreams.spread(30, 10_000), [10, 20], "after half the time it has half");
    assert_eq!(upstreams.spread(30, 15_000), [15, 15]);
}

#[test]
fn a_request_does_not_return_to_an_instance_that_failed_it() {
    let upstreams = upstreams(&[100, 100]);
    let mut tries = Tries::default();
    for _ in 0..2 {
        let pick = upstreams.pick(VpcAccessId(0), 0, &mut tries).unwrap();
        tries.avoid(&pick);
    }
    assert_eq!(upstreams.pick(VpcAccessId(0), 0, &mut tries).err(), Some(NoPick::AllDown));
    assert!(!upstreams.may_try_another(VpcAccessId(0), 0, &tries));
    let budget_left = (0..100).take_while(|_| upstreams.may_retry(VpcAccessId(0), 0)).count() as u64;
    assert_eq!(budget_left, LIMITS().retry_minimum, "nothing is taken for what cannot be");
}

#[test]
fn a_request_counts_once_for_the_budget() {
    let upstreams = upstreams(&[100, 100]);
    let mut tries = Tries::default();
    let minimum = LIMITS().retry_minimum;
    for _ in 0..100 {
        upstreams.pick(VpcAccessId(0), 0, &mut tries).unwrap();
    }
    let retries = (0..100).take_while(|_| upstreams.may_retry(VpcAccessId(0), 0)).count();
    assert_eq!(retries as u64, minimum);
}

#[test]
fn an_only_instance_is_called_whatever_calls_find() {
    let upstreams = upstreams(&[100]);
    for now_ms in 0..5 {
        let pick = upstreams.one(now_ms);
        pick.failed(Fault::Refused, now_ms);
        assert_eq!(pick.instance.entry.health(), health::Health::default());
    }
}

#[test]
fn a_turn_ends_with_its_call() {
    let upstreams = upstreams(&[100]);
    let pick = upstreams.one(0);
    assert!(pick.take_turn());
    assert_eq!(upstreams.instance(0).pool.turns.taken(), 1);
    drop(pick);
    assert_eq!(upstreams.instance(0).pool.turns.taken(), 0);
}

#[test]
fn an_unknown_access_has_no_instance() {
    assert_eq!(upstreams(&[1]).pick(VpcAccessId(9), 0, &mut Tries::default()).err(), Some(NoPick::None));
}

#[test]
fn a_reload_leaves_pools_health_and_budget_to_the_instances_that_stay() {
    let board = Board::new(1);
    let mut access = access(&[100, 100, 100], WhenAllDown::TryAll);
    let before = on(&board, 0, &access);
    before.refuses(1, 0);
    let held = before.one(0);
    assert!(held.take_turn());
    while before.may_retry(VpcAccessId(0), 0) {}
    access.instances.swap_remove(2);
    access.instances[1].weight = 300;
    let after = next(&board, 0, &access, Some(&before));
    let health = |upstreams: &Upstreams, place| upstreams.instance(place).entry.health();
    assert_eq!(health(&after, 1), health(&before, 1));
    assert_eq!(after.one(1).place, 0, "who stood aside still does");
    assert!(Rc::ptr_eq(&after.instance(0).pool, &before.instance(0).pool));
    assert_eq!(after.instance(0).pool.turns.taken(), 1, "a call of the generation before counts");
    assert!(!after.may_retry(VpcAccessId(0), 0), "a reload does not fill the budget");
    drop(held);
    assert_eq!(after.instance(0).entry.own_calls(), 0);
}

use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;
use std::thread;

use proptest::prelude::*;

use super::*;

const WINDOW_MS: u64 = 900_000;
const SLICE_MS: u64 = WINDOW_MS / 2;
const NOW_MS: u64 = 1_795_329_125_416;

fn key<'a>(app_key: &'a str, group: &'a str, api: &'a str, nonce: &'a str) -> NonceKey<'a> {
    NonceKey { app_key: app_key.as_bytes(), group: group.as_bytes(), api: api.as_bytes(), nonce: nonce.as_bytes() }
}

fn insert(set: &NonceSet, nonce: &str) -> Insert {
    set.insert(&key("app", "group", "api", nonce))
}

#[test]
fn each_app_and_api_has_its_own_nonces() {
    let set = NonceSet::new(1000, WINDOW_MS, NOW_MS, [7; 16]);
    let keys = [("a", "g", "p", "n"), ("b", "g", "p", "n"), ("a", "h", "p", "n"), ("a", "g", "q", "n"), ("a", "g", "p", "m")];
    let moved = [("ag", "", "p", "n"), ("a", "gp", "", "n"), ("a", "g", "pn", ""), ("", "ag", "p", "n")];
    for (app, group, api, nonce) in keys.into_iter().chain(moved) {
        assert_eq!(set.insert(&key(app, group, api, nonce)), Insert::Fresh, "{app} {group} {api} {nonce}");
        assert_eq!(set.insert(&key(app, group, api, nonce)), Insert::Seen);
    }
}

#[test]
fn a_nonce_is_remembered_for_two_windows_and_then_forgotten() {
    for start in [0, 1, SLICE_MS / 2, SLICE_MS - 1, NOW_MS] {
        let set = NonceSet::new(1000, WINDOW_MS, start, [7; 16]);
        assert_eq!(insert(&set, "n"), Insert::Fresh);
        for now in (start..=start + 2 * WINDOW_MS).step_by(1000) {
            set.advance(now);
        }
        assert_eq!(insert(&set, "n"), Insert::Seen);
        set.advance(start + 2 * WINDOW_MS + SLICE_MS);
        assert_eq!(insert(&set, "n"), Insert::Fresh);
    }
}

#[test]
fn a_clock_that_jumps_neither_forgets_too_early_nor_remembers_for_ever() {
    let set = NonceSet::new(1000, WINDOW_MS, NOW_MS, [7; 16]);
    assert_eq!(insert(&set, "n"), Insert::Fresh);
    set.advance(NOW_MS - 10 * WINDOW_MS);
    assert_eq!(insert(&set, "n"), Insert::Seen);
    set.advance(NOW_MS + 2 * WINDOW_MS);
    assert_eq!(insert(&set, "n"), Insert::Seen);
    set.advance(NOW_MS + 1_000_000 * WINDOW_MS);
    assert_eq!(insert(&set, "n"), Insert::Fresh);
    assert_eq!(insert(&set, "n"), Insert::Seen);
}

#[test]
fn a_caller_that_stalled_for_two_slices_is_refused() {
    let set = NonceSet::new(1000, WINDOW_MS, NOW_MS, [7; 16]);
    let read_before = set.current();
    set.advance(NOW_MS + SLICE_MS);
    assert_eq!(set.insert_at(read_before, 1), Insert::Fresh);
    assert_eq!(set.insert_at(read_before + 1, 1), Insert::Seen);
    set.advance(NOW_MS + 2 * SLICE_MS);
    assert_eq!(set.insert_at(read_before, 2), Insert::Seen);
}

#[test]
fn the_capacity_of_a_slice_fits_and_the_bound_is_told() {
    const CAPACITY: usize = 10_000;
    let set = NonceSet::new(CAPACITY, WINDOW_MS, NOW_MS, [7; 16]);
    let mut now_ms = NOW_MS;
    for window in 0..6 {
        for half in 0..2 {
            for n in 0..CAPACITY / 2 {
                assert_eq!(insert(&set, &format!("{window} {half} {n}")), Insert::Fresh);
            }
            now_ms += SLICE_MS;
            set.advance(now_ms);
        }
    }
    let answers: Vec<_> = (0..4 * CAPACITY).map(|n| insert(&set, &format!("burst {n}"))).collect();
    assert!(answers.contains(&Insert::Full) && !answers.contains(&Insert::Seen));
    assert!((0..4 * CAPACITY).all(|n| insert(&set, &format!("burst {n}")) != Insert::Fresh || answers[n] == Insert::Full));
}

#[test]
fn a_set_that_holds_little_lies_in_few_pages() {
    let set = NonceSet::new(100_000, WINDOW_MS, NOW_MS, [7; 16]);
    (0..1000).for_each(|n| assert_eq!(insert(&set, &format!("{n}")), Insert::Fresh));
    let far = &set.words[SLOTS + set.near * BIN..];
    assert_eq!(far.iter().filter(|slot| slot.load(SeqCst) != EMPTY).count(), 0);
    assert!(set.near * 15 < set.far && !set.overflows.load(Relaxed));
    // What no longer fits is among the far, and known as well.
    (1000..30_000).for_each(|n| assert_eq!(insert(&set, &format!("{n}")), Insert::Fresh));
    assert!(set.overflows.load(Relaxed) && far.iter().any(|slot| slot.load(SeqCst) != EMPTY));
    (0..30_000).for_each(|n| assert_eq!(insert(&set, &format!("{n}")), Insert::Seen));
    set.advance(NOW_MS + SLICE_MS);
    assert!(!set.overflows.load(Relaxed), "the near ones of a new slice are free");
}

#[test]
fn a_set_is_what_its_words_are_and_is_carried_over_to_others() {
    let words: &'static [AtomicU64] = Box::leak((0..words(1000)).map(|_| AtomicU64::new(0)).collect());
    let open = |now_ms| NonceSet::over(Words::Mapped(words), 1000, WINDOW_MS, now_ms, [7; 16]);
    let (first, second) = (open(NOW_MS), open(NOW_MS));
    assert_eq!(insert(&first, "n"), Insert::Fresh);
    assert_eq!(insert(&second, "n"), Insert::Seen);
    // A process that comes later finds the window where it was left, and moves it on.
    let third = open(NOW_MS + WINDOW_MS);
    third.advance(NOW_MS + WINDOW_MS);
    assert_eq!(insert(&third, "n"), Insert::Seen);
    for (capacity, window_ms) in [(5000, WINDOW_MS), (1000, 60_000)] {
        let other = NonceSet::new(capacity, window_ms, NOW_MS + WINDOW_MS, [7; 16]);
        assert_eq!(other.carry_over(&third), 0);
        assert_eq!(insert(&other, "n"), Insert::Seen);
        assert_eq!(insert(&other, "m"), Insert::Fresh);
    }
}

/// Many threads with the same nonces, while the window moves under them.
#[test]
fn a_nonce_passes_once_whoever_races_for_it() {
    const THREADS: usize = 8;
    const NONCES: usize = 300;
    let mut passed_in_all = 0;
    for round in 0..40 {
        let set = NonceSet::new(4 * NONCES, WINDOW_MS, NOW_MS, [7; 16]);
        let nonces: Vec<String> = (0..NONCES).map(|n| format!("{round} {n}")).collect();
        let passed: Vec<AtomicUsize> = (0..NONCES).map(|_| AtomicUsize::new(0)).collect();
        let barrier = Barrier::new(THREADS + 1);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (set, nonces, passed, barrier) = (&set, &nonces, &passed, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for n in 0..NONCES {
                        // Half of the threads walk the other way, so that they meet in the middle.
                        let n = if thread % 2 == 0 { n } else { NONCES - 1 - n };
                        if insert(set, &nonces[n]) == Insert::Fresh {
                            passed[n].fetch_add(1, SeqCst);
                        }
                    }
                });
            }
            barrier.wait();
            // As many slices as a nonce is looked for in, at most.
            for slice in 1..=(round % (LOOK_BACK + 1)) {
                (0..50 * slice).for_each(|_| thread::yield_now());
                set.advance(NOW_MS + slice * SLICE_MS);
            }
        });
        for (n, passed) in passed.iter().enumerate() {
            let passed = passed.load(SeqCst);
            assert!(passed <= 1, "nonce {n} of round {round} passed {passed} times");
            assert!(passed == 1 || round % (LOOK_BACK + 1) >= 2, "nonce {n} of round {round} never passed");
            passed_in_all += passed;
        }
    }
    assert!(passed_in_all > 30 * NONCES);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![4 => (0..12u8).prop_map(Step::Insert), 1 => (0..2 * WINDOW_MS).prop_map(Step::Wait), 1 => (0..SLICE_MS).prop_map(Step::Wait)]
}

proptest! {
    #[test]
    fn it_behaves_like_a_map_of_times(steps in prop::collection::vec(step(), 1..200)) {
        let mut now_ms = NOW_MS;
        let set = NonceSet::new(1000, WINDOW_MS, now_ms, [7; 16]);
        let mut passed_at: HashMap<u8, u64> = HashMap::new();
        for step in steps {
            match step {
                Step::Wait(ms) => {
                    now_ms += ms;
                    set.advance(now_ms);
                }
                Step::Insert(nonce) => {
                    let age_ms = passed_at.get(&nonce).map(|at| now_ms - at);
                    let answer = insert(&set, &nonce.to_string());
                    match age_ms {
                        None => prop_assert_eq!(answer, Insert::Fresh),
                        Some(age_ms) if age_ms <= 2 * WINDOW_MS => prop_assert_eq!(answer, Insert::Seen),
                        Some(age_ms) if age_ms > 2 * WINDOW_MS + SLICE_MS => prop_assert_eq!(answer, Insert::Fresh),
                        Some(_) => prop_assert_ne!(answer, Insert::Full),
                    }
                    if answer == Insert::Fresh {
                        passed_at.insert(nonce, now_ms);
                    }
                }
            }
        }
    }
}

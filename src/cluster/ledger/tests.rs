//! What is asked for, when, and what becomes of answers, one rule at a time; all orders of them are in [`super::model`].

use std::cell::Cell;

use super::*;
use crate::gate::quota::window::Period;

const ID: u64 = 7;
const WINDOW: Window = Window { period: Period::Day, number: 20_000 };
const NEXT: Window = Window { number: 20_001, ..WINDOW };
const WAIT_MS: u64 = 500;

/// A node whose calls take nothing by themselves.
#[derive(Default)]
struct Desk {
    allowed: Cell<u64>,
    unused: Cell<u64>,
    is_final: Cell<bool>,
    is_busy: Cell<bool>,
    is_void: Cell<bool>,
}

impl Node for Desk {
    fn allowance(&self, _: u64, _: Window) -> u64 {
        self.allowed.get()
    }
    fn is_empty(&self, _: u64, _: Window) -> bool {
        self.unused.get() == 0 && !self.is_busy.get()
    }
    fn collect(&self, _: u64, _: Window) -> Collected {
        let units = self.unused.take();
        self.allowed.set(self.allowed.get() - units);
        Collected { units, all: !self.is_busy.get() }
    }
    fn grant(&self, _: u64, _: Window, units: u64) -> bool {
        if !self.is_void.get() {
            self.allowed.set(self.allowed.get() + units);
            self.unused.set(self.unused.get() + units);
        }
        !self.is_void.get()
    }
    fn mark_final(&self, _: u64, _: Window) {
        self.is_final.set(true);
    }
    fn clear(&self, _: u64, _: Window) -> bool {
        self.allowed.set(0);
        self.unused.set(0);
        !self.is_busy.get()
    }
}

fn need(window: Window, limit: u64, cause: Cause) -> Need {
    Need { id: ID, budget: Budget::Window(window), limit, cause }
}

/// One need, and the one request that comes of it.
fn asked(ledger: &mut Ledger, desk: &Desk, limit: u64, now_ms: u64) -> Ask {
    ledger.need(&need(WINDOW, limit, Cause::Waits), now_ms, WAIT_MS);
    let [ask] = ledger.due(now_ms, desk).try_into().expect("one request");
    ask
}

#[test]
fn a_lease_grows_where_calls_come_back_soon_and_shrinks_where_they_come_late() {
    let (mut ledger, desk) = (Ledger::default(), Desk::default());
    let (mut now_ms, mut sizes) = (10_000, Vec::new());
    for after_ms in [0, 10, 250, 251, 1999, 2000, 60_000] {
        now_ms += after_ms;
        let ask = asked(&mut ledger, &desk, 25_600, now_ms);
        sizes.push(ask.wanted);
        assert!(ledger.answered(&ask, Answer::Granted(ask.wanted), now_ms, &desk));
    }
    assert_eq!(sizes, [50, 100, 200, 200, 200, 100, 50], "the first is half of a 256th of the limit");
}

#[test]
fn one_request_is_under_way_and_what_waits_is_asked_for_after_it() {
    let (mut ledger, desk) = (Ledger::default(), Desk::default());
    let ask = asked(&mut ledger, &desk, 100, 0);
    ledger.need(&need(WINDOW, 100, Cause::Waits), 1, WAIT_MS);
    assert_eq!((ledger.due(1, &desk), ledger.next_ms(1)), (vec![], None));
    assert!(ledger.answered(&ask, Answer::Stale, 2, &desk));
    assert_eq!(ledger.due(2, &desk).len(), 1, "a request that came too late is made again");
    // No answer will come any more.
    ledger.abandon();
    let [again] = ledger.due(3, &desk).try_into().expect("one request");
    assert!(again.seq > ask.seq && again.urgent);
    ledger.abandon();
    assert_eq!(ledger.due(1 + WAIT_MS, &desk), [], "nobody waits for it any more");
}

#[test]
fn what_an_answer_says_is_done() {
    let (mut ledger, desk) = (Ledger::default(), Desk::default());
    let ask = asked(&mut ledger, &desk, 100, 0);
    assert!(ledger.answered(&ask, Answer::Granted(9), 0, &desk));
    assert_eq!(desk.allowed.get(), 9);
    let ask = asked(&mut ledger, &desk, 100, 1);
    assert_eq!((ask.have, ask.allowed, ask.empty), (9, 9, false));
    // Other nodes are asked first: sooner, and then less often.
    for (now_ms, next_ms) in [(1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 48)] {
        assert!(!ledger.answered(&ask, Answer::Recalling, now_ms, &desk), "of no interest to calls");
        assert_eq!(ledger.next_ms(now_ms), Some(next_ms));
        assert_eq!(ledger.due(next_ms - 1, &desk), []);
        assert_eq!(ledger.due(next_ms, &desk).len(), 1);
    }
    assert!(ledger.answered(&ask, Answer::Dry, 50, &desk) && desk.is_final.get());
    assert_eq!((ledger.due(50, &desk), ledger.next_ms(50)), (vec![], None));
    // What nobody can use any more is not had.
    desk.is_void.set(true);
    let ask = asked(&mut ledger, &desk, 100, 60);
    ledger.answered(&ask, Answer::Granted(5), 60, &desk);
    assert_eq!(asked(&mut ledger, &desk, 100, 61).have, 9);
}

#[test]
fn unused_units_go_back_when_they_are_called_for_and_not_needed_here() {
    let (mut ledger, desk) = (Ledger::default(), Desk::default());
    let ask = asked(&mut ledger, &desk, 100, 0);
    ledger.answered(&ask, Answer::Granted(9), 0, &desk);
    ledger.recall(ID, NEXT);
    assert_eq!(ledger.due(0, &desk), [], "of another window");
    ledger.recall(ID, WINDOW);
    assert_eq!(ledger.due(HOLD_MS - 1, &desk), [], "calls that waited for them come first");
    assert_eq!(ledger.next_ms(HOLD_MS - 1), Some(HOLD_MS));
    desk.is_busy.set(true);
    desk.unused.set(4);
    let [before, after] = ledger.due(HOLD_MS, &desk).try_into().expect("two requests");
    assert_eq!((before.have, before.allowed, before.empty), (9, 9, false));
    assert_eq!((after.have, after.allowed, after.empty), (5, 5, false), "a worker may have some in its hands");
    desk.is_busy.set(false);
    let [last] = ledger.due(HOLD_MS + 1, &desk).try_into().expect("one request");
    assert_eq!((last.have, last.empty, last.wanted), (5, true, 0));
    assert_eq!(ledger.due(HOLD_MS + 2, &desk), []);
}

#[test]
fn a_counter_that_is_begun_anew_is_so_once() {
    let (mut ledger, desk) = (Ledger::default(), Desk::default());
    let ask = asked(&mut ledger, &desk, 100, 0);
    ledger.answered(&ask, Answer::Granted(9), 0, &desk);
    let ask = asked(&mut ledger, &desk, 100, 1);
    assert!(ledger.answered(&ask, Answer::Reset(1), 1, &desk));
    assert_eq!(desk.allowed.get(), 0);
    let [ask] = ledger.due(1, &desk).try_into().expect("it is asked again");
    assert_eq!((ask.have, ask.resets), (0, 1));
    ledger.answered(&ask, Answer::Granted(3), 1, &desk);
    assert!(ledger.reset(ID, WINDOW, 1, &desk) && desk.allowed.get() == 3, "this one has been heard of");
    desk.is_busy.set(true);
    assert!(!ledger.reset(ID, WINDOW, 2, &desk), "workers are in the middle of something");
}

#[test]
fn a_window_that_has_begun_makes_the_last_one_void() {
    let (mut ledger, desk) = (Ledger::default(), Desk::default());
    let late = asked(&mut ledger, &desk, 100, 0);
    ledger.need(&need(NEXT, 100, Cause::Waits), 1, WAIT_MS);
    ledger.need(&need(WINDOW, 100, Cause::Waits), 1, WAIT_MS);
    let [ask] = ledger.due(1, &desk).try_into().expect("one request");
    assert_eq!((ask.window, ask.have), (NEXT, 0));
    assert!(!ledger.answered(&late, Answer::Granted(50), 2, &desk) && desk.allowed.get() == 0);
}

#[test]
fn a_new_connection_is_told_what_may_be_given_out() {
    let (mut ledger, desk) = (Ledger::default(), Desk::default());
    assert_eq!(ledger.tell(ID, WINDOW, &desk), None, "nothing");
    desk.allowed.set(12);
    let told = ledger.tell(ID, WINDOW, &desk).expect("it is told");
    assert_eq!((told.have, told.allowed, told.wanted, told.urgent), (0, 12, 0, false), "a process before this one had it");
}

#[test]
fn accounts_of_windows_that_are_over_go() {
    let (mut ledger, desk) = (Ledger::default(), Desk::default());
    let now_ms = WINDOW.number * WINDOW.period.ms();
    for id in 0..TIDY_AT as u64 + 1 {
        ledger.need(&Need { id, ..need(WINDOW, 100, Cause::Ahead) }, now_ms, WAIT_MS);
    }
    for ask in ledger.due(now_ms, &desk) {
        ledger.answered(&ask, Answer::Dry, now_ms, &desk);
    }
    ledger.due(now_ms + 2 * WINDOW.period.ms() - 1, &desk);
    assert_eq!(ledger.accounts.len(), TIDY_AT + 1, "a zone's day may still go on");
    ledger.due(now_ms + 2 * WINDOW.period.ms(), &desk);
    assert_eq!(ledger.accounts.len(), 0);
}

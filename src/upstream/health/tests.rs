use proptest::prelude::*;

use super::*;

const POLICY: Policy = Policy { first: Duration::from_secs(1), longest: Duration::from_secs(10), failures: 3 };

fn refused(health: Health, trial: bool, now_ms: u64) -> Health {
    health.failed(Fault::Refused, trial, now_ms, &POLICY, 0)
}

fn timed_out(health: Health, now_ms: u64) -> Health {
    health.failed(Fault::TimedOut, false, now_ms, &POLICY, 0)
}

#[test]
fn a_refusal_counts_at_once() {
    let health = refused(Health::default(), false, 5);
    assert_eq!(health.admits(1004), Admits::Nothing);
    assert_eq!(health.admits(1005), Admits::Trial);
}

#[test]
fn time_outs_count_only_in_a_row() {
    let twice = timed_out(timed_out(Health::default(), 0), 0);
    assert_eq!(twice.admits(0), Admits::Calls);
    assert_eq!(timed_out(twice, 0).admits(0), Admits::Nothing);
    let answered = timed_out(twice.answered(0, false), 0);
    assert_eq!(timed_out(answered, 0).admits(0), Admits::Calls);
}

#[test]
fn one_call_is_the_trial() {
    let health = refused(Health::default(), false, 0);
    assert_eq!(health.trial(999), None);
    let trial = health.trial(1000).expect("its time is over");
    assert_eq!((trial.admits(5000), trial.trial(5000)), (Admits::Nothing, None));
}

#[test]
fn a_trial_that_is_answered_brings_the_instance_back() {
    let trial = refused(Health::default(), false, 0).trial(1000).expect("its time is over");
    assert_eq!(trial.answered(1500, false), trial, "an old call is no trial");
    let back = trial.answered(1500, true);
    assert_eq!((back.admits(1500), back.since_ms()), (Admits::Calls, 1500));
    // The next time begins with the shortest delay again.
    assert_eq!(refused(back, false, 2000).admits(3000), Admits::Trial);
}

#[test]
fn a_trial_that_fails_doubles_the_delay_up_to_its_limit() {
    let mut health = refused(Health::default(), false, 0);
    let mut now_ms = 0;
    for delay_ms in [1000, 2000, 4000, 8000, 10_000, 10_000] {
        assert_eq!(health.admits(now_ms + delay_ms - 1), Admits::Nothing, "after {delay_ms}");
        now_ms += delay_ms;
        health = refused(health.trial(now_ms).expect("its time is over"), true, now_ms);
    }
}

#[test]
fn failures_of_calls_from_before_do_not_lengthen_the_delay() {
    let health = refused(Health::default(), false, 0);
    assert_eq!(refused(health, false, 900), health);
    let trial = health.trial(1000).expect("its time is over");
    assert_eq!(refused(trial, false, 1001), trial);
}

#[test]
fn a_trial_that_finds_nothing_out_is_followed_by_another() {
    let trial = refused(Health::default(), false, 0).trial(1000).expect("its time is over");
    assert_eq!(trial.undecided().admits(0), Admits::Trial);
}

#[test]
fn a_zero_delay_is_no_standing_aside() {
    let never = Policy { first: Duration::ZERO, ..POLICY };
    assert_eq!(Health::default().failed(Fault::Refused, false, 0, &never, 0), Health::default());
}

#[test]
fn what_a_check_says_goes_over_what_calls_find() {
    let down = Health::default().checked(false, 0);
    assert_eq!((down.admits(0), down.answered(1, true).admits(1)), (Admits::Nothing, Admits::Nothing));
    let both = refused(down, false, 0);
    assert_eq!((both.admits(99_999), both.trial(99_999)), (Admits::Nothing, None));
    let up = both.checked(true, 700);
    assert_eq!((up.admits(700), up.since_ms()), (Admits::Calls, 700));
}

#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Call(Result<(), Fault>),
    Claim,
    EndTrial(Option<Result<(), Fault>>),
    Check(bool),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::Refused), Just(Fault::Reset), Just(Fault::TimedOut)]
}

fn outcome() -> impl Strategy<Value = Result<(), Fault>> {
    prop_oneof![Just(Ok(())), fault().prop_map(Err)]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0u64..20_000).prop_map(Event::Pass),
        outcome().prop_map(Event::Call),
        Just(Event::Claim),
        prop::option::of(outcome()).prop_map(Event::EndTrial),
        any::<bool>().prop_map(Event::Check),
    ]
}

proptest! {
    /// Through any history: the word keeps the state; there is never more than one trial; a delay keeps to its bounds;
    /// and an instance that no check holds down, and that nobody is trying, is tried after the longest delay at most.
    #[test]
    fn no_history_leads_astray(events in prop::collection::vec((event(), any::<u64>()), 1..200)) {
        let (mut health, mut now_ms, mut trying, mut down) = (Health::default(), 1, false, false);
        for (event, chance) in events {
            let before = health;
            match event {
                Event::Pass(ms) => now_ms += ms,
                Event::Call(Ok(())) => health = health.answered(now_ms, false),
                Event::Call(Err(fault)) => health = health.failed(fault, false, now_ms, &POLICY, chance),
                Event::Claim => if let Some(next) = health.trial(now_ms) {
                    prop_assert!(!trying, "a second trial");
                    (health, trying) = (next, true);
                },
                Event::EndTrial(result) if trying => {
                    trying = false;
                    health = match result {
                        Some(Ok(())) => health.answered(now_ms, true),
                        Some(Err(fault)) => health.failed(fault, true, now_ms, &POLICY, chance),
                        None => health.undecided(),
                    };
                }
                Event::EndTrial(_) => {}
                Event::Check(up) => {
                    // Up again: a trial that is still under way has no more to say.
                    trying &= !(down && up);
                    down = !up;
                    health = health.checked(up, now_ms);
                }
            }
            prop_assert_eq!(Health::from(u64::from(health)), health);
            prop_assert!(!down || health.admits(now_ms) == Admits::Nothing);
            if let (Phase::Aside { times, until_ms }, true) = (health.phase, health != before && until_ms_set(health)) {
                let delay = until_ms.saturating_sub(now_ms);
                let whole = (1000u64 << u32::from(times - 1).min(32)).min(10_000);
                prop_assert!(until_ms == 0 || delay <= whole && delay >= whole - whole / 4, "{delay} of {whole}");
            }
            if !down && !trying {
                prop_assert_ne!(health.admits(now_ms + 10_000), Admits::Nothing);
            }
        }
    }
}

fn until_ms_set(health: Health) -> bool {
    !health.down
}

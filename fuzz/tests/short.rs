//! A moment of fuzzing with fixed seeds, and every input that was ever kept.

use lockgate_fuzz::campaign::{Campaign, kept};
use lockgate_fuzz::seeds;
use lockgate_fuzz::targets::{Judge, Target};

fn short(target: Target, runs: u64) -> Campaign {
    let seeds = seeds::of(target).expect("the corpora are part of the repository");
    let mut campaign = Campaign::new(target, 9112, seeds);
    if let Err(fault) = campaign.run(runs) {
        let file = fault.keep().map(|file| file.display().to_string()).unwrap_or_else(|error| error.to_string());
        panic!("{}\n  input: {}\n  kept in {file}", fault.what, fault.input.escape_ascii());
    }
    println!("{}: {} inputs, {} outcomes", target.name(), campaign.runs, campaign.outcomes.len());
    campaign
}

#[test]
fn requests() {
    let outcomes = short(Target::Head, 4_000).outcomes;
    for readers in ["by plain", "by other", "by plain and other"] {
        let came = |outcome: &str| outcome.split([',', '|']).any(|part| part.trim().ends_with(readers));
        assert!(outcomes.keys().any(|outcome| came(outcome)), "no head was read {readers}");
    }
}

#[test]
fn chunked_bodies() {
    let _ = short(Target::Chunked, 8_000);
}

#[test]
fn answers() {
    let _ = short(Target::Response, 4_000);
}

#[test]
fn targets() {
    let _ = short(Target::Target, 12_000);
}

#[test]
fn documents() {
    let _ = short(Target::Documents, 600);
}

#[test]
fn first_messages_of_tls() {
    short(Target::Hello, 3_000);
}

#[test]
fn records_of_tls() {
    short(Target::Records, 2_000);
}

#[test]
fn every_kept_input_comes_out_well() {
    let mut judge = Judge::default();
    for target in Target::ALL {
        for (file, input) in kept(target).expect("kept inputs can be read") {
            if let Err(what) = judge.judge(target, &input) {
                panic!("{}: {what}\n  input: {}", file.display(), input.escape_ascii());
            }
        }
    }
}

//! `lockgate-fuzz`: a campaign of any length, or one input again.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use clap::Parser;
use lockgate_fuzz::campaign::{Campaign, Fault};
use lockgate_fuzz::seeds;
use lockgate_fuzz::targets::{Judge, Target};

/// Inputs between two looks at the clock.
const BATCH: u64 = 500;

/// Looks for inputs on which the gateway's readers and the RFCs disagree
#[derive(Parser)]
struct Arguments {
    /// How long to look
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The same seed tries the same inputs; default: from the time of day
    #[arg(long)]
    seed: Option<u64>,
    /// One target instead of all
    #[arg(long)]
    target: Option<Target>,
    /// Threads; default: one for each core
    #[arg(long)]
    threads: Option<usize>,
    /// Print every outcome and how often it came
    #[arg(long)]
    outcomes: bool,
    /// Judge the input in this file once, and end; needs --target unless the file lies in a directory of that name
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.replay {
        Some(file) => replay(file, arguments.target),
        None => look(&arguments),
    }
}

fn replay(file: &PathBuf, target: Option<Target>) -> ExitCode {
    let directory = file.parent().and_then(|d| d.file_name()).and_then(|name| name.to_str()).unwrap_or_default();
    let Some(target) = target.or_else(|| Target::ALL.into_iter().find(|target| target.name() == directory)) else {
        eprintln!("which target? add --target");
        return ExitCode::from(2);
    };
    let input = match std::fs::read(file) {
        Ok(input) => input,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            return ExitCode::from(2);
        }
    };
    println!("{}: {}", target.name(), input.escape_ascii());
    match Judge::default().judge(target, &input) {
        Ok(outcome) => {
            println!("good: {outcome}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            println!("WRONG: {what}");
            ExitCode::FAILURE
        }
    }
}

fn look(arguments: &Arguments) -> ExitCode {
    let time_of_day = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let seed = arguments.seed.unwrap_or_else(time_of_day);
    let threads = arguments.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let targets = arguments.target.map_or(Target::ALL.to_vec(), |target| vec![target]);
    println!("seed {seed}, {threads} threads, {} seconds", arguments.seconds);
    // A panic is a fault with an input; its trace would be printed for each attempt to make that smaller.
    std::panic::set_hook(Box::new(|_| {}));
    let stop = AtomicBool::new(false);
    let faults = thread::scope(|scope| {
        let work = |n: usize| {
            let (targets, stop) = (&targets, &stop);
            scope.spawn(move || work(targets, seed.wrapping_add(n as u64), stop, arguments, n == 0))
        };
        let handles: Vec<_> = (0..threads).map(work).collect();
        let end = SystemTime::now() + Duration::from_secs(arguments.seconds);
        while SystemTime::now() < end && !stop.load(Ordering::Relaxed) {
            thread::park_timeout(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Relaxed);
        let ended = handles.into_iter().map(|handle| handle.join().expect("faults are caught where inputs are judged"));
        ended.flatten().collect::<Vec<_>>()
    });
    for fault in &faults {
        report(fault);
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One thread's part: its targets in turn, until it is told to stop or finds a fault.
fn work(targets: &[Target], seed: u64, stop: &AtomicBool, arguments: &Arguments, tells: bool) -> Option<Fault> {
    let begun = SystemTime::now();
    let mut campaigns = Vec::new();
    for &target in targets {
        let seeds = seeds::of(target).unwrap_or_else(|error| {
            eprintln!("{}: no inputs to begin with: {error}", target.name());
            Vec::new()
        });
        campaigns.push(Campaign::new(target, seed, seeds));
    }
    let mut fault = None;
    while fault.is_none() && !stop.load(Ordering::Relaxed) {
        fault = campaigns.iter_mut().find_map(|campaign| campaign.run(BATCH).err());
    }
    stop.store(true, Ordering::Relaxed);
    if tells {
        let seconds = begun.elapsed().unwrap_or_default().as_secs_f64().max(0.001);
        for campaign in &campaigns {
            let (name, runs, outcomes) = (campaign.target.name(), campaign.runs, campaign.outcomes.len());
            println!("{name:10} {runs:10} inputs in one thread, {outcomes:5} different outcomes");
            let mut most: Vec<_> = campaign.outcomes.iter().collect();
            most.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
            for (outcome, times) in most.into_iter().take(if arguments.outcomes { usize::MAX } else { 0 }) {
                println!("    {times:10} {outcome}");
            }
        }
        let runs: u64 = campaigns.iter().map(|campaign| campaign.runs).sum();
        println!("{:.0} inputs a second in one thread", runs as f64 / seconds);
    }
    fault
}

fn report(fault: &Fault) {
    println!("\nFAULT in {}: {}\n  input: {}", fault.target.name(), fault.what, fault.input.escape_ascii());
    match fault.keep() {
        Ok(file) => println!("  again: cargo run -p lockgate-fuzz --release -- --replay {}", file.display()),
        Err(error) => println!("  could not be kept: {error}"),
    }
}

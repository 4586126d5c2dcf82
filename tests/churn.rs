//! Load while APIs are published, rolled back and taken offline at random: no request fails or goes astray, each is answered
//! by the definition before a change or the one after it, and after the receipt by the one after it alone.
//!
//! A short walk here; `LOCKGATE_CHURN=1000 tests/run churn::` makes a thousand changes. `LOCKGATE_SEED` is the seed of the walk.

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use lockgate_test_support::{Api, Backend, Client, Config, Gateway, Message, Request};

const APIS: usize = 4;

/// What a call of an API comes to by one of its definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Forwarded to this path of the backend.
    Forwarded(u64),
    /// The API wants credentials, and the call has none.
    Unauthorized,
    Offline,
}

/// An API, with all that it was and is to be.
#[derive(Default)]
struct History {
    states: RwLock<Vec<Outcome>>,
    /// States before this one are in force nowhere: a receipt has said so.
    settled: AtomicUsize,
}

/// Places in the history that an answer may come from.
type Allowed = std::ops::RangeInclusive<usize>;

impl History {
    fn settled(&self) -> usize {
        self.settled.load(Ordering::SeqCst)
    }

    fn allowed(&self, since: usize) -> (Allowed, Vec<Outcome>) {
        let states = self.states.read().unwrap();
        let allowed = since..=states.len() - 1;
        (allowed.clone(), states[allowed].to_vec())
    }

    /// A change is about to be made: from now on calls may meet what it leads to.
    fn announce(&self, state: Outcome) {
        self.states.write().unwrap().push(state);
    }

    /// It has come to every worker.
    fn settle(&self) {
        self.settled.store(self.states.read().unwrap().len() - 1, Ordering::SeqCst);
    }

    fn now(&self) -> Outcome {
        *self.states.read().unwrap().last().unwrap()
    }
}

/// A walk that a seed repeats.
struct Walk(u64);

impl Walk {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }
}

fn setting<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn api(number: usize, outcome: Outcome, version: u64) -> Api {
    let (name, path) = (format!("a{number}"), format!("/a{number}/*"));
    let api = if outcome == Outcome::Unauthorized { Api::app(&name, &path) } else { Api::open(&name, &path) };
    api.backend_path(&format!("/a{number}/v{version}/*"))
}

/// Says where the call arrived.
fn echo() -> Backend {
    Backend::answering(|request| {
        let path = request.target().to_owned();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).into_bytes()
    })
}

fn outcome(api: usize, answer: &Message) -> Outcome {
    let text = answer.text();
    match answer.status() {
        401 | 400 => Outcome::Unauthorized,
        404 => Outcome::Offline,
        200 => {
            let version = text.strip_prefix(&format!("/a{api}/v")).and_then(|rest| rest.strip_suffix("/x"));
            Outcome::Forwarded(version.unwrap_or_else(|| panic!("a{api} was answered by {text}")).parse().unwrap())
        }
        status => panic!("a{api}: {status} {text}"),
    }
}

/// Calls until it is told to stop; how many it made.
fn calls(gateway: &Gateway, histories: &[History], seed: u64, keeps: bool, stop: &AtomicBool, refused: &AtomicU64) -> u64 {
    let mut walk = Walk(seed);
    let mut kept: Option<Client> = None;
    let mut made = 0;
    while !stop.load(Ordering::SeqCst) {
        let number = walk.below(histories.len());
        let mut client = kept.take().unwrap_or_else(|| gateway.client());
        let since = histories[number].settled();
        let answer = client.call(&Request::get(&format!("/a{number}/x")));
        let (allowed, states) = histories[number].allowed(since);
        let outcome = outcome(number, &answer);
        assert!(states.contains(&outcome), "a{number}: {outcome:?} is none of {allowed:?} {states:?}");
        refused.fetch_add(u64::from(!matches!(outcome, Outcome::Forwarded(_))), Ordering::Relaxed);
        made += 1;
        kept = keeps.then_some(client);
    }
    made
}

/// The version that a publication made.
fn version(said: &str) -> String {
    said.lines().find_map(|line| line.split(" as ").nth(1)).expect("it says the version").to_owned()
}

#[test]
fn nothing_is_lost_or_goes_astray_while_apis_are_published_and_rolled_back() {
    let (changes, seed) = (setting("LOCKGATE_CHURN", 30), setting("LOCKGATE_SEED", 0x5eed_u64));
    let backend = echo();
    let mut config = Config::with_backend(backend.address);
    for number in 0..APIS {
        config = config.published(&api(number, Outcome::Forwarded(0), 0));
    }
    let gateway = Arc::new(config.start());
    let histories: Vec<History> = (0..APIS).map(|_| History::default()).collect();
    histories.iter().for_each(|history| history.announce(Outcome::Forwarded(0)));
    let (stop, refused) = (AtomicBool::new(false), AtomicU64::new(0));
    let made: u64 = std::thread::scope(|scope| {
        let callers: Vec<_> = (1..=4)
            .map(|caller| {
                let (gateway, histories, stop, refused) = (&gateway, &histories, &stop, &refused);
                scope.spawn(move || calls(gateway, histories, seed ^ (caller << 32), caller % 2 == 0, stop, refused))
            })
            .collect();
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            change(&gateway, &histories, changes, &mut Walk(seed), &|| callers.iter().any(|caller| caller.is_finished()));
        }));
        stop.store(true, Ordering::SeqCst);
        let made = callers.into_iter().map(|caller| caller.join().expect("every call is answered as it should be")).sum();
        if let Err(panic) = changed {
            std::panic::resume_unwind(panic);
        }
        made
    });
    let refused = refused.into_inner();
    println!("{changes} changes (seed {seed}), {made} calls, {refused} of them refused as they should be");
    assert!(refused > 0 && refused < made, "both verdicts are met");
}

/// Makes changes at random, each of them waited for.
fn change(gateway: &Gateway, histories: &[History], changes: usize, walk: &mut Walk, is_over: &dyn Fn() -> bool) {
    // Versions of each API, and what they mean.
    let mut versions: Vec<Vec<(String, Outcome)>> = vec![Vec::new(); histories.len()];
    for number in 1..=changes {
        let api_number = walk.below(histories.len());
        let (history, versions) = (&histories[api_number], &mut versions[api_number]);
        let name = format!("g/a{api_number}");
        let kept = versions.len().min(5);
        // While it reads all of its files.
        if walk.below(4) == 0 {
            gateway.signal("HUP");
        }
        match walk.below(8) {
            0 if history.now() != Outcome::Offline => {
                history.announce(Outcome::Offline);
                gateway.ok(&["offline", &name, "--wait"]);
            }
            1..=3 if kept > 0 => {
                let (version, outcome) = versions[versions.len() - 1 - walk.below(kept)].clone();
                history.announce(outcome);
                gateway.ok(&["rollback", &name, "--to", &version, "--wait"]);
            }
            _ => {
                let outcome = if walk.below(3) == 0 { Outcome::Unauthorized } else { Outcome::Forwarded(number as u64) };
                gateway.write(&format!("groups/g/apis/a{api_number}.toml"), &api(api_number, outcome, number as u64).document());
                history.announce(outcome);
                versions.push((version(&gateway.ok(&["publish", &name, "--wait"])), outcome));
            }
        }
        history.settle();
        if is_over() {
            return;
        }
    }
}

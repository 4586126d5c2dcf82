use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::Ordering;

use super::file::{Kind, Region, Shape, open};
use super::*;
use crate::gate::quota::window::Period;
use crate::gate::quota::{Budget, Lessee, Take, Want, Wants};

const NOW_MS: u64 = 1_800_000_000_000;

fn shape(words: usize) -> Shape {
    Shape { kind: Kind::Nonces, words, sizes: [words as u64, 7] }
}

fn open_at(path: &Path, words: usize, alone: bool) -> (Region, Vec<String>) {
    let mut notices = Vec::new();
    let carry = |old: &Region, new: &Region| new.words[0].store(old.words[0].load(Ordering::Relaxed), Ordering::Relaxed);
    let region = open(path, &shape(words), alone, NOW_MS, &mut notices, carry).expect("the file can be opened or made");
    (region, notices)
}

#[test]
fn a_file_is_made_once_and_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nonces");
    let (first, notices) = open_at(&path, 1000, true);
    assert!(notices.is_empty(), "{notices:?}");
    first.words[999].store(5, Ordering::Relaxed);
    let (second, notices) = open_at(&path, 1000, true);
    assert!(notices.is_empty(), "{notices:?}");
    assert_eq!((second.words[999].load(Ordering::Relaxed), second.key), (5, first.key));
    assert_ne!(first.key, [0; 16]);
}

#[test]
fn another_size_is_made_anew_by_who_is_alone_and_what_it_held_is_carried_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nonces");
    let (first, _) = open_at(&path, 1000, true);
    first.words[0].store(5, Ordering::Relaxed);
    let (shared, notices) = open_at(&path, 2000, false);
    assert_eq!(shared.words.len(), 1000);
    assert!(notices[0].contains("another process uses it"), "{notices:?}");
    let (larger, notices) = open_at(&path, 2000, true);
    assert!(notices.is_empty(), "{notices:?}");
    assert_eq!((larger.words.len(), larger.words[0].load(Ordering::Relaxed), larger.key), (2000, 5, first.key));
}

#[test]
fn a_damaged_or_foreign_file_is_set_aside_and_never_a_crash() {
    let good = |path: &Path| drop(open_at(path, 1000, true));
    let flip = |path: &Path, at: usize| {
        good(path);
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    type Spoil<'a> = &'a dyn Fn(&Path);
    let cases: &[(&str, Spoil<'_>)] = &[
        ("no state file of Lockgate: it is too short", &|path| fs::write(path, "").unwrap()),
        ("no state file of Lockgate", &|path| fs::write(path, vec![7; 100_000]).unwrap()),
        ("no state file of Lockgate", &|path| flip(path, 0)),
        ("of version 2, and version 3 is known", &|path| flip(path, 8)),
        ("the header of this state file is damaged", &|path| flip(path, 16)),
        ("the header of this state file is damaged", &|path| flip(path, 50)),
        ("this state file has been cut", &|path| {
            good(path);
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(4096).unwrap();
        }),
        ("no regular file", &|path| fs::create_dir(path).unwrap()),
        ("no regular file", &|path| symlink("/dev/null", path).unwrap()),
    ];
    for (why, spoil) in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nonces");
        spoil(&path);
        let (region, notices) = open_at(&path, 1000, true);
        assert!(notices.len() == 1 && notices[0].contains(why) && notices[0].contains("set aside as"), "{why}: {notices:?}");
        assert_eq!(region.words.len(), 1000);
        let aside = fs::read_dir(directory.path()).unwrap().flatten();
        let aside = aside.filter(|entry| entry.file_name().to_string_lossy().contains("set-aside")).count();
        assert_eq!(aside, 1, "{why}");
    }
}

#[test]
fn places_are_taken_in_turn_and_there_are_so_many() {
    let directory = tempfile::tempdir().unwrap();
    let take = || take_place(directory.path());
    let mut held: Vec<_> =
        (0..PROCESSES).map(|n| take().map(|(place, process, alone)| (place, process, alone, n)).ok().unwrap()).collect();
    assert!(held.iter().all(|(_, process, alone, n)| process == n && *alone == (*n == 0)));
    assert!(matches!(take(), Err(StateError::NoPlace(_))));
    held.remove(1);
    assert!(take().is_ok());
}

/// What a gateway with this configuration opens.
fn gateway(directory: &Path, capacity: usize) -> State {
    let mut catalog = crate::gate::sample::Sample::default().catalog;
    catalog.instance.state_directory = directory.to_owned();
    catalog.quota.counter_capacity = capacity;
    State::open(&catalog, NOW_MS).unwrap_or_else(|error| panic!("{error}"))
}

/// One call of a counter with this limit a day.
fn passes(quotas: &Quotas, lessee: &mut Lessee, limit: u64) -> bool {
    let budget = Budget::window(Period::Day, NOW_MS, 0);
    let mut wants = Wants::default();
    assert!(wants.push(Want { id: quotas.id(&[b"a"]), budget, limit, ..Want::default() }));
    quotas.take(lessee, &mut wants, NOW_MS, false).is_ok()
}

#[test]
fn a_days_count_goes_on_after_the_process_and_in_another_size() {
    let directory = tempfile::tempdir().unwrap();
    for (day, capacity) in [1000, 1000, 4000, 500].into_iter().enumerate() {
        let state = gateway(directory.path(), capacity);
        assert!(state.notices.is_empty(), "{:?}", state.notices);
        let quotas = state.quotas();
        let mut lessee = quotas.lessee(0);
        let passed = (0..200).filter(|_| passes(&quotas, &mut lessee, 100 * (day as u64 + 1))).count();
        assert_eq!(passed, 100, "by process {day}");
    }
}

#[test]
fn processes_share_counters_and_the_dead_hold_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (gateway(directory.path(), 1000), gateway(directory.path(), 9000));
    assert!(second.notices[0].contains("another process uses it"), "{:?}", second.notices);
    let (ours, theirs) = (first.quotas(), second.quotas());
    let (mut our, mut their) = (ours.lessee(0), theirs.lessee(0));
    let mut passed = 0;
    for _ in 0..60 {
        passed += u32::from(passes(&ours, &mut our, 100)) + u32::from(passes(&theirs, &mut their, 100));
    }
    assert_eq!(passed, 100);
    // The second is killed with units in its hands; it has the second place of 256 marks.
    let map = Map::new(1000);
    first.counters.words[map.mark(map.seat(1, 0))].fetch_or(1, Ordering::SeqCst);
    assert!(passes(&ours, &mut our, 101));
    let doubt = |our: &mut Lessee| {
        let mut wants = Wants::default();
        let budget = Budget::window(Period::Day, NOW_MS, 0);
        assert!(wants.push(Want { id: ours.id(&[b"a"]), budget, limit: 101, ..Want::default() }));
        ours.take(our, &mut wants, NOW_MS, false).unwrap_err().1
    };
    assert_eq!(doubt(&mut our), Take::InDoubt);
    first.bury_the_dead(&ours);
    assert_eq!(doubt(&mut our), Take::InDoubt, "it lives");
    drop(second);
    first.bury_the_dead(&ours);
    assert_eq!(doubt(&mut our), Take::Dry);
}

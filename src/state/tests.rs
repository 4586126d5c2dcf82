use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::Ordering;

use super::file::{Kind, Region, Shape, open};
use super::*;

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
        ("of version 0, and version 1 is known", &|path| flip(path, 8)),
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
    let mut held: Vec<_> = (0..PROCESSES).map(|n| take().map(|(place, alone)| (place, alone, n)).ok().unwrap()).collect();
    assert!(held.iter().all(|(_, alone, n)| *alone == (*n == 0)));
    assert!(matches!(take(), Err(StateError::NoPlace(_))));
    held.remove(1);
    assert!(take().is_ok());
}

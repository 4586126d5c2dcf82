//! The power goes after any call: what was not synced may be there, in part, or not at all. What the command has said is
//! done stays done.

use std::collections::BTreeSet;
use std::fs;

use lockgate_test_support::counted;

use crate::disk::{Disk, Left};
use crate::sample::{Chance, all, sample};
use crate::scene::{Scene, copy, files, in_every_scene, temporary};

const FEW: usize = 6;

in_every_scene!(whatever_is_lost_with_the_power_the_set_is_whole);

fn whatever_is_lost_with_the_power_the_set_is_whole(scene: &Scene) {
    let calls = counted(&scene.trace, false);
    let mut chance = Chance::new(scene.name);
    let points: BTreeSet<usize> = sample(calls.clone(), FEW, &mut chance).into_iter().collect();
    let mut disk = Disk::of(scene.directory.path());
    let mut cases = 0;
    let mut look = |disk: &Disk, left: Left, chance: &mut Chance, what: &str| {
        cases += 1;
        let directory = temporary();
        disk.leave(left, chance, directory.path());
        let done = scene.is_done(directory.path(), what);
        if all() || cases % 8 == 0 {
            scene.goes_on(directory.path(), what);
        }
        done
    };
    for (at, call) in scene.trace.iter().enumerate() {
        disk.apply(call);
        if points.contains(&at) {
            for left in [Left::Nothing, Left::Entries, Left::Some, Left::Some, Left::Some] {
                look(&disk, left, &mut chance, &format!("call {at}, left is {left:?}"));
            }
        }
    }
    for left in [Left::Nothing, Left::Entries, Left::Some, Left::Some] {
        let what = format!("after its end, left is {left:?}");
        assert!(look(&disk, left, &mut chance, &what), "{}: {what}: what was said to be done is not", scene.name);
    }
    println!("{}: {cases} cases at {} of {} points", scene.name, points.len(), calls.len());
}

/// Nothing that the command does to its files escapes the trace: made again by it, they are the same.
#[test]
fn the_trace_is_whole() {
    let scene = crate::scene::later();
    let mut disk = Disk::of(scene.directory.path());
    scene.trace.iter().for_each(|call| disk.apply(call));
    let (again, real) = (temporary(), copy(scene.directory.path()));
    disk.leave(Left::All, &mut Chance::new("none"), again.path());
    assert!(scene.command(real.path()).output().unwrap().status.success());
    // Versions are named by the time; all else is the same by name.
    let shape = |directory: &std::path::Path| -> Vec<(String, usize)> {
        let version = |name: &str| name.strip_suffix(".toml").is_some_and(|name| name.len() == 17);
        let words = |path: &std::path::Path| -> String {
            path.iter()
                .map(|name| if version(&name.to_string_lossy()) { "VERSION" } else { name.to_str().unwrap() })
                .collect::<Vec<_>>()
                .join("/")
        };
        files(directory)
            .iter()
            .map(|path| (words(path), fs::metadata(directory.join(path)).unwrap().len() as usize))
            .filter(|(path, _)| !path.ends_with(".lock"))
            .collect()
    };
    assert_eq!(shape(again.path()), shape(real.path()));
}

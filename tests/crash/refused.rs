//! The disk refuses a call: no room, read-only, failing, not allowed; once, or from then on. The command says where and
//! what to do, and leaves all or nothing, and nothing half done.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lockgate_test_support::{Call, Fault, counted, traced, with_fault};

use crate::sample::{Chance, sample};
use crate::scene::{Scene, copy, files, in_every_scene, unfinished};

const FEW: usize = 10;
/// The scene that begins with files that nobody knows of.
const DIED: &str = "after one that died";

/// Error numbers of Linux, and what the command says to do.
const ERRORS: [(i32, &str); 4] = [
    (28, "make room on the file system"),
    (30, "mount it for writing"),
    (5, "the disk or its file system is at fault"),
    (13, "let this one write there"),
];

in_every_scene!(whatever_call_is_refused_all_or_nothing_has_changed);

fn whatever_call_is_refused_all_or_nothing_has_changed(scene: &Scene) {
    let calls = counted(&scene.trace, true);
    let mut points = Vec::new();
    for (at, &call) in calls.iter().enumerate() {
        for (error, what_to_do) in ERRORS {
            let faults = [Fault::Fails(error), Fault::FailsFromThenOn(error)];
            points.extend(faults.map(|fault| (at + 1, call, fault, error, what_to_do)));
        }
    }
    let (count, mut chance) = (points.len(), Chance::new(scene.name));
    let points = sample(points, FEW, &mut chance);
    let (mut kept, mut done) = (0, 0);
    for (at, call, fault, error, what_to_do) in &points {
        let what = format!("call {at} of {}, {:?}, {fault:?}", calls.len(), scene.trace[*call]);
        let directory = copy(scene.directory.path());
        let output = with_fault(scene.command(directory.path()), directory.path(), *at, *fault).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_done = scene.is_done(directory.path(), &what);
        let error = format!("(os error {error})");
        match output.status.code() {
            Some(0) if said.is_empty() => assert!(is_done, "{what}: it succeeds and has done nothing"),
            // What came after the change: tidying up.
            Some(0) => assert!(is_done && said.starts_with("warning: ") && said.contains(&error), "{what}: {said}"),
            Some(1) if is_done => {
                assert!(said.contains("is current and is served, but the disk has not confirmed it"), "{what}: {said}");
                assert!(said.contains(&error) && said.contains(what_to_do), "{what}: {said}");
            }
            Some(1) => {
                // What is looked at and need not be read is no reason to give up: then the next call that fails is told of.
                let last = if matches!(fault, Fault::FailsFromThenOn(_)) { scene.trace.len() } else { call + 1 };
                let mut places = (*call..last).map(|call| {
                    let path = path_of(scene, call).map(|path| directory.path().join(path));
                    path.as_deref().unwrap_or(directory.path()).display().to_string()
                });
                assert!(
                    places.any(|place| said.contains(&place)) && said.contains(&error),
                    "{what}: no word of its place: {said}"
                );
                let reads = said.contains("cannot be read");
                assert!(reads || (said.contains("nothing has changed") && said.contains(what_to_do)), "{what}: {said}");
                let (left, was) = (known(directory.path()), known(scene.directory.path()));
                // What one that died has left may be gone by then.
                assert!(left == was || (scene.name == DIED && left.iter().all(|file| was.contains(file))), "{what}: {left:?}");
            }
            other => panic!("{what}: {other:?}: {said}"),
        }
        assert!(output.status.code() == Some(0) || output.stdout.is_empty(), "{what}: it claims to have done something");
        let left = unfinished(directory.path());
        assert!(left.is_empty() || scene.name == DIED, "{}: {what}: left behind: {left:?}", scene.name);
        done += usize::from(is_done);
        kept += usize::from(!is_done);
        // The same again, by a disk that is well: the lock is free.
        scene.goes_on(directory.path(), &what);
    }
    println!("{}: {} of {count} points: {kept} as before, {done} done", scene.name, points.len());
}

/// What a call is about, by its path below the directory; of a file that is being written, the one that it is to be.
fn path_of(scene: &Scene, call: usize) -> Option<PathBuf> {
    let mut open: BTreeMap<u32, &Path> = BTreeMap::new();
    for call in &scene.trace[..call] {
        if let Call::Open(fd, path) = call {
            open.insert(*fd, path);
        }
    }
    let path = match &scene.trace[call] {
        Call::Nothing | Call::Missing | Call::Close(_) => return None,
        Call::Create(path) | Call::Truncate(path) | Call::Open(_, path) | Call::Unlink(path) => path.as_path(),
        Call::Mkdir(path) | Call::Rmdir(path) | Call::Rename(_, path) | Call::Link(_, path) => path.as_path(),
        Call::Write(fd, _) | Call::Sync(fd) | Call::SyncAll(fd) | Call::Resize(fd, _) | Call::Mode(fd) => open[fd],
    };
    // New files have other names in each run: the directory that was there before has the same.
    let known = path.ancestors().find(|path| path.exists())?;
    known.strip_prefix(scene.directory.path()).ok().map(Path::to_path_buf)
}

/// All that is there, with its content, but the lock and the directory that it is in.
fn known(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut known = Vec::new();
    for path in files(directory) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == ".lock" || path.ends_with("published") {
            continue;
        }
        known.push((path.clone(), fs::read(directory.join(&path)).unwrap_or_default()));
    }
    known
}

#[test]
fn a_change_that_the_disk_has_not_confirmed_is_made_and_said_to_be() {
    let scene = crate::scene::later();
    let calls = counted(&scene.trace, true);
    let is_rename = |at: &usize| matches!(&scene.trace[*at], Call::Rename(_, to) if to.ends_with("published/manifest.toml"));
    // After the rename the directory is opened, and then synced.
    let sync = calls.iter().position(is_rename).expect("the root is put in its place") + 2;
    assert!(matches!(scene.trace[calls[sync]], Call::Sync(_)));
    let directory = copy(scene.directory.path());
    let output = with_fault(scene.command(directory.path()), directory.path(), sync + 1, Fault::Fails(5)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("published: Input/output error (os error 5); generation 4 is current and is served"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    assert!(scene.is_done(directory.path(), "unconfirmed"));
    // The same again has the disk confirm it, though there is nothing to publish.
    let (trace, output) = traced(scene.command(directory.path()), directory.path());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("is current in RELEASE already"), "{said}");
    let published = directory.path().join("published");
    let open =
        trace.iter().find_map(|call| if let Call::Open(fd, path) = call { (*path == published).then_some(*fd) } else { None });
    assert!(trace.contains(&Call::Sync(open.expect("the directory is opened"))), "{trace:?}");
}

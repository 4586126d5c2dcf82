//! `kill -9` before, after and amid every call that changes a file.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use lockgate_test_support::{Backend, Call, Config, Fault, Request, counted, with_fault};

use crate::sample::{Chance, all, sample};
use crate::scene::{self, Scene, copy, copy_into, in_every_scene};

/// Points of a scene without `LOCKGATE_CRASH=all`.
const FEW: usize = 10;
/// Of all points, one in so many has a gateway started on what is left, besides the first that left what was and what is to be.
const STARTED: usize = 50;

in_every_scene!(whatever_call_it_dies_at_the_set_is_whole);

fn whatever_call_it_dies_at_the_set_is_whole(scene: &Scene) {
    let calls = counted(&scene.trace, false);
    let points = points(scene);
    let (count, mut chance) = (points.len(), Chance::new(scene.name));
    let points = sample(points, FEW, &mut chance);
    let (mut was_done, mut started) = (false, [false; 2]);
    for (number, (at, fault)) in points.iter().enumerate() {
        let what = format!("call {at} of {}, {fault:?}", calls.len());
        let directory = copy(scene.directory.path());
        let mut command = with_fault(scene.command(directory.path()), directory.path(), *at, *fault);
        let status = command.output().expect("the command runs").status;
        assert_eq!(status.signal(), Some(9), "{}: {what}: it is killed", scene.name);
        let done = scene.is_done(directory.path(), &what);
        // Calls are in order: what has happened once does not go away.
        assert!(done || !was_done, "{}: {what}: what was done is undone", scene.name);
        was_done = done;
        if !std::mem::replace(&mut started[usize::from(done)], true) || number % STARTED == STARTED - 1 {
            serves(scene, directory.path(), done, &what);
        }
        scene.goes_on(directory.path(), &what);
    }
    println!("{}: {} of {count} points", scene.name, points.len());
    assert!(was_done || !all(), "{}: the last point is after the change", scene.name);
}

/// A gateway started on what is left runs, and serves it.
fn serves(scene: &Scene, directory: &Path, done: bool, what: &str) {
    let served = if done { &scene.after } else { &scene.before };
    let backend = Backend::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    let config = Config::new();
    copy_into(directory, config.path());
    let gateway = config.vpc_access("backend", backend.address, "").start();
    for (api, path) in [("pay/card", "/pay/card"), ("shop/item", "/shop/item")] {
        let host = format!("{}.localhost", api.split('/').next().unwrap_or_default());
        let answer = gateway.call(&Request::get(path).host(&host).stage(scene.stage));
        let is_served = served.contains_key(&format!("{} {api}", scene.stage));
        assert_eq!(answer.status() == 200, is_served, "{}: {what}: {api}: {}", scene.name, answer.status());
    }
}

/// Before and after every call that changes a file, and amid each that writes: the number of the call, and what happens there.
fn points(scene: &Scene) -> Vec<(usize, Fault)> {
    let mut points = Vec::new();
    for (at, call) in counted(&scene.trace, false).into_iter().enumerate() {
        points.extend([Fault::KilledBefore, Fault::KilledAfter].map(|fault| (at + 1, fault)));
        if matches!(scene.trace[call], Call::Write(..)) {
            points.push((at + 1, Fault::Torn));
        }
    }
    points
}

#[test]
fn there_are_more_than_five_hundred_points() {
    let scenes = [
        scene::first,
        scene::many,
        scene::later,
        scene::another_stage,
        scene::after_one_that_died,
        scene::rollback,
        scene::offline,
    ];
    let counts: Vec<usize> = scenes.iter().map(|scene| points(&scene()).len()).collect();
    println!("{counts:?}");
    assert!(counts.iter().sum::<usize>() > 500, "{counts:?}");
}

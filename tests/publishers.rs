//! Several at once: publishers wait for each other, and old files go while gateways and commands read.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use lockgate::catalog;
use lockgate_test_support::{Api, Backend, Config, eventually, lockgate};

#[test]
fn a_publisher_waits_for_the_one_before() {
    let config = Config::open(([127, 0, 0, 1], 9).into());
    let path = config.path().join("published/.lock");
    let lock = File::options().write(true).open(&path).unwrap();
    lock.lock().unwrap();
    config.write("groups/g/apis/all.toml", &Api::open("all", "/new").document());
    let mut command: Command = lockgate(config.path());
    let mut waits = command.args(["publish", "g/all"]).stdout(Stdio::null()).spawn().unwrap();
    let open = format!("/proc/{}/fd", waits.id());
    let has_opened =
        || fs::read_dir(&open).ok()?.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == path)).then_some(());
    eventually("it comes to the lock", has_opened);
    assert!(waits.try_wait().unwrap().is_none(), "it waits");
    lock.unlock().unwrap();
    assert!(waits.wait().unwrap().success());
}

/// With as little kept as can be, so that each publication takes away what the one before has made.
#[test]
fn old_files_go_while_others_read_and_publish() {
    const ROUNDS: usize = 12;
    let backend = Backend::answering(|request| {
        let path = request.target().to_owned();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).into_bytes()
    });
    let config = Config::with_backend(backend.address).table("publish", "versions_kept = 2\ngenerations_kept = 2");
    let apis = ["one", "two"];
    let config = apis.iter().fold(config, |config, api| config.published(&Api::open(api, &format!("/{api}"))));
    let gateway = config.start();
    let (gateway, stop) = (&gateway, AtomicBool::new(false));
    let published = |api: &str, round: usize| Api::open(api, &format!("/{api}")).backend_path(&format!("/{api}/{round}"));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut loads = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let (catalog, _) = catalog::load_served(gateway.path(), &mut catalog::Kept::default(), &|_, _, _| ());
                        let catalog = catalog.unwrap_or_else(|report| panic!("{report}"));
                        assert_eq!(catalog.apis.len(), apis.len());
                        loads += 1;
                    }
                    loads
                })
            })
            .collect();
        let publishers = apis.map(|api| {
            scope.spawn(move || {
                for round in 1..=ROUNDS {
                    gateway.write(&format!("groups/g/apis/{api}.toml"), &published(api, round).document());
                    gateway.ok(&["publish", &format!("g/{api}")]);
                    gateway.ok(&["history", &format!("g/{api}")]);
                }
            })
        });
        let done = publishers.map(|publisher| publisher.join());
        stop.store(true, Ordering::Relaxed);
        assert!(done.iter().all(Result::is_ok));
        assert!(readers.into_iter().all(|reader| reader.join().expect("what is read is whole") > 0));
    });
    let receipt = gateway.ok(&["reload", "--wait"]);
    assert!(receipt.starts_with(&format!("generation {}, ", 2 + 2 * ROUNDS)), "{receipt}");
    for api in apis {
        assert_eq!(gateway.get(&format!("/{api}")).text(), format!("/{api}/{ROUNDS}"));
    }
    let log = gateway.output();
    assert!(!log.contains("ERROR"), "the gateway could read all that it came upon: {log}");
    // What was in the way of readers goes with the first publication that finds none.
    let versions = |api: &str| fs::read_dir(gateway.path().join("published/RELEASE/g").join(api)).unwrap().count();
    let mut round = ROUNDS;
    eventually("old versions go", || {
        round += 1;
        for api in apis {
            gateway.write(&format!("groups/g/apis/{api}.toml"), &published(api, round).document());
        }
        gateway.ok(&["publish", "--all", "--wait"]);
        // Two, and one that a kept generation may name.
        apis.iter().all(|api| versions(api) <= 3).then_some(())
    });
}

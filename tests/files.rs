//! Files that are not what they should be: too long, pipes, devices, links to themselves, not text, not readable, on a disk
//! that cannot be written. Each is named in bounded time, by `check`, at the start and while a gateway runs, which goes on.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockgate_test_support::{Api, App, Backend, Config, Fault, Gateway, Request, eventually, lockgate, succeeds, with_fault};

/// A file that is wrong, and what is said of it.
struct Bad {
    what: &'static str,
    spoil: fn(&Path),
    says: &'static str,
}

const BAD: &[Bad] = &[
    Bad {
        what: "a link to itself",
        spoil: |file| symlink(file.file_name().unwrap(), file).unwrap(),
        says: "Too many levels of symbolic links",
    },
    Bad {
        what: "100 MB",
        spoil: |file| fs::File::create(file).unwrap().set_len(100 << 20).unwrap(),
        says: "this file is longer than the",
    },
    Bad { what: "a pipe", spoil: |file| drop(succeeds(Command::new("mkfifo").arg(file))), says: "this is not a regular file" },
    Bad { what: "a socket", spoil: |file| drop(UnixListener::bind(file).unwrap()), says: "this is not a regular file" },
    Bad { what: "a device without end", spoil: |file| symlink("/dev/zero", file).unwrap(), says: "this is not a regular file" },
    Bad { what: "a directory", spoil: |file| fs::create_dir(file).unwrap(), says: "this is not a regular file" },
    Bad {
        what: "not UTF-8",
        spoil: |file| fs::write(file, b"name = \"alpha\"\n# \xff\n").unwrap(),
        says: "this file is not UTF-8: the first byte that is not is on line 2",
    },
    Bad { what: "a NUL", spoil: |file| fs::write(file, "name = \"alpha\"\n\0\n").unwrap(), says: "alpha.toml:2:1" },
    Bad { what: "empty", spoil: |file| fs::write(file, "").unwrap(), says: "alpha.toml" },
];

const APP: &str = "apps/alpha.toml";

fn config(backend: &Backend) -> Config {
    Config::open(backend.address).app(&App::alpha())
}

fn take_away(path: &Path) {
    let _ = fs::remove_dir(path);
    let _ = fs::remove_file(path);
}

/// The running gateway refuses the file, and serves as before.
fn goes_on(gateway: &Gateway, what: &str, says: &str) {
    let said = gateway.fails(&["reload", "--wait"]);
    assert!(said.contains(says) && said.contains("alpha.toml") && said.contains("generation 1 goes on"), "{what}: {said}");
    eventually(what, || gateway.output().contains(says).then_some(()));
    assert_eq!(gateway.get("/x").status(), 200, "{what}");
}

#[test]
fn files_that_are_none_are_named_and_nobody_waits_for_them() {
    let backend = Backend::ok();
    let gateway = config(&backend).start();
    let file = gateway.path().join(APP);
    let good = fs::read(&file).unwrap();
    for Bad { what, spoil, says } in BAD {
        take_away(&file);
        spoil(&file);
        let said = gateway.fails(&["check"]);
        assert!(said.contains(says) && said.contains("alpha.toml"), "{what}: {said}");
        goes_on(&gateway, what, says);
        // A second gateway does not start on it.
        let output = gateway.command().arg("run").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{what}: {said}");
        assert!(said.contains(says), "{what}: {said}");
    }
    take_away(&file);
    fs::write(&file, good).unwrap();
    assert!(gateway.ok(&["reload", "--wait"]).starts_with("generation 1, "));
}

#[test]
fn marks_of_other_editors_change_nothing() {
    let backend = Backend::ok();
    let gateway = config(&backend).published(&Api::app("app", "/app")).start();
    gateway.ok(&["authorize", "alpha", "g/app", "--stage", "RELEASE"]);
    let file = gateway.path().join(APP);
    let text = fs::read_to_string(&file).unwrap();
    for (what, spelled) in [("a byte order mark", format!("\u{feff}{text}")), ("CRLF", text.replace('\n', "\r\n"))] {
        gateway.write(APP, &spelled);
        gateway.ok(&["check"]);
        gateway.ok(&["reload", "--wait"]);
        assert_eq!(gateway.call(&Request::get("/app").app_code(&App::alpha().code)).status(), 200, "{what}");
    }
}

#[test]
fn a_secret_in_a_pipe_is_not_waited_for() {
    let backend = Backend::ok();
    let gateway = config(&backend).start();
    let pipe = gateway.path().join("alpha.toml-secret");
    succeeds(Command::new("mkfifo").arg(&pipe));
    gateway.write(APP, &format!("name = \"alpha\"\napp_code_file = {pipe:?}\n"));
    goes_on(&gateway, "a secret in a pipe", "this is not a regular file");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    const NOT_ALLOWED: i32 = 13;
    let backend = Backend::ok();
    let config = config(&backend);
    let file = config.path().join(APP);
    let refused = |command: &str| {
        let mut lockgate = lockgate(config.path());
        lockgate.arg(command);
        let output = with_fault(lockgate, &file, 1, Fault::AllFailsFromThenOn(NOT_ALLOWED)).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let says = "this file cannot be read: Permission denied";
    for (command, code) in [("check", 1), ("run", 78)] {
        let (exit, said) = refused(command);
        assert_eq!(exit, Some(code), "{command}: {said}");
        assert!(said.contains(says) && said.contains("alpha.toml"), "{command}: {said}");
    }
    // Read once, at the start.
    let gateway = config.fault(&file, 2, Fault::AllFailsFromThenOn(NOT_ALLOWED)).start();
    gateway.write(APP, &(App::alpha().document() + "# changed\n"));
    goes_on(&gateway, "not readable", says);
}

/// Has a directory mounted as a script says, by `$1`, for the life of a command: in name spaces of its own, where the
/// machine allows them.
fn mounted(directory: &Path, script: &str) -> Option<Command> {
    let allowed = Command::new("unshare").args(["-Urm", "mount", "-t", "tmpfs", "none"]).arg(directory).status();
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", &format!("{script} && shift && exec \"$@\""), "sh"]).arg(directory);
    allowed.is_ok_and(|status| status.success()).then_some(command)
}

/// `publish`, through a program that is given it.
fn publish(config: &Path, through: Command) -> (Option<i32>, String) {
    let plain = lockgate(config);
    let mut command = through;
    command.arg(plain.get_program()).args(plain.get_args()).args(["publish", "g/all"]);
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn publishing_to_a_full_disk_changes_nothing() {
    let backend = Backend::ok();
    let gateway = config(&backend).start();
    gateway.write("groups/g/apis/all.toml", &Api::open("all", "/*").backend_path("/new/*").document());
    let published = gateway.path().join("published");
    // All that was published, on a file system without room for more.
    let full = "cp -r \"$1\" \"$1.copy\" && mount -t tmpfs -o size=128k none \"$1\" && cp -r \"$1.copy/.\" \"$1\" && rm -r \"$1.copy\" \
                && { cat /dev/zero >\"$1/filler\" 2>\"$1/../filled\" || true; }";
    let (code, said) = match mounted(&published, full) {
        Some(through) => publish(gateway.path(), through),
        None => {
            let mut command = gateway.command();
            command.args(["publish", "g/all"]);
            let output = with_fault(command, &published, 5, Fault::FailsFromThenOn(28)).output().unwrap();
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        }
    };
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("No space left on device") && said.contains("nothing has changed"), "{said}");
    assert!(said.contains("make room on the file system"), "{said}");
    assert!(gateway.ok(&["reload", "--wait"]).starts_with("generation 1, "));
    assert!(gateway.ok(&["publish", "g/all", "--wait"]).contains("generation 2, "));
}

#[test]
fn a_read_only_directory_is_served_and_not_published_to() {
    let backend = Backend::ok();
    let config = config(&backend);
    let published: PathBuf = config.path().join("published");
    let read_only = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"";
    config.write("groups/g/apis/all.toml", &Api::open("all", "/*").backend_path("/new/*").document());
    let (code, said) = match mounted(&published, read_only) {
        Some(through) => publish(config.path(), through),
        None => {
            let mut command = lockgate(config.path());
            command.args(["publish", "g/all"]);
            let output = with_fault(command, &published, 1, Fault::FailsFromThenOn(30)).output().unwrap();
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        }
    };
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("published/.lock: Read-only file system") && said.contains("mount it for writing"), "{said}");
    let config = match mounted(&published, read_only) {
        Some(through) => config.through(&through),
        None => config.fault(&published, 1, Fault::FailsFromThenOn(30)),
    };
    let gateway = config.start();
    assert_eq!(gateway.get("/x").status(), 200);
    gateway.ok(&["reload", "--wait"]);
}

#[test]
fn a_state_directory_that_cannot_be_written_is_named() {
    let backend = Backend::ok();
    for (error, words) in [(30, "Read-only file system"), (28, "No space left on device"), (13, "Permission denied")] {
        let config = config(&backend);
        let state = config.path().join("state");
        let (code, said) = config.fault(&state, 1, Fault::FailsFromThenOn(error)).start_and_fail();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("the state directory cannot be used") && said.contains(words), "{said}");
    }
}

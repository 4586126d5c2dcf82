//! A published file that was damaged since it was written: a gateway that starts serves the last generation that is whole
//! and says so, or does not start if it is told to be strict; one that runs goes on.

use std::fs;
use std::path::{Path, PathBuf};

use lockgate_test_support::{Api, Backend, Config, Request, eventually, lockgate};

fn echo() -> Backend {
    Backend::answering(|request| {
        let path = request.target().to_owned();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).into_bytes()
    })
}

/// The API `g/all`, published first with one path of the backend, then with another.
fn published_twice(backend: &Backend) -> Config {
    let config = Config::with_backend(backend.address).admin();
    let config = config.published(&Api::open("all", "/*").backend_path("/one/*"));
    config.published(&Api::open("all", "/*").backend_path("/two/*"))
}

#[derive(Clone, Copy, Debug)]
enum Harm {
    Flipped,
    Cut,
    Emptied,
    Gone,
    NotUtf8,
}

const HARMS: [Harm; 5] = [Harm::Flipped, Harm::Cut, Harm::Emptied, Harm::Gone, Harm::NotUtf8];

/// Damages a file; its text as it was.
fn harm(file: &Path, harm: Harm) -> Vec<u8> {
    let was = fs::read(file).unwrap();
    let mut bytes = was.clone();
    match harm {
        // In a digest or a word of the last line that has letters: it reads as well as before.
        Harm::Flipped => {
            let at = bytes.iter().rposition(u8::is_ascii_lowercase).expect("a letter");
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
        }
        Harm::Cut => bytes.truncate(bytes.len() / 2),
        Harm::Emptied => bytes.clear(),
        Harm::NotUtf8 => bytes[3] = 0xff,
        Harm::Gone => {
            fs::remove_file(file).unwrap();
            return was;
        }
    }
    fs::write(file, bytes).unwrap();
    was
}

/// The published files that make an API current: the root, the manifest of its group, its version.
fn files(config: &Path) -> [(PathBuf, &'static str); 3] {
    let published = config.join("published");
    let mut versions: Vec<PathBuf> =
        fs::read_dir(published.join("RELEASE/g/all")).unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    // Of the root there is a copy, which is whole: the current generation is the last that is.
    [
        (published.join("manifest.toml"), "/two/x"),
        (published.join("RELEASE/g/2.toml"), "/one/x"),
        (versions.pop().unwrap(), "/one/x"),
    ]
}

#[test]
fn a_gateway_starts_with_the_last_generation_that_is_whole_and_says_so() {
    let backend = echo();
    for kind in 0..3 {
        for damage in HARMS {
            let config = published_twice(&backend);
            let (file, served) = files(config.path())[kind].clone();
            let was = harm(&file, damage);
            let what = format!("{} {damage:?}", file.display());
            let gateway = config.start();
            assert_eq!(gateway.get("/x").text(), served, "{what}");
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let generation = if served == "/two/x" { 2 } else { 1 };
            let log = gateway.output();
            let says = format!("what is published is damaged; generation {generation} is served, the last that is whole");
            assert!(log.contains("ERROR") && log.contains(&says) && log.contains(&name), "{what}: {log}");
            let status = gateway.ok(&["status"]);
            assert!(
                status.contains(&format!("generation   {generation}, ")) && status.contains("NOT SERVED"),
                "{what}: {status}"
            );
            assert!(status.contains(&name) || gateway.fails(&["check"]).contains(&name), "{what}: {status}");
            assert_eq!(gateway.metric("lockgate_load_failing"), Some(1.0), "{what}");
            assert_eq!(gateway.metric("lockgate_generation"), Some(f64::from(generation)), "{what}");
            // Put back, it is served, and all is well.
            fs::write(&file, was).unwrap();
            let said = gateway.ok(&["reload", "--wait"]);
            assert!(said.starts_with("generation 2, "), "{what}: {said}");
            assert_eq!(gateway.get("/x").text(), "/two/x", "{what}");
            assert_eq!(gateway.metric("lockgate_load_failing"), Some(0.0), "{what}");
        }
    }
}

#[test]
fn a_gateway_that_is_told_to_be_strict_does_not_start() {
    let backend = echo();
    for kind in 0..3 {
        let config = published_twice(&backend);
        let (file, _) = files(config.path())[kind].clone();
        harm(&file, Harm::Flipped);
        let output = lockgate(config.path()).args(["run", "--strict"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("this published file is damaged") && said.contains(&file.display().to_string()), "{said}");
    }
}

#[test]
fn without_a_generation_that_is_whole_nothing_starts() {
    let backend = echo();
    let config = published_twice(&backend);
    for (file, _) in files(config.path()) {
        harm(&file, Harm::Flipped);
    }
    harm(&config.path().join("published/RELEASE/g/1.toml"), Harm::Cut);
    let (code, said) = config.start_and_fail();
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("manifest.toml") && said.contains("none of the generations that are kept here can be served"),
        "{said}"
    );
}

#[test]
fn an_error_of_another_document_is_no_damage() {
    let backend = echo();
    let config = published_twice(&backend);
    fs::remove_file(config.path().join("vpc-access/backend.toml")).unwrap();
    let (code, said) = config.start_and_fail();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("there is no VPC access `backend`") && !said.contains("generations"), "{said}");
}

#[test]
fn a_running_gateway_names_what_is_damaged_and_goes_on() {
    let backend = echo();
    let gateway = published_twice(&backend).start();
    for (file, _) in files(gateway.path()) {
        for damage in HARMS {
            let was = harm(&file, damage);
            let said = gateway.fails(&["reload", "--wait"]);
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            assert!(said.contains(&name) && said.contains("generation 2 goes on"), "{damage:?}: {said}");
            if let Harm::Flipped = damage {
                assert!(said.contains("this published file is damaged") && said.contains("has "), "{said}");
            }
            assert_eq!(gateway.get("/x").text(), "/two/x", "{damage:?}");
            fs::write(&file, was).unwrap();
            assert!(gateway.ok(&["reload", "--wait"]).starts_with("generation 2, "), "{damage:?}");
        }
    }
}

/// What the error says to do.
#[test]
fn the_last_whole_generation_can_be_made_current() {
    let backend = echo();
    let config = published_twice(&backend);
    let (file, _) = files(config.path())[1].clone();
    harm(&file, Harm::Gone);
    let gateway = config.start();
    assert_eq!(gateway.get("/x").text(), "/one/x");
    let published = gateway.path().join("published");
    fs::copy(published.join("generations/1.toml"), published.join("manifest.toml")).unwrap();
    let good = || (gateway.metric("lockgate_load_failing") == Some(0.0)).then_some(());
    eventually("the files are served as they are", good);
    gateway.write("groups/g/apis/all.toml", &Api::open("all", "/*").backend_path("/three/*").document());
    let said = gateway.ok(&["publish", "g/all", "--wait"]);
    assert!(said.contains("generation 3, "), "{said}");
    assert_eq!(gateway.call(&Request::get("/x")).text(), "/three/x");
}

//! A running gateway follows its files: what changes takes effect on every worker with nothing lost, and a bad file never
//! takes the place of a good generation.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use lockgate_test_support::{Api, App, Backend, Client, Config, Gateway, Request, eventually, lockgate, succeeds};

/// Answers with the path that it was asked for: which says what definition the call went by.
fn echo() -> Backend {
    Backend::answering(|request| {
        let path = request.target().to_owned();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).into_bytes()
    })
}

fn draft(gateway: &Gateway, api: &Api) {
    gateway.write(&format!("groups/g/apis/{}.toml", api.name), &api.document());
}

fn publish(gateway: &Gateway, api: &Api) -> String {
    draft(gateway, api);
    gateway.ok(&["publish", &format!("g/{}", api.name), "--wait"])
}

/// The last line of a command's output: the receipt.
fn receipt(said: &str) -> &str {
    said.lines().find(|line| line.contains(" workers, ")).unwrap_or_default()
}

#[test]
fn a_published_api_is_in_force_on_all_workers_with_its_receipt() {
    let backend = echo();
    let gateway = Config::open(backend.address).start();
    let mut kept: Vec<Client> = (0..16).map(|_| gateway.client()).collect();
    for client in &mut kept {
        assert_eq!(client.call(&Request::get("/x")).text(), "/x");
    }
    for version in 1..=3 {
        let said = publish(&gateway, &Api::open("all", "/*").backend_path(&format!("/v{version}/*")));
        let receipt = receipt(&said);
        assert!(receipt.starts_with(&format!("generation {}, sha256 ", version + 1)), "{said}");
        assert!(receipt.contains(", 2/2 workers, ") && receipt.ends_with(" ms"), "{said}");
        for client in &mut kept {
            assert_eq!(client.call(&Request::get("/x")).text(), format!("/v{version}/x"), "a connection that was kept");
        }
        assert_eq!(gateway.get("/y").text(), format!("/v{version}/y"), "a new one");
    }
    gateway.wait_for_output("generation 4, sha256 ");
}

#[test]
fn a_rollback_and_an_api_taken_offline_are_waited_for_with_their_receipts() {
    let backend = echo();
    let gateway = Config::open(backend.address).start();
    let mut kept: Vec<Client> = (0..8).map(|_| gateway.client()).collect();
    publish(&gateway, &Api::open("all", "/*").backend_path("/new/*"));
    assert!(kept.iter_mut().all(|client| client.call(&Request::get("/x")).text() == "/new/x"));
    for (command, generation, code, text) in [("rollback", 3, 200, "/x"), ("offline", 4, 404, ""), ("rollback", 5, 200, "/new/x")]
    {
        let said = gateway.ok(&[command, "g/all", "--wait"]);
        let receipt = receipt(&said);
        assert!(receipt.starts_with(&format!("generation {generation}, sha256 ")), "{said}");
        assert!(receipt.contains(", 2/2 workers, ") && receipt.ends_with(" ms"), "{said}");
        for client in &mut kept {
            let answer = client.call(&Request::get("/x"));
            assert_eq!((answer.status(), answer.text().as_str()), (code, text), "{command}: a connection that was kept");
        }
        assert_eq!(gateway.get("/x").status(), code, "{command}: a new one");
    }
}

#[test]
fn a_receipt_says_what_was_done_and_has_the_one_digest_that_the_status_has() {
    let backend = echo();
    let gateway = Config::open(backend.address).admin().start();
    gateway.write("groups/h/group.toml", "name = \"h\"\n");
    gateway.write("groups/h/apis/other.toml", &Api::open("other", "/other").document());
    gateway.ok(&["publish", "h/other", "--wait"]);
    let one = "2 published files and 0 documents of apps read, 1 of 2 groups built";
    let is_told = |arguments: &[&str], work: &str| {
        let said = gateway.ok(&[arguments, &["--wait"]].concat());
        // Where the gateway has seen the change before it was asked, it ran already.
        let nothing = "0 published files and 0 documents of apps read, 0 of ";
        assert!(said.lines().last().is_some_and(|last| last == work || last.starts_with(nothing)), "{said}");
        let digests: Vec<&str> = said.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64).collect();
        let page: serde_json::Value = serde_json::from_str(&gateway.admin("/status").text()).unwrap();
        assert_eq!(digests, [page["generation"]["sha256"].as_str().unwrap()], "{said}");
        let status = gateway.ok(&["status"]);
        assert!(status.contains(&digests[0][..12]), "{status}");
        status
    };
    draft(&gateway, &Api::open("all", "/*").backend_path("/new/*"));
    assert!(is_told(&["publish", "g/all"], one).contains(one));
    assert!(is_told(&["rollback", "g/all"], one).contains(one));
    // A group without an API has no tables.
    let offline = "1 published files and 0 documents of apps read, 0 of 1 groups built";
    assert!(is_told(&["offline", "g/all"], offline).contains(offline));
    // Everything is read, and is what runs: nothing is built, and the status says what was done for what runs.
    let all = "3 published files and 0 documents of apps read, 0 of 1 groups built";
    assert!(is_told(&["reload"], all).contains(offline));
}

/// The files are changed, and what the gateway made of that is the error.
#[test]
fn a_wait_fails_with_the_reason_when_the_gateway_does_not_serve_it() {
    let backend = echo();
    let gateway = Config::open(backend.address).app(&App::alpha()).start();
    publish(&gateway, &Api::open("all", "/*").backend_path("/new/*"));
    // A publication looks at what it touches, and not at apps; a gateway loads them all.
    gateway.write("apps/alpha.toml", "name = \"alpha\"\napp_key = 5\n");
    draft(&gateway, &Api::open("all", "/*").backend_path("/newer/*"));
    for arguments in [["publish", "g/all"], ["rollback", "g/all"], ["offline", "g/all"]] {
        let said = gateway.fails(&[arguments[0], arguments[1], "--wait"]);
        assert!(said.contains("apps/alpha.toml:2:11") && said.contains("generation 2 goes on"), "{said}");
        assert_eq!(gateway.get("/x").text(), "/new/x", "{said}");
    }
    gateway.write("apps/alpha.toml", &App::alpha().document());
    let said = gateway.ok(&["reload", "--wait"]);
    assert!(receipt(&said).starts_with("generation 5, sha256 "), "{said}");
    assert_eq!(gateway.get("/x").status(), 404);
}

#[test]
fn what_is_not_waited_for_comes_by_itself() {
    let backend = echo();
    let gateway = Config::open(backend.address).start();
    draft(&gateway, &Api::open("all", "/*").backend_path("/new/*"));
    gateway.ok(&["publish", "g/all"]);
    eventually("the new version is served", || (gateway.get("/x").text() == "/new/x").then_some(()));
}

#[test]
fn apps_and_authorizations_are_live_without_publishing() {
    let backend = echo();
    let gateway = Config::with_backend(backend.address).published(&Api::app("all", "/*")).start();
    let alpha = App::alpha();
    let status = || gateway.call(&Request::get("/x").app_code(&alpha.code)).status();
    assert_eq!(status(), 401);
    gateway.write("apps/alpha.toml", &alpha.document());
    eventually("the app is known", || (gateway.call(&Request::get("/x").app_code(&alpha.code)).code() == "I403AA").then_some(()));
    gateway.ok(&["authorize", "alpha", "g/all", "--stage", "RELEASE"]);
    eventually("it may call", || (status() == 200).then_some(()));
    fs::remove_file(gateway.path().join("apps/alpha.toml")).unwrap();
    eventually("it is forgotten", || (status() == 401).then_some(()));
}

#[test]
fn groups_and_limits_are_live_without_publishing() {
    let backend = echo();
    let gateway = Config::open(backend.address).start();
    gateway.write("groups/g/group.toml", "name = \"g\"\nbase_path = \"/base\"\ndomains = [\"one.test\"]\n");
    gateway.ok(&["reload", "--wait"]);
    assert_eq!(gateway.call(&Request::get("/base/x").host("one.test")).text(), "/x");
    assert_eq!(gateway.call(&Request::get("/x")).code(), "I404DO");
    let settings = fs::read_to_string(gateway.path().join("gateway.toml")).unwrap();
    gateway.write("gateway.toml", &format!("{settings}\n[limits]\nbody_bytes = 1\n"));
    gateway.ok(&["reload", "--wait"]);
    let long = Request::new("POST", "/base/x").host("one.test").body("long");
    assert_eq!(gateway.call(&long).code(), "I413RL");
}

#[test]
fn what_needs_a_new_start_is_said_and_the_rest_is_in_force() {
    let backend = echo();
    let gateway = Config::open(backend.address).start();
    let settings = fs::read_to_string(gateway.path().join("gateway.toml")).unwrap();
    let changed = settings.replace("workers = 2", "workers = 1") + "\n[limits]\nbody_bytes = 1\n";
    gateway.write("gateway.toml", &changed);
    let said = gateway.ok(&["reload", "--wait"]);
    assert!(said.contains("2/2 workers"), "{said}");
    assert!(said.contains("not in force until the gateway is started anew: workers in [instance]"), "{said}");
    gateway.wait_for_output("takes effect when the gateway is started anew: workers in [instance]");
    assert_eq!(gateway.call(&Request::new("POST", "/x").body("long")).status(), 413);
}

#[test]
fn pools_of_unchanged_vpc_accesses_stay_warm() {
    let (kept, old, new) = (echo(), echo(), echo());
    let config = Config::new().instance("workers = 1");
    let config = config.vpc_access("kept", kept.address, "").vpc_access("moved", old.address, "").group("g", &["*"], "");
    let config = config.published(&Api::open("kept", "/kept/*").vpc_access("kept"));
    let gateway = config.published(&Api::open("moved", "/moved/*").vpc_access("moved")).start();
    let mut client = gateway.client();
    let mut both = || [client.call(&Request::get("/kept/x")).status(), client.call(&Request::get("/moved/x")).status()];
    assert_eq!(both(), [200, 200]);
    let address = new.address;
    let document = format!(
        "name = \"moved\"\nvpc_id = \"vpc-test\"\nport = {}\n\n[[instance]]\naddress = \"{}\"\n",
        address.port(),
        address.ip()
    );
    gateway.write("vpc-access/moved.toml", &document);
    gateway.ok(&["reload", "--wait"]);
    assert_eq!(both(), [200, 200]);
    assert_eq!((kept.connections(), old.connections(), new.connections()), (1, 1, 1));
    assert_eq!((kept.count(), old.count(), new.count()), (2, 1, 1));
    old.wait_for_open_connections(0);
}

/// Answers a request only when it is told to.
fn patient() -> (Backend, std::sync::mpsc::Sender<()>) {
    let (release, wait) = channel::<()>();
    let wait: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(wait));
    let backend = Backend::scripted(move |peer| {
        while let Some(request) = peer.request()? {
            let _ = wait.lock().expect("one waits at a time").recv();
            let path = request.target().to_owned();
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()))?;
        }
        Ok(())
    });
    (backend, release)
}

#[test]
fn a_request_in_flight_finishes_on_what_it_started_with() {
    let (backend, release) = patient();
    let gateway = Config::open(backend.address).start();
    let mut client = gateway.client();
    client.send(Request::get("/x").bytes());
    backend.next();
    publish(&gateway, &Api::open("all", "/*").backend_path("/new/*"));
    release.send(()).unwrap();
    assert_eq!(client.response("GET").text(), "/x");
    client.send(Request::get("/x").bytes());
    release.send(()).unwrap();
    assert_eq!(client.response("GET").text(), "/new/x");
}

#[test]
fn a_draft_with_a_mistake_keeps_nobody_from_starting_or_reloading() {
    let backend = echo();
    let config = Config::open(backend.address);
    config.write("groups/g/apis/draft.toml", "name = \"draft\"\nmistake = 1\n");
    let gateway = config.start();
    gateway.write("apps/alpha.toml", &App::alpha().document());
    assert!(gateway.ok(&["reload", "--wait"]).contains("2/2 workers"));
    assert!(gateway.fails(&["check"]).contains("groups/g/apis/draft.toml:2:1"));
}

#[test]
fn swapped_links_of_mounted_volumes_are_seen() {
    let backend = echo();
    let gateway = Config::open(backend.address).start();
    let apps = gateway.path().join("apps");
    let volume = |name: &str, code: &str| {
        fs::create_dir_all(apps.join(name)).unwrap();
        let app = App::new("alpha", "24601001", "a-secret-of-the-app", code);
        fs::write(apps.join(name).join("alpha.toml"), app.document()).unwrap();
        let _ = fs::remove_file(apps.join("..data_tmp"));
        symlink(name, apps.join("..data_tmp")).unwrap();
        fs::rename(apps.join("..data_tmp"), apps.join("..data")).unwrap();
    };
    volume("..2026_01", "first-code-of-the-app");
    symlink("..data/alpha.toml", apps.join("alpha.toml")).unwrap();
    publish(&gateway, &Api::app("all", "/*"));
    let code = |code: &str| gateway.call(&Request::get("/x").app_code(code)).code().to_owned();
    eventually("the first volume is read", || (code("first-code-of-the-app") == "I403AA").then_some(()));
    volume("..2026_02", "second-code-of-the-app");
    eventually("the second volume is read", || (code("second-code-of-the-app") == "I403AA").then_some(()));
}

#[test]
fn a_signal_has_everything_read_again() {
    let backend = echo();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "first-code-of-the-app\n").unwrap();
    let config = Config::with_backend(backend.address).published(&Api::app("all", "/*"));
    config.write("apps/a.toml", &format!("name = \"a\"\napp_code_file = {:?}\n", outside.path()));
    let gateway = config.start();
    let code = |code: &str| gateway.call(&Request::get("/x").app_code(code)).code().to_owned();
    assert_eq!(code("first-code-of-the-app"), "I403AA");
    fs::write(outside.path(), "second-code-of-the-app\n").unwrap();
    gateway.signal("HUP");
    eventually("the secret's file is read again", || (code("second-code-of-the-app") == "I403AA").then_some(()));
}

#[test]
fn a_state_directory_has_one_gateway() {
    let backend = echo();
    let gateway = Config::open(backend.address).start();
    let error = gateway.fails(&["run"]);
    assert!(
        error.contains("another gateway uses the state directory") && error.contains(&format!("process {}", gateway.id())),
        "{error}"
    );
    let mode = |place: &str| fs::metadata(gateway.path().join(place)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("state"), mode("state/control.sock"), mode("state/gateway.lock")), (0o700, 0o600, 0o600));
}

#[test]
fn without_a_gateway_a_wait_fails_and_says_so() {
    let backend = echo();
    let config = Config::open(backend.address);
    config.write("groups/g/apis/all.toml", &Api::open("all", "/*").backend_path("/new/*").document());
    let output = lockgate(config.path()).args(["publish", "g/all", "--wait"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("no gateway runs here"), "{error}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("generation 2"), "it is published all the same");
}

/// A file that is wrong, how to make it so, and what the report must name.
struct Bad {
    what: &'static str,
    file: &'static str,
    spoil: fn(&Path),
    says: &'static str,
}

const BAD: &[Bad] = &[
    Bad {
        what: "no TOML",
        file: "apps/alpha.toml",
        spoil: |file| fs::write(file, "name = \"alpha\"\napp_key = \n").unwrap(),
        says: "apps/alpha.toml:2:11",
    },
    Bad {
        what: "an unknown key",
        file: "vpc-access/backend.toml",
        spoil: |file| fs::write(file, fs::read_to_string(file).unwrap().replace("vpc_id", "vpcid")).unwrap(),
        says: "vpc-access/backend.toml:2:1",
    },
    Bad {
        what: "a base path that is none",
        file: "groups/g/group.toml",
        spoil: |file| fs::write(file, "name = \"g\"\nbase_path = \"x\"\n").unwrap(),
        says: "groups/g/group.toml:2:13",
    },
    Bad {
        what: "a setting out of range",
        file: "gateway.toml",
        spoil: |file| fs::write(file, fs::read_to_string(file).unwrap().replace("workers = 2", "workers = 0")).unwrap(),
        says: "gateway.toml:",
    },
    Bad { what: "gone", file: "gateway.toml", spoil: |file| fs::remove_file(file).unwrap(), says: "gateway.toml" },
    Bad {
        what: "not UTF-8",
        file: "apps/alpha.toml",
        spoil: |file| fs::write(file, b"name = \"alpha\"\n# \xff\n").unwrap(),
        says: "this file is not UTF-8",
    },
    Bad {
        what: "a link to itself",
        file: "apps/alpha.toml",
        spoil: |file| {
            fs::remove_file(file).unwrap();
            symlink("alpha.toml", file).unwrap();
        },
        says: "apps/alpha.toml",
    },
    Bad {
        what: "a directory",
        file: "apps/alpha.toml",
        spoil: |file| {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        },
        says: "this is not a regular file",
    },
    Bad {
        what: "100 MB",
        file: "groups/g/group.toml",
        spoil: |file| fs::File::options().write(true).open(file).unwrap().set_len(100 << 20).unwrap(),
        says: "this file is longer than",
    },
    Bad {
        what: "a byte of the root manifest changed",
        file: "published/manifest.toml",
        spoil: |file| flip_a_byte(file),
        says: "published/manifest.toml",
    },
];

/// Changes a letter of the last line that has one.
fn flip_a_byte(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let at = bytes.iter().rposition(u8::is_ascii_lowercase).expect("a letter");
    bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_bad_file_never_takes_the_place_of_a_good_generation() {
    let backend = echo();
    let config = Config::open(backend.address).app(&App::alpha());
    let gateway = config.start();
    let mut kept = gateway.client();
    for Bad { what, file, spoil, says } in BAD {
        let path = gateway.path().join(file);
        let good = fs::read(&path).unwrap();
        spoil(&path);
        let said = gateway.fails(&["reload", "--wait"]);
        assert!(said.contains(says) && said.contains("generation 1 goes on"), "{what}: {said}");
        eventually(what, || gateway.output().contains(says).then_some(()));
        assert_eq!(kept.call(&Request::get("/x")).text(), "/x", "{what}");
        assert_eq!(gateway.get("/x").text(), "/x", "{what}");
        let _ = fs::remove_dir(&path);
        let _ = fs::remove_file(&path);
        fs::write(&path, good).unwrap();
        let said = gateway.ok(&["reload", "--wait"]);
        assert!(said.starts_with("generation 1, sha256 "), "{what}: {said}");
    }
}

#[test]
fn a_damaged_version_is_named_and_the_gateway_goes_on() {
    let backend = echo();
    let gateway = Config::open(backend.address).start();
    let directory = gateway.path().join("published/RELEASE/g/all");
    let version = fs::read_dir(directory).unwrap().next().unwrap().unwrap().path();
    flip_a_byte(&version);
    let said = gateway.fails(&["reload", "--wait"]);
    assert!(said.contains(&version.file_name().unwrap().to_string_lossy().into_owned()), "{said}");
    assert_eq!(gateway.get("/x").text(), "/x");
    draft(&gateway, &Api::open("all", "/*").backend_path("/mended/*"));
    let said = gateway.ok(&["publish", "g/all", "--wait"]);
    assert!(said.contains("2/2 workers"), "{said}");
    assert_eq!(gateway.get("/x").text(), "/mended/x");
}

#[test]
fn a_directory_that_is_none_is_named() {
    let backend = echo();
    let gateway = Config::open(backend.address).start();
    gateway.write("apps", "");
    let said = gateway.fails(&["reload", "--wait"]);
    assert!(said.contains("apps") && said.contains("cannot be read"), "{said}");
    assert_eq!(gateway.get("/x").text(), "/x");
}

/// Not by one rename, so that for a moment there is none.
#[test]
fn a_config_directory_that_is_replaced_as_a_whole_is_seen() {
    let backend = echo();
    let gateway = Config::open(backend.address).start();
    let (config, aside) = (gateway.path().to_path_buf(), gateway.path().with_extension("aside"));
    publish(&gateway, &Api::open("all", "/*").backend_path("/new/*"));
    fs::rename(&config, &aside).unwrap();
    let told = |text: &str| fs::read_to_string(aside.join("output")).unwrap().contains(text).then_some(());
    eventually("it is told", || told("there is no such config directory"));
    eventually("commands do not find it", || told("the state directory "));
    assert_eq!(gateway.get("/x").text(), "/new/x", "it goes on");
    // The next one, without state.
    assert!(std::process::Command::new("cp").arg("-r").args([&aside, &config]).status().unwrap().success());
    fs::remove_dir_all(config.join("state")).unwrap();
    let draft = Api::open("all", "/*").backend_path("/newer/*");
    gateway.write("groups/g/apis/all.toml", &draft.document());
    succeeds(lockgate(&config).args(["publish", "g/all"]));
    eventually("the next one is served", || (gateway.get("/x").text() == "/newer/x").then_some(()));
    // Put back, commands find it again.
    fs::rename(aside.join("state"), config.join("state")).unwrap();
    assert!(gateway.ok(&["reload", "--wait"]).starts_with("generation 3, "));
    fs::remove_dir_all(&aside).unwrap();
}

#[test]
fn default_domain_calls_are_not_forgotten_by_a_reload() {
    let backend = echo();
    let config = Config::new().vpc_access("backend", backend.address, "");
    let gateway = config.group("g", &[], "default_domain_calls_per_day = 3").published(&Api::open("all", "/*")).start();
    let call = || gateway.call(&Request::get("/x").host("g.localhost")).status();
    assert_eq!([call(), call()], [200, 200]);
    publish(&gateway, &Api::open("all", "/*").backend_path("/new/*"));
    assert_eq!([call(), call()], [200, 429]);
    succeeds(gateway.command().args(["reload", "--wait"]));
    assert_eq!(call(), 429);
}

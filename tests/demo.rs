//! `lockgate demo`: it starts on a fresh machine, prints calls that work as printed, and ends well.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use lockgate_test_support::{Port, Process, eventually, lockgate, repository, reserve, sh, succeeds};
use tempfile::TempDir;

struct Demo {
    process: Process,
    directory: TempDir,
    _ports: [Port; 3],
}

impl Demo {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (port, backend, https) = (reserve(), reserve(), reserve());
        let config = directory.path().join("config");
        succeeds(Command::new("cp").arg("-r").arg(repository().join("config")).arg(&config));
        let gateway = config.join("gateway.toml");
        let text = fs::read_to_string(&gateway).expect("the sample instance");
        fs::write(&gateway, text.replace("127.0.0.1:8080", &port.address.to_string())).expect("the copy can be written");
        let access = config.join("vpc-access/nginx-microservice.toml");
        let text = fs::read_to_string(&access).expect("the sample's VPC access");
        assert!(text.contains("port = 8081"), "the sample's backend listens where this test looks");
        let text = text.replace("port = 8081", &format!("port = {}", backend.address.port()));
        fs::write(&access, text).expect("the copy can be written");
        let output = File::create(directory.path().join("output")).expect("the output file can be made");
        let errors = File::create(directory.path().join("errors")).expect("the output file can be made");
        let mut run = lockgate(&config);
        run.args(["demo", "--https", &https.address.to_string()]);
        run.current_dir(directory.path()).stdout(output).stderr(errors);
        let mut process = Process::serving(run, [port.address]);
        process.wait_until_it_listens();
        Self { process, directory, _ports: [port, backend, https] }
    }

    fn output(&self) -> String {
        let read = |name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        read("output") + &read("errors")
    }

    /// The lines to paste: those that begin with a program that they name.
    fn calls(&self) -> Vec<String> {
        let begins =
            |line: &str| ["curl ", "lockgate ", "cargo run"].iter().any(|p| line.starts_with(p)) || line.contains("/lockgate ");
        self.output().lines().map(|l| l.trim().trim_start_matches("$ ").to_owned()).filter(|l| begins(l)).collect()
    }
}

#[test]
fn the_printed_calls_work_as_printed_and_ctrl_c_ends_it() {
    let mut demo = Demo::start();
    let calls = eventually("the demo prints its calls", || Some(demo.calls()).filter(|c| c.len() >= 6));
    let has = |parts: &[&str]| calls.iter().any(|call| parts.iter().all(|p| call.contains(p)));
    assert!(has(&["curl", "APPCODE"]), "an AppCode in the header: {calls:#?}");
    assert!(has(&["curl", "--cacert", "'https://"]), "over HTTPS: {calls:#?}");
    assert!(has(&["curl", "AppCode="]), "an AppCode in the query: {calls:#?}");
    assert!(has(&["sign"]) && has(&["call"]), "a signed call: {calls:#?}");
    let program = succeeds(lockgate(demo.directory.path()).arg("--version"));
    assert!(String::from_utf8_lossy(&program.stdout).contains("lockgate"));
    let beside = std::env::current_exe().expect("a test program knows its place");
    let programs = beside.parent().and_then(|d| d.parent()).expect("target/PROFILE/deps").display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
    for call in &calls {
        let output = succeeds(sh(call).env("PATH", &path).current_dir(demo.directory.path()));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let has_credentials = ["APPCODE", "AppCode=", "sign"].iter().any(|word| call.contains(word));
        match has_credentials {
            true => assert!(text.contains("200") && text.contains("<h1>Welcome"), "{call}\n{text}"),
            false => assert!(text.contains("X-Ca-Error-Code: A400MA"), "{call}\n{text}"),
        }
    }
    // A change of the documents is followed, and what is served over HTTPS beside them stays.
    let config = demo.directory.path().join("config");
    let app = config.join("apps/demo-app.toml");
    let text = fs::read_to_string(&app).expect("the sample's app");
    fs::write(&app, format!("{text}\n# changed\n")).expect("the copy can be written");
    succeeds(lockgate(&config).args(["reload", "--wait"]));
    let state = fs::metadata(config.join("state")).expect("a state directory").permissions();
    assert_eq!(state.mode() & 0o777, 0o700, "it is its owner's alone");
    let over_https = calls.iter().find(|call| call.contains("--cacert")).expect("a call over HTTPS");
    let output = succeeds(sh(over_https).current_dir(demo.directory.path()));
    assert!(String::from_utf8_lossy(&output.stdout).contains("<h1>Welcome"));
    assert!(!demo.output().contains("started anew"), "{}", demo.output());
    demo.process.signal("INT");
    let status = demo.process.wait();
    let output = demo.output();
    assert_eq!(status.code(), Some(0), "{output}");
    let summary = format!("stopped after {} requests (0 panics, 0 log lines dropped)", calls.len() + 1);
    assert!(output.contains(&summary), "{output}");
}

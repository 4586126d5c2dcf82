//! `lockgate publish --dry-run`: what it foretells is what happens, request by request.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use lockgate_test_support::{Api, App, Backend, Client, Config, Gateway, Process, Request, Signer, lockgate, read_log, succeeds};
use serde_json::Value;

/// Requests of one run, over connections that are kept.
const REQUESTS: usize = 1500;
const CONNECTIONS: usize = 4;

fn alpha() -> App {
    App::alpha().may_call("g/signed", &["RELEASE", "TEST"]).may_call("g/moved", &["RELEASE"])
}

/// The kinds of requests, by number: each is made anew for each run, since nonces pass once.
fn request(n: usize) -> Request {
    let app = alpha();
    let signer = Signer::new(&app.key, &app.secret);
    match n % 15 {
        0 => Request::get(&format!("/open/{n}?q={n}")),
        1 => Request::new("POST", &format!("/open/{n}")).body("abc"),
        2 => Request::get("/signed/x").app_code(&app.code),
        3 => Request::get(&format!("/signed/x?AppCode={}&n={n}", app.code)),
        4 => signer.sign(Request::get("/signed/signed")),
        5 => signer.sign(Request::get("/signed/once").field("X-Ca-Nonce", format!("{n}-{}", std::process::id()))),
        6 => signer.sign(Request::post("/signed/form", "application/x-www-form-urlencoded", "a=1")).body("a=2"),
        7 => Request::get("/signed/x").app_code("unknown"),
        8 => Request::get("/signed/x"),
        9 => signer.sha1().sign(Request::get("/moved/here")),
        10 => Request::get("/moved/there").app_code(&app.code).stage("TEST"),
        11 => Request::get("/fresh/one"),
        12 => Request::get("/closed/one"),
        13 => Request::get("/nothing").stage("none"),
        _ => Request::get("/plain").host("plain.example"),
    }
}

/// Sends every request, on connections that are kept, and gives the id that each got.
fn run(gateway: std::net::SocketAddr) -> Vec<String> {
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(gateway)).collect();
    let mut ids = Vec::new();
    for n in 0..REQUESTS {
        let client = &mut clients[n % CONNECTIONS];
        let answer = client.call(&request(n));
        if answer.field("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            *client = Client::connect(gateway);
        }
        ids.push(answer.field("X-Ca-Request-Id").expect("every answer has an id").to_owned());
    }
    ids
}

/// What became of each request, by its line: the API, or the code.
fn outcomes(lines: &[Value]) -> BTreeMap<String, String> {
    let outcome = |line: &Value| match line["errorCode"].as_str() {
        Some(code) => code.to_owned(),
        None => format!("{}/{}", line["apiGroupName"].as_str().unwrap_or_default(), line["apiName"].as_str().unwrap_or_default()),
    };
    lines.iter().map(|line| (line["requestId"].as_str().unwrap_or_default().to_owned(), outcome(line))).collect()
}

/// The gateway once more, on the same directory and address.
fn again(gateway: &mut Gateway) -> Process {
    gateway.signal("TERM");
    gateway.wait();
    // Used nonces outlive a process: forgotten here, so that the same requests can come again.
    fs::remove_file(gateway.path().join("state/nonces")).expect("nonces are kept");
    fs::rename(gateway.path().join("access.log"), gateway.path().join("access.log.1")).expect("the log can be moved");
    let mut command = lockgate(gateway.path());
    command.arg("run").current_dir(gateway.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Process::serving(command, [gateway.address]);
    running.wait_until_it_listens();
    running
}

/// Drafts of which every one changes what becomes of some request.
fn redraft(directory: &Path) {
    let write = |api: Api| fs::write(directory.join(format!("groups/g/apis/{}.toml", api.name)), api.document()).unwrap();
    let authentication = "type = \"app\"\napp_code = \"header\"\nsignature_methods = [\"HMAC_SHA256\"]\nrequire_nonce = true\n";
    write(Api::open("open", "/open/*").methods(&["GET"]));
    write(Api::app("signed", "/signed/*").authentication(authentication));
    write(Api::app("moved", "/moved/here/[deeper]"));
    write(Api::open("fresh", "/fresh/*"));
    write(Api::app("closed", "/closed/*"));
    write(Api::open("plain", "/plain").protocols(&["https"]));
}

fn dry_run(directory: &Path, arguments: &[&str]) -> String {
    let mut command = lockgate(directory);
    let output = succeeds(command.args(["publish", "g", "--dry-run", "--replay"]).args(arguments));
    String::from_utf8(output.stdout).expect("the report is text")
}

#[test]
fn what_the_preview_foretells_happens_request_by_request() {
    let backend = Backend::ok();
    let mut gateway = Config::with_backend(backend.address)
        .access_log()
        .published(&Api::open("open", "/open/*"))
        .published(&Api::app("signed", "/signed/*"))
        .published(&Api::app("moved", "/moved/[where]"))
        .published(&Api::open("closed", "/closed/*"))
        .published(&Api::open("plain", "/plain"))
        .app(&alpha())
        .start();
    let first = run(gateway.address);
    let lines = gateway.access_log(REQUESTS);
    let happened = outcomes(&lines);
    redraft(gateway.path());

    let (log, told) = (gateway.path().join("access.log"), gateway.path().join("told"));
    let [log, told] = [&log, &told].map(|path| path.to_str().expect("a path of text"));
    let report = dry_run(gateway.path(), &[log, "--outcomes", told, "--format", "json"]);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let replay = &report["replay"];
    assert_eq!(replay["judged"], REQUESTS, "{replay:#}");
    assert_eq!(replay["drift"], Value::Array(Vec::new()), "nothing has changed since the log: {replay:#}");
    let foretold: BTreeMap<String, (String, String)> = fs::read_to_string(told)
        .expect("the outcomes are written")
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            (text("requestId"), (text("before"), text("after")))
        })
        .collect();
    // The tables as they are say what has happened.
    for id in &first {
        assert_eq!(foretold[id].0, happened[id], "{id}");
    }
    let dry = fs::read_to_string(gateway.path().join("published/manifest.toml")).unwrap();

    succeeds(gateway.command().args(["publish", "g", "--remarks", "for real"]));
    assert_ne!(dry, fs::read_to_string(gateway.path().join("published/manifest.toml")).unwrap(), "the dry run wrote nothing");
    let _running = again(&mut gateway);
    let second = run(gateway.address);
    let really = outcomes(&read_log(Path::new(log), REQUESTS));
    let (mut changed, mut unknown) = (BTreeMap::new(), 0);
    for (n, (one, other)) in first.iter().zip(&second).enumerate() {
        let (before, after) = &foretold[one];
        if after == "unknown" {
            // Calls of an API that asked for nothing and now asks for credentials: the log cannot know them.
            assert_eq!(n % 15, 12, "{:?}", request(n));
            unknown += 1;
            continue;
        }
        assert_eq!(*after, really[other], "request {n}: {:?}", request(n));
        if before != after {
            *changed.entry((before.clone(), after.clone())).or_insert(0u64) += 1;
        }
    }
    assert_eq!(unknown, REQUESTS / 15);
    assert!(changed.len() >= 6, "{changed:?}");
    // The report counts the same.
    let mut counted = BTreeMap::new();
    for change in replay["changes"].as_array().expect("a list").iter().filter(|change| change["after"] != "unknown") {
        let text = |key: &str| change[key].as_str().unwrap_or_default().to_owned();
        *counted.entry((text("before"), text("after"))).or_insert(0) += change["count"].as_u64().unwrap_or_default();
    }
    assert_eq!(counted, changed);
}

/// A gateway's directory with a log of this many calls of `g/signed` by `alpha`.
fn logged(calls: usize) -> (Gateway, Vec<String>) {
    let backend = Backend::ok();
    let gateway = Config::with_backend(backend.address)
        .instance("workers = 1")
        .access_log()
        .published(&Api::app("signed", "/signed/*"))
        .app(&alpha_until("2099-01-01T00:00:00Z"))
        .start();
    for _ in 0..calls {
        gateway.call(&Request::get("/signed/x").app_code(&App::alpha().code)).assert_passed();
    }
    let lines = gateway.access_log(calls).iter().map(Value::to_string).collect();
    (gateway, lines)
}

fn alpha_until(end: &str) -> App {
    App::alpha().may_call_until("g/signed", &["RELEASE"], end)
}

#[test]
fn what_is_not_a_record_of_this_instance_is_counted_and_said() {
    let (gateway, lines) = logged(3);
    let directory = gateway.path();
    // A rotated file, packed; a line cut short; one that is no JSON; one of another instance; two that were never decided.
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(format!("{}\n", lines[0]).as_bytes()).unwrap();
    fs::write(directory.join("old.2.gz"), packed.finish().unwrap()).unwrap();
    let other = lines[1].replace("\"instanceId\":\"test\"", "\"instanceId\":\"edge-9\"");
    let mut value: Value = serde_json::from_str(&lines[1]).unwrap();
    let object = value.as_object_mut().unwrap();
    object.retain(|key, _| !["path", "httpMethod", "apiName", "apiGroupName", "appName"].contains(&key.as_str()));
    object.insert("errorCode".into(), "I400HD".into());
    let text = format!("{}\n\n{}\nnot a record\n{other}\n{value}\n{}", lines[1], &lines[1][..40], &lines[2]);
    fs::write(directory.join("old.1"), text).unwrap();

    let files = ["old.1", "old.2.gz"].map(|file| directory.join(file).to_str().unwrap().to_owned());
    let said = dry_run(directory, &[&files[0], &files[1]]);
    for text in [
        "3 requests judged",
        "left out: 1 line of the instance edge-9",
        "left out: 2 lines damaged, the first at ",
        "old.1:3\n",
        "not judged: 1 line refused for the head or the body (I400HD)",
        "the outcome of no request would change",
        "g/signed is current in RELEASE already",
        "Nothing was written.",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let said: Value = serde_json::from_str(&dry_run(directory, &[&files[0], &files[1], "--format", "json"])).unwrap();
    let replay = &said["replay"];
    assert_eq!(
        (&replay["damaged"]["count"], &replay["otherInstances"]["edge-9"], &replay["notJudged"]["I400HD"]),
        (&2.into(), &1.into(), &1.into())
    );
    let missing = directory.join("none").to_str().unwrap().to_owned();
    let output = lockgate(directory).args(["publish", "g", "--dry-run", "--replay", &missing]).output().unwrap();
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("none: No such file"), "{output:?}");
}

#[test]
fn changes_are_told_in_words_with_an_example() {
    let (gateway, _) = logged(5);
    let directory = gateway.path();
    let log = directory.join("access.log").to_str().unwrap().to_owned();
    fs::write(directory.join("groups/g/apis/signed.toml"), Api::app("signed", "/signed/*").methods(&["POST"]).document())
        .unwrap();
    let said = dry_run(directory, &[&log]);
    assert!(said.contains("g/signed: RELEASE ") && said.contains(" -> draft\n"), "the difference by meaning: {said}");
    assert!(said.contains("g/signed would be published to RELEASE"), "{said}");
    assert!(said.contains("5 of 5 requests would now be refused: I405UM (app alpha); it went to g/signed\n"), "{said}");
    assert!(said.contains("  e.g. GET http://api.test/signed/x in RELEASE, 20"), "{said}");
    // Apps take effect without being published: what they change is told apart.
    fs::write(directory.join("apps/alpha.toml"), alpha_until("2020-01-01T00:00:00Z").document()).unwrap();
    fs::write(directory.join("groups/g/apis/signed.toml"), Api::app("signed", "/signed/*").document()).unwrap();
    let said = dry_run(directory, &[&log]);
    let (ours, since) = said.split_once("not by this publication").unwrap_or_else(|| panic!("{said}"));
    assert!(ours.contains("the outcome of no request would change"), "{said}");
    assert!(since.contains("5 of 5 requests would now be refused: A403EP (app alpha); it went to g/signed"), "{said}");
    // So do policies, which count from the first record on.
    fs::write(directory.join("apps/alpha.toml"), alpha_until("2099-01-01T00:00:00Z").document()).unwrap();
    let policy =
        "name = \"p\"\ntype = \"traffic-control\"\nunit = \"day\"\napi = 2\n[[bind]]\ngroup = \"g\"\nstages = [\"RELEASE\"]\n";
    fs::create_dir_all(directory.join("policies")).unwrap();
    fs::write(directory.join("policies/p.toml"), policy).unwrap();
    let said = dry_run(directory, &[&log]);
    let (_, since) = said.split_once("not by this publication").unwrap_or_else(|| panic!("{said}"));
    assert!(since.contains("3 of 5 requests would now be refused: T429PA (app alpha); it went to g/signed"), "{said}");
    // A draft with an error is an error here, too.
    fs::write(directory.join("groups/g/apis/signed.toml"), "name = 1").unwrap();
    let output: std::process::Output = lockgate(directory).args(["publish", "g", "--dry-run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_dry_run_needs_no_write_access() {
    let (gateway, _) = logged(1);
    let directory = gateway.path();
    let copy = tempfile::tempdir().unwrap();
    succeeds(Command::new("cp").arg("-r").arg(directory.join(".")).arg(copy.path()));
    let _ = fs::remove_file(copy.path().join("published/.lock"));
    let before = listing(copy.path());
    fs::write(copy.path().join("groups/g/apis/signed.toml"), Api::app("signed", "/signed/*").timeout_ms(7).document()).unwrap();
    let said = succeeds(lockgate(copy.path()).args(["publish", "g", "--dry-run"]));
    assert!(String::from_utf8_lossy(&said.stdout).contains("would be published"), "{said:?}");
    assert_eq!(listing(copy.path()), before);
}

#[test]
fn a_draft_is_explained_as_if_it_were_published() {
    let (gateway, _) = logged(0);
    let draft = Api::open("signed", "/elsewhere").backend_path("/there");
    fs::write(gateway.path().join("groups/g/apis/signed.toml"), draft.document()).unwrap();
    let explain = |arguments: &[&str]| {
        let output = gateway.command().args(["explain", "http://api.test/elsewhere"]).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(explain(&[]).0, Some(3));
    for draft in ["--draft", "--draft=g/signed"] {
        let (code, said) = explain(&[draft]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("groups/g/apis/signed.toml:") && said.contains("  | GET /there HTTP/1.1"), "{said}");
    }
    assert_eq!(explain(&["--draft", "--stage", "TEST"]).0, Some(0));
}

fn listing(directory: &Path) -> String {
    let output = succeeds(Command::new("find").arg(directory).args(["-printf", "%P %s\\n"]));
    let mut lines: Vec<String> =
        String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.contains("signed.toml")).map(str::to_owned).collect();
    lines.sort();
    lines.join("\n")
}

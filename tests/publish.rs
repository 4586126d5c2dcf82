//! Publishing: what becomes current, when, and that nothing half done is ever served; and the commands that write
//! the documents of the walk-through.

mod sample;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use lockgate::catalog::{self, Authentication, Catalog};
use lockgate::document::manifest::{GroupManifest, Manifest};
use sample::Sample;

const API: &str = "groups/nginx-demo/apis/nginx-test.toml";
const MANIFEST: &str = "published/manifest.toml";

fn load(sample: &Sample) -> std::sync::Arc<Catalog> {
    catalog::load(&sample.path("")).unwrap_or_else(|report| panic!("{report}"))
}

fn manifest(sample: &Sample) -> Manifest {
    toml::from_str(&sample.read(MANIFEST)).unwrap()
}

fn group(sample: &Sample, stage: &str, group: &str) -> GroupManifest {
    let generation = manifest(sample).stage[stage][group].generation;
    toml::from_str(&sample.read(&format!("published/{stage}/{group}/{generation}.toml"))).unwrap()
}

fn version(sample: &Sample, stage: &str) -> String {
    group(sample, stage, "nginx-demo").current["nginx-test"].version.clone()
}

fn version_path(sample: &Sample, stage: &str) -> String {
    format!("published/{stage}/nginx-demo/nginx-test/{}.toml", version(sample, stage))
}

#[test]
fn a_draft_takes_effect_when_it_is_published() {
    let sample = Sample::new();
    let before = version(&sample, "RELEASE");
    sample.edit(API, "timeout_ms = 10000", "timeout_ms = 500");
    let timeout = |sample: &Sample| match &load(sample).apis[0].backend {
        catalog::Backend::Vpc { timeout, .. } => timeout.as_millis(),
    };
    assert_eq!(timeout(&sample), 10_000);
    let said = sample.ok(&["publish", "nginx-demo/nginx-test", "--stage", "RELEASE", "--remarks", "say \"faster\""]);
    assert!(said.contains("nginx-demo/nginx-test published to RELEASE as"), "{said}");
    assert_eq!(timeout(&sample), 500);
    assert!(version(&sample, "RELEASE") > before);
    assert_eq!(manifest(&sample).generation, 2);
    let file = sample.read(&version_path(&sample, "RELEASE"));
    assert!(file.contains(r#"remarks = "say \"faster\"""#), "{file}");
    let kept = fs::read_dir(sample.path("published/RELEASE/nginx-demo/nginx-test")).unwrap().count();
    assert_eq!(kept, 2, "the version before stays, for history");
}

#[test]
fn what_is_current_already_is_not_published_again() {
    let sample = Sample::new();
    let before = sample.read(MANIFEST);
    // Comments and free spaces are no part of a definition.
    sample.edit(API, "timeout_ms = 10000", "# as ever\ntimeout_ms    = 10_000");
    let said = sample.ok(&["publish", "--all"]);
    assert!(said.contains("is current in RELEASE already"), "{said}");
    assert_eq!(sample.read(MANIFEST), before);
}

#[test]
fn stages_are_apart() {
    let sample = Sample::new();
    sample.edit(API, "type = \"app\" ", "type = \"none\" ");
    sample.ok(&["publish", "nginx-demo", "--stage", "TEST"]);
    let catalog = load(&sample);
    let of = |stage: &str| catalog.apis.iter().find(|api| catalog.stages[api.stage.index()] == stage).unwrap();
    assert!(matches!(of("TEST").authentication, Authentication::None));
    assert!(matches!(of("RELEASE").authentication, Authentication::App { .. }));
}

#[test]
fn with_an_error_anywhere_nothing_is_published() {
    let sample = Sample::new();
    let before = sample.read(MANIFEST);
    sample.edit(API, "timeout_ms = 10000", "timeout_ms = 500");
    sample.edit("gateway.toml", "workers = 2", "workers = 0");
    let said = sample.fails(&["publish", "--all"]);
    assert!(said.contains("gateway.toml:5:11"), "{said}");
    assert_eq!(sample.read(MANIFEST), before);
    assert_eq!(fs::read_dir(sample.path("published/RELEASE/nginx-demo/nginx-test")).unwrap().count(), 1);
}

#[test]
fn what_does_not_exist_is_not_published() {
    let sample = Sample::new();
    assert!(sample.fails(&["publish", "nginx-demo/nginx-tst"]).contains("did you mean `nginx-test`?"));
    assert!(sample.fails(&["publish", "nginx-dem"]).contains("did you mean `nginx-demo`?"));
    assert!(sample.fails(&["publish", "--all", "--stage", "RELAESE"]).contains("did you mean `RELEASE`?"));
}

#[test]
fn two_apis_on_one_path_are_refused_with_both_places() {
    let sample = Sample::new();
    let second = sample.read(API).replace("name = \"nginx-test\"", "name = \"other\"").replace("\"GET\"  ", "\"ANY\"  ");
    fs::write(sample.path("groups/nginx-demo/apis/other.toml"), second).unwrap();
    sample.ok(&["check"]);
    let before = sample.read(MANIFEST);
    let said = sample.fails(&["publish", "nginx-demo/other"]);
    assert!(
        said.contains("the APIs `nginx-test` and `other` of this group both answer GET on this path in stage RELEASE"),
        "{said}"
    );
    assert!(said.contains("apis/other.toml:11:8") && said.contains("nginx-test/20261122210633310.toml:22:8"), "{said}");
    assert_eq!(sample.read(MANIFEST), before);
    // In another stage they do not meet.
    sample.ok(&["publish", "nginx-demo/other", "--stage", "TEST"]);
}

#[test]
fn only_what_the_manifest_names_is_served() {
    let sample = Sample::new();
    let directory = sample.path("published/TEST/nginx-demo/nginx-test");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("20200101000000000.toml"), "left by a publication that died").unwrap();
    assert_eq!(load(&sample).apis.len(), 1);
    // Without a root manifest nothing was ever published, unless there are copies of one: then it is lost.
    fs::remove_file(sample.path(MANIFEST)).unwrap();
    let said = sample.fails(&["check"]);
    assert!(said.contains("this published file is gone") && said.contains("published/generations/1.toml"), "{said}");
    assert!(sample.fails(&["publish", "--all"]).contains("this published file is gone"));
    fs::remove_dir_all(sample.path("published/generations")).unwrap();
    assert_eq!(load(&sample).apis.len(), 0);
}

#[test]
fn publishers_at_the_same_time_come_one_after_the_other() {
    let sample = Sample::new();
    sample.edit(API, "timeout_ms = 10000", "timeout_ms = 500");
    let root = sample.path("");
    let publisher = |stage: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockgate"));
        command.arg("--config").arg(&root).args(["publish", "--all", "--stage", stage]);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let publishers: Vec<_> = ["RELEASE", "PRE", "TEST", "RELEASE"].into_iter().map(publisher).collect();
    for mut publisher in publishers {
        // While they are at it, every state that can be seen is whole.
        load(&sample);
        assert!(publisher.wait().unwrap().success());
    }
    let manifest = manifest(&sample);
    assert_eq!(manifest.generation, 4, "three of four had something to publish");
    let mut versions: Vec<_> = manifest.stage.keys().map(|stage| version(&sample, stage)).collect();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 3);
}

#[test]
fn a_publication_says_who_holds_the_lock() {
    let sample = Sample::new();
    let lock = sample.path("published/.lock");
    fs::write(&lock, "process 1 on elsewhere\n").unwrap();
    let held = File::open(&lock).unwrap();
    held.lock().unwrap();
    assert!(sample.fails(&["publish", "--all"]).contains("another publication is under way: process 1 on elsewhere"));
}

/// The walk-through with one's own files, command by command.
#[test]
fn the_commands_write_what_the_check_accepts() {
    let sample = Sample::empty();
    sample.ok(&["init"]);
    sample.ok(&[
        "vpc-access",
        "create",
        "web",
        "--vpc-id",
        "vpc-1",
        "--address",
        "127.0.0.1",
        "--instance-id",
        "i-1",
        "--port",
        "8081",
        "--host",
        "web.internal",
    ]);
    sample.ok(&["group", "create", "shop", "--base-path", "/v1", "--domain", "shop.example.com", "--domain", "*.example.net"]);
    sample.ok(&[
        "api",
        "create",
        "shop/item",
        "--method",
        "GET",
        "--method",
        "PUT",
        "--path",
        "/item/[id]",
        "--vpc-access",
        "web",
        "--backend-path",
        "/i/[id]",
        "--timeout-ms",
        "2000",
        "--app-code",
        "header-query",
        "--signature-method",
        "HMAC_SHA256",
        "--protocol",
        "http",
        "--content-type",
        "text/html",
        "--example",
        "<h1>\"Welcome\"</h1>\n",
    ]);
    let said = sample.ok(&["app", "create", "caller", "--owner", "me@example.com"]);
    let app = sample.read("apps/caller.toml");
    let secret = app.split("app_secret = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(secret.len() == 32 && said.contains(secret), "the credentials are printed once");
    assert_eq!(fs::metadata(sample.path("apps/caller.toml")).unwrap().permissions().mode() & 0o777, 0o600);
    sample.ok(&[
        "authorize",
        "caller",
        "shop/item",
        "--stage",
        "RELEASE",
        "--stage",
        "TEST",
        "--expires",
        "2030-01-01T00:00:00Z",
    ]);
    assert_eq!(fs::metadata(sample.path("apps/caller.toml")).unwrap().permissions().mode() & 0o777, 0o600);
    sample.ok(&["check"]);
    sample.ok(&["publish", "shop/item", "--stage", "RELEASE", "--remarks", "first"]);
    assert!(group(&sample, "RELEASE", "shop").current.contains_key("item"));
    let catalog = load(&sample);
    assert_eq!(catalog.apis[0].path.shape(), "/=4:item/[]");
    assert_eq!(catalog.apps.iter().next().unwrap().authorizations.len(), 2);
    assert!(sample.ok(&["egress"]).contains("127.0.0.1  (the kernel's choice toward web 127.0.0.1:8081)"));
    for (list, wanted) in [
        ("vpc-access", "web  vpc vpc-1"),
        ("group", "shop  base path /v1/"),
        ("api", "shop/item  RELEASE"),
        ("app", "shop/item  TEST"),
    ] {
        assert!(sample.ok(&[list, "list"]).contains(wanted), "{list}");
    }
}

#[test]
fn commands_refuse_what_exists_and_what_is_wrong() {
    let sample = Sample::new();
    assert!(sample.fails(&["app", "create", "demo-app"]).contains("exists already"));
    assert!(sample.fails(&["group", "create", "g", "--domain", "api.example.com"]).contains("is claimed twice"));
    let said = sample.fails(&["vpc-access", "create", "v", "--vpc-id", "x", "--address", "10.0.0.300", "--port", "80"]);
    assert!(said.contains("`10.0.0.300` is not an IP address"), "{said}");
    let said = sample.fails(&["api", "create", "nginx-demo/a", "--method", "GTE", "--path", "/a", "--vpc-access", "none"]);
    assert!(said.contains("did you mean `GET`?") && said.contains("there is no VPC access `none`"), "{said}");
    assert!(sample.fails(&["app", "create", "../x"]).contains("is not a name of an app"));
    assert!(sample.fails(&["authorize", "../apps/demo-app", "nginx-demo/nginx-test"]).contains("is not a name of an app"));
    assert!(
        sample
            .fails(&["api", "create", "../a", "--method", "GET", "--path", "/", "--vpc-access", "v"])
            .contains("is not a name of a group")
    );
    assert!(sample.fails(&["authorize", "demo-app", "nginx-demo/none"]).contains("there is no API `none`"));
    for file in ["groups/g", "vpc-access/v.toml", "groups/nginx-demo/apis/a.toml", "x.toml"] {
        assert!(!sample.path(file).exists(), "{file}");
    }
    sample.ok(&["check"]);
}

#[test]
fn an_authorization_keeps_the_comments_of_its_file() {
    let sample = Sample::new();
    sample.ok(&["authorize", "demo-app", "nginx-demo/nginx-test", "--stage", "TEST"]);
    let text = sample.read("apps/demo-app.toml");
    assert!(text.contains("# or app_secret_file") && text.contains("# optional"), "{text}");
    assert_eq!(load(&sample).apps.iter().next().unwrap().authorizations.len(), 2);
    // The same again gives it its new end.
    sample.ok(&["authorize", "demo-app", "nginx-demo/nginx-test", "--stage", "TEST", "--expires", "2031-01-01T00:00:00Z"]);
    let catalog = load(&sample);
    assert_eq!(
        catalog.apps.iter().next().unwrap().authorizations.iter().map(|a| a.expires_ms).max(),
        Some(Some(1_924_992_000_000))
    );
    assert_eq!(catalog.apps.iter().next().unwrap().authorizations.len(), 2);
}

#[test]
fn limits_completions_and_manual_are_printed() {
    let sample = Sample::new();
    sample.edit("gateway.toml", "[access_log]", "[limits]\nbody_bytes = 4096\n\n[access_log]");
    let limits = sample.ok(&["limits"]);
    assert!(limits.lines().any(|line| line.starts_with("body_bytes") && line.contains("4096 bytes")), "{limits}");
    assert!(sample.ok(&["completions", "bash"]).contains("_lockgate"));
    assert!(sample.ok(&["man"]).contains("publish"));
}

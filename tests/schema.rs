//! `lockgate schema`, by a validator that is not ours: what is good validates, what is bad does not; and `lockgate fmt`.

mod sample;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lockgate::document::kind::{KINDS, Kind};
use lockgate_test_support::{python_client, repository};
use sample::Sample;
use serde_json::{Value, json};

const GATEWAY: &str = "gateway.toml";
const VPC: &str = "vpc-access/nginx-microservice.toml";
const GROUP: &str = "groups/nginx-demo/group.toml";
const API: &str = "groups/nginx-demo/apis/nginx-test.toml";
const APP: &str = "apps/demo-app.toml";

/// The kind of a document, by where it lies.
fn kind(place: &str) -> &'static str {
    Kind::at(Path::new(place)).unwrap_or_else(|| panic!("{place} has a kind")).name
}

/// What the validator says of each document; `None`: nothing.
fn validated(documents: &[(&'static str, String)]) -> Vec<Option<String>> {
    let sample = Sample::new();
    let pairs: Vec<Value> = documents
        .iter()
        .map(|(kind, text)| {
            let schema: Value = serde_json::from_str(&sample.ok(&["schema", kind])).unwrap();
            json!([schema, text.parse::<toml::Table>().unwrap_or_else(|error| panic!("{error}: {text}"))])
        })
        .collect();
    let mut python = python_client("fastjsonschema");
    python.arg(repository().join("tests/schema/validate.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child.stdin.take().unwrap().write_all(Value::from(pairs).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every document below a directory, with its place.
fn documents(directory: &Path, place: &str, found: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let place = if place.is_empty() { name.clone() } else { format!("{place}/{name}") };
        match entry.file_type().unwrap().is_dir() {
            true if !name.starts_with('.') => documents(&entry.path(), &place, found),
            false if name.ends_with(".toml") => found.push((place, entry.path())),
            _ => {}
        }
    }
}

fn walk_through(sample: &Sample) {
    for line in [
        "init",
        "vpc-access create web --vpc-id vpc-1 --address 127.0.0.1 --instance-id i-1 --port 8081 --host web.internal --weight 7",
        "group create shop --base-path /v1 --domain shop.example.com",
        "api create shop/item --method GET --method PUT --path /item/[id] --vpc-access web --app-code header-query --example x",
        "api create shop/any --method ANY --path /any/* --vpc-access web --auth none",
        "app create caller --owner me@example.com",
        "authorize caller shop/item --expires 2030-01-01T00:00:00Z",
        "policy create gold --unit second --api 1000 --user 500 --app 100 --bind shop/item --bind shop --description limits",
        "publish shop --remarks first",
    ] {
        sample.ok(&line.split(' ').collect::<Vec<_>>());
    }
}

#[test]
fn what_is_in_the_sample_and_what_commands_write_validates() {
    let written = Sample::empty();
    walk_through(&written);
    let app = fs::read_to_string(repository().join("config/apps/demo-app.toml")).unwrap();
    let list = format!("[[app]]\n{}", app.replace("[[authorization]]", "[[app.authorization]]"));
    fs::create_dir(written.path("app-lists")).unwrap();
    fs::write(written.path("app-lists/many.toml"), list).unwrap();
    let mut found = Vec::new();
    documents(&repository().join("config"), "", &mut found);
    documents(&written.path(""), "", &mut found);
    for kind in KINDS {
        assert!(found.iter().any(|(place, _)| self::kind(place) == kind.name), "no document of the kind {}", kind.name);
    }
    let texts: Vec<_> = found.iter().map(|(place, path)| (kind(place), fs::read_to_string(path).unwrap())).collect();
    for ((place, _), error) in found.iter().zip(validated(&texts)) {
        assert_eq!(error, None, "{place}");
    }
}

#[test]
fn what_is_bad_does_not_validate() {
    let bad = [
        (GATEWAY, "workers = 2 ", "worker = 2 "),
        (GATEWAY, "workers = 2 ", "workers = 0 "),
        (GATEWAY, "name = \"edge-1\"", ""),
        (GATEWAY, "\"edge-1\"", "5"),
        (GATEWAY, "= 900", "= \"x\""),
        (GATEWAY, "= 900", "= 0"),
        (GATEWAY, "\"http\"", "\"htp\""),
        (GATEWAY, "workers = 2", "driver = \"uring\""),
        (GATEWAY, "= 900", "= 900\ntolerate = [\"raw\"]"),
        (GATEWAY, "[access_log]", "[limits]\nhead_timeout_ms = 1\n[access_log]"),
        (GATEWAY, "[access_log]", "[limits]\nhead_timeout = 1000\n[access_log]"),
        (VPC, "\"nginx-microservice\"", "\"-\""),
        (VPC, "port = 80\n", "port = 70000\n"),
        (VPC, "network = \"vpc\"", "network = \"internet\""),
        (VPC, "network = \"vpc\"", "slow_start_ms = -1"),
        (VPC, "[[instance]]", "[health]\n[[instance]]"),
        (VPC, "[[instance]]", "[health]\npath = \"/h\"\nexpected_status = []\n[[instance]]"),
        (VPC, "[[instance]]", "[health]\npath = \"/h\"\nexpected_status = [99]\n[[instance]]"),
        (VPC, "[[instance]]", "[health]\npath = \"/h\"\nexpected_status = \"1xx\"\n[[instance]]"),
        (VPC, "weight = 100", "weight = 0"),
        (GROUP, "\"/\"", "\"v1\""),
        (GROUP, "= 1000", "= -1"),
        (GROUP, "domains", "domain"),
        (API, "type = \"app\" ", "type = \"ap\" "),
        (API, "[\"HMAC_SHA256\"]", "[\"HMAC_MD5\"]"),
        (API, "method = \"GET\"                   # or a list", "method = \"GTE\" # or a list"),
        (API, "method = \"GET\"                   # or a list", "method = [\"GET\", \"GET\"] # or a list"),
        (API, "method = \"GET\"                   # or a list", "method = [] # or a list"),
        (API, "\"GET\"                   # or \"ANY\"", "\"any\" # or \"ANY\""),
        (API, "= 10000", "= 0"),
        (API, "\"pass-through\"", "\"pass-through\"\nbody_bytes = -1"),
        (API, "\"pass-through\"", "\"pass-through\"\nbody_bytes = 1099511627777"),
        (APP, "app_secret =", "app_secre ="),
        (APP, "nginx-demo/nginx-test", "nginx-demo"),
        (APP, "[\"RELEASE\"]", "[]"),
        (APP, "2030-01-01T00:00:00Z", "2030-01-01"),
    ];
    let changed = |(file, from, to): &(&str, &str, &str)| {
        let sample = Sample::new();
        sample.edit(file, from, to);
        // The checker agrees.
        sample.fails(&["check"]);
        (kind(file), sample.read(file))
    };
    let texts: Vec<_> = bad.iter().map(changed).collect();
    for (case, error) in bad.iter().zip(validated(&texts)) {
        assert!(error.is_some(), "{case:?} validates");
    }
}

#[test]
fn a_line_leads_editors_from_each_document_to_its_schema() {
    let sample = Sample::empty();
    walk_through(&sample);
    let mut found = Vec::new();
    documents(&sample.path(""), "", &mut found);
    for (place, path) in found.iter().filter(|(place, _)| !place.starts_with("published/")) {
        let text = fs::read_to_string(path).unwrap();
        let schema = text.lines().next().and_then(|line| line.strip_prefix("#:schema ")).unwrap_or_else(|| panic!("{text}"));
        let schema = fs::read_to_string(path.parent().unwrap().join(schema)).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(schema, sample.ok(&["schema", kind(place)]), "{place}");
    }
    // Those of the sample are written for whoever edits it.
    let sample = Sample::new();
    let written = sample.ok(&["schema", "--write"]);
    assert_eq!(written.lines().count(), sample.ok(&["schema"]).lines().count());
    found.clear();
    documents(&repository().join("config"), "", &mut found);
    for (place, path) in found.iter().filter(|(place, _)| !place.starts_with("published/")) {
        let text = fs::read_to_string(path).unwrap();
        let schema = text.lines().next().and_then(|line| line.strip_prefix("#:schema ")).unwrap_or_else(|| panic!("{text}"));
        assert!(sample.path(place).parent().unwrap().join(schema).exists(), "{place}: {schema}");
    }
}

#[test]
fn the_reference_names_every_key() {
    let sample = Sample::new();
    let page = sample.ok(&["schema", "api", "--format", "markdown"]);
    assert!(page.contains("## `[backend]`") && page.contains("| `timeout_ms` | 1 to 600000 |"), "{page}");
    assert!(page.contains("| `type` | `\"app\"`, `\"none\"`, required |"), "{page}");
    let page = sample.ok(&["schema", "gateway", "--format", "markdown"]);
    let limits = sample.ok(&["limits"]);
    for key in limits.lines().skip(1).filter_map(|line| line.split_once(' ')).map(|(key, _)| key).filter(|key| key.contains('_'))
    {
        assert!(page.contains(&format!("| `{key}` |")), "{key}");
    }
    assert!(sample.fails(&["schema", "vpc"]).contains("there are gateway, vpc-access,"));
    assert!(sample.fails(&["schema", "apps"]).contains("did you mean `app`?"));
}

#[test]
fn the_sample_and_what_commands_write_are_spelled_canonically() {
    let sample = Sample::empty();
    walk_through(&sample);
    assert_eq!(sample.ok(&["fmt", "--check"]), "");
    let config = repository().join("config");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockgate"));
    let output = command.arg("--config").arg(config).args(["fmt", "--check"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn fmt_rewrites_what_is_spelled_otherwise_and_nothing_else() {
    let sample = Sample::new();
    let (before, app) = (sample.read(API), sample.read(APP));
    sample.edit(API, "timeout_ms = 10000", "timeout_ms=10000");
    sample.edit(API, "path = \"/\"\n", "");
    sample.edit(API, "timeout_ms=10000", "timeout_ms=10000\n\n\npath =  \"/\"");
    fs::set_permissions(sample.path(APP), fs::Permissions::from_mode(0o640)).unwrap();
    sample.edit(APP, "app_key = ", "app_key =    ");
    let linked = sample.path("vpc-access/linked");
    fs::rename(sample.path(VPC), &linked).unwrap();
    fs::write(&linked, fs::read_to_string(&linked).unwrap().replace("port = 80\n", "port=80\n")).unwrap();
    symlink("linked", sample.path(VPC)).unwrap();
    let untouched = sample.path(GROUP).metadata().unwrap().modified().unwrap();

    let mut command = Command::new(env!("CARGO_BIN_EXE_lockgate"));
    let checked = command.args(["fmt", "--check"]).current_dir(sample.path("..")).output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let named = String::from_utf8(checked.stdout).unwrap();
    assert!(named.lines().count() == 3 && named.contains(API) && named.contains(APP), "{named}");
    assert!(sample.read(API).contains("timeout_ms=10000"), "nothing is written");

    sample.ok(&["fmt", &format!("config/{API}")]);
    // The key came back behind a blank line, which it keeps.
    assert_eq!(sample.read(API), before.replace("path = \"/\"\n", "\npath = \"/\"\n"));
    sample.ok(&["fmt"]);
    assert_eq!(sample.read(APP), app);
    assert_eq!(sample.path(APP).metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert!(sample.path(VPC).is_symlink() && fs::read_to_string(&linked).unwrap().contains("port = 80\n"));
    assert_eq!(sample.path(GROUP).metadata().unwrap().modified().unwrap(), untouched);
    assert_eq!(sample.ok(&["fmt", "--check"]), "");
}

#[test]
fn fmt_leaves_what_it_cannot_read_and_what_is_published() {
    let sample = Sample::new();
    sample.edit(GROUP, "domains = [", "domains = ");
    let text = sample.read(GROUP);
    assert!(sample.fails(&["fmt"]).contains("group.toml: not well-formed TOML"));
    assert_eq!(sample.read(GROUP), text);
    assert!(sample.fails(&["fmt", "config/published/manifest.toml"]).contains("this is no draft in config"));
}

//! `lockgate check`: warnings with both their places, and what tools are told. The errors are in `documents.rs`.

mod sample;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use sample::Sample;
use serde_json::Value;

const API: &str = "groups/nginx-demo/apis/nginx-test.toml";
const APP: &str = "apps/demo-app.toml";

/// Drafts another API with this path and method, as the sample's API otherwise.
fn draft(sample: &Sample, group: &str, name: &str, path: &str, method: &str) {
    let text = fs::read_to_string(sample.path(API)).unwrap();
    let text = text.replace("name = \"nginx-test\"", &format!("name = \"{name}\""));
    let text = text.replace("path = \"/nginx\" ", &format!("path = \"{path}\" "));
    let text = text.replace("method = \"GET\"                   # or a list", &format!("method = {method} # or a list"));
    let file = sample.path(&format!("groups/{group}/apis/{name}.toml"));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// Exit code and output of a command, whatever comes of it.
fn output(sample: &Sample, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockgate"));
    let output = command.args(arguments).current_dir(sample.path("..")).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// What `check --format json` says, and whether it succeeds.
fn checked(sample: &Sample) -> Vec<Value> {
    let said: Value = serde_json::from_str(&sample.ok(&["check", "--format", "json"])).unwrap();
    assert_eq!((&said["version"], &said["errors"]), (&1.into(), &0.into()), "{said:#}");
    assert_eq!(said["warnings"], said["diagnostics"].as_array().unwrap().len());
    said["diagnostics"].as_array().unwrap().clone()
}

/// The one warning of a rule: `FILE:LINE:COLUMN` of its two places, without the directory.
#[track_caller]
fn places(found: &[Value], rule: &str) -> (String, String) {
    let place = |of: &Value| {
        let file = of["file"].as_str().unwrap().trim_start_matches("config/").to_owned();
        format!("{file}:{}:{}", of["line"], of["column"])
    };
    match found {
        [one] if one["rule"] == rule && one["severity"] == "warning" => {
            (place(one), if one["related"].is_null() { String::new() } else { place(&one["related"]) })
        }
        _ => panic!("wanted one {rule}: {found:#?}"),
    }
}

#[test]
fn the_sample_has_no_warnings() {
    assert!(checked(&Sample::new()).is_empty());
}

#[test]
fn drafts_on_one_path_are_named_with_both_places() {
    let sample = Sample::new();
    draft(&sample, "nginx-demo", "other", "/nginx", "[\"POST\", \"GET\"]");
    let found = checked(&sample);
    assert!(found[0]["message"].as_str().unwrap().contains("the drafts `nginx-test` and `other` of this group both answer GET"));
    let (at, related) = places(&found, "same-path");
    assert_eq!((at.as_str(), related.as_str()), ("groups/nginx-demo/apis/other.toml:11:8", &*format!("{API}:11:8")));
}

#[test]
fn a_draft_that_another_published_api_keeps_out_is_named() {
    let sample = Sample::new();
    draft(&sample, "nginx-demo", "other", "/nginx", "\"ANY\"");
    sample.edit(API, "\"/nginx\"", "\"/elsewhere\"");
    let found = checked(&sample);
    assert!(found[0]["message"].as_str().unwrap().contains("the draft `other` cannot be published to RELEASE"));
    let (at, related) = places(&found, "same-path");
    assert_eq!(at, "groups/nginx-demo/apis/other.toml:11:8");
    assert!(related.starts_with("published/RELEASE/nginx-demo/nginx-test/") && related.ends_with(":22:8"), "{related}");
}

#[test]
fn paths_that_cross_are_named_with_who_answers() {
    let sample = Sample::new();
    draft(&sample, "nginx-demo", "item", "/shop/[id]", "\"GET\"");
    draft(&sample, "nginx-demo", "news", "/[shop]/news", "\"ANY\"");
    draft(&sample, "nginx-demo", "post", "/[shop]/new", "\"POST\"");
    draft(&sample, "nginx-demo", "rest", "/shop/*", "\"GET\"");
    // `rest` crosses `news` too, and contains `item`; `post` takes another method than both.
    let found = checked(&sample);
    let messages: Vec<&str> = found.iter().map(|one| one["message"].as_str().unwrap()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages.iter().all(|message| message.contains("on `/shop/news`, GET is answered by")), "{messages:?}");
    let (at, related) = places(&found[..1], "crossing-paths");
    assert!(at.contains("news.toml:11:8") && related.contains("item.toml:11:8"), "{at} {related}");
    // Published, they still meet, and are told once.
    sample.ok(&["publish", "nginx-demo", "--stage", "TEST"]);
    assert_eq!(checked(&sample).len(), 2);
}

#[test]
fn what_no_call_reaches_is_named() {
    let sample = Sample::new();
    fs::create_dir_all(sample.path("groups/inner/apis")).unwrap();
    let group = "name = \"inner\"\nbase_path = \"/nginx\"\ndomains = [\"API.example.com\"]\n";
    fs::write(sample.path("groups/inner/group.toml"), group).unwrap();
    draft(&sample, "nginx-demo", "near", "/nginxes", "\"GET\"");
    let (at, related) = places(&checked(&sample), "unreachable-path");
    assert_eq!((at.as_str(), related.as_str()), (&*format!("{API}:11:8"), "groups/inner/group.toml:2:13"));

    let sample = Sample::new();
    draft(&sample, "nginx-demo", "safe", "/safe", "\"GET\"");
    sample.edit("groups/nginx-demo/apis/safe.toml", "[\"http\", \"https\"]", "[\"https\"]");
    let (at, related) = places(&checked(&sample), "unreachable-protocol");
    assert_eq!((at.as_str(), related.as_str()), ("groups/nginx-demo/apis/safe.toml:10:13", "gateway.toml:10:1"));
}

#[test]
fn an_authorization_that_has_ended_is_named() {
    let sample = Sample::new();
    sample.edit(APP, "2030-01-01", "2020-01-01");
    let (at, related) = places(&checked(&sample), "expired-authorization");
    assert_eq!((at, related), (format!("{APP}:10:11"), format!("{APP}:8:7")));
}

#[test]
fn secrets_that_everyone_can_read_are_named_and_not_shown() {
    let sample = Sample::new();
    fs::set_permissions(sample.path(APP), fs::Permissions::from_mode(0o644)).unwrap();
    let found = checked(&sample);
    assert_eq!(places(&found, "readable-secret").0, format!("{APP}:4:14"));
    assert_eq!(found[0]["help"], format!("chmod o-rwx config/{APP}"));
    for format in ["json", "sarif"] {
        assert!(!sample.ok(&["check", "--format", format]).contains("sample-secret"));
    }
    fs::set_permissions(sample.path(APP), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(checked(&sample).is_empty());
    // A file that is named in the document counts by itself.
    sample.edit(APP, "app_secret = \"sample-secret-not-for-use\"", "app_secret_file = \"secret\"");
    fs::write(sample.path("apps/secret"), "x\n").unwrap();
    fs::set_permissions(sample.path("apps/secret"), fs::Permissions::from_mode(0o604)).unwrap();
    let found = checked(&sample);
    assert_eq!(
        (places(&found, "readable-secret").0, &found[0]["help"]),
        (format!("{APP}:4:19"), &"chmod o-rwx config/apps/secret".into())
    );
}

#[test]
fn warnings_fail_only_where_they_are_denied() {
    let sample = Sample::new();
    assert!(sample.ok(&["check", "--deny-warnings"]).contains("no errors ("));
    sample.edit(APP, "2030-01-01", "2020-01-01");
    assert!(sample.ok(&["check"]).contains("no errors, 1 warning ("));
    let said = sample.fails(&["check", "--deny-warnings"]);
    assert!(said.starts_with("warning: the authorization of `demo-app` for `nginx-demo/nginx-test` has ended"), "{said}");
    assert!(
        said.contains("demo-app.toml:10:11") && said.contains("----------------------- calls of this API are refused"),
        "{said}"
    );
}

#[test]
fn errors_and_warnings_come_together() {
    let sample = Sample::new();
    sample.edit(APP, "2030-01-01", "2020-01-01");
    sample.edit("gateway.toml", "workers = 2", "workers = 0");
    assert!(sample.fails(&["check"]).ends_with("1 error, 1 warning\n"));
    let (code, said) = output(&sample, &["check", "--format", "json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["errors"], &said["warnings"]), (Some(1), &1.into(), &1.into()));
    let error = &said["diagnostics"][0];
    assert_eq!(
        (&error["severity"], &error["line"], &error["column"], &error["endColumn"]),
        (&"error".into(), &5.into(), &11.into(), &12.into())
    );
    assert_eq!((&error["file"], &error["note"]), (&"config/gateway.toml".into(), &"allowed: 1 to 256".into()));
}

/// The parts of SARIF 2.1.0 that a log has here, with what the standard requires of them (sections 3.13 to 3.30).
#[test]
fn sarif_has_the_structure_of_its_standard() {
    let sample = Sample::new();
    sample.edit(APP, "2030-01-01", "2020-01-01");
    sample.edit("gateway.toml", "workers = 2", "workers = 0");
    fs::write(sample.path("apps/a b.toml"), "x").unwrap();
    let (code, said) = output(&sample, &["check", "--format", "sarif"]);
    assert_eq!(code, Some(1));
    let log: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
    let [run] = log["runs"].as_array().unwrap().as_slice() else { panic!("one run") };
    let driver = &run["tool"]["driver"];
    assert_eq!((&driver["name"], &run["columnKind"]), (&"lockgate".into(), &"unicodeCodePoints".into()));
    let rules: Vec<&str> = driver["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(rules, ["document-error", "expired-authorization"]);
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 3, "{results:#?}");
    for result in results {
        assert_eq!(result["ruleId"], rules[result["ruleIndex"].as_u64().unwrap() as usize]);
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let related = result["relatedLocations"].as_array().into_iter().flatten();
        for location in result["locations"].as_array().unwrap().iter().chain(related) {
            let physical = &location["physicalLocation"];
            let uri = physical["artifactLocation"]["uri"].as_str().unwrap();
            assert!(uri.starts_with("config/") && uri.bytes().all(|b| b.is_ascii_graphic()), "{uri}");
            if let Some(region) = physical.get("region") {
                for key in ["startLine", "startColumn", "endLine", "endColumn"] {
                    assert!(region[key].as_u64().unwrap() >= 1, "{key}: {region}");
                }
            }
        }
    }
    assert!(said.contains("apps/a%20b.toml"));
}

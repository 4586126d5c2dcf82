//! Documents of policies: every error with its place, warnings, the command that writes one, and differences in words.

mod sample;

use std::fs;

use lockgate::catalog;
use sample::Sample;

const GOLD: &str = "name = \"gold\"
type = \"traffic-control\"
unit = \"minute\"
api = 1000
user = 500
app = 100
[[special]]
app = \"demo-app\"
limit = 300
[[special]]
user = \"me@example.com\"
limit = 600
[[bind]]
api = \"nginx-demo/nginx-test\"
stages = [\"RELEASE\"]
";

const RULES: &str = "name = \"rules\"
type = \"traffic-control\"
scope = \"policy\"
default_limit = 10000
default_period = \"day\"
default_retry_after_s = 60
[parameters]
ClientIP = \"System:CaClientIp\"
Level = \"Header:X-Level\"
[[rule]]
name = \"per-ip\"
by_parameters = [\"ClientIP\"]
limit = 100
period = \"second\"
condition = \"$Level = 'free'\"
bypass_empty_value = true
retry_after_s = 5
[[bind]]
group = \"nginx-demo\"
stages = [\"PRE\"]
";

/// What is changed in which policy, and the error with its place in it that this must give.
type Case = (&'static str, &'static str, &'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    // By who calls.
    (GOLD, "\"gold\"", "\"golden\"", "the name of a policy differs from the one in its path", "1:8"),
    (GOLD, "\"traffic-control\"", "\"ip-control\"", "`ip-control` is not a value of this key", "2:8"),
    (GOLD, "unit = \"minute\"\n", "", "this policy has no `unit`", "2:8"),
    (GOLD, "\"minute\"", "\"week\"", "`week` is not a value of this key", "3:8"),
    (GOLD, "unit = \"minute\"", "unit = \"minute\"\nunits = 3", "unknown key `units`", "4:1"),
    (GOLD, "api = 1000\n", "", "this policy has no `api`", "2:8"),
    (GOLD, "api = 1000", "api = 0", "api = 0 is out of range", "4:7"),
    (GOLD, "app = 100", "app = 501", "`app` is at most `user`: 501 is more than 500", "6:7"),
    (GOLD, "user = 500\napp = 100", "app = 1001", "`app` is at most `api`: 1001 is more than 1000", "5:7"),
    (GOLD, "user = 500", "user = 1001", "`user` is at most `api`: 1001 is more than 1000", "5:8"),
    (GOLD, "limit = 300", "limit = 1001", "`limit` is at most `api`: 1001 is more than 1000", "9:9"),
    (GOLD, "limit = 300", "limit = -1", "limit = -1 is out of range", "9:9"),
    (GOLD, "\"minute\"\napi = 1000", "\"second\"\napi = 5000001", "api = 5000001 is out of range", "4:7"),
    (GOLD, "\"demo-app\"", "\"demo-ap\"", "there is no app `demo-ap`", "8:7"),
    (GOLD, "\"me@example.com\"", "\"me@example.org\"", "no app has the owner `me@example.org`", "11:8"),
    (GOLD, "user = \"me@example.com\"", "app = \"demo-app\"", "`demo-app` is special twice", "11:7"),
    (GOLD, "app = \"demo-app\"", "user = \"me@example.com\"", "`me@example.com` is special twice", "11:8"),
    (GOLD, "app = \"demo-app\"\n", "", "a special is of an app or of an owner", "7:1"),
    (GOLD, "limit = 300", "limit = 300\nuser = \"me@example.com\"", "a special is of an app or of an owner", "7:1"),
    (GOLD, "nginx-demo/nginx-test", "nginx-demo/nginx-tes", "there is no API `nginx-tes` in group `nginx-demo`", "14:7"),
    (GOLD, "nginx-demo/nginx-test", "nginx-dem/nginx-test", "there is no group `nginx-dem`", "14:7"),
    (GOLD, "nginx-demo/nginx-test", "nginx-demo", "`nginx-demo` does not name an API", "14:7"),
    (GOLD, "api = \"nginx-demo/nginx-test\"", "group = \"nginx\"", "there is no group `nginx`", "14:9"),
    (GOLD, "api = \"nginx-demo/nginx-test\"\n", "", "a policy is bound to an API or to a group", "13:1"),
    (GOLD, "[\"RELEASE\"]", "[\"RELEAS\"]", "there is no stage `RELEAS`", "15:11"),
    (GOLD, "[\"RELEASE\"]", "[]", "a binding has at least one stage", "15:10"),
    (
        GOLD,
        "[\"RELEASE\"]",
        "[\"RELEASE\", \"RELEASE\"]",
        "`nginx-demo/nginx-test` has two traffic control policies in RELEASE",
        "14:7",
    ),
    (GOLD, "app = 100", "app = 100\ngroup = 5000", "this policy is bound to no group whose calls `group` could limit", "7:9"),
    (GOLD, "app = 100", "app = 100\nwindow = \"fixed\"", "`window` is for limits a second, and there is none here", "7:10"),
    (GOLD, "app = 100", "app = 100\nqueue = 5", "`queue` is for limits a second, and there is none here", "7:9"),
    (GOLD, "app = 100", "app = 100\nzone = \"UTC\"", "`zone` says when days begin, and nothing is counted by days here", "7:8"),
    (GOLD, "\"minute\"", "\"day\"\nzone = \"Asia/Shanghai\"", "`Asia/Shanghai` is not a zone", "4:8"),
    (GOLD, "\"minute\"", "\"day\"\nzone = \"+8:00\"", "`+8:00` is not a zone", "4:8"),
    (GOLD, "\"minute\"", "\"day\"\nzone = \"+15:00\"", "`+15:00` is not a zone", "4:8"),
    (
        GOLD,
        "\"minute\"",
        "\"second\"\nblocking = \"quick-return\"\nqueue = 5",
        "`queue` means nothing beside `blocking = \"quick-return\"`: nobody waits",
        "5:9",
    ),
    (
        GOLD,
        "\"minute\"",
        "\"second\"\nwindow = \"fixed\"\nqueue_wait_ms = 5",
        "`queue_wait_ms` means nothing beside `window = \"fixed\"`: nobody waits",
        "5:17",
    ),
    (
        GOLD,
        "\"minute\"",
        "\"second\"\nwindow = \"fixed\"\nblocking = \"queue\"",
        "`blocking` does not go with `window = \"fixed\"`: who waited would be no nearer to a token",
        "5:12",
    ),
    (GOLD, "\"minute\"", "\"second\"\nqueue = 0", "queue = 0 is out of range", "4:9"),
    (GOLD, "\"minute\"", "\"second\"\nqueue_wait_ms = 60001", "queue_wait_ms = 60001 is out of range", "4:17"),
    (GOLD, "app = 100", "app = 100\nfields = \"x-rate-limit\"", "`x-rate-limit` is not a value of this key", "7:10"),
    // By parameters.
    (RULES, "default_limit = 10000\n", "", "this policy has no `default_limit`", "2:8"),
    (RULES, "default_period = \"day\"\n", "", "this policy has no `default_period`", "2:8"),
    (RULES, "default_limit = 10000", "default_limit = 0", "default_limit = 0 is out of range", "4:17"),
    (RULES, "\"policy\"", "\"plugin\"", "`plugin` is not a value of this key", "3:9"),
    (RULES, "_retry_after_s = 60", "_retry_after_s = 0", "default_retry_after_s = 0 is out of range", "6:25"),
    (RULES, "System:CaClientIp", "System:CaClientIP6", "`System:CaClientIP6` is not where a parameter can be", "8:12"),
    (RULES, "Header:X-Level", "Cookie:level", "`Cookie:level` is not where a parameter can be", "9:9"),
    (RULES, "[[rule]]", "Le-vel = \"Path\"\n[[rule]]", "`Le-vel` is not a name of a parameter", "10:1"),
    (RULES, "\"per-ip\"", "\"per ip\"", "`per ip` is not a name of a rule", "11:8"),
    (RULES, "[\"ClientIP\"]", "[\"ClientIp\"]", "there is no parameter `ClientIp`", "12:18"),
    (RULES, "[\"ClientIP\"]", "[\"ClientIP\", \"ClientIP\"]", "the parameter `ClientIP` is listed twice", "12:30"),
    (RULES, "limit = 100\n", "limit = 5000001\n", "limit = 5000001 is out of range", "13:9"),
    (RULES, "$Level =", "$Levels =", "this condition cannot be read: there is no parameter `Levels`", "15:14"),
    (RULES, "'free'\"", "'free\"", "this condition cannot be read: this text does not end", "15:23"),
    (RULES, "'free'\"", "'free' or\"", "this condition cannot be read: expected `$NAME` or a constant", "15:32"),
    (RULES, "\nretry_after_s = 5", "\nretry_after_s = 90000", "retry_after_s = 90000 is out of range", "17:17"),
    (
        RULES,
        "[[bind]]",
        "[[rule]]\nname = \"per-ip\"\nlimit = 1\nperiod = \"day\"\n[[bind]]",
        "two rules have the name `per-ip`",
        "19:8",
    ),
    (RULES, "scope = \"policy\"", "unit = \"day\"", "`unit` does not go with `default_limit`", "3:8"),
    (RULES, "scope = \"policy\"", "api = 5", "`api` does not go with `default_limit`", "3:7"),
    (
        RULES,
        "[[bind]]",
        "[[special]]\napp = \"demo-app\"\nlimit = 1\n[[bind]]",
        "`special` does not go with `default_limit`",
        "20:9",
    ),
];

fn write(sample: &Sample, name: &str, text: &str) {
    fs::create_dir_all(sample.path("policies")).unwrap();
    fs::write(sample.path(&format!("policies/{name}.toml")), text).unwrap();
}

fn with_owner() -> Sample {
    let sample = Sample::new();
    if !sample.read("apps/demo-app.toml").contains("me@example.com") {
        sample.edit("apps/demo-app.toml", "name = \"demo-app\"", "name = \"demo-app\"\nowner = \"me@example.com\"");
    }
    sample
}

fn report(sample: &Sample) -> String {
    catalog::load(&sample.path("")).err().map(|report| report.to_string()).unwrap_or_default()
}

#[test]
fn both_forms_are_good() {
    let sample = with_owner();
    write(&sample, "gold", GOLD);
    write(&sample, "rules", RULES);
    assert_eq!(report(&sample), "");
}

#[test]
fn every_error_names_its_place() {
    let mut wrong = String::new();
    for (base, from, to, error, place) in CASES {
        let sample = with_owner();
        assert!(base.contains(from), "{from}");
        let name = if *base == GOLD { "gold" } else { "rules" };
        write(&sample, name, &base.replacen(from, to, 1));
        let text = report(&sample);
        let wanted = format!("error: {error}");
        let at = format!("policies/{name}.toml:{place}\n");
        if text.matches("error: ").count() != 1 || !text.starts_with(&wanted) || !text.contains(&at) {
            wrong.push_str(&format!("wanted `{error}` at {place}, alone, got\n{text}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_was_meant_is_proposed() {
    for (base, from, to, near) in [
        (GOLD, "\"demo-app\"", "\"demo-ap\"", "demo-app"),
        (GOLD, "\"me@example.com\"", "\"me@example.co\"", "me@example.com"),
        (GOLD, "nginx-demo/nginx-test", "nginx-demo/nginx-tes", "nginx-demo/nginx-test"),
        (GOLD, "[\"RELEASE\"]", "[\"RELEAS\"]", "RELEASE"),
        (RULES, "[\"ClientIP\"]", "[\"ClientI\"]", "ClientIP"),
        (RULES, "$Level =", "$Levels =", "Level"),
    ] {
        let sample = with_owner();
        write(&sample, if base == GOLD { "gold" } else { "rules" }, &base.replacen(from, to, 1));
        let text = report(&sample);
        assert!(text.contains(&format!("did you mean `{near}`?")), "{text}");
    }
}

#[test]
fn an_api_has_one_policy_in_a_stage_and_both_places_are_named() {
    let sample = with_owner();
    write(&sample, "gold", GOLD);
    write(&sample, "silver", &GOLD.replace("\"gold\"", "\"silver\""));
    let text = report(&sample);
    assert!(text.contains("`nginx-demo/nginx-test` has two traffic control policies in RELEASE"), "{text}");
    assert!(text.contains("policies/silver.toml:14:7") && text.contains("policies/gold.toml:14:7"), "{text}");
    // Another stage is another matter, and so is the policy of its group.
    write(&sample, "silver", &GOLD.replace("\"gold\"", "\"silver\"").replace("RELEASE", "TEST"));
    write(&sample, "group", &RULES.replace("\"rules\"", "\"group\"").replace("PRE", "RELEASE"));
    assert_eq!(report(&sample), "");
}

#[test]
fn a_policy_has_its_bounds() {
    let sample = with_owner();
    let rule = |n: usize| format!("[[rule]]\nname = \"r{n}\"\nlimit = 1\nperiod = \"day\"\n");
    let rules: String = (0..8).map(rule).collect();
    write(&sample, "rules", &RULES.replacen("[[rule]]", &format!("{rules}[[rule]]"), 1));
    assert!(report(&sample).contains("a policy has at most 8 rules"), "{}", report(&sample));
    let parameters: String = (0..16).map(|n| format!("P{n} = \"Query:p{n}\"\n")).collect();
    write(&sample, "rules", &RULES.replacen("[parameters]\n", &format!("[parameters]\n{parameters}"), 1));
    assert!(report(&sample).contains("a policy has at most 16 parameters"), "{}", report(&sample));
    let long = format!("$Level = '{}'", "x".repeat(600));
    write(&sample, "rules", &RULES.replacen("$Level = 'free'", &long, 1));
    assert!(report(&sample).contains("a condition has at most 512 characters"), "{}", report(&sample));
    write(&sample, "rules", &format!("{RULES}# {}\n", "x".repeat(50 * 1024)));
    assert!(report(&sample).contains("51200"), "{}", report(&sample));
}

/// `RULE FILE:LINE:COLUMN` of each warning.
fn warnings(sample: &Sample) -> Vec<String> {
    let said: serde_json::Value = serde_json::from_str(&sample.ok(&["check", "--format", "json"])).unwrap();
    let of = |one: &serde_json::Value| {
        let file = one["file"].as_str().unwrap().trim_start_matches("config/").to_owned();
        format!("{} {file}:{}:{}", one["rule"].as_str().unwrap(), one["line"], one["column"])
    };
    said["diagnostics"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn what_limits_nothing_is_warned_of() {
    let sample = with_owner();
    write(&sample, "gold", GOLD);
    assert_eq!(warnings(&sample), Vec::<String>::new());
    write(&sample, "gold", &GOLD.replace("[\"RELEASE\"]", "[\"RELEASE\", \"TEST\"]"));
    assert_eq!(warnings(&sample), ["unpublished-binding policies/gold.toml:15:22"]);
    write(&sample, "gold", &GOLD.replace("limit = 600", "limit = 500"));
    assert_eq!(warnings(&sample), ["special-without-effect policies/gold.toml:12:9"]);
    write(&sample, "gold", &GOLD[..GOLD.find("[[bind]]").unwrap()]);
    assert_eq!(warnings(&sample), ["unbound-policy policies/gold.toml:1:8"]);
    sample.edit("groups/nginx-demo/apis/nginx-test.toml", "type = \"app\" ", "type = \"none\" ");
    sample.ok(&["publish", "nginx-demo/nginx-test"]);
    write(&sample, "gold", GOLD);
    assert_eq!(warnings(&sample), ["uncounted-callers policies/gold.toml:6:7"]);
}

#[test]
fn the_command_writes_a_policy_that_is_good_and_lists_it() {
    let sample = with_owner();
    let create = "policy create gold --unit minute --api 1000 --app 100 --bind nginx-demo/nginx-test --description limits";
    let said = sample.ok(&create.split(' ').collect::<Vec<_>>());
    assert!(said.starts_with("wrote config/policies/gold.toml\nnext: "), "{said}");
    assert_eq!(sample.ok(&["policy", "list"]), "gold  a minute: API 1000, app 100\n  nginx-demo/nginx-test  RELEASE\n");
    let bad = "policy create silver --unit week --api 1 --bind nginx-demo";
    assert!(sample.fails(&bad.split(' ').collect::<Vec<_>>()).contains("`week` is not a value of this key"));
    assert_eq!(sample.ok(&["fmt", "--check"]), "");
    write(&sample, "rules", RULES);
    assert!(sample.ok(&["policy", "list"]).contains("rules  all 10000 a day, per-ip 100 a second\n  nginx-demo  PRE\n"));
}

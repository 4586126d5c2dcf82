//! Stages: variables that lead each to its own backend, stages of a group's own, and domains that are bound to one.

use std::fs;

use lockgate_test_support::{Api, App, Backend, Client, Config, Gateway, Request, eventually, lockgate};

/// Enough of an instance for commands that check it.
const GATEWAY: &str = "[instance]\nname = \"test\"\n[[listener]]\naddress = \"127.0.0.1:1\"\nprotocol = \"http\"\n";

/// Answers with its name and the path that it was asked for.
fn named(name: &'static str) -> Backend {
    Backend::answering(move |request| {
        let body = format!("{name}{}", request.target());
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    })
}

/// An API whose VPC access and path are variables.
fn staged() -> Api {
    Api::open("all", "/[id]").vpc_access("#access#").backend_path("/#version#/x-#version#/[id]")
}

fn group(stages: &str) -> String {
    format!("name = \"g\"\ndomains = [\"*\", \"blue.test\", \"*.pre.test\"]\n{stages}")
}

const STAGES: &str = "[stage.RELEASE.variables]\naccess = \"old\"\nversion = \"v1\"\n\
                      [stage.PRE.variables]\naccess = \"new\"\nversion = \"v2/beta\"\n\
                      [stage.Blue.variables]\naccess = \"new\"\nversion = \"blue\"\n";

fn two_backends(old: &Backend, new: &Backend) -> Config {
    let config = Config::new().vpc_access("old", old.address, "").vpc_access("new", new.address, "");
    config.write("groups/g/group.toml", &group(STAGES));
    config
}

#[track_caller]
fn lands(gateway: &Gateway, request: &Request, wanted: &str) {
    let answer = gateway.call(request);
    assert_eq!((answer.status(), answer.text().as_str()), (200, wanted), "{request:?}: {}", answer.error_message());
}

/// Runs a command on a config directory; whether it succeeded, and what it said.
fn run(config: &Config, arguments: &[&str]) -> (bool, String) {
    let output = lockgate(config.path()).args(arguments).output().expect("the command runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn variables_lead_each_stage_to_its_own_backend() {
    let (old, new) = (named("old"), named("new"));
    let gateway = two_backends(&old, &new).published_to("g", &staged(), &["RELEASE", "PRE", "Blue"]).start();
    lands(&gateway, &Request::get("/1"), "old/v1/x-v1/1");
    lands(&gateway, &Request::get("/1").stage("RELEASE"), "old/v1/x-v1/1");
    lands(&gateway, &Request::get("/a%20b").stage("pre"), "new/v2/beta/x-v2/beta/a%20b");
    lands(&gateway, &Request::get("/1").stage("BLUE"), "new/blue/x-blue/1");
    let version = gateway.path().join("published/Blue/g/all");
    let file = fs::read_dir(version).unwrap().next().unwrap().unwrap().path();
    assert!(fs::read_to_string(file).unwrap().contains("\"/#version#/x-#version#/[id]\""), "versions hold the names");
}

#[test]
fn variables_are_live_without_publishing() {
    let (old, new) = (named("old"), named("new"));
    let gateway = two_backends(&old, &new).published_to("g", &staged(), &["RELEASE", "PRE"]).start();
    let mut kept: Vec<Client> = (0..8).map(|_| gateway.client()).collect();
    let said = |client: &mut Client| client.call(&Request::get("/1")).text();
    assert!(kept.iter_mut().all(|client| said(client) == "old/v1/x-v1/1"));
    gateway.write("groups/g/group.toml", &group(&STAGES.replace("\"old\"\nversion = \"v1\"", "\"new\"\nversion = \"v3\"")));
    let receipt = gateway.ok(&["reload", "--wait"]);
    assert!(receipt.contains("2/2 workers"), "{receipt}");
    assert!(kept.iter_mut().all(|client| said(client) == "new/v3/x-v3/1"));
    lands(&gateway, &Request::get("/1").stage("PRE"), "new/v2/beta/x-v2/beta/1");

    // Without one of them the old generation goes on; by itself the gateway says so in its log.
    gateway.write("groups/g/group.toml", &group("[stage.RELEASE.variables]\nversion = \"v4\"\n"));
    let said_of = gateway.fails(&["reload", "--wait"]);
    assert!(said_of.contains("the stage RELEASE has no variable `access`"), "{said_of}");
    assert!(said_of.contains("groups/g/group.toml:3:8") && said_of.contains("the stage PRE has no variable"), "{said_of}");
    gateway.wait_for_output("the stage RELEASE has no variable `access`");
    assert!(kept.iter_mut().all(|client| said(client) == "new/v3/x-v3/1"));

    // And what is mended comes by itself.
    gateway.write("groups/g/group.toml", &group(STAGES));
    eventually("the variables are back", || (gateway.get("/1").text() == "old/v1/x-v1/1").then_some(()));
}

#[test]
fn a_stage_of_a_group_is_a_stage_of_that_group_alone() {
    let backend = named("");
    let config = Config::with_backend(backend.address).group("other", &["other.test"], "[stage.GREEN]\n");
    config.write("groups/g/group.toml", &group("[stage.Blue]\ndescription = \"the next one\"\n"));
    let gateway = config
        .published_to("g", &Api::app("all", "/*"), &["RELEASE", "Blue"])
        .published_to("other", &Api::open("all", "/*").backend_path("/other/*"), &["GREEN"])
        .app(&App::alpha().may_call("g/all", &["Blue"]))
        .access_log()
        .admin()
        .start();
    let call = |stage: &str| Request::get("/x").app_code(&App::alpha().code).stage(stage);
    for stage in ["Blue", "BLUE", "blue"] {
        lands(&gateway, &call(stage), "/x");
    }
    gateway.call(&call("RELEASE")).assert_refused("I403AA");
    gateway.call(&call("PRE")).assert_refused("I404NF");
    gateway.call(&call("GREEN")).assert_refused("I400SG");
    gateway.call(&call("Blu")).assert_refused("I400SG");
    lands(&gateway, &Request::get("/x").host("other.test").stage("Green"), "/other/x");
    gateway.call(&Request::get("/x").host("other.test").stage("Blue")).assert_refused("I400SG");
    let counted = "lockgate_requests_total{group=\"g\",api=\"all\",stage=\"Blue\",status=\"2xx\"}";
    eventually("they are counted by their stage", || (gateway.metric(counted) == Some(3.0)).then_some(()));
    // Workers write their lines in turns of their own.
    let blue =
        |log: &[serde_json::Value]| log.iter().filter(|line| line["apiStageName"] == "Blue" && line["statusCode"] == 200).count();
    let log = gateway.access_log(7);
    assert_eq!(blue(&log), 3, "{log:?}");
    let said = gateway.ok(&["call", "g/all", "--stage", "Blue", "--app", "alpha", "--app-code"]);
    assert!(said.contains("HTTP/1.1 200 OK") && said.contains("> X-Ca-Stage: Blue"), "{said}");
}

#[test]
fn a_stage_of_a_group_has_its_own_versions() {
    let backend = named("");
    let config = Config::with_backend(backend.address);
    config.write("groups/g/group.toml", &group("[stage.Blue]\n"));
    let gateway = config.published_to("g", &Api::open("all", "/*"), &["Blue"]).start();
    let said = gateway.ok(&["publish", "g/all", "--stage", "PRE", "--dry-run"]);
    assert!(said.contains("g/all: nothing -> draft"), "{said}");
    gateway.write("groups/g/apis/all.toml", &Api::open("all", "/*").backend_path("/two/*").document());
    let said = gateway.ok(&["publish", "g/all", "--stage", "Blue", "--dry-run"]);
    assert!(said.contains("backend path: /* -> /two/*") && said.contains("would be published to Blue"), "{said}");
    let said = gateway.ok(&["publish", "g", "--stage", "Blue", "--wait"]);
    assert!(said.contains("g/all published to Blue as ") && said.contains("2/2 workers"), "{said}");
    let blue = || gateway.call(&Request::get("/x").stage("Blue"));
    assert_eq!(blue().text(), "/two/x");
    gateway.get("/x").assert_refused("I404NF");
    let said = gateway.ok(&["rollback", "g/all", "--stage", "Blue", "--wait"]);
    assert!(said.contains("g/all in Blue: ") && said.contains("2/2 workers"), "{said}");
    assert_eq!(blue().text(), "/x");
    let said = gateway.ok(&["diff", "g/all", "--from", "Blue", "--to", "draft"]);
    assert!(said.contains("g/all: Blue ") && said.contains("/* -> /two/*"), "{said}");
    let said = gateway.ok(&["diff", "g/all", "--from", "RELEASE", "--to", "Blue"]);
    assert!(said.contains("g/all: nothing -> Blue "), "{said}");
    let said = gateway.ok(&["history", "g/all", "--stage", "Blue"]);
    assert!(said.starts_with("g/all in Blue\n") && said.lines().count() == 3, "{said}");
    // It cannot be taken out of the group while something is served from it.
    gateway.write("groups/g/group.toml", &group(""));
    let said = gateway.fails(&["reload", "--wait"]);
    assert!(said.contains("there is no stage `Blue` in the group `g`") && said.contains("groups/g/group.toml:1:8"), "{said}");
    assert!(said.contains("published/manifest.toml:") && said.contains("lockgate offline g --stage Blue"), "{said}");
    assert_eq!(blue().text(), "/x");
    gateway.ok(&["offline", "g", "--stage", "Blue", "--wait"]);
    blue().assert_refused("I400SG");
    let said = gateway.fails(&["rollback", "g/all", "--stage", "Blue"]);
    assert!(said.contains("there is no stage `Blue` in the group `g`"), "{said}");
    let said = gateway.fails(&["history", "g/all", "--stage", "Red"]);
    assert!(said.contains("there is no stage `Red`"), "{said}");
}

#[test]
fn a_domain_is_bound_to_a_stage() {
    let backend = named("");
    let config = Config::with_backend(backend.address).group("deep", &["blue.test"], "base_path = \"/deep\"\n");
    config.write(
        "groups/g/group.toml",
        &group("[stage.Blue]\ndomains = [\"BLUE.test\"]\n[stage.PRE]\ndomains = [\"*.pre.test\"]\n"),
    );
    let to = |path: &str| Api::open("all", "/*").backend_path(path);
    let gateway = config
        .published_to("g", &to("/release/*"), &["RELEASE"])
        .published_to("g", &to("/pre/*"), &["PRE"])
        .published_to("g", &to("/blue/*"), &["Blue"])
        .published_to("deep", &to("/deep/*"), &["RELEASE"])
        .start();
    for stage in [None, Some("RELEASE"), Some("PRE"), Some("Blue"), Some("NONE"), Some("")] {
        let on = |host: &str| {
            let request = Request::get("/x").host(host);
            stage.map_or(request.clone(), |stage| request.stage(stage))
        };
        lands(&gateway, &on("blue.test:8080"), "/blue/x");
        lands(&gateway, &on("Blue.Test."), "/blue/x");
        lands(&gateway, &on("a.pre.test"), "/pre/x");
    }
    // A domain is bound for one group of those that share it; others go by `X-Ca-Stage`.
    lands(&gateway, &Request::get("/deep/x").host("blue.test"), "/deep/x");
    gateway.call(&Request::get("/deep/x").host("blue.test").stage("PRE")).assert_refused("I404NF");
    lands(&gateway, &Request::get("/x").host("any.test"), "/release/x");
    lands(&gateway, &Request::get("/x").host("any.test").stage("pre"), "/pre/x");
    lands(&gateway, &Request::get("/x").host("g.localhost").stage("Blue"), "/blue/x");

    // A binding is live, too.
    gateway.write("groups/g/group.toml", &group("[stage.Blue]\n[stage.PRE]\ndomains = [\"blue.test\"]\n"));
    gateway.ok(&["reload", "--wait"]);
    lands(&gateway, &Request::get("/x").host("blue.test").stage("Blue"), "/pre/x");
    lands(&gateway, &Request::get("/x").host("a.pre.test").stage("Blue"), "/blue/x");
    // A command that calls a stage takes a domain that leads there.
    gateway.write(
        "groups/g/group.toml",
        "name = \"g\"\ndomains = [\"pre.test\", \"all.test\"]\n[stage.Blue]\n[stage.PRE]\ndomains = [\"pre.test\"]\n",
    );
    gateway.ok(&["reload", "--wait"]);
    let host = |stage: &str| {
        let said = gateway.ok(&["call", "g/all", "--anonymous", "--stage", stage, "--parameter", "*=x"]);
        said.lines().find_map(|line| line.strip_prefix("> Host: ").map(str::to_owned)).unwrap_or_default()
    };
    assert_eq!([host("PRE"), host("Blue")], ["pre.test", "all.test"]);
}

#[test]
fn explain_names_the_binding_and_the_variables_that_decide() {
    let (old, new) = (named("old"), named("new"));
    let config = two_backends(&old, &new);
    let bound = STAGES.replace("[stage.Blue.variables]", "[stage.Blue]\ndomains = [\"blue.test\"]\n[stage.Blue.variables]");
    config.write("groups/g/group.toml", &group(&bound));
    let config = config.published_to("g", &staged(), &["RELEASE", "Blue"]);
    let (passed, said) = run(&config, &["explain", "http://blue.test/1", "--stage", "PRE"]);
    assert!(passed, "{said}");
    for (text, place) in [
        ("Blue, as the domain is bound to it; X-Ca-Stage `PRE` makes no difference", "group.toml:10:12"),
        ("`#access#` is `new` in this stage", "group.toml:12:10"),
        ("`#version#` is `blue` in this stage", "group.toml:13:11"),
        ("the VPC access `new`, one of", "all/"),
    ] {
        let line = said.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {said}"));
        assert!(said.lines().nth(line + 1).is_some_and(|next| next.contains(place)), "{place}: {said}");
    }
    assert!(said.contains("  | GET /blue/x-blue/1 HTTP/1.1"), "{said}");
    let (passed, said) = run(&config, &["explain", "http://x.test/1"]);
    assert!(passed && said.contains("`#access#` is `old` in this stage") && said.contains("as there is no X-Ca-Stage"), "{said}");
    let (passed, said) = run(&config, &["explain", "http://x.test/1", "--draft=g/all", "--stage", "PRE"]);
    assert!(passed && said.contains("`#version#` is `v2/beta` in this stage") && said.contains("by X-Ca-Stage"), "{said}");
    let (passed, said) = run(&config, &["explain", "http://x.test/1", "--stage", "NONE"]);
    assert!(!passed && said.contains("refused: I400SG"), "{said}");
}

/// What a group says, what is asked for, and what is said of it, with its places.
const WRONG: &[(&str, &[&str], &[&str])] = &[
    (
        "[stage.RELEASE.variables]\naccess = \"old\"\n",
        &["publish", "g/all"],
        &[
            "error: the stage RELEASE has no variable `version`",
            "apis/all.toml:15:8",
            "group.toml:3:8",
            "`variables` of `[stage.RELEASE]` would have it",
            "there are: access",
        ],
    ),
    (
        "[stage.RELEASE.variables]\naccess = \"old\"\nversions = \"1\"\n",
        &["publish", "g/all"],
        &["the stage RELEASE has no variable `version`", "did you mean `versions`?"],
    ),
    (
        "",
        &["publish", "g/all", "--stage", "PRE"],
        &["the stage PRE has no variable `access`", "apis/all.toml:14:14", "group.toml:1:8", "there is none"],
    ),
    (
        "[stage.PRE.variables]\naccess = \"odl\"\nversion = \"1\"\n",
        &["publish", "g/all", "--stage", "PRE"],
        &[
            "there is no VPC access `odl`",
            "apis/all.toml:14:14",
            "group.toml:4:10",
            "`#access#` in stage PRE",
            "did you mean `old`?",
        ],
    ),
    (
        "[stage.PRE.variables]\naccess = \"old\"\nversion = \"../1\"\n",
        &["publish", "g/all", "--stage", "PRE"],
        &["`/../1/x-../1/[id]` is not a path template", "apis/all.toml:15:8", "group.toml:5:11"],
    ),
    (
        "[stage.PRE.variables]\naccess = \"old\"\nversion = \"[user]\"\n",
        &["publish", "g/all", "--stage", "PRE"],
        &["is not a path template", "group.toml:5:11"],
    ),
    // A draft is checked as it would be in every stage that has what it names, and else in the one that has the most.
    (
        "[stage.PRE.variables]\naccess = \"old\"\nversion = \"1\"\n[stage.TEST.variables]\naccess = \"odl\"\nversion = \"1\"\n",
        &["check"],
        &["there is no VPC access `odl`", "apis/all.toml:14:14", "group.toml:7:10", "1 error\n"],
    ),
    (
        "[stage.PRE.variables]\naccess = \"old\"\n",
        &["check"],
        &["the stage PRE has no variable `version`", "apis/all.toml:15:8", "group.toml:3:8", "1 error\n"],
    ),
    (
        "[stage.PRE.variables]\naccess = \"old\"\nversion = \"1\"\n",
        &["publish", "g/all", "--stage", "PER"],
        &["there is no stage `PER`: there are RELEASE, PRE, TEST; did you mean `PRE`?"],
    ),
    (
        "[stage.Blue.variables]\naccess = \"old\"\nversion = \"1\"\n",
        &["publish", "g/all", "--stage", "BLUE"],
        &["there is no stage `BLUE`: there are RELEASE, PRE, TEST, Blue; did you mean `Blue`?"],
    ),
];

/// What a group says of its stages, the error with its place, and the line of the second place where there is one.
const REFUSED: &[[&str; 4]] = &[
    ["[stage.release]", "`release` is not a name of a stage", "3:8", ""],
    ["[stage.ABCDEFGHIJK]", "`ABCDEFGHIJK` is not a name of a stage", "3:8", ""],
    ["[stage.Release]", "the stages `RELEASE` and `Release` differ in case alone", "3:8", ""],
    ["[stage.Blue]\n[stage.BLUE]", "the stages `Blue` and `BLUE` differ in case alone", "4:8", "3 | [stage.Blue]"],
    ["[stage.PRE]\ndomain = []", "unknown key `domain`", "4:1", ""],
    ["[stage.PRE]\ndomains = [\"other\"]", "`other` is not a domain of this group", "4:12", ""],
    ["[stage.PRE]\ndomains = [\"g.localhost\"]", "`g.localhost` is not a domain of this group", "4:12", ""],
    [
        "[stage.PRE]\ndomains = [\"blue.test\"]\n[stage.TEST]\ndomains = [\"BLUE.test\"]",
        "the domain `blue.test` is bound to two stages",
        "6:12",
        "4 | domains = [",
    ],
    ["[stage.PRE.variables]\n\"a b\" = \"\"", "`a b` is not a name of a variable", "4:1", ""],
    ["[stage.PRE.variables]\na = 1", "invalid type: integer `1`, expected a string", "4:5", ""],
    ["[stage.PRE.variables]\na = \"#b#\"", "the value of the variable `a` has a `#`", "4:5", ""],
    ["[stage.PRE.variables]\na = \"\\n\"", "this is not a value of the variable `a`", "4:5", ""],
];

/// What `lockgate check` says of a group `g`.
fn checked(group: &str) -> String {
    let config = Config::new();
    config.write("groups/g/group.toml", group);
    // Of two groups, the one that is read first has the name.
    config.write("groups/other/group.toml", "name = \"other\"\n[stage.Green]\n");
    config.write("gateway.toml", GATEWAY);
    run(&config, &["check"]).1
}

#[test]
fn what_is_wrong_with_stages_names_its_place() {
    let mut wrong = String::new();
    for [stages, error, place, second] in REFUSED {
        let said = checked(&group(stages));
        let places = said.contains(&format!("groups/g/group.toml:{place}")) && said.contains(second);
        if !said.starts_with(&format!("error: {error}")) || !places || !said.ends_with("\n1 error\n") {
            wrong += &format!("{stages}: wanted `{error}` at {place} {second}, got\n{said}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let said = checked(&group("[stage.GREEN]\n"));
    assert!(said.starts_with("error: the stages `GREEN` and `Green` differ in case alone"), "{said}");
    assert!(said.contains("other/group.toml:2:8") && said.contains("g/group.toml:3:8"), "{said}");
}

#[test]
fn a_group_and_a_stage_have_so_much_and_no_more() {
    let variables = |count: usize| (1..=count).map(|n| format!("v{n} = \"\"\n")).collect::<String>();
    let stages = |count: usize| (1..=count).map(|n| format!("[stage.S{n}]\n")).collect::<String>();
    let good = group(&stages(15)) + "[stage.PRE.variables]\n" + &variables(50);
    assert!(checked(&good).contains("no errors"), "{}", checked(&good));
    let said = checked(&(good + "v51 = \"\"\n[stage.S16]\n"));
    for error in
        ["a stage has at most 50 variables, and this has 51", "a group has at most 16 stages with a table, and this has 17"]
    {
        assert!(said.contains(error), "{error}: {said}");
    }
    assert!(said.ends_with("\n2 errors\n"), "{said}");
}

#[test]
fn what_is_wrong_with_variables_names_both_places() {
    let backend = named("");
    let mut wrong = String::new();
    for (stages, arguments, wanted) in WRONG {
        let config = Config::new().vpc_access("old", backend.address, "").api(&staged());
        config.write("groups/g/group.toml", &group(stages));
        config.write("gateway.toml", GATEWAY);
        let (passed, said) = run(&config, arguments);
        let missing: Vec<_> = wanted.iter().filter(|text| !said.contains(**text)).collect();
        if passed || !missing.is_empty() {
            wrong += &format!("{stages}{arguments:?}: {missing:?} is not in\n{said}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_draft_that_fits_some_stage_is_good() {
    let backend = named("");
    let config = Config::new().vpc_access("old", backend.address, "").api(&staged());
    config.write(
        "groups/g/group.toml",
        &group("[stage.PRE.variables]\naccess = \"old\"\nversion = \"1\"\n[stage.TEST.variables]\naccess = \"odl\"\n"),
    );
    config.write("gateway.toml", GATEWAY);
    let (passed, said) = run(&config, &["check"]);
    assert!(passed, "{said}");
    let (passed, said) = run(&config, &["publish", "--all", "--stage", "PRE"]);
    assert!(passed, "{said}");
    // What is spelled alike stays as it is, with its variables.
    let spelled = fs::read_to_string(config.path().join("groups/g/group.toml")).unwrap();
    let (passed, said) = run(&config, &["fmt"]);
    assert!(passed, "{said}");
    let formatted = fs::read_to_string(config.path().join("groups/g/group.toml")).unwrap();
    assert_eq!(toml::from_str::<toml::Table>(&formatted).unwrap(), toml::from_str::<toml::Table>(&spelled).unwrap());
}

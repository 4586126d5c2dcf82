//! `lockgate quota`: what has been used and is left, over all workers, live; and a reset.

use lockgate_test_support::{Api, App, Backend, Config, Gateway, Request, lockgate};
use serde_json::Value;

const POLICY: &str = "name = \"gold\"\ntype = \"traffic-control\"\nunit = \"day\"\napi = 100\napp = 40\n\n\
    [[special]]\napp = \"b\"\nlimit = 7\n\n[[bind]]\napi = \"g/one\"\nstages = [\"RELEASE\"]\n";

fn gateway(backend: &Backend) -> Gateway {
    let mut config = Config::new()
        .instance("workers = 4")
        .vpc_access("backend", backend.address, "")
        .group("g", &["*"], "default_domain_calls_per_day = 10")
        .published(&Api::app("one", "/one"));
    for name in ["a", "b"] {
        let app = App::new(name, &format!("key-of-{name}"), &format!("secret-of-{name}"), &format!("code-of-{name}"));
        config = config.app(&app.may_call("g/one", &["RELEASE"]));
    }
    config.write("policies/gold.toml", POLICY);
    config.start()
}

fn by(app: &str) -> Request {
    Request::get("/one").app_code(&format!("code-of-{app}"))
}

fn rows(gateway: &Gateway, arguments: &[&str]) -> Vec<Value> {
    let shown = gateway.ok(&[&["quota", "--format", "json"], arguments].concat());
    serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{error}: {shown}"))
}

/// Used and left of a subject.
fn used(gateway: &Gateway, counts: &str, subject: &str) -> Option<(u64, u64)> {
    let rows = rows(gateway, &[]);
    let row = rows.iter().find(|row| row["counts"] == counts && row["subject"] == subject)?;
    Some((row["used"].as_u64()?, row["left"].as_u64()?))
}

#[test]
fn what_is_used_is_shown_and_begun_anew_while_the_gateway_runs() {
    let backend = Backend::ok();
    let gateway = gateway(&backend);
    gateway.get("/none").assert_refused("I404NF");
    assert!(gateway.ok(&["quota"]).contains("nothing has been used"));
    // Each on a connection of its own, which any worker may have.
    (0..25).for_each(|_| gateway.call(&by("a")).assert_passed());
    (0..7).for_each(|_| gateway.call(&by("b")).assert_passed());
    gateway.call(&by("b")).assert_refused("T429PA");
    (0..3).for_each(|_| gateway.call(&by("a").host("g.localhost")).assert_passed());
    assert_eq!(used(&gateway, "app", "a"), Some((28, 12)));
    assert_eq!(used(&gateway, "app", "b"), Some((7, 0)));
    assert_eq!(used(&gateway, "api", ""), Some((35, 65)));
    assert_eq!(used(&gateway, "group", "g"), Some((3, 7)));
    let shown = gateway.ok(&["quota", "--policy", "gold", "--top", "1"]);
    assert!(shown.contains("40 a day") && !shown.contains("7 a day"), "who has used most: {shown}");
    assert!(gateway.ok(&["quota"]).contains("default-domain"));

    assert_eq!(gateway.ok(&["quota", "reset", "gold", "b"]).trim(), "1 counter of b begun anew");
    assert_eq!(used(&gateway, "app", "b"), None);
    (0..7).for_each(|_| gateway.call(&by("b")).assert_passed());
    gateway.call(&by("b")).assert_refused("T429PA");
    assert_eq!(used(&gateway, "api", ""), Some((42, 58)), "others go on");
    gateway.ok(&["quota", "reset", "gold", "g/one"]);
    gateway.ok(&["quota", "reset", "default-domain", "g"]);
    assert_eq!((used(&gateway, "api", ""), used(&gateway, "group", "g")), (None, None));
}

#[test]
fn it_says_what_there_is_not() {
    let backend = Backend::ok();
    let gateway = gateway(&backend);
    gateway.get("/none").assert_refused("I404NF");
    assert!(gateway.fails(&["quota", "--policy", "silver"]).contains("no policy `silver` counts anything"));
    assert!(gateway.fails(&["quota", "reset", "silver", "a"]).contains("no policy `silver` counts anything"));
    assert!(gateway.fails(&["quota", "reset", "gold", "nobody"]).contains("has counted nothing of `nobody`"));
    let config = Config::open(backend.address);
    config.write("gateway.toml", "[instance]\nname = \"x\"\n\n[[listener]]\naddress = \"127.0.0.1:1\"\n");
    let output = lockgate(config.path()).arg("quota").output().expect("the command runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("nothing has been counted"), "{said}");
}

/// What no policy is about is not looked into: neither apps, of which there may be a million, nor other groups.
#[test]
fn it_reads_what_policies_are_about_and_nothing_else() {
    let backend = Backend::ok();
    let gateway = gateway(&backend);
    (0..7).for_each(|_| gateway.call(&by("b")).assert_passed());
    gateway.call(&by("a")).assert_passed();
    gateway.write("groups/other/group.toml", "name = \"other\"\n");
    gateway.write("groups/other/apis/more.toml", &Api::open("more", "/more").document());
    gateway.ok(&["publish", "other/more", "--wait"]);
    let version = std::fs::read_dir(gateway.path().join("published/RELEASE/other/more")).unwrap().next().unwrap().unwrap();
    std::fs::write(version.path(), "damaged").unwrap();
    gateway.write("apps/a.toml", "not = [");
    gateway.write("app-lists/many.toml", "not = [");
    assert!(gateway.fails(&["check"]).contains("3 errors"));
    assert_eq!(used(&gateway, "app", "b"), Some((7, 0)), "a limit of its own");
    assert_eq!(used(&gateway, "app", "a"), Some((1, 39)));
    assert_eq!(gateway.ok(&["quota", "reset", "gold", "b"]).trim(), "1 counter of b begun anew");
    // What they are about is.
    gateway.write("policies/gold.toml", &POLICY.replace("g/one", "g/two"));
    assert!(gateway.fails(&["quota"]).contains("there is no API `two` in group `g`"));
}

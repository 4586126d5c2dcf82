//! Traffic control policies on a running gateway: exactly what they allow passes, over all workers, and nothing is used up by
//! what is refused.

use std::thread;

use lockgate_test_support::{Api, App, Backend, Client, Config, Gateway, Message, Request, Signer, eventually, now_ms};

/// 2027-01-15T09:00:00Z: far from the end of an hour and a day, wherever days begin.
const NINE: u64 = 1_800_003_600;

fn app(name: &str, owner: Option<&str>) -> App {
    let app = App::new(name, &format!("key-of-{name}"), &format!("secret-of-{name}"), &format!("code-of-{name}"));
    let app = app.may_call("g/one", &["RELEASE", "TEST"]).may_call("g/two", &["RELEASE"]);
    match owner {
        Some(owner) => app.owned_by(owner),
        None => app,
    }
}

/// APIs `/one` (in two stages) and `/two` for apps `a` and `b` of one owner and `c` of nobody, and `/open` for everyone.
fn config(backend: &Backend) -> Config {
    Config::new()
        .instance("workers = 4")
        .vpc_access("backend", backend.address, "")
        .group("g", &["*"], "")
        .published_to("g", &Api::app("one", "/one"), &["RELEASE", "TEST"])
        .published(&Api::app("two", "/two"))
        .published(&Api::open("open", "/open/*"))
        .app(&app("a", Some("owner")))
        .app(&app("b", Some("owner")))
        .app(&app("c", None))
}

fn policy(keys: &str, bound: &str) -> String {
    format!("name = \"p\"\ntype = \"traffic-control\"\n{keys}\n{bound}")
}

fn bound(target: &str) -> String {
    let key = if target.contains('/') { "api" } else { "group" };
    format!("\n[[bind]]\n{key} = {target:?}\nstages = [\"RELEASE\"]\n")
}

/// A gateway with one policy.
fn start(backend: &Backend, keys: &str, targets: &[&str]) -> Gateway {
    let bound: String = targets.iter().map(|target| self::bound(target)).collect();
    let config = config(backend).at(NINE);
    config.write("policies/p.toml", &policy(keys, &bound));
    config.start()
}

fn by(path: &str, app: &str) -> Request {
    Request::get(path).app_code(&format!("code-of-{app}"))
}

/// Calls over eight connections at once, which four workers share; how many passed. The others were refused with `code`.
#[track_caller]
fn passing(gateway: &Gateway, request: &Request, calls: usize, code: &str) -> usize {
    const CONNECTIONS: usize = 8;
    let statuses: Vec<Message> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CONNECTIONS)
            .map(|n| {
                scope.spawn(move || {
                    let mut client = gateway.client();
                    let own = calls / CONNECTIONS + usize::from(n < calls % CONNECTIONS);
                    (0..own).map(|_| client.call(request)).collect::<Vec<_>>()
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("a caller ends well")).collect()
    });
    let passed = statuses.iter().filter(|answer| answer.status() == 200).count();
    for refused in statuses.iter().filter(|answer| answer.status() != 200) {
        refused.assert_refused(code);
    }
    passed
}

#[test]
fn an_api_a_user_and_an_app_have_exactly_their_limits() {
    let backend = Backend::ok();
    let gateway = start(&backend, "unit = \"hour\"\napi = 100\nuser = 60\napp = 40", &["g/one", "g/two"]);
    assert_eq!(passing(&gateway, &by("/one", "a"), 100, "T429PA"), 40);
    assert_eq!(passing(&gateway, &by("/one", "b"), 100, "T429PA"), 20, "what its user has left");
    assert_eq!(passing(&gateway, &by("/one", "c"), 100, "T429PA"), 40, "the last of the API's hundred");
    assert_eq!(backend.count(), 100, "what is refused reaches no backend");
    assert_eq!(passing(&gateway, &by("/two", "a"), 60, "T429PA"), 40, "each API counts on its own");
    // Another stage of the API is not bound.
    for _ in 0..50 {
        gateway.call(&by("/one", "a").stage("TEST")).assert_passed();
    }
}

#[test]
fn specials_have_limits_of_their_own() {
    let backend = Backend::ok();
    let specials =
        "[[special]]\napp = \"a\"\nlimit = 30\n[[special]]\nuser = \"owner\"\nlimit = 7\n[[special]]\napp = \"c\"\nlimit = 0";
    let gateway = start(&backend, &format!("unit = \"day\"\napi = 100\nuser = 20\napp = 10\n{specials}"), &["g"]);
    assert_eq!(passing(&gateway, &by("/one", "a"), 50, "T429PA"), 30);
    assert_eq!(passing(&gateway, &by("/one", "b"), 50, "T429PA"), 7);
    assert_eq!(passing(&gateway, &by("/one", "c"), 10, "T429PA"), 0);
    assert_eq!(passing(&gateway, &Request::get("/open/x"), 150, "T429PA"), 100, "nobody in particular: the API's limit alone");
}

#[test]
fn a_group_counts_together_and_an_api_may_have_a_policy_of_its_own() {
    let backend = Backend::ok();
    let config = config(&backend).at(NINE);
    config.write("policies/p.toml", &policy("unit = \"hour\"\napi = 30\ngroup = 40", &bound("g")));
    let own = policy("unit = \"hour\"\napi = 5", &bound("g/two")).replace("\"p\"", "\"own\"");
    config.write("policies/own.toml", &own);
    let gateway = config.start();
    assert_eq!(passing(&gateway, &Request::get("/open/x"), 50, "T429PA"), 30);
    assert_eq!(passing(&gateway, &by("/one", "a"), 50, "T429GR"), 10);
    assert_eq!(passing(&gateway, &by("/two", "a"), 50, "T429PA"), 5);
    let refused = gateway.call(&by("/one", "a"));
    assert_eq!(refused.field("X-Ca-Error-Message").unwrap(), "Throttled by INNER Group Flow Control, g.localhost");
}

#[test]
fn what_is_refused_for_another_reason_uses_up_nothing() {
    let backend = Backend::ok();
    let gateway = start(&backend, "unit = \"hour\"\napi = 3", &["g/one"]);
    let signer = Signer::new("key-of-a", "wrong").at(None);
    for _ in 0..5 {
        gateway.call(&signer.sign(Request::get("/one"))).assert_refused("A403IS");
        gateway.call(&by("/one", "nobody")).assert_refused("A401AC");
        gateway.get("/one").assert_refused("A400MA");
    }
    assert_eq!(passing(&gateway, &by("/one", "a"), 10, "T429PA"), 3);
}

#[test]
fn a_refusal_says_when_to_come_again() {
    let backend = Backend::ok();
    let gateway = start(&backend, "unit = \"day\"\nzone = \"+08:00\"\napi = 1\nfields = \"x-ratelimit\"", &["g/one"]);
    gateway.call(&by("/one", "a")).assert_passed();
    let refused = gateway.call(&by("/one", "a"));
    refused.assert_refused("T429PA");
    let message = "Throttled by API Flow Control, api limit of policy p: 1 a day";
    assert_eq!(refused.field("X-Ca-Error-Message").unwrap(), message);
    // Nine in the morning is seventeen o'clock there: seven hours are left.
    let seconds = |name: &str| refused.field(name).unwrap().parse::<u64>().unwrap();
    assert!((7 * 3600 - 120..=7 * 3600).contains(&seconds("Retry-After")), "{}", seconds("Retry-After"));
    assert_eq!((seconds("X-RateLimit-Limit"), seconds("X-RateLimit-Remaining")), (1, 0));
    assert_eq!(seconds("X-RateLimit-Reset"), seconds("Retry-After"));
    gateway.write("policies/p.toml", &policy("unit = \"day\"\napi = 1\nfields = \"ratelimit\"", &bound("g/one")));
    gateway.ok(&["reload", "--wait"]);
    let refused = gateway.call(&by("/one", "a"));
    assert_eq!(refused.field("RateLimit-Policy").unwrap(), "\"p; api\";q=1;w=86400");
    assert!(refused.field("RateLimit").unwrap().starts_with("\"p; api\";r=0;t=5"), "{:?}", refused.field("RateLimit"));
    assert_eq!(refused.field("X-RateLimit-Limit"), None);
}

#[test]
fn an_answer_says_what_is_left_where_its_policy_wants_that() {
    let backend = Backend::answering(|_| b"HTTP/1.1 200 OK\r\nx-ratelimit-limit: 7\r\nContent-Length: 0\r\n\r\n".to_vec());
    let gateway = start(&backend, "unit = \"day\"\napi = 100\napp = 5\nfields = \"x-ratelimit\"", &["g/one"]);
    let mut client = gateway.client();
    for left in (0..5).rev() {
        let answer = client.call(&by("/one", "a"));
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.field("X-RateLimit-Remaining").unwrap(), left.to_string());
        let all: Vec<_> = answer.all("X-RateLimit-Limit").collect();
        assert_eq!(all, ["5"], "the backend's own would be taken for it");
    }
    client.call(&by("/one", "a")).assert_refused("T429PA");
    // Where no policy applies, a backend's fields are its own business.
    assert_eq!(client.call(&Request::get("/open/x")).field("X-RateLimit-Limit").unwrap(), "7");
}

#[test]
fn windows_end_on_the_clock() {
    let edges = [("minute", 60, NINE + 60), ("hour", 3600, NINE + 3600), ("day", 86_400, NINE + 15 * 3600)];
    thread::scope(|scope| {
        for (unit, length, edge) in edges {
            scope.spawn(move || ends_on_the_clock(unit, length, edge));
        }
    });
}

/// A window has five calls, and the one that begins at `edge` five more.
fn ends_on_the_clock(unit: &str, length: u64, edge: u64) {
    let backend = Backend::ok();
    let config = config(&backend).at(edge - 10);
    config.write("policies/p.toml", &policy(&format!("unit = {unit:?}\napi = 5"), &bound("g/one")));
    let gateway = config.start();
    let mut passed = 0;
    eventually("the next window has begun", || {
        passed += usize::from(gateway.call(&by("/one", "a")).status() == 200);
        (passed == 10).then_some(())
    });
    let refused = gateway.call(&by("/one", "a"));
    refused.assert_refused("T429PA");
    let wait: u64 = refused.field("Retry-After").unwrap().parse().unwrap();
    assert!((1..=length).contains(&wait), "{unit}: {wait}");
}

#[test]
fn calls_over_a_limit_a_second_wait_their_turn_or_do_not() {
    let backend = Backend::ok();
    let gateway = start(&backend, "unit = \"second\"\napi = 20\nqueue_wait_ms = 60000", &["g/one"]);
    // Twenty at once, forty in the two seconds that follow: nobody is refused.
    let began_ms = now_ms();
    assert_eq!(passing(&gateway, &by("/one", "a"), 60, "none"), 60);
    assert!(now_ms() - began_ms >= 1900, "they have waited");

    let gateway = start(&backend, "unit = \"second\"\napi = 20\nblocking = \"quick-return\"", &["g/one"]);
    let began_ms = now_ms();
    let passed = passing(&gateway, &by("/one", "a"), 400, "T429PA");
    let most = 20 + (now_ms() - began_ms) as usize * 20 / 1000 + 1;
    assert!((20..=most).contains(&passed), "{passed} of at most {most}");

    let gateway = start(&backend, "unit = \"second\"\napi = 20\nwindow = \"fixed\"", &["g/one"]);
    let began_ms = now_ms();
    let passed = passing(&gateway, &by("/one", "a"), 400, "T429PA");
    let most = 20 * ((now_ms() - began_ms) as usize / 1000 + 2);
    assert!((20..=most).contains(&passed), "{passed} of at most {most}");
}

const RULES: &str = "default_limit = 50\ndefault_period = \"hour\"\ndefault_retry_after_s = 33\n[parameters]\n\
    Client = \"XFF:-1\"\nLevel = \"Header:X-Level\"\nPath = \"Path\"\n\
    [[rule]]\nname = \"per-client\"\nby_parameters = [\"Client\"]\nbypass_empty_value = true\nlimit = 20\nperiod = \"hour\"\n\
    [[rule]]\nname = \"free\"\nlimit = 5\nperiod = \"day\"\nretry_after_s = 7\n\
    condition = \"$Level = 'free' and $Path like '/open/%'\"\n";

#[test]
fn rules_count_by_parameters_and_conditions() {
    let backend = Backend::ok();
    let gateway = start(&backend, RULES, &["g/open"]);
    let from = |address: &str| Request::get("/open/x").field("X-Forwarded-For", format!("10.0.0.1, {address}"));
    assert_eq!(passing(&gateway, &from("192.0.2.1").field("X-Level", "free"), 9, "T429PR"), 5);
    assert_eq!(passing(&gateway, &from("192.0.2.1"), 40, "T429PR"), 15, "the others of its twenty");
    assert_eq!(passing(&gateway, &from("192.0.2.2"), 40, "T429PR"), 20);
    let refused = gateway.call(&from("192.0.2.2"));
    let message = "Throttled by PLUGIN Flow Control, rule per-client limit of policy p: 20 an hour";
    assert_eq!(refused.field("X-Ca-Error-Message").unwrap(), message);
    assert_eq!(refused.field("Retry-After").unwrap(), "33");
    let free = gateway.call(&from("192.0.2.3").field("X-Level", "free"));
    assert_eq!(free.field("Retry-After").unwrap(), "7");
    // Who says nothing is counted with all others alone.
    assert_eq!(passing(&gateway, &Request::get("/open/x"), 40, "T429PR"), 10);
}

#[test]
fn a_form_may_be_what_is_counted_by() {
    let backend = Backend::ok();
    let rules = "default_limit = 50\ndefault_period = \"hour\"\n[parameters]\nUser = \"Form:user\"\n\
        [[rule]]\nname = \"per-user\"\nby_parameters = [\"User\"]\nlimit = 3\nperiod = \"hour\"\n";
    let gateway = start(&backend, rules, &["g/open", "g/one"]);
    let post = |path: &str, user: &str| Request::post(path, "application/x-www-form-urlencoded", format!("a=1&user={user}"));
    assert_eq!(passing(&gateway, &post("/open/x", "u"), 10, "T429PR"), 3);
    assert_eq!(passing(&gateway, &post("/open/x", "%75"), 10, "T429PR"), 0, "the same user");
    assert_eq!(passing(&gateway, &post("/open/x", "v"), 10, "T429PR"), 3);
    // A signed form with a nonce is decided twice, and its nonce used once.
    let signer = Signer::new("key-of-a", "secret-of-a").at(None);
    let signed = signer.sign(post("/one", "u").field("X-Ca-Nonce", "n-1"));
    gateway.call(&signed).assert_passed();
    gateway.call(&signed).assert_refused("S403NU");
}

#[test]
fn a_policy_is_live_and_goes_on_with_its_count() {
    let backend = Backend::ok();
    let gateway = start(&backend, "unit = \"day\"\napi = 10", &["g/one"]);
    let mut kept: Vec<Client> = (0..8).map(|_| gateway.client()).collect();
    let call = by("/one", "a");
    assert_eq!(passing(&gateway, &call, 20, "T429PA"), 10);
    let change = |keys: &str| {
        gateway.write("policies/p.toml", &policy(keys, &bound("g/one")));
        gateway.ok(&["reload", "--wait"]);
    };
    change("unit = \"day\"\napi = 15");
    let mut passed = 0;
    for client in &mut kept {
        passed += usize::from(client.call(&call).status() == 200);
    }
    assert_eq!(passed, 5, "ten have been used");
    gateway.wait_for_output("policy p: api 10 a day -> 15 a day");
    // A bad file takes nothing away.
    gateway.write("policies/p.toml", &policy("unit = \"day\"\napi = 20\napp = 30", &bound("g/one")));
    gateway.wait_for_output("`app` is at most `api`");
    assert_eq!(passing(&gateway, &call, 5, "T429PA"), 0);
    change("unit = \"day\"\napi = 20\n[[special]]\napp = \"a\"\nlimit = 2");
    assert_eq!(passing(&gateway, &call, 20, "T429PA"), 2);
    std::fs::remove_file(gateway.path().join("policies/p.toml")).unwrap();
    gateway.ok(&["reload", "--wait"]);
    assert_eq!(passing(&gateway, &call, 30, "none"), 30);
    gateway.wait_for_output("policy p is gone");
}

#[test]
fn a_policy_may_come_where_there_was_none() {
    let backend = Backend::ok();
    let gateway = config(&backend).at(NINE).start();
    gateway.call(&by("/one", "a")).assert_passed();
    gateway.write("policies/p.toml", &policy("unit = \"day\"\napi = 1", &bound("g/one")));
    eventually("it is in force", || (gateway.call(&by("/one", "a")).code() == "T429PA").then_some(()));
}

#[test]
fn a_change_of_a_policy_is_said_in_words() {
    let backend = Backend::ok();
    let gateway = start(&backend, RULES, &["g/open"]);
    let changed = RULES.replace("limit = 20", "limit = 30").replace("'free'", "'trial'").replace("retry_after_s = 7\n", "");
    let keys = format!("zone = \"-03:30\"\n{changed}[[rule]]\nname = \"x\"\nlimit = 9\nperiod = \"hour\"\n");
    gateway.write("policies/p.toml", &policy(&keys, &(bound("g/open") + &bound("g"))));
    gateway.ok(&["reload", "--wait"]);
    for said in [
        "policy p: rule per-client 20 an hour by Client, empty values pass -> 30 an hour by Client, empty values pass",
        "policy p: rule free 5 a day, retry after 7 s -> 5 a day",
        "policy p: the condition of rule free has changed",
        "policy p: now rule x 9 an hour",
        "policy p: zone +00:00 -> -03:30",
        "policy p: now binding to g in RELEASE",
    ] {
        gateway.wait_for_output(said);
    }
    gateway.write("policies/q.toml", &policy("unit = \"day\"\napi = 10", "").replace("\"p\"", "\"q\""));
    gateway.wait_for_output("policy q is new");
}

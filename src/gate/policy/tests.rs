//! Which calls pass, by the whole decision and the counters of one worker.

use std::sync::Arc;

use crate::catalog::parameter::{Location, System};
use crate::catalog::policy::*;
use crate::catalog::{AppCodePlace, AppId, Authentication, Condition, GroupId, Parameter, Period, Policy, SignatureMethods};
use crate::gate::error::{Detail, Limited};
use crate::gate::policy::used::{InForce, Used};
use crate::gate::sample::{Request, Sample};
use crate::gate::{Decision, ErrorCode, Scratch, Shared, Tables, Verdict, decide};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// 2026-01-01T00:00:00Z
const NEW_YEAR: u64 = 1_767_225_600_000;

/// Apps `a` and `b` of one owner, `c` of nobody; APIs `open`, `one` and `two`; one policy bound to what `bound` says.
fn sample(control: Control, bound: &[Option<&str>], change: impl FnOnce(&mut Policy)) -> Sample {
    let mut sample = Sample::default();
    let group = sample.group("g", "", &["x.example"]);
    sample.api(group, "open", 0, "ANY", "/open/[id]");
    let methods = SignatureMethods { hmac_sha256: true, hmac_sha1: false };
    for name in ["one", "two"] {
        let api = sample.api(group, name, 0, "GET", &format!("/{name}"));
        sample.api_mut(api).authentication =
            Authentication::App { app_code: AppCodePlace::Header, methods, require_nonce: false };
    }
    for app in ["a", "b", "c"] {
        let id = sample.app(app);
        sample.authorize(id, group, "one", 0, None);
        sample.authorize(id, group, "two", 0, None);
    }
    for app in [0, 1] {
        sample.catalog.apps.change(AppId { list: app, nth: 0 }, |app| app.owner = Some("owner".into()));
    }
    sample.catalog.policies.push(policy("gold", control, group, bound, change));
    sample
}

fn policy(name: &str, control: Control, group: GroupId, bound: &[Option<&str>], change: impl FnOnce(&mut Policy)) -> Policy {
    let per_second = PerSecond::Bucket { queue: 100, wait_ms: 1000 };
    let settings = Settings { per_second, zone_ms: 0, fields: Fields::None, on_engine_loss: EngineLoss::Refuse };
    let bind = |api: &Option<&str>| Binding { group, api: api.map(str::to_owned), stage: crate::catalog::StageId(0) };
    let mut policy = Policy { name: name.into(), control, settings, bindings: bound.iter().map(bind).collect() };
    change(&mut policy);
    policy
}

fn callers(unit: Period, api: u64, user: Option<u64>, app: Option<u64>) -> ByCaller {
    ByCaller { unit, api, user, app, group: None, special_apps: Vec::new(), special_owners: Vec::new() }
}

struct Gate {
    tables: Tables,
    shared: Shared,
    scratch: Scratch,
    now_ms: u64,
}

impl Gate {
    fn new(sample: Sample) -> Self {
        let shared = Shared::new(&sample.catalog, 0, [7; 16]);
        let scratch = Scratch::new(&shared, 0);
        Self { tables: Tables::build(Arc::new(sample.catalog), &shared), shared, scratch, now_ms: NEW_YEAR }
    }

    /// The same counters under other documents.
    fn reload(&mut self, sample: Sample) {
        self.tables = Tables::build(Arc::new(sample.catalog), &self.shared);
    }

    fn decide(&mut self, mut request: Request) -> Decision {
        request.now_ms = self.now_ms;
        decide(&request.call(), &self.tables, &self.shared, &mut self.scratch)
    }

    fn limited(&mut self, request: Request) -> (ErrorCode, Limited) {
        match self.decide(request).verdict {
            Verdict::Refuse(refusal) => match refusal.detail {
                Detail::Limited(limited) => (refusal.code, limited),
                detail => panic!("{detail:?}"),
            },
            _ => panic!("it passes"),
        }
    }

    /// Of so many calls, those that pass.
    fn passing(&mut self, calls: usize, request: impl Fn() -> Request) -> usize {
        (0..calls).filter(|_| matches!(self.decide(request()).verdict, Verdict::Forward(_))).count()
    }

    /// The calls of an app.
    fn of(&mut self, api: &str, app: &str, calls: usize) -> usize {
        self.passing(calls, || by(api, app))
    }
}

fn by(api: &str, app: &str) -> Request {
    get(&format!("/{api}")).field("Authorization", &format!("APPCODE code-of-{app}"))
}

fn get(target: &str) -> Request {
    Request::new("GET", target).field("Host", "x.example")
}

#[test]
fn an_app_a_user_and_an_api_have_their_limits() {
    let limits = Control::Callers(callers(Period::Minute, 10, Some(6), Some(4)));
    let mut gate = Gate::new(sample(limits, &[Some("one"), Some("two")], |_| {}));
    assert_eq!(gate.of("one", "a", 10), 4, "the app");
    assert_eq!(gate.of("one", "b", 10), 2, "its user, whose other app has had four");
    assert_eq!(gate.of("one", "c", 10), 4, "an app without an owner is a user by itself; the API has had ten");
    assert_eq!(gate.of("two", "c", 10), 4, "every API counts on its own");
    gate.now_ms += MINUTE;
    assert_eq!(gate.of("one", "a", 10), 4);
    // What a rule refuses takes nothing from the others: b has what a left of the user's six.
    assert_eq!(gate.of("one", "b", 100), 2);
    assert_eq!(gate.of("one", "c", 100), 4);
}

#[test]
fn the_api_may_be_the_first_to_be_empty() {
    let limits = Control::Callers(callers(Period::Hour, 5, Some(5), Some(3)));
    let mut gate = Gate::new(sample(limits, &[Some("one")], |_| {}));
    assert_eq!([gate.of("one", "a", 9), gate.of("one", "c", 9), gate.of("one", "b", 9)], [3, 2, 0]);
    assert_eq!(gate.of("two", "b", 50), 50, "not bound");
}

#[test]
fn refusals_say_which_limit_and_until_when() {
    let limits = Control::Callers(callers(Period::Minute, 3, None, Some(2)));
    let mut gate = Gate::new(sample(limits, &[Some("one")], |policy| policy.settings.fields = Fields::XRateLimit));
    gate.now_ms += 20 * SECOND + 1;
    assert_eq!(gate.of("one", "a", 2), 2);
    let (code, limited) = gate.limited(by("one", "a"));
    assert_eq!((code, &*limited.reason), (ErrorCode::T429PA, "app limit of policy gold: 2 a minute"));
    assert_eq!(limited.retry_after_s, 40);
    let told = limited.told.unwrap();
    assert_eq!((told.limit, told.remaining, told.reset_s, told.window_s), (2, 0, 40, 60));
    assert_eq!(gate.of("one", "b", 9), 1);
    assert_eq!(&*gate.limited(by("one", "b")).1.reason, "api limit of policy gold: 3 a minute");
}

#[test]
fn a_call_that_passes_is_told_of_the_limit_with_the_least_left() {
    let limits = || Control::Callers(callers(Period::Minute, 9, None, Some(4)));
    let mut gate = Gate::new(sample(limits(), &[Some("one")], |policy| policy.settings.fields = Fields::RateLimit));
    gate.now_ms += 45 * SECOND;
    let mut told = |app: &str| match gate.decide(by("one", app)).verdict {
        Verdict::Forward(forward) => forward.told.map(|told| (told.name.to_string(), told.limit, told.remaining, told.reset_s)),
        _ => panic!("it passes"),
    };
    assert_eq!(told("a"), Some(("gold; app".into(), 4, 3, 15)));
    assert_eq!(told("a"), Some(("gold; app".into(), 4, 2, 15)));
    assert_eq!((0..4).map(|_| told("b").unwrap().2).collect::<Vec<_>>(), [3, 2, 1, 0]);
    assert_eq!(told("c"), Some(("gold; api".into(), 9, 2, 15)), "the API has less left than the app");
    let mut gate = Gate::new(sample(limits(), &[Some("one")], |_| {}));
    assert!(matches!(gate.decide(by("one", "a")).verdict, Verdict::Forward(forward) if forward.told.is_none()));
}

#[test]
fn a_special_app_is_free_of_the_limits_of_apps_and_users_and_a_special_user_of_that_of_users() {
    let limits = || callers(Period::Day, 20, Some(5), Some(3));
    let special = ByCaller { special_apps: vec![(AppId { list: 0, nth: 0 }, 9)], ..limits() };
    let mut gate = Gate::new(sample(Control::Callers(special), &[Some("one")], |_| {}));
    assert_eq!(gate.of("one", "a", 30), 9);
    assert_eq!(gate.of("one", "b", 30), 3, "the user has used nothing");
    let special = ByCaller { special_owners: vec![("owner".into(), 4)], ..limits() };
    let mut gate = Gate::new(sample(Control::Callers(special), &[Some("one")], |_| {}));
    assert_eq!([gate.of("one", "a", 30), gate.of("one", "b", 30), gate.of("one", "c", 30)], [3, 1, 3]);
    let out = ByCaller { special_apps: vec![(AppId { list: 0, nth: 0 }, 0)], ..limits() };
    let mut gate = Gate::new(sample(Control::Callers(out), &[Some("one")], |_| {}));
    assert_eq!([gate.of("one", "a", 5), gate.of("one", "b", 5)], [0, 3], "a limit of 0 keeps an app out");
}

#[test]
fn what_was_given_out_adds_up_by_rule() {
    let used = |gate: &Gate| -> Vec<(String, u64, u64, u64)> {
        let Tables { catalog, policies, .. } = &gate.tables;
        let in_force = InForce { catalog: catalog.clone(), policies: policies.clone() };
        let mut sums = in_force.sums();
        gate.shared.quotas.counters().for_each(|seen| sums.add(&seen, gate.now_ms));
        let sum = |(policy, rule, used): (&str, &str, Used)| {
            assert_eq!(policy, "gold");
            (rule.to_owned(), used.calls, used.subjects, used.exhausted)
        };
        sums.used().map(sum).collect()
    };
    let is = |rule: &str, calls, subjects, exhausted| (rule.to_owned(), calls, subjects, exhausted);
    let special = ByCaller {
        group: Some(30),
        special_apps: vec![(AppId { list: 2, nth: 0 }, 2)],
        special_owners: vec![("owner".into(), 5)],
        ..callers(Period::Minute, 20, Some(6), Some(4))
    };
    let mut gate = Gate::new(sample(Control::Callers(special), &[None], |_| {}));
    assert_eq!(used(&gate), []);
    // a and b have one owner; c is special.
    assert_eq!([gate.of("one", "a", 9), gate.of("one", "b", 9), gate.of("one", "c", 9), gate.of("two", "a", 3)], [4, 1, 2, 3]);
    let of_apis = [is("api", 10, 2, 0), is("user", 8, 2, 1), is("app", 10, 4, 2), is("group", 10, 1, 0)];
    assert_eq!(used(&gate), of_apis);
    gate.now_ms += MINUTE;
    assert_eq!(used(&gate), [], "a window that is over");

    let by_address = parameters(Scope::Policy, vec![Location::System(System::ClientIp)], vec![rule("per-ip", &[0], 3)]);
    let mut gate = Gate::new(sample(by_address, &[Some("one"), Some("two")], |_| {}));
    assert_eq!([gate.of("one", "a", 2), gate.of("two", "b", 9)], [2, 1]);
    assert_eq!(used(&gate), [is("default", 3, 1, 0), is("rule per-ip", 3, 1, 1)]);
}

#[test]
fn a_group_binds_what_has_no_policy_of_its_own_and_counts_it_together() {
    let limits = ByCaller { group: Some(7), ..callers(Period::Minute, 5, None, None) };
    let mut sample = sample(Control::Callers(limits), &[None], |_| {});
    let own = Control::Callers(callers(Period::Minute, 2, None, None));
    sample.catalog.policies.push(policy("own", own, GroupId(0), &[Some("two")], |_| {}));
    let mut gate = Gate::new(sample);
    assert_eq!(gate.passing(9, || get("/open/1")), 5);
    assert_eq!(gate.of("one", "a", 9), 2);
    let (code, limited) = gate.limited(by("one", "a"));
    assert_eq!((code, &*limited.reason), (ErrorCode::T429GR, "g.localhost"));
    assert_eq!(gate.of("two", "a", 9), 2, "its own policy");
}

#[test]
fn a_limit_that_changes_goes_on_with_its_count() {
    let limits = |app| Control::Callers(callers(Period::Hour, 100, None, Some(app)));
    let mut gate = Gate::new(sample(limits(5), &[Some("one")], |_| {}));
    assert_eq!(gate.of("one", "a", 9), 5);
    gate.reload(sample(limits(8), &[Some("one"), Some("two")], |_| {}));
    assert_eq!(gate.of("one", "a", 9), 3);
    let special = ByCaller { special_apps: vec![(AppId { list: 0, nth: 0 }, 10)], ..callers(Period::Hour, 100, None, Some(8)) };
    gate.reload(sample(Control::Callers(special), &[Some("one")], |_| {}));
    assert_eq!(gate.of("one", "a", 9), 2);
    gate.reload(sample(limits(3), &[Some("one")], |_| {}));
    assert_eq!(gate.of("one", "a", 9), 0);
}

#[test]
fn a_day_begins_in_its_zone() {
    let limits = || Control::Callers(callers(Period::Day, 1, None, None));
    let mut gate = Gate::new(sample(limits(), &[Some("one")], |policy| policy.settings.zone_ms = 8 * HOUR as i64));
    assert_eq!(gate.of("one", "a", 2), 1);
    assert_eq!(gate.limited(by("one", "a")).1.retry_after_s, 16 * 3600);
    gate.now_ms = NEW_YEAR + 16 * HOUR - 1;
    assert_eq!(gate.of("one", "a", 2), 0);
    gate.now_ms += 1;
    assert_eq!(gate.of("one", "a", 2), 1);
    gate.now_ms += DAY;
    assert_eq!(gate.of("one", "a", 2), 1);
}

#[test]
fn a_second_is_a_bucket_with_a_queue_or_a_bucket_or_a_window() {
    let limits = || Control::Callers(callers(Period::Second, 10, None, None));
    let mut gate = Gate::new(sample(limits(), &[Some("one")], |_| {}));
    let waits: Vec<u64> = (0..30)
        .filter_map(|_| match gate.decide(by("one", "a")).verdict {
            Verdict::Forward(forward) => Some(forward.wait_ms),
            _ => None,
        })
        .collect();
    let expected: Vec<u64> = [0; 10].into_iter().chain((1..=10).map(|n| n * 100)).collect();
    assert_eq!(waits, expected, "ten at once, and ten that wait for a second at most");
    assert_eq!(gate.limited(by("one", "a")).1.retry_after_s, 1);

    let quick = PerSecond::Bucket { queue: 0, wait_ms: 0 };
    let mut gate = Gate::new(sample(limits(), &[Some("one")], |policy| policy.settings.per_second = quick));
    gate.now_ms += 900;
    assert_eq!(gate.of("one", "a", 30), 10);
    gate.now_ms += 100;
    assert_eq!(gate.of("one", "a", 30), 1, "a token has come");

    let mut gate = Gate::new(sample(limits(), &[Some("one")], |policy| policy.settings.per_second = PerSecond::Fixed));
    gate.now_ms += 900;
    assert_eq!(gate.of("one", "a", 30), 10);
    gate.now_ms += 100;
    assert_eq!(gate.of("one", "a", 30), 10, "another second of the clock");
}

fn rule(name: &str, by: &[usize], limit: u64) -> Rule {
    Rule {
        name: name.into(),
        by: by.into(),
        limit,
        period: Period::Minute,
        condition: None,
        bypass_empty_value: false,
        retry_after_s: None,
    }
}

fn parameters(scope: Scope, locations: Vec<Location>, rules: Vec<Rule>) -> Control {
    let name = |n: usize| format!("P{n}");
    let parameters = locations.into_iter().enumerate().map(|(n, location)| Parameter { name: name(n), location }).collect();
    Control::Parameters(ByParameters { scope, limit: 12, period: Period::Day, retry_after_s: Some(77), parameters, rules })
}

#[test]
fn clients_count_by_their_addresses_and_networks() {
    let by_address = parameters(Scope::Api, vec![Location::System(System::ClientIp)], vec![rule("per-ip", &[0], 3)]);
    let mut gate = Gate::new(sample(by_address, &[Some("open")], |_| {}));
    let from = |address: &str| {
        let mut request = get("/open/1");
        request.peer = address.parse().unwrap();
        request
    };
    assert_eq!(gate.passing(9, || from("192.0.2.1")), 3);
    let (code, limited) = gate.limited(from("192.0.2.1"));
    let reason = "rule per-ip limit of policy gold: 3 a minute";
    assert_eq!((code, &*limited.reason, limited.retry_after_s), (ErrorCode::T429PR, reason, 77));
    assert_eq!(gate.passing(9, || from("192.0.2.2")), 3);
    assert_eq!(gate.passing(9, || from("2001:db8::1")), 3);
    assert_eq!(gate.passing(9, || from("2001:db8::ffff")), 0, "one client has all of its network of 64 bits");
    assert_eq!(gate.passing(9, || from("2001:db8:0:1::1")), 3);
    assert_eq!(gate.passing(9, || from("192.0.2.3")), 0, "all calls together have had their twelve");
    assert_eq!(&*gate.limited(from("192.0.2.3")).1.reason, "default limit of policy gold: 12 a day");
}

#[test]
fn values_are_read_wherever_they_stand() {
    let locations = [
        (Location::Method, "PUT"),
        (Location::Path, "/open/a%20b"),
        (Location::Header("x-level".into()), "free"),
        (Location::Query("q".into()), "1 2"),
        (Location::PathParameter("id".into()), "a b"),
        (Location::System(System::Domain), "x.example"),
        (Location::System(System::HttpSchema), "HTTP"),
        (Location::System(System::ApiName), "open"),
        (Location::System(System::Stage), "RELEASE"),
        (Location::System(System::ClientUa), "curl"),
        (Location::ForwardedFor(-1), "3.3.3.3"),
        (Location::ForwardedFor(0), "1.1.1.1"),
        (Location::ForwardedFor(1), "2.2.2.2"),
    ];
    let missing = [
        Location::Header("x-none".into()),
        Location::Query("Q".into()),
        Location::PathParameter("none".into()),
        Location::System(System::AppId),
        Location::System(System::AppKey),
        Location::ForwardedFor(3),
        Location::ForwardedFor(-4),
    ];
    let equals: Vec<String> = locations.iter().enumerate().map(|(n, (_, value))| format!("$P{n} = '{value}'")).collect();
    let nulls: Vec<String> = (locations.len()..locations.len() + missing.len()).map(|n| format!("$P{n} = null")).collect();
    let condition = equals.into_iter().chain(nulls).collect::<Vec<_>>();
    let all: Vec<Location> = locations.into_iter().map(|(location, _)| location).chain(missing).collect();
    let names: Vec<Parameter> =
        all.iter().enumerate().map(|(n, location)| Parameter { name: format!("P{n}"), location: location.clone() }).collect();
    for (n, condition) in condition.iter().enumerate() {
        let condition = Condition::parse(condition, &names).unwrap();
        let only = Rule { condition: Some(condition), ..rule("only", &[], 1) };
        let mut gate = Gate::new(sample(parameters(Scope::Api, all.clone(), vec![only]), &[Some("open")], |_| {}));
        let call = || {
            let call = Request::new("PUT", "/open/a%20b?x=0&%71=1+2&q=3").field("Host", "x.example").field("X-Level", "free");
            call.field("X-Forwarded-For", "1.1.1.1, 2.2.2.2").field("User-Agent", "curl").field("X-Forwarded-For", "3.3.3.3")
        };
        assert_eq!(gate.passing(3, call), 1, "{:?}", names[n]);
    }
}

#[test]
fn an_app_and_its_key_are_values() {
    let locations = vec![Location::System(System::AppId)];
    let by_app = parameters(Scope::Api, locations, vec![rule("per-app", &[0], 2)]);
    let mut gate = Gate::new(sample(by_app, &[Some("one")], |_| {}));
    assert_eq!([gate.of("one", "a", 5), gate.of("one", "b", 5)], [2, 2]);
}

#[test]
fn empty_values_count_together_or_are_let_by() {
    let by_user = |bypass_empty_value| {
        let rule = Rule { bypass_empty_value, ..rule("per-user", &[0, 1], 2) };
        parameters(Scope::Api, vec![Location::Query("user".into()), Location::Query("kind".into())], vec![rule])
    };
    let mut gate = Gate::new(sample(by_user(false), &[Some("open")], |_| {}));
    assert_eq!(gate.passing(5, || get("/open/1?user=u&kind=k")), 2);
    assert_eq!(gate.passing(5, || get("/open/1?user=u&kind=l")), 2, "another set of values");
    assert_eq!(gate.passing(5, || get("/open/1?user=u")), 2);
    assert_eq!(gate.passing(5, || get("/open/1?user=u&kind=")), 0, "missing and empty are the same");
    let mut gate = Gate::new(sample(by_user(true), &[Some("open")], |_| {}));
    assert_eq!(gate.passing(5, || get("/open/1?user=u")), 5);
    assert_eq!(gate.passing(5, || get("/open/1?user=u&kind=k")), 2);
}

#[test]
fn a_policy_counts_by_api_or_all_that_it_is_bound_to() {
    for (scope, second) in [(Scope::Api, 2), (Scope::Policy, 0)] {
        let rules = parameters(scope, Vec::new(), vec![rule("all", &[], 2)]);
        let mut gate = Gate::new(sample(rules, &[Some("one"), Some("two")], |_| {}));
        assert_eq!((gate.of("one", "a", 5), gate.of("two", "a", 5)), (2, second), "{scope:?}");
    }
}

#[test]
fn a_form_is_read_for_what_is_counted_by_it() {
    let rules = parameters(Scope::Api, vec![Location::Form("user".into())], vec![rule("per-user", &[0], 1)]);
    let mut gate = Gate::new(sample(rules, &[Some("open")], |_| {}));
    let post = || Request::new("POST", "/open/1").field("Host", "x.example").field("Content-Length", "9");
    let form = || post().field("Content-Type", "application/x-www-form-urlencoded; charset=ISO-8859-1");
    assert!(matches!(gate.decide(form()).verdict, Verdict::NeedForm));
    assert!(matches!(gate.decide(post()).verdict, Verdict::Forward(_)), "no form");
    let mut passes = |form: &[u8]| {
        let mut request = with_form(form);
        request.now_ms = gate.now_ms;
        let call = crate::gate::Call { form: Some(form), ..request.call() };
        matches!(decide(&call, &gate.tables, &gate.shared, &mut gate.scratch).verdict, Verdict::Forward(_))
    };
    assert!(passes(b"user=%E9"));
    assert!(!passes(b"us%65r=%E9"), "a name is the same however it is escaped");
    assert!(passes(b"user=%E8"));
}

fn with_form(form: &[u8]) -> Request {
    let request = Request::new("POST", "/open/1").field("Host", "x.example").field("Content-Length", &form.len().to_string());
    request.field("Content-Type", "application/x-www-form-urlencoded; charset=ISO-8859-1")
}

#[test]
fn the_default_domain_counts_beside_a_policy() {
    let limits = Control::Callers(callers(Period::Minute, 3, None, None));
    let mut sample = sample(limits, &[Some("open")], |_| {});
    sample.catalog.groups[0].default_domain_calls_per_day = 4;
    let mut gate = Gate::new(sample);
    let debug = || Request::new("GET", "/open/1").field("Host", "g.localhost");
    assert_eq!(gate.passing(9, debug), 3);
    gate.now_ms += MINUTE;
    assert_eq!(gate.passing(9, debug), 1, "what the policy refused was not counted for the day");
    let (code, limited) = gate.limited(debug());
    assert_eq!((code, limited.retry_after_s), (ErrorCode::T429ID, (DAY - MINUTE) / SECOND));
}

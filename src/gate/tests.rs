//! The decision as a whole: the order of its steps, and what each leaves behind.

use std::sync::Arc;

use super::sample::{Request, Sample};
use super::*;
use crate::catalog::{AppCodePlace, Authentication, CounterFull, EngineLoss, Limits, Quota, SignatureMethods};

struct Gate {
    tables: Tables,
    shared: Shared,
}

impl Gate {
    fn new(sample: Sample) -> Self {
        let shared = Shared::new(&sample.catalog, 0, [7; 16]);
        Self { tables: Tables::build(Arc::new(sample.catalog), &shared), shared }
    }
    fn decide(&self, request: &Request) -> Decision {
        decide(&request.call(), &self.tables, &self.shared, &mut Scratch::new(&self.shared, 0))
    }
    fn code(&self, request: &Request) -> Option<ErrorCode> {
        match self.decide(request).verdict {
            Verdict::Refuse(refusal) => Some(refusal.code),
            Verdict::Forward(_) | Verdict::NeedForm | Verdict::InDoubt(_) | Verdict::Awaited(_) | Verdict::Unconfirmed(..) => {
                None
            }
            Verdict::Redirect | Verdict::Options(_) => None,
        }
    }
}

fn get(host: &str, target: &str) -> Request {
    Request::new("GET", target).field("Host", host)
}

/// A gate with an anonymous API `/open` and an API `/closed` that takes AppCodes; `app` may call it, `stranger` not.
fn gate(change: impl FnOnce(&mut Sample)) -> Gate {
    let mut sample = Sample::default();
    let group = sample.group("g", "", &["x.example"]);
    sample.api(group, "open", 0, "GET", "/open");
    let closed = sample.api(group, "closed", 0, "GET", "/closed");
    let methods = SignatureMethods { hmac_sha256: true, hmac_sha1: false };
    sample.api_mut(closed).authentication = Authentication::App { app_code: AppCodePlace::Header, methods, require_nonce: false };
    let app = sample.app("app");
    sample.app("stranger");
    sample.authorize(app, group, "closed", 0, Some(2_000_000_000_000));
    sample.catalog.groups[group.index()].default_domain_calls_per_day = 2;
    change(&mut sample);
    Gate::new(sample)
}

#[test]
fn a_call_that_may_pass_is_forwarded() {
    let decision = gate(|_| {}).decide(&get("x.example", "/open"));
    assert!(matches!(decision.verdict, Verdict::Forward(Forward { api: ApiId(0), body_md5: None, .. })));
    assert_eq!((decision.api, decision.app, decision.debug), (Some(ApiId(0)), None, false));
}

#[test]
fn an_authorized_app_passes_and_a_stranger_does_not() {
    let gate = gate(|_| {});
    let with = |code: &str| get("x.example", "/closed").field("Authorization", &format!("APPCODE {code}"));
    let decision = gate.decide(&with("code-of-app"));
    assert!(matches!(decision.verdict, Verdict::Forward(_)));
    assert_eq!(decision.app, Some(AppId { list: 0, nth: 0 }));

    let decision = gate.decide(&with("code-of-stranger"));
    assert!(matches!(decision.verdict, Verdict::Refuse(Refusal { code: ErrorCode::I403AA, .. })));
    assert_eq!((decision.api, decision.app), (Some(ApiId(1)), Some(AppId { list: 1, nth: 0 })), "known, though refused");

    let mut late = with("code-of-app");
    late.now_ms = 2_000_000_000_000;
    assert_eq!(gate.code(&late), Some(ErrorCode::A403EP));
}

#[test]
fn an_unrouted_call_has_no_api() {
    let decision = gate(|_| {}).decide(&get("x.example", "/none"));
    assert!(matches!(decision.verdict, Verdict::Refuse(Refusal { code: ErrorCode::I404NF, .. })));
    assert_eq!(decision.api, None);
}

#[test]
fn the_protocol_is_checked_before_who_calls() {
    let gate = gate(|sample| sample.api_mut(ApiId(1)).protocols.http = false);
    let decision = gate.decide(&get("x.example", "/closed"));
    let Verdict::Refuse(refusal) = decision.verdict else { panic!("HTTP is not allowed") };
    assert_eq!(refusal, Refusal::because(ErrorCode::I403PT, "HTTP"));
    let mut secure = get("x.example", "/closed");
    secure.scheme = Scheme::Https;
    assert_eq!(gate.code(&secure), Some(ErrorCode::A400MA));
}

#[test]
fn a_body_that_is_too_large_is_refused_before_who_calls() {
    let gate = gate(|sample| sample.api_mut(ApiId(1)).body_bytes = Some(1000));
    let code = |path: &str, body_bytes: u64| gate.code(&get("x.example", path).body_bytes(body_bytes));
    assert_eq!([code("/closed", 1000), code("/closed", 1001)], [Some(ErrorCode::A400MA), Some(ErrorCode::I413RL)]);
    let of_instance = Limits::default().body_bytes;
    assert_eq!([code("/open", of_instance), code("/open", of_instance + 1)], [None, Some(ErrorCode::I413RL)]);
}

#[test]
fn debug_is_asked_for_in_any_case() {
    let gate = gate(|_| {});
    let asks = |mode: &str| gate.decide(&get("x.example", "/none").field("X-Ca-Request-Mode", mode)).debug;
    assert!(asks("debug") && asks("DEBUG"));
    assert!(!asks("") && !asks("debugger"));
}

#[test]
fn the_default_domain_has_a_quota_and_other_domains_do_not() {
    let gate = gate(|_| {});
    let ask = |host: &str| gate.code(&get(host, "/open"));
    assert_eq!([ask("g.localhost"), ask("G.localhost:80"), ask("g.localhost")], [None, None, Some(ErrorCode::T429ID)]);
    assert_eq!(ask("x.example"), None);
    let mut tomorrow = get("g.localhost", "/open");
    tomorrow.now_ms += 24 * 60 * 60 * 1000;
    assert_eq!(gate.code(&tomorrow), None);
}

#[test]
fn what_happens_without_room_for_a_counter_is_a_setting() {
    let asks = |full: CounterFull| {
        let gate = gate(|sample| {
            sample.catalog.quota = Quota { counter_capacity: 1, counter_full: full, on_engine_loss: EngineLoss::Refuse };
            for n in 0..500 {
                let group = sample.group(&format!("g{n}"), "", &[]);
                sample.api(group, "open", 0, "GET", "/open");
            }
        });
        let mut scratch = Scratch::new(&gate.shared, 0);
        let mut codes = Vec::new();
        for n in 0..500 {
            let request = get(&format!("g{n}.localhost"), "/open");
            let decision = decide(&request.call(), &gate.tables, &gate.shared, &mut scratch);
            if let Verdict::Refuse(refusal) = decision.verdict {
                codes.push(refusal.code);
            }
        }
        (codes, scratch.counting.without_room)
    };
    let (refused, without_room) = asks(CounterFull::Refuse);
    assert!(refused.len() > 400 && refused.len() as u64 == without_room, "{without_room}");
    assert!(refused.iter().all(|&code| code == ErrorCode::T429ID));
    assert_eq!(asks(CounterFull::Accept), (Vec::new(), without_room));
}

#[test]
fn a_refused_call_uses_up_nothing() {
    let gate = gate(|_| {});
    for _ in 0..5 {
        assert_eq!(gate.code(&get("g.localhost", "/none")), Some(ErrorCode::I404NF));
        assert_eq!(gate.code(&get("g.localhost", "/closed")), Some(ErrorCode::A400MA));
        let stranger = get("g.localhost", "/closed").field("Authorization", "APPCODE code-of-stranger");
        assert_eq!(gate.code(&stranger), Some(ErrorCode::I403AA));
    }
    assert_eq!(gate.code(&get("g.localhost", "/open")), None);
    assert_eq!(gate.code(&get("g.localhost", "/open")), None);
}

/// What an observer is told, by name.
struct Told(Vec<&'static str>);

impl trace::Observer for Told {
    fn saw(&mut self, step: Seen) {
        self.0.push(match step {
            Seen::Domain(_) => "domain",
            Seen::Group { .. } => "group",
            Seen::Stage { .. } => "stage",
            Seen::Api(_) => "api",
            Seen::Protocol => "protocol",
            Seen::Body => "body",
            Seen::Caller(_) => "caller",
            Seen::Authorized => "authorized",
            Seen::Admitted => "admitted",
        });
    }
}

#[test]
fn an_observer_is_told_of_every_step_up_to_the_refusal() {
    let gate = gate(|_| {});
    let told = |request: &Request| {
        let mut told = Told(Vec::new());
        let watched = decide_watched(&request.call(), &gate.tables, &gate.shared, &mut Scratch::new(&gate.shared, 0), &mut told);
        let refused = matches!(watched.verdict, Verdict::Refuse(_));
        assert_eq!(refused, gate.code(request).is_some(), "the decision is the same one");
        told.0.join(" ")
    };
    let code = |app: &str| format!("APPCODE code-of-{app}");
    let all = "domain group stage api protocol body caller authorized admitted";
    assert_eq!(told(&get("x.example", "/open")), all);
    assert_eq!(told(&get("x.example", "/closed").field("Authorization", &code("app"))), all);
    assert_eq!(
        told(&get("x.example", "/closed").field("Authorization", &code("stranger"))),
        "domain group stage api protocol body caller"
    );
    assert_eq!(told(&get("x.example", "/closed")), "domain group stage api protocol body");
    let long = get("x.example", "/open").body_bytes(u64::MAX);
    assert_eq!(told(&long), "domain group stage api protocol");
    assert_eq!(told(&get("x.example", "/none")), "domain group stage");
    assert_eq!(told(&get("x.example", "/open").field("X-Ca-Stage", "none")), "domain group");
    assert_eq!(told(&get("y.example", "/open")), "");
}

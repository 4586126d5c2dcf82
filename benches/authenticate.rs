//! What it costs to find out who calls: signature, AppCode, nonce, and the tables of a million apps.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use lockgate::catalog::*;
use lockgate::gate::Call;
use lockgate::gate::authenticate::apps::Apps as AppTables;
use lockgate::gate::authenticate::nonce::{Insert, NonceKey, NonceSet};
use lockgate::gate::authenticate::sign::{Signing, Unsigned, sign};
use lockgate::gate::authenticate::signature::Method;
use lockgate::gate::authenticate::{Outcome, Scratch, authenticate};
use lockgate::http::field::FieldId;
use lockgate::http::head::{Field, RequestHead, RequestView, Span};
use lockgate::http::target::Target;

const NOW_MS: u64 = 1_795_329_125_416;
const WINDOW_MS: u64 = 900_000;
const MANY: u32 = 1_000_000;

fn catalog(apps: u32) -> Catalog {
    let app = |n: u32| App {
        name: format!("app-{n}").into(),
        owner: None,
        keys: [AppKey::new(format!("{}", 24_601_001 + n), format!("sEcReT-Alpha-0123456789abcdef-{n}"))].into(),
        app_codes: [Secret::new(app_code(n))].into(),
        authorizations: [].into(),
    };
    let api = Api {
        group: GroupId(0),
        name: "api".into(),
        id: ApiName(0),
        stage: StageId(0),
        version: "20260101000000000".into(),
        authentication: rules(),
        body_bytes: None,
        upgrades: Vec::new(),
        protocols: Protocols { http: true, https: true },
        methods: MethodSet::Any,
        path: PathTemplate { segments: vec![Segment::Rest] },
        backend: Backend::Vpc {
            vpc_access: VpcAccessId(0),
            path: PathTemplate { segments: Vec::new() },
            method: None,
            timeout: Duration::from_secs(1),
        },
    };
    Catalog {
        generation: 0,
        sha256: String::new(),
        instance: Instance {
            name: "edge-1".into(),
            via: None,
            workers: None,
            egress_addresses: Vec::new(),
            state_directory: PathBuf::from("state"),
            default_domain_suffix: "localhost".into(),
            driver: Driver::Auto,
        },
        listeners: Vec::new(),
        quota: Quota { counter_capacity: 1_000, counter_full: CounterFull::Refuse, on_engine_loss: Default::default() },
        cluster: None,
        security: Security {
            signature_window_ms: WINDOW_MS,
            nonce_capacity: 1_000_000,
            nonce_full: NonceFull::Refuse,
            nonces_on_engine_loss: Default::default(),
            tolerances: vec![Tolerance::RawPath, Tolerance::EmptyValueEquals, Tolerance::QueryFirst, Tolerance::ByteOrder],
            trusted_proxies: Vec::new(),
        },
        limits: Limits::default(),
        access_log: AccessLog::Off,
        log_format: lockgate::catalog::LogFormat::Text,
        admin: None,
        stages: STAGES.map(String::from).into(),
        vpc_accesses: Vec::new(),
        sites: Vec::new(),
        groups: vec![Group {
            name: "group".into(),
            base_path: String::new(),
            domains: Vec::new(),
            default_domain: "group.localhost".into(),
            default_domain_calls_per_day: 1000,
            forward_app_code: false,
            https: Vec::new(),
            stages: Vec::new(),
            bound: Vec::new(),
        }],
        apis: vec![api.into()],
        names: Default::default(),
        apps: (0..apps).map(app).collect(),
        policies: Vec::new(),
    }
}

fn app_code(n: u32) -> String {
    format!("{:032x}", u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
}

fn rules() -> Authentication {
    Authentication::App {
        app_code: AppCodePlace::HeaderQuery,
        methods: SignatureMethods { hmac_sha256: true, hmac_sha1: true },
        require_nonce: false,
    }
}

/// A head as the parser leaves it.
struct Request {
    buffer: Vec<u8>,
    head: RequestHead,
}

impl Request {
    fn new(method: &str, target: &str, headers: &[(FieldId, &str, &str)]) -> Self {
        let mut request = Self { buffer: Vec::new(), head: RequestHead::default() };
        request.head.method = request.put(method);
        request.head.target = request.put(target);
        for &(id, name, value) in headers {
            let field = Field { name: request.put(name), value: request.put(value), id, plain: false };
            assert!(request.head.fields.push(field));
        }
        request
    }

    fn put(&mut self, text: &str) -> Span {
        let start = self.buffer.len() as u16;
        self.buffer.extend_from_slice(text.as_bytes());
        Span { start, end: self.buffer.len() as u16 }
    }

    fn call(&self) -> Call<'_> {
        let request = RequestView { buffer: &self.buffer, head: &self.head };
        let mut parts = request.target().splitn(2, |&byte| byte == b'?');
        let target = Target { authority: None, path: parts.next().unwrap_or_default(), query: parts.next() };
        Call {
            request,
            target,
            body_bytes: 0,
            scheme: Scheme::Http,
            peer: [127, 0, 0, 1].into(),
            client: None,
            form: None,
            now_ms: NOW_MS,
        }
    }
}

fn id(name: &str) -> FieldId {
    match name {
        "Accept" => FieldId::Accept,
        "Content-Type" => FieldId::ContentType,
        "Host" => FieldId::Host,
        "User-Agent" => FieldId::UserAgent,
        "X-Ca-Key" => FieldId::XCaKey,
        "X-Ca-Nonce" => FieldId::XCaNonce,
        "X-Ca-Signature" => FieldId::XCaSignature,
        "X-Ca-Signature-Headers" => FieldId::XCaSignatureHeaders,
        "X-Ca-Signature-Method" => FieldId::XCaSignatureMethod,
        "X-Ca-Stage" => FieldId::XCaStage,
        "X-Ca-Timestamp" => FieldId::XCaTimestamp,
        other => panic!("{other}"),
    }
}

/// As the product's own clients send it: eleven header lines, five of them signed, two parameters.
fn typical(method: Method, nonce: Option<&str>) -> Request {
    let own = ["Host: api.example.com", "User-Agent: client/1.1.6", "Accept: application/json", "X-Ca-Stage: RELEASE"];
    let mut headers: Vec<_> =
        own.iter().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let unsigned = Unsigned {
        method: "GET",
        path: "/v1/orders/10023",
        query: Some("page=2&city=%E5%8C%97%E4%BA%AC"),
        headers: &headers,
        body: b"",
    };
    let signing =
        Signing { app_key: "24601001", app_secret: "sEcReT-Alpha-0123456789abcdef-0", method, timestamp_ms: Some(NOW_MS), nonce };
    let added = sign(&unsigned, &signing).expect("the request is well formed");
    headers.extend(added);
    let lines: Vec<_> = headers.iter().map(|(name, value)| (id(name), name.as_str(), value.as_str())).collect();
    Request::new("GET", "/v1/orders/10023?page=2&city=%E5%8C%97%E4%BA%AC", &lines)
}

fn calls(c: &mut Criterion) {
    let catalog = catalog(1000);
    let apps = AppTables::build(&catalog);
    let nonces = NonceSet::new(1000, WINDOW_MS, NOW_MS, [7; 16]);
    let mut scratch = Scratch::default();
    let rules = rules();
    let code = format!("APPCODE {}", app_code(500));
    let query = format!("/v1/orders/10023?page=2&AppCode={}", app_code(500));
    let common = [(FieldId::Host, "Host", "api.example.com"), (FieldId::Accept, "Accept", "*/*")];
    let in_header = Request::new("GET", "/v1/orders", &[common[0], common[1], (FieldId::Authorization, "Authorization", &code)]);
    let cases = [
        ("signature, HMAC-SHA256", typical(Method::HmacSha256, None)),
        ("signature, HMAC-SHA1", typical(Method::HmacSha1, None)),
        ("AppCode in the header", in_header),
        ("AppCode in the query", Request::new("GET", &query, &common)),
    ];
    for (name, request) in &cases {
        c.bench_function(name, |b| {
            let call = request.call();
            b.iter(|| {
                let outcome = authenticate(black_box(&call), ApiId(0), &rules, &catalog, &apps, &nonces, &mut scratch);
                assert!(matches!(outcome, Ok(Outcome::App { .. })));
            })
        });
    }
}

fn nonces(c: &mut Criterion) {
    let set = NonceSet::new(1_000_000, WINDOW_MS, NOW_MS, [7; 16]);
    let mut nth = 0u64;
    let mut now_ms = NOW_MS;
    c.bench_function("nonce, room for 1,000,000", |b| {
        b.iter(|| {
            nth += 1;
            // As fast as the set is made for: half its capacity, then the next slice. Clearing is part of the figure.
            if nth.is_multiple_of(500_000) {
                now_ms += WINDOW_MS / 2;
                set.advance(now_ms);
            }
            let nonce = nth.to_be_bytes();
            let key = NonceKey { app_key: b"24601001", group: b"group", api: b"api", nonce: &nonce };
            assert_ne!(set.insert(black_box(&key)), Insert::Seen);
        })
    });
}

fn a_million_apps(c: &mut Criterion) {
    let catalog = catalog(MANY);
    c.bench_function("build the tables of 1,000,000 apps", |b| b.iter_with_large_drop(|| AppTables::build(black_box(&catalog))));
    let apps = AppTables::build(&catalog);
    let places = |hot: u32| move |nth: u32| nth.wrapping_mul(2_654_435_761) % hot;
    for (name, hot) in [("key of 1,000 apps in use, of 1,000,000", 1000), ("key of 1,000,000 apps in use", MANY)] {
        let keys: Vec<String> = (0..hot.min(100_000)).map(places(hot)).map(|n| (24_601_001 + n).to_string()).collect();
        let mut keys = keys.iter().cycle();
        c.bench_function(name, |b| b.iter(|| apps.by_key(&catalog, black_box(keys.next()?.as_bytes())).map(|(app, _)| app)));
    }
    for (name, hot) in [("AppCode of 1,000 apps in use, of 1,000,000", 1000), ("AppCode of 1,000,000 apps in use", MANY)] {
        let codes: Vec<String> = (0..hot.min(100_000)).map(places(hot)).map(app_code).collect();
        let mut codes = codes.iter().cycle();
        c.bench_function(name, |b| b.iter(|| apps.by_app_code(&catalog, black_box(codes.next()?.as_bytes()))));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = calls, nonces, a_million_apps
}
criterion_main!(benches);

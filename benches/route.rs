//! The gate without authentication: route, decide, and the head of the backend request.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use lockgate::catalog::*;
use lockgate::gate::map::{Outgoing, backend_of, write_request};
use lockgate::gate::route::Router;
use lockgate::gate::{Call, Scratch, Shared, Tables, Verdict, decide};
use lockgate::http::field::FieldId;
use lockgate::http::framing::BodyLength;
use lockgate::http::head::{Field, RequestHead, RequestView, Span};
use lockgate::http::serialise::HeadWriter;
use lockgate::http::target::Target;

const APIS_PER_GROUP: usize = 100;
/// Calls that a measurement goes through in turn, so that it does not measure one warm path.
const CALLS: usize = 1024;

/// `apis` anonymous APIs `/v1/r*/[id]` in groups of 100, each group with a domain of its own.
fn catalog(apis: usize) -> Catalog {
    let groups = apis.div_ceil(APIS_PER_GROUP);
    Catalog {
        generation: 0,
        sha256: String::new(),
        instance: Instance {
            name: "bench".into(),
            via: None,
            workers: None,
            egress_addresses: Vec::new(),
            state_directory: "state".into(),
            default_domain_suffix: "localhost".into(),
            driver: Driver::Auto,
        },
        listeners: Vec::new(),
        quota: Quota { counter_capacity: 1_000, counter_full: CounterFull::Refuse, on_engine_loss: Default::default() },
        cluster: None,
        security: Security {
            signature_window_ms: 900_000,
            nonce_capacity: 1_000,
            nonce_full: NonceFull::Refuse,
            nonces_on_engine_loss: Default::default(),
            tolerances: Vec::new(),
            trusted_proxies: Vec::new(),
        },
        limits: Limits::default(),
        access_log: AccessLog::Off,
        log_format: lockgate::catalog::LogFormat::Text,
        admin: None,
        stages: STAGES.map(String::from).into(),
        vpc_accesses: vec![Arc::new(VpcAccess {
            name: "backend".into(),
            vpc_id: "vpc".into(),
            host: Some("backend.internal".into()),
            tls: None,
            http2: false,
            instances: vec![BackendInstance { id: "i-1".into(), address: ([127, 0, 0, 1], 8081).into(), weight: 1 }],
            balance: Default::default(),
            health: None,
        })],
        groups: (0..groups).map(group).collect(),
        sites: Vec::new(),
        apis: (0..apis).map(|n| Arc::new(api(n))).collect(),
        names: Default::default(),
        apps: Default::default(),
        policies: Vec::new(),
    }
}

fn group(number: usize) -> Group {
    Group {
        name: format!("group-{number}"),
        base_path: "/v1".into(),
        domains: vec![Domain::Exact(format!("api-{number:04}.example.com"))],
        default_domain: format!("group-{number}.localhost"),
        default_domain_calls_per_day: 1000,
        forward_app_code: false,
        https: Vec::new(),
        stages: Vec::new(),
        bound: Vec::new(),
    }
}

fn api(number: usize) -> Api {
    let segments = vec![Segment::Literal(format!("resource-{number:06}")), Segment::Parameter("id".into())];
    Api {
        group: GroupId((number / APIS_PER_GROUP) as u32),
        name: format!("api-{number}"),
        id: ApiName(number as u32),
        stage: StageId(0),
        version: "20260101000000000".into(),
        authentication: Authentication::None,
        body_bytes: None,
        upgrades: Vec::new(),
        protocols: Protocols { http: true, https: true },
        methods: MethodSet::These(vec!["GET".into(), "POST".into()]),
        path: PathTemplate { segments: segments.clone() },
        backend: Backend::Vpc {
            vpc_access: VpcAccessId(0),
            path: PathTemplate { segments },
            method: None,
            timeout: Duration::from_secs(10),
        },
    }
}

fn host(api: usize) -> String {
    format!("api-{:04}.example.com:8080", api / APIS_PER_GROUP)
}

fn path(api: usize) -> String {
    format!("/v1/resource-{api:06}/4711")
}

/// A request as a client of today sends it.
struct Request {
    buffer: Vec<u8>,
    head: RequestHead,
}

impl Request {
    fn new(api: usize) -> Self {
        let mut request = Self { buffer: Vec::new(), head: RequestHead::default() };
        request.head.method = request.push("GET");
        request.head.target = request.push(&format!("{}?page=2&sort=name", path(api)));
        let host = host(api);
        let fields = [
            (FieldId::Host, "Host", host.as_str()),
            (FieldId::UserAgent, "User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
            (FieldId::Accept, "Accept", "application/json, text/plain, */*"),
            (FieldId::Other, "Accept-Language", "en-GB,en;q=0.9"),
            (FieldId::Other, "Accept-Encoding", "gzip, deflate, br"),
            (FieldId::Connection, "Connection", "keep-alive"),
            (FieldId::Other, "Referer", "https://www.example.com/orders"),
            (FieldId::Other, "Cookie", "session=0123456789abcdef0123456789abcdef"),
            (FieldId::XForwardedFor, "X-Forwarded-For", "203.0.113.9"),
            (FieldId::XCaStage, "X-Ca-Stage", "RELEASE"),
        ];
        for (id, name, value) in fields {
            let field = Field { name: request.push(name), value: request.push(value), id, plain: false };
            request.head.fields.push(field);
        }
        request
    }

    fn push(&mut self, text: &str) -> Span {
        let start = self.buffer.len() as u16;
        self.buffer.extend_from_slice(text.as_bytes());
        Span { start, end: self.buffer.len() as u16 }
    }

    fn place_of(&self, text: &str) -> Range<usize> {
        let start = self.buffer.windows(text.len()).position(|window| window == text.as_bytes()).expect("it is there");
        start..start + text.len()
    }

    fn call(&self) -> Call<'_> {
        let target = self.head.target.of(&self.buffer);
        let query = target.iter().position(|&byte| byte == b'?').expect("a query");
        self.to(Target { authority: None, path: &target[..query], query: Some(&target[query + 1..]) })
    }

    fn to<'a>(&'a self, target: Target<'a>) -> Call<'a> {
        Call {
            request: RequestView { buffer: &self.buffer, head: &self.head },
            target,
            body_bytes: 0,
            scheme: Scheme::Http,
            peer: [192, 0, 2, 7].into(),
            client: None,
            form: None,
            now_ms: 1_767_225_600_000,
        }
    }
}

/// One request's routing as the gateway does it, from a head that was just read: the host validated and looked up, base
/// path, stage, method and path. Hosts and paths of all calls are of one length, and are written into the same head before
/// each call, because a call's own head is warm when it is routed, and its place in the tables is not; that is measured with it.
fn route(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("route");
    for (apis, calls) in [(10, 10), (10_000, CALLS), (100_000, CALLS), (100_000, 100_000)] {
        let router = Router::build(&catalog(apis));
        let mut request = Request::new(0);
        let hosts = request.place_of(&host(0));
        let paths = request.place_of(&path(0));
        // Spread over all, so that neither caches nor predictions follow.
        let apis_called = (0..calls).map(|n| n.wrapping_mul(7919 * 31) % apis);
        let calls_of: Vec<(String, String)> = apis_called.map(|api| (host(api), path(api))).collect();
        let mut turn = calls_of.iter().cycle();
        let mut routed = 0u64;
        bench.bench_function(format!("{calls} of {apis}"), |b| {
            b.iter(|| {
                let (host, path) = turn.next().expect("endless");
                request.buffer[hosts.clone()].copy_from_slice(host.as_bytes());
                request.buffer[paths.clone()].copy_from_slice(path.as_bytes());
                let target = Target { authority: None, path: &request.buffer[paths.clone()], query: None };
                let found = router.route(black_box(&request.to(target)));
                routed += u64::from(found.is_ok());
                found.is_ok()
            });
        });
        assert!(
            routed > 0
                && calls_of.iter().all(|(host, path)| {
                    request.buffer[hosts.clone()].copy_from_slice(host.as_bytes());
                    request.buffer[paths.clone()].copy_from_slice(path.as_bytes());
                    let target = Target { authority: None, path: &request.buffer[paths.clone()], query: None };
                    router.route(&request.to(target)).is_ok()
                })
        );
    }
}

fn build(criterion: &mut Criterion) {
    let catalog = catalog(100_000);
    let mut bench = criterion.benchmark_group("build");
    bench.sample_size(10);
    bench.bench_function("100000", |b| b.iter(|| Router::build(black_box(&catalog))));
    let before = Router::build(&catalog);
    bench.bench_function("100000, as before", |b| b.iter(|| Router::after(Some(&before), black_box(&catalog))));
    bench.bench_function("a worker's own", |b| b.iter(|| black_box(&before).clone()));
    println!("{:?}", before.size());
}

fn forward(criterion: &mut Criterion) {
    let catalog = Arc::new(catalog(10_000));
    let shared = Shared::new(&catalog, 0, [7; 16]);
    let tables = Tables::build(catalog, &shared);
    let mut scratch = Scratch::new(&shared, 0);
    let request = Request::new(4711);
    let call = request.call();
    criterion.bench_function("decide/anonymous", |b| b.iter(|| decide(black_box(&call), &tables, &shared, &mut scratch).api));

    let Verdict::Forward(forward) = decide(&call, &tables, &shared, &mut scratch).verdict else { panic!("the call passes") };
    let instance = &backend_of(&tables, &forward).0.instances[0];
    let out = Outgoing { instance, request_id: b"7AD052CB-EE8B-4DFD-BBAF-EFB340E0A5AF", body: BodyLength::None, http2: false };
    let mut buffer = [0; 8192];
    criterion.bench_function("map/write_request", |b| {
        b.iter(|| {
            let mut writer = HeadWriter::new(&mut buffer);
            write_request(black_box(&call), &forward, &tables, &out, &mut writer);
            writer.finish()
        });
    });
}

criterion_group!(benches, route, build, forward);
criterion_main!(benches);

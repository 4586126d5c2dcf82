//! What a backend sees of a call (product section "what is forwarded").

use super::*;
use crate::catalog::{ApiId, SignatureMethods};
use crate::gate::route::{Route, Router};
use crate::gate::sample::{Request, Sample};
use crate::gate::{Shared, Tables};
use std::sync::Arc;

const REQUEST_ID: &[u8; 36] = b"7AD052CB-EE8B-4DFD-BBAF-EFB340E0A5AF";

fn forward_to(Route { api, path, default_domain, .. }: Route) -> Forward {
    Forward { api, app: None, path, default_domain, body_md5: None, upgrade: None, wait_ms: 0, told: None }
}

/// One API and its group, and a way to send requests through it.
struct Case {
    sample: Sample,
    api: ApiId,
}

impl Case {
    fn new(path: &str, backend_path: &str) -> Self {
        let mut sample = Sample::default();
        let group = sample.group("g", "/base", &["x.example"]);
        let api = sample.api(group, "a", 0, "ANY", path);
        sample.backend(api, backend_path, None);
        Self { sample, api }
    }

    fn app_code(mut self, app_code: AppCodePlace) -> Self {
        let methods = SignatureMethods { hmac_sha256: true, hmac_sha1: false };
        self.sample.api_mut(self.api).authentication = Authentication::App { app_code, methods, require_nonce: false };
        self
    }

    fn method(mut self, method: &str) -> Self {
        let Backend::Vpc { method: backend, .. } = &mut self.sample.api_mut(self.api).backend;
        *backend = Some(method.into());
        self
    }

    fn forward_app_code(mut self) -> Self {
        self.sample.catalog.groups[0].forward_app_code = true;
        self
    }

    /// The backend request, as lines.
    fn send(self, request: Request, body: BodyLength) -> Vec<String> {
        let call = request.call();
        let route = Router::build(&self.sample.catalog).route(&call).expect("routes");
        let forward = forward_to(route);
        let shared = Shared::new(&self.sample.catalog, 0, [7; 16]);
        let tables = Tables::build(Arc::new(self.sample.catalog), &shared);
        let instance = &backend_of(&tables, &forward).0.instances[0];
        let mut buffer = [0; 4096];
        let mut writer = HeadWriter::new(&mut buffer);
        write_request(&call, &forward, &tables, &Outgoing { instance, request_id: REQUEST_ID, body, http2: false }, &mut writer);
        let len = writer.finish().expect("fits");
        let text = std::str::from_utf8(&buffer[..len]).expect("text").strip_suffix("\r\n\r\n").expect("one whole head");
        let lines: Vec<String> = text.split("\r\n").map(String::from).collect();
        assert!(lines.iter().all(|line| !line.is_empty() && !line.contains(['\r', '\n', '\0'])), "{lines:?}");
        lines
    }
}

fn get(target: &str) -> Request {
    Request::new("GET", target).field("Host", "x.example")
}

/// The request line that reaches the backend.
fn line(case: Case, request: Request) -> String {
    case.send(request, BodyLength::None).swap_remove(0)
}

#[test]
fn a_whole_request() {
    let request = Request::new("POST", "/base/nginx?a=1&b=%20")
        .field("Host", "x.example")
        .field("User-Agent", "curl/8")
        .field("Accept", "*/*")
        .field("X-Ca-Key", "24601001")
        .field("Content-Length", "12");
    let lines = Case::new("/nginx", "/").send(request, BodyLength::Exact(12));
    let expected = [
        "POST /?a=1&b=%20 HTTP/1.1",
        "Host: nginx.internal",
        "User-Agent: curl/8",
        "Accept: */*",
        "X-Ca-Key: 24601001",
        "X-Forwarded-For: 192.0.2.7",
        "X-Forwarded-Proto: http",
        "X-Ca-Request-Id: 7AD052CB-EE8B-4DFD-BBAF-EFB340E0A5AF",
        "Content-Length: 12",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_backend_has_its_own_method_and_path() {
    assert_eq!(line(Case::new("/a", "/x/y").method("DELETE"), get("/base/a")), "DELETE /x/y HTTP/1.1");
    assert_eq!(line(Case::new("/a", "/"), get("/base/a?")), "GET /? HTTP/1.1");
    assert_eq!(line(Case::new("/", "/v1:get/a b/%"), get("/base")), "GET /v1:get/a%20b/%25 HTTP/1.1");
}

#[test]
fn parameters_are_filled_in_by_name_and_encoded_anew() {
    let cases = [
        ("/base/a/7", "GET /x/7/y/a HTTP/1.1"),
        ("/base/a/%37", "GET /x/7/y/a HTTP/1.1"),
        ("/base/%61/%C3%A9", "GET /x/%C3%A9/y/a HTTP/1.1"),
        ("/base/a/b%2Fc", "GET /x/b%2Fc/y/a HTTP/1.1"),
        ("/base/a/b%252Fc", "GET /x/b%252Fc/y/a HTTP/1.1"),
        ("/base/a;v=1/x", "GET /x/x/y/a%3Bv%3D1 HTTP/1.1"),
        ("/base/a/%2e%2e%2f", "GET /x/..%2F/y/a HTTP/1.1"),
    ];
    for (target, expected) in cases {
        assert_eq!(line(Case::new("/[first]/[second]", "/x/[second]/y/[first]"), get(target)), expected, "{target}");
    }
}

#[test]
fn nothing_in_a_parameter_ends_its_line() {
    let target = "/base/a%0D%0AHost:%20evil%00/%20HTTP%2F1.1%0d%0a%0d%0a?q=%0d%0aX:%20y";
    assert_eq!(
        line(Case::new("/[first]/[second]", "/[second]/[first]"), get(target)),
        "GET /%20HTTP%2F1.1%0D%0A%0D%0A/a%0D%0AHost%3A%20evil%00?q=%0d%0aX:%20y HTTP/1.1"
    );
}

#[test]
fn a_rest_is_appended_as_received() {
    let case = || Case::new("/files/*", "/static/*");
    assert_eq!(line(case(), get("/base/files/a/b%2Fc?x")), "GET /static/a/b%2Fc?x HTTP/1.1");
    assert_eq!(line(case(), get("/base/files/")), "GET /static/ HTTP/1.1");
    assert_eq!(line(Case::new("/files/*", "/fixed"), get("/base/files/a")), "GET /fixed HTTP/1.1");
    assert_eq!(line(Case::new("/[top]/*", "/[top]/*"), get("/base/t/a//b/")), "GET /t/a//b/ HTTP/1.1");
}

#[test]
fn an_app_code_in_the_query_stays_here() {
    let case = || Case::new("/a", "/").app_code(AppCodePlace::HeaderQuery);
    let cases = [
        ("/base/a?AppCode=x", "GET / HTTP/1.1"),
        ("/base/a?a=1&appCode=x&b=2", "GET /?a=1&b=2 HTTP/1.1"),
        ("/base/a?APPCODE=x&appcode=y&a", "GET /?a HTTP/1.1"),
        ("/base/a?%41pp%43ode=x&a=%26", "GET /?a=%26 HTTP/1.1"),
        ("/base/a?a&&AppCode", "GET /?a& HTTP/1.1"),
        ("/base/a?AppCodes=1&XAppCode=2", "GET /?AppCodes=1&XAppCode=2 HTTP/1.1"),
    ];
    for (target, expected) in cases {
        assert_eq!(line(case(), get(target)), expected, "{target}");
    }
    let kept = "GET /?AppCode=x HTTP/1.1";
    assert_eq!(line(case().forward_app_code(), get("/base/a?AppCode=x")), kept);
    assert_eq!(line(Case::new("/a", "/").app_code(AppCodePlace::Header), get("/base/a?AppCode=x")), kept);
    assert_eq!(line(Case::new("/a", "/"), get("/base/a?AppCode=x")), kept);
}

/// The lines between `Host` and what the gateway adds.
fn passed(case: Case, request: Request) -> Vec<String> {
    let lines = case.send(request, BodyLength::None);
    let ours = |line: &&String| !["Host: ", "X-Forwarded-", "X-Ca-Request-Id: "].iter().any(|name| line.starts_with(name));
    lines.iter().skip(1).filter(ours).cloned().collect()
}

#[test]
fn authorization_passes_unless_it_is_an_app_code() {
    let with = |case: Case, value: &str| passed(case, get("/base/a").field("Authorization", value));
    let case = || Case::new("/a", "/");
    for value in ["APPCODE x", "appcode  x", "AppCode\tx", "APPCODE"] {
        assert!(with(case(), value).is_empty(), "{value}");
        assert_eq!(with(case().forward_app_code(), value), [format!("Authorization: {value}")]);
    }
    for value in ["Bearer x", "APPCODES x", ""] {
        assert_eq!(with(case(), value), [format!("Authorization: {value}")]);
    }
}

#[test]
fn fields_of_the_connection_and_of_the_gateway_do_not_pass() {
    let request = get("/base/a")
        .field("Connection", "close, X-Mine")
        .field("X-Mine", "1")
        .field("Connection", "x-other")
        .field("X-Other", "2")
        .field("Keep-Alive", "timeout=5")
        .field("TE", "trailers")
        .field("Trailer", "X")
        .field("Upgrade", "websocket")
        .field("Transfer-Encoding", "chunked")
        .field("Content-Length", "3")
        .field("Expect", "100-continue")
        .field("X-Ca-Signature", "s")
        .field("X-Ca-Signature-Headers", "X-Ca-Key")
        .field("X-Ca-Signature-Method", "HmacSHA256")
        .field("X-Ca-Proxy-Signature", "forged")
        .field("x-ca-proxy-signature-secret-key", "forged")
        .field("X_Ca_Proxy_Signature", "forged")
        .field("X-Ca_Proxy-Anything", "forged")
        .field("X_Forwarded-For", "forged")
        .field("X_Ca_Request_Id", "forged")
        .field("X-Ca-Request-Id", "forged")
        .field("X-Forwarded-Proto", "https")
        .field("X-Ca-Key", "k")
        .field("X-Ca-Timestamp", "1")
        .field("X-Ca-Nonce", "n")
        .field("X-Ca-Stage", "RELEASE")
        .field("x_custom", "kept");
    let expected = ["X-Ca-Key: k", "X-Ca-Timestamp: 1", "X-Ca-Nonce: n", "X-Ca-Stage: RELEASE", "x_custom: kept"];
    assert_eq!(passed(Case::new("/a", "/"), request), expected);
}

#[test]
fn the_gateway_says_who_called_and_how() {
    let of = |request: Request, name: &str| {
        let lines = Case::new("/a", "/").send(request, BodyLength::None);
        lines.iter().filter_map(|line| line.strip_prefix(name).map(String::from)).collect::<Vec<_>>()
    };
    let chain = get("/base/a")
        .field("X-Forwarded-For", "203.0.113.9, 198.51.100.2")
        .field("Accept", "*/*")
        .field("X-Forwarded-For", "")
        .field("x-forwarded-for", "198.51.100.3");
    assert_eq!(of(chain, "X-Forwarded-For: "), ["203.0.113.9, 198.51.100.2, 198.51.100.3, 192.0.2.7"]);

    let mut mapped = get("/base/a").field("X-Forwarded-Proto", "http");
    mapped.peer = "::ffff:192.0.2.8".parse().expect("address");
    mapped.scheme = Scheme::Https;
    let mut six = get("/base/a").field("X-Ca-Request-Id", "mine");
    six.peer = "2001:db8::1".parse().expect("address");
    assert_eq!(of(six, "X-Ca-Request-Id: "), ["7AD052CB-EE8B-4DFD-BBAF-EFB340E0A5AF"]);
    let mut six = get("/base/a");
    six.peer = "2001:db8::1".parse().expect("address");
    assert_eq!(of(six, "X-Forwarded-For: "), ["2001:db8::1"]);
    let lines = Case::new("/a", "/").send(mapped, BodyLength::None);
    assert!(lines.contains(&"X-Forwarded-For: 192.0.2.8".into()) && lines.contains(&"X-Forwarded-Proto: https".into()));
}

#[test]
fn host_is_the_instance_where_the_vpc_access_names_none() {
    let mut case = Case::new("/a", "/");
    Arc::make_mut(&mut case.sample.catalog.vpc_accesses[0]).host = None;
    assert_eq!(case.send(get("/base/a"), BodyLength::None)[1], "Host: 127.0.0.1:8081");
    let mut case = Case::new("/a", "/");
    Arc::make_mut(&mut case.sample.catalog.vpc_accesses[0]).host = None;
    Arc::make_mut(&mut case.sample.catalog.vpc_accesses[0]).instances[0].address = "[::1]:80".parse().expect("address");
    assert_eq!(case.send(get("/base/a"), BodyLength::None)[1], "Host: [::1]:80");
}

#[test]
fn the_body_is_framed_anew() {
    let last = |method: &str, body| {
        let request = Request::new(method, "/base/a").field("Host", "x.example").field("Content-Length", "999");
        Case::new("/a", "/").send(request, body).pop().expect("lines")
    };
    let none = "X-Ca-Request-Id: 7AD052CB-EE8B-4DFD-BBAF-EFB340E0A5AF";
    assert_eq!(last("PUT", BodyLength::Exact(7)), "Content-Length: 7");
    assert_eq!(last("GET", BodyLength::Exact(7)), "Content-Length: 7");
    assert_eq!(last("PUT", BodyLength::Chunked), "Transfer-Encoding: chunked");
    assert_eq!(last("PUT", BodyLength::None), "Content-Length: 0");
    assert_eq!(last("GET", BodyLength::None), none);
}

#[test]
fn a_buffer_too_small_is_known_at_the_end() {
    let case = Case::new("/a", "/");
    let request = get("/base/a");
    let call = request.call();
    let route = Router::build(&case.sample.catalog).route(&call).expect("routes");
    let forward = forward_to(route);
    let shared = Shared::new(&case.sample.catalog, 0, [7; 16]);
    let tables = Tables::build(Arc::new(case.sample.catalog), &shared);
    let (access, _, timeout) = backend_of(&tables, &forward);
    assert_eq!(timeout, Duration::from_secs(10));
    let out = Outgoing { instance: &access.instances[0], request_id: REQUEST_ID, body: BodyLength::None, http2: false };
    let mut buffer = [0; 64];
    let mut writer = HeadWriter::new(&mut buffer);
    write_request(&call, &forward, &tables, &out, &mut writer);
    assert_eq!(writer.finish(), None);
}

//! Requests that real client libraries sent, and requests made wrong on purpose, replayed over a socket: the gateway
//! gives each the verdict and the code that tests/vectors says (see its README).

use std::collections::BTreeMap;
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lockgate_test_support::{
    Api, App, Authority, Backend, Config, Gateway, Http2Client, KeyKind, Message, Request, TlsClient, client_config, now_ms,
    repository,
};
use serde_json::Value;

/// Accepted clock difference for rows whose verdict does not depend on it: longer than the vectors are old.
const ANY_CLOCK_S: u64 = 86_400;

const STAGES: [&str; 3] = ["RELEASE", "PRE", "TEST"];
const BOTH_METHODS: &str = "signature_methods = [\"HMAC_SHA256\", \"HMAC_SHA1\"]";

struct Row(Value);

impl Row {
    fn all(file: &str) -> Vec<Self> {
        let text = fs::read_to_string(repository().join("tests/vectors").join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        text.lines().map(|line| Self(serde_json::from_str(line).unwrap_or_else(|e| panic!("{file}: {e}")))).collect()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0[key].as_str()
    }

    fn id(&self) -> &str {
        self.text("id").expect("every row has an id")
    }

    /// Unix time at which the gateway must judge it: when it was sent.
    fn clock_ms(&self) -> u64 {
        let sent = || self.0["timestamp_ms"].as_u64();
        if self.text("clock") == Some("captured_ms") {
            return self.0["captured_ms"].as_u64().expect("the row says when it was captured");
        }
        self.0["captured_ms"].as_u64().or_else(sent).unwrap_or_else(now_ms)
    }

    fn request(&self) -> Request {
        let latin1 = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
        let mut request = Request::new(self.text("method").unwrap_or_default(), self.text("target").unwrap_or_default());
        for field in self.0["headers"].as_array().into_iter().flatten() {
            let [Some(name), Some(value)] = [field[0].as_str(), field[1].as_str()] else { panic!("{}: a bad field", self.id()) };
            request = request.field(name, latin1(value));
        }
        request.body(STANDARD.decode(self.text("body_b64").unwrap_or_default()).expect("Base64"))
    }

    /// Codes that are right for this row; empty when it must pass.
    fn codes(&self) -> Vec<&str> {
        let accepted: Vec<_> = self.0["accept_codes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if accepted.is_empty() { self.0["error"]["code"].as_str().into_iter().collect() } else { accepted }
    }

    fn check(&self, answer: &Message) {
        let id = self.id();
        let codes = self.codes();
        if self.text("expect") == Some("invalid") {
            assert!(codes.contains(&answer.code()), "{id}: expected {codes:?}, got {answer:?}");
            answer.assert_refused(answer.code());
            let prefix = self.0["error"]["message_prefix"].as_str().unwrap_or_default();
            if codes.first() == Some(&answer.code()) {
                assert!(answer.error_message().starts_with(prefix), "{id}: {}", answer.error_message());
            }
            self.check_echo(answer);
        } else {
            assert_eq!((answer.status(), answer.code()), (200, ""), "{id}: {answer:?}");
        }
    }

    /// The echo is the server's string to sign, its line ends written as `#`.
    fn check_echo(&self, answer: &Message) {
        let Some(expected) = self.text("server_string_to_sign").filter(|_| answer.code() == "A403IS") else { return };
        let bytes: Vec<u8> = answer.error_message().chars().map(|c| c as u8).collect();
        let echo = String::from_utf8_lossy(&bytes).into_owned();
        let echo = echo.strip_prefix("Invalid Signature, Server StringToSign:`").and_then(|e| e.strip_suffix('`'));
        assert_eq!(echo, Some(expected.replace('\n', "#").as_str()), "{}", self.id());
    }
}

/// What `tests/vectors/README.md` assumes: every path and method, all stages, both apps.
fn config(backend: &Backend, authentication: &str, security: &str) -> Config {
    let published = App::new("published", "appKey", "appSecret", "ACpublished");
    let mut config = Config::with_backend(backend.address).table("security", security).published_to(
        "g",
        &Api::app("all", "/*").authentication(&format!("type = \"app\"\n{authentication}\n")),
        &STAGES,
    );
    for app in [App::alpha(), App::bravo(), published] {
        config = config.app(&app.may_call("g/all", &STAGES));
    }
    config
}

fn replay(gateway: &Gateway, row: &Row) {
    row.check(&gateway.call(&row.request()));
}

/// Status, code and message, and what the backend saw: all that must not depend on how a call came.
fn seen(answer: &Message, backend: &Backend) -> String {
    let at_backend = match answer.code() {
        "" => {
            let request = backend.next();
            // Over HTTP/2 names have no case.
            let fields = request.fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
            let own = |name: &str| ["x-forwarded-proto", "x-ca-request-id", "via"].contains(&name);
            let fields: Vec<_> = fields.filter(|(name, _)| !own(name)).collect();
            format!("{} {fields:?} {}", request.start_line, request.raw_body.escape_ascii())
        }
        _ => String::new(),
    };
    format!("{} {} {} {at_backend}", answer.status(), answer.code(), answer.error_message())
}

/// The parts of a log line that must not depend on how a call came.
fn logged(line: &Value) -> String {
    ["httpMethod", "path", "apiName", "apiStageName", "appName", "consumerAppKey", "clientNonce", "statusCode", "errorCode"]
        .map(|key| line[key].to_string())
        .join(" ")
}

/// What a call may come by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Http1,
    Tls,
    Http2,
    Http2Tls,
}

#[test]
fn every_vector_gets_the_same_by_every_way() {
    const FILES: [&str; 5] = ["valid.jsonl", "published.jsonl", "invalid.jsonl", "client_defect.jsonl", "compat.jsonl"];
    let rows: Vec<_> = FILES.into_iter().flat_map(Row::all).collect();
    let authority = Authority::new("Test CA");
    let client = client_config(&authority, &[], None);
    for (clock_ms, rows) in groups(rows) {
        let (mut told, backend) = (Vec::new(), Backend::ok());
        for way in [Way::Http1, Way::Tls, Way::Http2, Way::Http2Tls] {
            let certificate = "[[certificate]]\nchain = \"any.pem\"\nkey = \"any.key\"\ndomains = [\"g.localhost\", \"*\"]\n";
            let config = config(&backend, BOTH_METHODS, &any_clock()).instance("workers = 1").access_log().http2().https();
            authority.issue("any", &["g.localhost"], KeyKind::Ecdsa).write(&config.path().join("groups/g"), "any");
            let gateway = config.group("g", &["*"], certificate).at(clock_ms / 1000).start();
            let mut one = Vec::new();
            for row in &rows {
                let request = row.request();
                let answer = match way {
                    Way::Http1 => gateway.call(&request),
                    Way::Tls => TlsClient::connect(gateway.https(), "g.localhost", &client).call(&request),
                    Way::Http2 => Http2Client::connect(gateway.address).call(&without_connection(request)),
                    Way::Http2Tls => {
                        Http2Client::over_tls(gateway.https(), "g.localhost", &client).call(&without_connection(request))
                    }
                };
                one.push(format!("{}: {}", row.id(), seen(&answer, &backend)));
            }
            one.extend(gateway.access_log(rows.len()).iter().map(logged));
            told.push(one);
        }
        for other in &told[1..] {
            assert_eq!(&told[0], other);
        }
    }
}

/// Without what HTTP/2 has no fields for.
fn without_connection(mut request: Request) -> Request {
    request.fields.retain(|(name, _)| !["connection", "keep-alive"].contains(&&*name.to_ascii_lowercase()));
    request
}

/// Groups rows so that one gateway can judge a group: sent within an hour, no nonce twice.
fn groups(rows: Vec<Row>) -> Vec<(u64, Vec<Row>)> {
    let mut by_time: BTreeMap<u64, Vec<Vec<Row>>> = BTreeMap::new();
    for row in rows {
        let rounds = by_time.entry(row.clock_ms() / 3_600_000).or_default();
        let same = |other: &Row| other.text("nonce").is_some() && other.text("nonce") == row.text("nonce");
        match rounds.iter_mut().find(|round| !round.iter().any(same)) {
            Some(round) => round.push(row),
            None => rounds.push(vec![row]),
        }
    }
    by_time.into_values().flatten().map(|rows| (rows[0].clock_ms(), rows)).collect()
}

fn replay_all(rows: Vec<Row>, authentication: &str, security: &str) {
    let backend = Backend::ok();
    let passing = rows.iter().filter(|r| r.text("expect") != Some("invalid")).count();
    for (clock_ms, rows) in groups(rows) {
        let gateway = config(&backend, authentication, security).at(clock_ms / 1000).start();
        for row in &rows {
            replay(&gateway, row);
        }
    }
    assert_eq!(backend.count(), passing, "a refused request reached the backend, or an accepted one did not");
}

fn any_clock() -> String {
    format!("signature_window_s = {ANY_CLOCK_S}")
}

#[test]
fn what_clients_send_is_accepted() {
    let rows = Row::all("valid.jsonl");
    assert!(rows.len() >= 70);
    replay_all(rows, BOTH_METHODS, &any_clock());
}

#[test]
fn published_examples_are_accepted() {
    replay_all(Row::all("published.jsonl"), BOTH_METHODS, &any_clock());
}

#[test]
fn what_was_changed_or_may_not_pass_is_refused() {
    let rows =
        Row::all("invalid.jsonl").into_iter().filter(|r| r.text("clock").is_none() && r.0["api_config"].is_null()).collect();
    replay_all(rows, BOTH_METHODS, &any_clock());
}

#[test]
fn broken_clients_are_refused() {
    replay_all(Row::all("client_defect.jsonl"), BOTH_METHODS, &any_clock());
}

#[test]
fn a_signature_method_that_the_api_does_not_allow_is_refused() {
    let rows: Vec<_> = Row::all("invalid.jsonl").into_iter().filter(|r| !r.0["api_config"].is_null()).collect();
    assert!(rows.iter().all(|r| r.0["api_config"]["allowSignatureMethod"] == "HmacSHA256") && !rows.is_empty());
    replay_all(rows, "signature_methods = [\"HMAC_SHA256\"]", &any_clock());
}

#[test]
fn the_edge_of_the_time_window_is_kept() {
    let rows: Vec<_> = Row::all("invalid.jsonl").into_iter().filter(|r| r.text("clock").is_some()).collect();
    assert!(!rows.is_empty());
    let backend = Backend::ok();
    for row in rows {
        // A clock that runs would come within the window of a call from the future, while a busy machine starts a gateway.
        replay(&config(&backend, BOTH_METHODS, "").standing_at(row.clock_ms() / 1000).start(), &row);
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn sequences_keep_their_nonces() {
    let mut sequences: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in Row::all("sequences.jsonl") {
        sequences.entry(row.text("sequence").expect("a sequence").into()).or_default().push(row);
    }
    for (_, mut rows) in sequences {
        rows.sort_by_key(|r| r.0["step"].as_u64());
        let backend = Backend::ok();
        let gateway = config(&backend, BOTH_METHODS, "").at(rows[0].clock_ms() / 1000).start();
        for row in &rows {
            replay(&gateway, row);
        }
    }
}

#[test]
fn app_codes_pass_where_the_api_looks_for_them() {
    let backend = Backend::ok();
    for (mode, place) in [("HEADER", "header"), ("HEADER_QUERY", "header-query"), ("DISABLE", "off")] {
        let gateway = config(&backend, &format!("app_code = {place:?}"), "").start();
        for row in Row::all("appcode.jsonl") {
            if let Some(modes) = row.0["modes_ok"].as_array() {
                let answer = gateway.call(&row.request());
                let passes = modes.iter().any(|m| m == mode);
                assert_eq!(answer.code(), if passes { "" } else { "A400MA" }, "{} in {mode}: {answer:?}", row.id());
            } else if row.text("mode") == Some(mode) {
                replay(&gateway, &row);
            }
        }
    }
}

/// Rows of clients that sign by another rule pass when that rule is tolerated, and only then.
#[test]
fn variants_pass_where_they_are_tolerated() {
    for row in Row::all("compat.jsonl") {
        let needs = row.0["needs"].as_object().expect("the row says what it needs");
        let tolerance = |rule: (&str, &str)| match rule {
            ("multi", "comma") => "comma-joined",
            ("path", "raw") => "raw-path",
            ("empty", _) => "empty-value-equals",
            ("merge", _) => "query-first",
            other => panic!("{}: {other:?}", row.id()),
        };
        let tolerated: Vec<_> = needs.iter().map(|(k, v)| tolerance((k, v.as_str().unwrap_or_default()))).collect();
        let backend = Backend::ok();
        for (tolerate, code) in [(tolerated.as_slice(), ""), (&[], "A403IS")] {
            let security = format!("signature_window_s = {ANY_CLOCK_S}\ntolerate = {tolerate:?}");
            let gateway = config(&backend, BOTH_METHODS, &security).at(row.clock_ms() / 1000).start();
            let answer = gateway.call(&row.request());
            assert_eq!(answer.code(), code, "{} with {tolerate:?}: {answer:?}", row.id());
        }
        assert_eq!(backend.count(), 1);
    }
}

//! Each mistake is made on purpose, and named.

use hmac::Mac;

use super::super::tests::request::{NOW_MS, Request, catalog};
use super::*;

const FORM: &str = "application/x-www-form-urlencoded";

fn explained(request: &Request) -> Explanation {
    let mut catalog = catalog();
    catalog.groups[0].base_path = "/base".into();
    let apps = Apps::build(&catalog);
    let mut request = request.clone();
    request.form.get_or_insert_default();
    request.call(|call| explain(call, &catalog, &apps, &mut Scratch::default())).unwrap()
}

fn hmac(text: &str) -> Vec<u8> {
    catalog().apps.iter().next().unwrap().keys[0].schedule.clone().chain_update(text).finalize().into_bytes().to_vec()
}

/// The request with a signature over `text`.
fn over(request: Request, text: &str) -> Request {
    request.with("X-Ca-Key", "24601001").with("X-Ca-Signature", STANDARD.encode(hmac(text)))
}

#[track_caller]
fn names(request: Request, text: &str, expected: &[&str]) {
    let explanation = explained(&over(request, text));
    let Finding::Mistakes(mistakes) = &explanation.finding else { panic!("{explanation}") };
    assert_eq!(mistakes.len(), expected.len(), "{explanation}");
    for word in expected {
        assert!(mistakes.iter().any(|mistake| mistake.contains(word)), "{word}: {explanation}");
    }
}

fn get(target: &str) -> Request {
    Request::new("GET", target)
}

fn post(target: &str, content_type: &str, body: &str) -> Request {
    Request::new("POST", target).header("Content-Type", content_type).header("Content-Length", body.len().to_string()).form(body)
}

#[test]
fn good_and_tolerated_signatures_are_told_apart() {
    assert_eq!(explained(&over(get("/a%20b"), "GET\n\n\n\n\n/a b")).finding, Finding::Good);
    let raw = explained(&over(get("/a%20b"), "GET\n\n\n\n\n/a%20b")).finding;
    assert_eq!(raw, Finding::Tolerance { tolerances: vec![Tolerance::RawPath], allowed: true });
    let joined = explained(&over(get("/?a=1&a=2"), "GET\n\n\n\n\n/?a=1,2")).finding;
    assert_eq!(joined, Finding::Tolerance { tolerances: vec![Tolerance::CommaJoined], allowed: false });
}

#[test]
fn fields_that_changed_after_signing() {
    names(get("/").header("Accept", "*/*"), "GET\n\n\n\n\n/", &["Accept was signed as absent, but sent as `*/*`"]);
    names(get("/"), "GET\n*/*\n\n\n\n/", &["Accept was signed as `*/*`, but not sent"]);
    names(get("/").header("Date", "today"), "GET\n\n\n\n\n/", &["Date was signed as absent"]);
    let json = post("/", "application/json; charset=utf-8", "{}");
    names(json.clone(), "POST\n\n\napplication/json\n\n/", &["Content-Type was signed as `application/json`, but sent as"]);
    names(json.clone(), "POST\n\n\napplication/json;charset=utf-8\n\n/", &["Content-Type was signed as"]);
    names(json.clone(), "POST\n\n\n\n\n/", &["Content-Type was signed as absent"]);
    names(json, "POST\n\nmZFLkyvTelC5g8XnyQrpOw==\napplication/json; charset=utf-8\n\n/", &["Content-MD5 was signed as"]);
    names(post("/", "text/plain", ""), "GET\n\n\ntext/plain\n\n/", &["the method was signed as GET"]);
}

#[test]
fn header_lines() {
    let listed = |list: &str| get("/").header("X-Ca-Signature-Headers", list).header("X-Ca-Stage", "TEST").header("a", "1");
    names(listed("X-Ca-Stage"), "GET\n\n\n\n\nx-ca-stage:TEST\n/", &["in lower case"]);
    names(listed("x-ca-stage"), "GET\n\n\n\n\nX-Ca-Stage:TEST\n/", &["as `X-Ca-Key`"]);
    names(listed("X-Ca-Stage"), "GET\n\n\n\n\n/", &["no header was signed"]);
    names(listed("a,X-Ca-Stage,b"), "GET\n\n\n\n\na:1\nX-Ca-Stage:TEST\nb:\n/", &["not sorted"]);
    names(listed("X-Ca-Stage,absent"), "GET\n\n\n\n\nX-Ca-Stage:TEST\n/", &["left out"]);
}

#[test]
fn parameters() {
    names(get("/?q=%E5%8C%97&a=1"), "GET\n\n\n\n\n/?a=1&q=%E5%8C%97", &["percent-encoded"]);
    names(get("/?q=1&a=1"), "GET\n\n\n\n\n/?q=1&a=1", &["not sorted"]);
    names(get("/?q=%20&a="), "GET\n\n\n\n\n/?q=%20&a=", &["not sorted", "percent-encoded", "`k=`"]);
    names(get("/?a=1&a=2"), "GET\n\n\n\n\n/?a=2", &["the last value"]);
    names(get("/?a=1&b"), "GET\n\n\n\n\n/?a=1", &["empty parameters were left out"]);
    names(get("/base/x?a=1"), "GET\n\n\n\n\n/x?a=1", &["base path"]);
    names(get("/x?a=1"), "GET\n\n\n\n\n/x", &["parameters of the query were left out"]);
    names(post("/", FORM, "a=1"), &format!("POST\n\n\n{FORM}\n\n/"), &["the form body were left out"]);
    names(post("/?b=2", "text/plain", "a=1"), "POST\n\n\ntext/plain\n\n/?a=1&b=2", &["the body was signed as a form"]);
}

#[test]
fn secrets_methods_and_spellings() {
    let text = "GET\n\n\n\n\n/";
    let given = |signature: String| get("/").header("X-Ca-Key", "24601001").header("X-Ca-Signature", signature);
    let mistakes = |signature: String| match explained(&given(signature)).finding {
        Finding::Mistakes(mistakes) => mistakes.join("\n"),
        other => panic!("{other:?}"),
    };
    let hex: String = hmac(text).iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(mistakes(hex.to_lowercase()).contains("in hexadecimal"));
    assert!(mistakes(STANDARD.encode(&hex)).contains("Base64 of hexadecimal digits"));
    assert!(mistakes(STANDARD_NO_PAD.encode(hmac(text))).contains("padding"));
    let secret = "sEcReT-Alpha-0123456789abcdef";
    let keyed = |method, secret: String| Signer::with_secret(method, secret.as_bytes()).sign_bytes(text.as_bytes()).encode();
    assert!(mistakes(keyed(Method::HmacSha1, secret.into())).contains("HMAC-SHA1"));
    assert!(mistakes(keyed(Method::HmacSha256, format!("{secret} "))).contains("ends with a blank"));
    assert!(mistakes(keyed(Method::HmacSha256, format!(" {secret}"))).contains("begins with a blank"));
    assert_eq!(explained(&given(keyed(Method::HmacSha256, "another".into()))).finding, Finding::Unknown);
}

#[test]
fn two_mistakes_at_once() {
    let request = get("/?q=1&a=1").header("Accept", "*/*").header("Date", "today");
    names(request.clone(), "GET\n\n\n\ntoday\n/?q=1&a=1", &["Accept", "not sorted"]);
    names(request, "GET\n\n\n\n\n/?a=1&q=1", &["Accept", "Date"]);
}

#[test]
fn what_is_wrong_beside_the_signature() {
    let notes = |request: Request| explained(&request.header("X-Ca-Key", "24601001")).notes.join("\n");
    let signature = |request: Request| notes(request.header("X-Ca-Signature", "x"));
    assert!(notes(get("/")).contains("there is no X-Ca-Signature"));
    assert!(signature(get("/").header("X-Ca-Timestamp", (NOW_MS / 1000).to_string())).contains("in seconds"));
    assert!(signature(get("/").header("X-Ca-Timestamp", (NOW_MS - 1_000_000).to_string())).contains("1000 s away"));
    assert!(signature(get("/").header("X-Ca-Timestamp", "now")).contains("not a number"));
    assert!(
        signature(post("/", "text/plain", "a").header("Content-MD5", "0cc175b9c0f1b6a831c399e269772661")).contains("Content-MD5")
    );
    assert_eq!(signature(get("/").header("X-Ca-Timestamp", NOW_MS.to_string())), "");
}

#[test]
fn the_secret_is_never_shown() {
    let shown = explained(&over(get("/?a=%0A\u{7}"), "GET\n\n\n\n\n/")).to_string();
    assert!(!shown.contains("sEcReT") && shown.contains("left out") && !shown.contains('\u{7}'), "{shown}");
    assert!(shown.contains("app of 24601001"));
}

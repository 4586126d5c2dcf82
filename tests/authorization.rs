//! Who may call: AppCode and signature, the app's authorization for API and stage, and its expiry.

use lockgate_test_support::{Api, App, Backend, Config, Gateway, Request, Signer, md5_base64, now_ms};

const APP_ONLY: &str = "type = \"app\"\n";

fn alpha() -> Signer {
    let app = App::alpha();
    Signer::new(&app.key, &app.secret)
}

fn code() -> String {
    App::alpha().code
}

/// One API `g/a` at `/a`, which the first app may call in RELEASE; the second app may call nothing.
fn start(backend: &Backend, authentication: &str) -> Gateway {
    Config::with_backend(backend.address)
        .published_to("g", &Api::app("a", "/a").authentication(authentication), &["RELEASE", "TEST"])
        .app(&App::alpha().may_call("g/a", &["RELEASE"]))
        .app(&App::bravo())
        .start()
}

const EVERYTHING: &str = "type = \"app\"\napp_code = \"header-query\"\nsignature_methods = [\"HMAC_SHA256\", \"HMAC_SHA1\"]\n";

#[test]
fn an_app_code_passes_in_header_and_query() {
    let backend = Backend::ok();
    let gateway = start(&backend, EVERYTHING);
    gateway.call(&Request::get("/a").app_code(&code())).assert_passed();
    gateway.call(&Request::get("/a").field("authorization", format!("appcode   {}", code()))).assert_passed();
    for spelling in ["AppCode", "appcode", "appCode", "APPCODE", "APPCode"] {
        gateway.get(&format!("/a?{spelling}={}", code())).assert_passed();
    }
    gateway.call(&Request::get("/a").app_code("AC0000000000000000000000000000000")).assert_refused("A401AC");
    gateway.get("/a?AppCode=x").assert_refused("A401AC");
}

#[test]
fn an_app_code_is_looked_for_only_where_the_api_says() {
    let backend = Backend::ok();
    let header = start(&backend, "type = \"app\"\napp_code = \"header\"\n");
    header.call(&Request::get("/a").app_code(&code())).assert_passed();
    header.get(&format!("/a?AppCode={}", code())).assert_refused("A400MA");
    let off = start(&backend, APP_ONLY);
    off.call(&Request::get("/a").app_code(&code())).assert_refused("A400MA");
    assert_eq!(backend.count(), 1);
}

#[test]
fn without_credentials_nothing_passes() {
    let backend = Backend::ok();
    let gateway = start(&backend, EVERYTHING);
    gateway.get("/a").assert_refused("A400MA");
    gateway.call(&Request::get("/a").field("Authorization", "Basic eDp5")).assert_refused("A400MA");
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_good_signature_passes() {
    let backend = Backend::ok();
    let gateway = start(&backend, EVERYTHING);
    gateway.call(&alpha().sign(Request::get("/a?z=1&a=%E5%90%8D+x&e="))).assert_passed();
    gateway.call(&alpha().sha1().sign(Request::get("/a"))).assert_passed();
    gateway.call(&alpha().at(None).sign(Request::get("/a"))).assert_passed();
    let form = Request::post("/a?q=1", "application/x-www-form-urlencoded; charset=UTF-8", "b=2&a=%20x&q=form");
    gateway.call(&alpha().sign(form)).assert_passed();
    let json = Request::post("/a", "application/json", "{\"x\":1}").field("Content-MD5", md5_base64(b"{\"x\":1}"));
    gateway.call(&alpha().sign(json)).assert_passed();
    assert_eq!(backend.requests().last().map(|r| r.text()), Some("{\"x\":1}".into()));
}

#[test]
fn a_bad_signature_says_what_the_server_signed() {
    let backend = Backend::ok();
    let gateway = start(&backend, EVERYTHING);
    let wrong = Signer::new("24601001", "not-the-secret").at(Some(now_ms()));
    let answer = gateway.call(&wrong.sign(Request::get("/a?b=2&a=1").field("Accept", "text/plain")));
    answer.assert_refused("A403IS");
    let message = answer.error_message();
    assert!(message.starts_with("Invalid Signature, Server StringToSign:`GET#text/plain####X-Ca-Key:24601001#"), "{message}");
    assert!(message.ends_with("#/a?a=1&b=2`"), "{message}");
    assert!(!answer.head.escape_ascii().to_string().contains("not-the-secret"));
    assert_eq!(backend.count(), 0);
}

#[test]
fn the_echo_cannot_break_out_of_its_field() {
    let backend = Backend::ok();
    let gateway = start(&backend, EVERYTHING);
    let wrong = Signer::new("24601001", "not-the-secret");
    let answer = gateway.call(&wrong.sign(Request::get("/a?x=%0d%0aX-Injected:%201%00%0d%0a%0d%0abody")));
    answer.assert_refused("A403IS");
    assert!(!answer.has("X-Injected"), "{answer:?}");
}

#[test]
fn a_long_string_to_sign_is_refused_like_a_short_one() {
    let backend = Backend::ok();
    let gateway = start(&backend, EVERYTHING);
    let wrong = Signer::new("24601001", "not-the-secret");
    let form = Request::post("/a", "application/x-www-form-urlencoded", format!("a={}", "x".repeat(200_000)));
    let head = Request::get("/a").field("X-Ca-Long", "x".repeat(20_000));
    for request in [form, head] {
        let answer = gateway.call(&wrong.sign(request));
        answer.assert_refused("A403IS");
        assert!(answer.error_message().starts_with("Invalid Signature, Server StringToSign:`"), "{answer:?}");
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn keys_methods_and_clocks_are_checked() {
    let backend = Backend::ok();
    let gateway = start(&backend, APP_ONLY);
    gateway.call(&Signer::new("99999999", "x").sign(Request::get("/a"))).assert_refused("A400IK");
    gateway.call(&alpha().sha1().sign(Request::get("/a"))).assert_refused("I400HD");
    let minutes = |n: i64| alpha().at(Some(now_ms().saturating_add_signed(n * 60_000)));
    gateway.call(&minutes(-14).sign(Request::get("/a"))).assert_passed();
    gateway.call(&minutes(14).sign(Request::get("/a"))).assert_passed();
    gateway.call(&minutes(-16).sign(Request::get("/a"))).assert_refused("S403TE");
    gateway.call(&minutes(16).sign(Request::get("/a"))).assert_refused("S403TE");
    let named = Request::get("/a").field("X-Ca-Timestamp", "yesterday");
    gateway.call(&alpha().at(None).sign(named)).assert_refused("I400HD");
}

#[test]
fn a_nonce_passes_once_and_only_good_signatures_use_it_up() {
    let backend = Backend::ok();
    let gateway = start(&backend, APP_ONLY);
    let with_nonce = |signer: &Signer| signer.sign(Request::get("/a").field("X-Ca-Nonce", "n-1"));
    gateway.call(&with_nonce(&Signer::new("24601001", "not-the-secret"))).assert_refused("A403IS");
    gateway.call(&with_nonce(&alpha())).assert_passed();
    gateway.call(&with_nonce(&alpha())).assert_refused("S403NU");
    assert_eq!(backend.count(), 1);
    let strict = start(&backend, "type = \"app\"\nrequire_nonce = true\n");
    strict.call(&alpha().sign(Request::get("/a"))).assert_refused("I400NC");
    strict.call(&with_nonce(&alpha())).assert_passed();
}

#[test]
fn an_app_calls_only_what_it_is_authorized_for() {
    let backend = Backend::ok();
    let gateway = start(&backend, EVERYTHING);
    let bravo = App::bravo();
    gateway.call(&Request::get("/a").app_code(&bravo.code)).assert_refused("I403AA");
    gateway.call(&Signer::new(&bravo.key, &bravo.secret).sign(Request::get("/a"))).assert_refused("I403AA");
    gateway.call(&Request::get("/a").app_code(&code()).stage("TEST")).assert_refused("I403AA");
    assert_eq!(backend.count(), 0);
}

#[test]
fn an_authorization_expires() {
    let backend = Backend::ok();
    let gateway = Config::with_backend(backend.address)
        .published_to("g", &Api::app("a", "/a"), &["RELEASE", "TEST"])
        .app(&App::alpha().may_call_until("g/a", &["RELEASE"], "2020-01-01T00:00:00Z").may_call_until(
            "g/a",
            &["TEST"],
            "2099-01-01T00:00:00Z",
        ))
        .start();
    gateway.call(&Request::get("/a").app_code(&code())).assert_refused("A403EP");
    gateway.call(&Request::get("/a").app_code(&code()).stage("TEST")).assert_passed();
}

#[test]
fn an_open_api_asks_for_nothing() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).start();
    gateway.get("/anything").assert_passed();
}

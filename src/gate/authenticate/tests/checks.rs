//! Each check of [`authenticate`], and their order.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use md5::{Digest, Md5};

use super::*;
use crate::catalog::Tolerance;

const FORM: &str = "application/x-www-form-urlencoded";

fn code(judged: Result<Outcome, Refusal>) -> &'static str {
    match judged {
        Ok(Outcome::App { .. }) => "app",
        Ok(Outcome::Anonymous) => "anonymous",
        Ok(Outcome::NeedForm) => "form",
        Err(refusal) => refusal.code.as_str(),
    }
}

/// A request of the first app, whose signature is over the text given.
fn signed_over(request: Request, text: &str) -> Request {
    let secret = catalog().apps.iter().next().unwrap().keys[0].schedule.clone();
    let signature = STANDARD.encode(secret.chain_update(text).finalize().into_bytes());
    request.with("X-Ca-Key", "24601001").with("X-Ca-Signature", signature)
}

fn get(target: &str) -> Request {
    Request::new("GET", target)
}

fn post(target: &str, content_type: &str, body: &str) -> Request {
    Request::new("POST", target).header("Content-Type", content_type).header("Content-Length", body.len().to_string())
}

#[test]
fn credentials_are_asked_for_and_none_hides_another() {
    let mut gate = Gate::new();
    let app_code = format!("APPCODE {}", request::APP_CODE);
    assert_eq!(code(gate.judge(&get("/"))), "A400MA");
    assert_eq!(code(gate.judge(&get("/").header("X-Ca-Signature", "x"))), "A400MA");
    assert_eq!(code(gate.judge(&get("/").header("Authorization", "Bearer x"))), "A400MA");
    assert_eq!(code(gate.judge(&get("/").header("Authorization", "APPCODE x"))), "A401AC");
    assert_eq!(code(gate.judge(&get("/").header("X-Ca-Key", "24601001"))), "A403IS");
    assert_eq!(code(gate.judge(&get("/").header("X-Ca-Key", "unknown"))), "A400IK");
    let market = get("/").header("X-Ca-Key", "24601001").header("Authorization", app_code.as_str());
    assert_eq!(code(gate.judge(&market)), "app");
    assert_eq!(code(gate.judge(&market.header("X-Ca-Signature", "x"))), "A403IS");
    let percent = request::APP_CODE.replace('A', "%41");
    for name in ["AppCode", "appcode", "appCode", "APPCODE", "APPCode"] {
        assert_eq!(code(gate.judge(&get(&format!("/?x=1&{name}={percent}")))), "app", "{name}");
    }
    assert_eq!(code(gate.judge(&get(&format!("/?appCODE={percent}")))), "A400MA");
    gate.rules = Authentication::None;
    assert_eq!(code(gate.judge(&get("/"))), "anonymous");
}

#[test]
fn signature_methods() {
    let mut gate = Gate::new();
    let request = |method: &str| signed(get("/").header("X-Ca-Signature-Method", method));
    assert_eq!(code(gate.judge(&request("hmacsha256"))), "app");
    let refusal = gate.judge(&request("HmacMD5")).unwrap_err();
    assert!(message(&refusal).starts_with("Invalid Header `X-Ca-Signature-Method` "));
    gate.rules = Authentication::App {
        app_code: AppCodePlace::Off,
        methods: SignatureMethods { hmac_sha256: false, hmac_sha1: true },
        require_nonce: false,
    };
    assert_eq!(code(gate.judge(&signed(get("/")))), "I400HD");
    assert_eq!(code(gate.judge(&get("/").header("X-Ca-Key", "unknown").header("X-Ca-Signature", "x"))), "A400IK");
}

#[test]
fn the_clock_may_differ_by_the_window_either_way() {
    let mut gate = Gate::new();
    let request = signed(get("/").header("X-Ca-Timestamp", NOW_MS.to_string()));
    for (now_ms, expected) in [
        (NOW_MS + WINDOW_MS, "app"),
        (NOW_MS - WINDOW_MS, "app"),
        (NOW_MS + WINDOW_MS + 1, "S403TE"),
        (NOW_MS - WINDOW_MS - 1, "S403TE"),
    ] {
        assert_eq!(code(gate.judge(&request.clone().at(now_ms))), expected, "{now_ms}");
    }
    for (text, expected) in [("", "I400HD"), ("-1", "I400HD"), ("1.5", "I400HD"), ("0x10", "I400HD"), ("1", "S403TE")] {
        assert_eq!(code(gate.judge(&signed(get("/").header("X-Ca-Timestamp", text)))), expected, "{text}");
    }
    assert_eq!(code(gate.judge(&signed(get("/").header("X-Ca-Timestamp", "9".repeat(40))))), "S403TE");
    assert_eq!(code(gate.judge(&request.with("X-Ca-Timestamp", "1"))), "A403IS", "the signature comes first");
}

#[test]
fn a_nonce_passes_once_for_an_app_and_an_api() {
    let mut gate = Gate::new();
    let request = signed(get("/").header("X-Ca-Nonce", "n"));
    assert_eq!(code(gate.judge(&request.clone().with("X-Ca-Signature", "x"))), "A403IS", "and is not burnt by a bad signature");
    assert_eq!(code(gate.judge(&signed(get("/").header("X-Ca-Nonce", "n").header("X-Ca-Timestamp", "1")))), "S403TE");
    assert_eq!(code(gate.judge(&request)), "app");
    assert_eq!(code(gate.judge(&request)), "S403NU");
    gate.api = ApiId(1);
    assert_eq!(code(gate.judge(&request)), "app");
    gate.rules = Authentication::App {
        app_code: AppCodePlace::Off,
        methods: SignatureMethods { hmac_sha256: true, hmac_sha1: true },
        require_nonce: true,
    };
    assert_eq!(code(gate.judge(&signed(get("/")))), "I400NC");
}

#[test]
fn a_full_set_of_nonces_does_what_the_setting_says() {
    let mut gate = Gate::new();
    gate.nonces = NonceSet::new(1, WINDOW_MS, NOW_MS, [7; 16]);
    let mut nth = 0;
    let refusal = loop {
        nth += 1;
        assert!(nth < 10_000);
        if let Err(refusal) = gate.judge(&signed(get("/").header("X-Ca-Nonce", nth.to_string()))) {
            break refusal;
        }
    };
    assert_eq!(refusal, Refusal::because(ErrorCode::S403NU, "no room to remember another"));
    gate.catalog.security.nonce_full = NonceFull::Accept;
    assert_eq!(code(gate.judge(&signed(get("/").header("X-Ca-Nonce", "one more")))), "app");
}

#[test]
fn content_md5() {
    let mut gate = Gate::new();
    let digest = Md5::digest(b"{}");
    let good = STANDARD.encode(digest);
    let request = |md5: &str, body| signed(post("/", "application/json", body).header("Content-MD5", md5));
    let Ok(Outcome::App { body_md5, .. }) = gate.judge(&request(&good, "{}")) else { panic!() };
    assert_eq!(body_md5, Some(digest.into()));
    assert_eq!(
        gate.judge(&request("", "{}")),
        Ok(Outcome::App {
            app: AppId { list: 0, nth: 0 },
            credential: Credential::Signature(Method::HmacSha256),
            body_md5: None,
            nonce: None
        })
    );
    for md5 in ["99914b932bd37a50b983c5e7c90ae93b", "mZFLkyvTelC5g8XnyQrpOw", "mZFLkyvTelC5g8XnyQrpO===", "e30="] {
        assert_eq!(code(gate.judge(&request(md5, "{}"))), "I400I5", "{md5}");
    }
    assert_eq!(code(gate.judge(&request(&STANDARD.encode(Md5::digest(b"")), ""))), "I400I5", "no body to check");

    let form = |md5: &[u8], body: &str| {
        let request = post("/", FORM, body).header("Content-MD5", STANDARD.encode(Md5::digest(md5)));
        signed(request.form(body))
    };
    assert_eq!(
        gate.judge(&form(b"a=1", "a=1")),
        Ok(Outcome::App {
            app: AppId { list: 0, nth: 0 },
            credential: Credential::Signature(Method::HmacSha256),
            body_md5: None,
            nonce: None
        })
    );
    assert_eq!(code(gate.judge(&form(b"a=2", "a=1"))), "I400I5");
    let chunked = Request::new("POST", "/").header("Content-Type", FORM).header("Transfer-Encoding", "chunked").form("");
    let chunked = signed(chunked.header("Content-MD5", STANDARD.encode(Md5::digest(b""))));
    assert_eq!(code(gate.judge(&chunked)), "I400I5", "no body to check");
}

#[test]
fn a_form_is_asked_for_where_one_is_announced() {
    let mut gate = Gate::new();
    let key = |request: Request| request.header("X-Ca-Key", "24601001").header("X-Ca-Signature", "x");
    assert_eq!(code(gate.judge(&key(post("/", FORM, "a=1")))), "form");
    assert_eq!(code(gate.judge(&key(post("/", FORM, "")))), "A403IS");
    assert_eq!(code(gate.judge(&key(post("/", "application/json", "a=1")))), "A403IS");
    assert_eq!(code(gate.judge(&key(get("/").header("Content-Type", FORM)))), "A403IS");
    let chunked = get("/").header("Content-Type", FORM).header("Transfer-Encoding", "chunked");
    assert_eq!(code(gate.judge(&key(chunked))), "form");
    let app_code = post("/", FORM, "a=1").header("Authorization", format!("APPCODE {}", request::APP_CODE));
    assert_eq!(code(gate.judge(&app_code)), "app", "an AppCode covers no body");
}

#[test]
fn forms_are_signed_as_the_text_that_their_charset_spells() {
    let mut gate = Gate::new();
    for (charset, body) in
        [("GBK", "%B1%B1%BE%A9=%E4"), ("gb2312", "%b1%b1%be%a9=%E4"), ("iso-8859-1", "%E9=%FC"), ("utf-8", "%C3%A9=%C3%BC")]
    {
        let content_type = format!("{FORM}; charset={charset}");
        let pair = if body.starts_with("%C3") || charset.starts_with("iso") { "é=ü" } else { "北京=\u{FFFD}" };
        let request = post("/p?z=1", &content_type, body).form(body);
        let request = signed_over(request, &format!("POST\n\n\n{content_type}\n\n/p?z=1&{pair}"));
        assert_eq!(code(gate.judge(&request)), "app", "{charset}");
    }
}

#[test]
fn what_cannot_be_read_or_is_too_much_is_refused() {
    let mut gate = Gate::new();
    let key = |request: Request| request.header("X-Ca-Key", "24601001").header("X-Ca-Signature", "x");
    let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join("&");
    let names = |count: usize| (0..count).map(|n| format!("h{n}")).collect::<Vec<_>>().join(",");
    let form = |body: &str| key(post("/", FORM, body).form(body));
    assert_eq!(code(gate.judge(&form("a=%zz"))), "I400BD");
    assert_eq!(code(gate.judge(&form(&many(parameters::MAX_PARAMETERS)))), "A403IS");
    assert_eq!(code(gate.judge(&form(&many(parameters::MAX_PARAMETERS + 1)))), "I400BD");
    assert_eq!(code(gate.judge(&key(get(&format!("/?{}", many(parameters::MAX_PARAMETERS + 1)))))), "I400RU");
    assert_eq!(code(gate.judge(&key(get("/?a=%4")))), "I400RU");
    assert_eq!(code(gate.judge(&key(get("/%4")))), "I400PA");
    let unknown = key(post("/", &format!("{FORM}; charset=klingon"), "a=1").form("a=1"));
    assert_eq!(code(gate.judge(&unknown)), "I400CT");
    let listed = |count| key(get("/").header("X-Ca-Signature-Headers", names(count)));
    assert_eq!(code(gate.judge(&listed(signed_headers::MAX_SIGNED_HEADERS))), "A403IS");
    assert_eq!(code(gate.judge(&listed(signed_headers::MAX_SIGNED_HEADERS + 1))), "I400HD");
}

#[test]
fn the_echo_cannot_split_an_answer() {
    let mut gate = Gate::new();
    let request = get("/a%0d%0aSet-Cookie:%20x?b=%00%0D%0aX:y").header("X-Ca-Key", "24601001").header("X-Ca-Signature", "x");
    let refusal = gate.judge(&request).unwrap_err();
    assert_eq!(message(&refusal), "Invalid Signature, Server StringToSign:`GET#####/a#Set-Cookie: x?b=#X:y`");
}

#[test]
fn the_header_block_follows_the_list() {
    let mut gate = Gate::new();
    let request = get("/")
        .header(
            "X-Ca-Signature-Headers",
            " x-b ,X-Ca-Key,,Absent,x-b,\tDATE,Accept,content-type,X-CA-SIGNATURE,x-ca-signature-headers,a,A,",
        )
        .header("A", "  1 ")
        .header("Accept", "*/*")
        .header("Date", "today")
        .header("X-B", "first")
        .header("X-B", "second");
    let request = signed_over(request, "GET\n*/*\n\n\ntoday\nA:1\nAbsent:\nX-Ca-Key:24601001\na:1\nx-b:first\n/");
    assert_eq!(code(gate.judge(&request)), "app");
    let request = signed_over(Request::new("get", "/"), "GET\n\n\n\n\n/");
    assert_eq!(code(gate.judge(&request)), "app", "methods are signed in upper case");
}

#[test]
fn each_tolerance_passes_its_own_variant_only_and_two_may_meet() {
    let form = |target: &str, body: &str| post(target, FORM, body).form(body);
    let start = format!("POST\n\n\n{FORM}\n\n");
    let cases = [
        (get("/a%20b?x=1"), "GET\n\n\n\n\n/a%20b?x=1".to_owned(), vec![Tolerance::RawPath]),
        (get("/?b&a="), "GET\n\n\n\n\n/?a=&b=".to_owned(), vec![Tolerance::EmptyValueEquals]),
        (form("/?k=q&k=r", "k=f"), format!("{start}/?k=q"), vec![Tolerance::QueryFirst]),
        (get("/?%EF%BF%BD=1&%F0%9F%98%80=2"), "GET\n\n\n\n\n/?\u{FFFD}=1&😀=2".to_owned(), vec![Tolerance::ByteOrder]),
        (get("/?k=1&k=&k=2"), "GET\n\n\n\n\n/?k=1,,2".to_owned(), vec![Tolerance::CommaJoined]),
        (form("/?k=q", "k=1&k=2"), format!("{start}/?k=1,2"), vec![Tolerance::CommaJoined]),
        (get("/%41?a="), "GET\n\n\n\n\n/%41?a=".to_owned(), vec![Tolerance::RawPath, Tolerance::EmptyValueEquals]),
    ];
    for (request, text, needed) in cases {
        let request = signed_over(request, &text);
        for only in variant::ALL {
            let mut gate = Gate::new();
            gate.catalog.security.tolerances = vec![only];
            assert_eq!(gate.judge(&request).is_ok(), needed == [only], "{text:?} with {only:?}");
        }
        let mut gate = Gate::new();
        gate.catalog.security.tolerances = variant::ALL.into();
        assert_eq!(code(gate.judge(&request)), "app", "{text:?}");
    }
}

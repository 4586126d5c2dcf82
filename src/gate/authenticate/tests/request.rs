//! Requests made by hand, and a catalog to judge them by.

use std::path::PathBuf;
use std::time::Duration;

use crate::catalog::*;
use crate::gate::Call;
use crate::http::field::FieldId;
use crate::http::head::{Field, RequestHead, RequestView, Span};
use crate::http::target::Target;

pub const WINDOW_MS: u64 = 900_000;
pub const NOW_MS: u64 = 1_795_329_125_416;
pub const APP_CODE: &str = "AC0123456789abcdef0123456789abcd";

/// A request head with its buffer.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, read as a form.
    pub form: Option<Vec<u8>>,
    pub now_ms: u64,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), form: None, now_ms: NOW_MS }
    }

    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name.as_bytes()));
        self
    }

    pub fn with(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.without(name).header(name, value)
    }

    pub fn form(mut self, form: impl Into<Vec<u8>>) -> Self {
        self.form = Some(form.into());
        self
    }

    pub fn at(mut self, now_ms: u64) -> Self {
        self.now_ms = now_ms;
        self
    }

    pub fn call<T>(&self, judge: impl FnOnce(&Call<'_>) -> T) -> T {
        let mut buffer = Vec::new();
        let mut head = RequestHead { method: put(&mut buffer, &self.method), ..Default::default() };
        head.target = put(&mut buffer, &self.target);
        for (name, value) in &self.headers {
            let field = Field {
                name: put(&mut buffer, name),
                value: put(&mut buffer, value.trim_ascii()),
                id: FieldId::of(name),
                plain: false,
            };
            assert!(head.fields.push(field));
        }
        let target = head.target.of(&buffer);
        let (path, query) = match target.iter().position(|&byte| byte == b'?') {
            Some(at) => (&target[..at], Some(&target[at + 1..])),
            None => (target, None),
        };
        judge(&Call {
            request: RequestView { buffer: &buffer, head: &head },
            target: Target { authority: None, path, query },
            body_bytes: 0,
            scheme: Scheme::Http,
            peer: [127, 0, 0, 1].into(),
            client: None,
            form: self.form.as_deref(),
            now_ms: self.now_ms,
        })
    }
}

fn put(buffer: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let start = buffer.len() as u16;
    buffer.extend_from_slice(bytes);
    let end = buffer.len() as u16;
    buffer.extend_from_slice(b"\r\n");
    Span { start, end }
}

/// One API, and the apps of the vectors.
pub fn catalog() -> Catalog {
    let apps = [("24601001", "sEcReT-Alpha-0123456789abcdef"), ("app-bravo_2", "密钥Bravo🔑"), ("appKey", "appSecret")];
    let apps = apps.into_iter().map(|(key, secret)| App {
        name: format!("app of {key}").into(),
        owner: None,
        keys: Box::new([AppKey::new(key.into(), secret.into())]),
        app_codes: if key == "24601001" {
            [Secret::new("other".into()), Secret::new(APP_CODE.into())].into()
        } else {
            Box::default()
        },
        authorizations: Box::default(),
    });
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
        quota: Quota { counter_capacity: 1_000, counter_full: CounterFull::Refuse, on_engine_loss: EngineLoss::Refuse },
        cluster: None,
        security: Security {
            signature_window_ms: WINDOW_MS,
            nonce_capacity: 1000,
            nonce_full: NonceFull::Refuse,
            nonces_on_engine_loss: Default::default(),
            tolerances: vec![Tolerance::RawPath, Tolerance::EmptyValueEquals, Tolerance::QueryFirst, Tolerance::ByteOrder],
            trusted_proxies: Vec::new(),
        },
        limits: Limits::default(),
        access_log: AccessLog::Off,
        log_format: crate::catalog::LogFormat::Text,
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
        apis: ["api", "another"].map(|name| std::sync::Arc::new(api(name))).into(),
        names: Default::default(),
        apps: apps.collect(),
        policies: Vec::new(),
    }
}

fn api(name: &str) -> Api {
    Api {
        group: GroupId(0),
        name: name.into(),
        id: ApiName(0),
        stage: StageId(0),
        version: "20260101000000000".into(),
        authentication: RULES,
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
    }
}

pub const RULES: Authentication = Authentication::App {
    app_code: AppCodePlace::HeaderQuery,
    methods: SignatureMethods { hmac_sha256: true, hmac_sha1: true },
    require_nonce: false,
};

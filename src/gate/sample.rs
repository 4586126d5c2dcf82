//! Catalogs and calls made by hand, for the tests of the gate.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Call;
use crate::catalog::*;
use crate::http::field::FieldId;
use crate::http::head::{Field, RequestHead, RequestView, Span, Version};
use crate::http::target::Target;

/// Group `g` answers on `g.SUFFIX` too.
pub const SUFFIX: &str = "localhost";

/// A catalog with the stages `RELEASE`, `PRE` and `TEST`, and one VPC access.
pub struct Sample {
    pub catalog: Catalog,
}

impl Default for Sample {
    fn default() -> Self {
        let instance = Instance {
            name: "edge-1".into(),
            via: None,
            workers: None,
            egress_addresses: Vec::new(),
            state_directory: "state".into(),
            default_domain_suffix: SUFFIX.into(),
            driver: Driver::Auto,
        };
        let security = Security {
            signature_window_ms: 900_000,
            nonce_capacity: 1_000,
            nonce_full: NonceFull::Refuse,
            nonces_on_engine_loss: Default::default(),
            tolerances: Vec::new(),
            trusted_proxies: Vec::new(),
        };
        let vpc_access = VpcAccess {
            name: "nginx-microservice".into(),
            vpc_id: "vpc-demo".into(),
            host: Some("nginx.internal".into()),
            tls: None,
            http2: false,
            instances: vec![BackendInstance { id: "i-1".into(), address: ([127, 0, 0, 1], 8081).into(), weight: 1 }],
            balance: Default::default(),
            health: None,
        };
        let catalog = Catalog {
            generation: 0,
            sha256: String::new(),
            instance,
            listeners: Vec::new(),
            security,
            quota: Quota { counter_capacity: 1_000, counter_full: CounterFull::Refuse, on_engine_loss: EngineLoss::Refuse },
            cluster: None,
            limits: Limits::default(),
            access_log: AccessLog::Off,
            log_format: crate::catalog::LogFormat::Text,
            admin: None,
            stages: STAGES.map(String::from).into(),
            vpc_accesses: vec![vpc_access.into()],
            groups: Vec::new(),
            sites: Vec::new(),
            apis: Vec::new(),
            names: Default::default(),
            apps: Apps::default(),
            policies: Vec::new(),
        };
        Self { catalog }
    }
}

impl Sample {
    pub fn group(&mut self, name: &str, base_path: &str, domains: &[&str]) -> GroupId {
        let domain = |text: &&str| match *text {
            "*" => Domain::Any,
            text => match (text.strip_prefix('*'), text.parse()) {
                (Some(suffix), _) => Domain::Wildcard(suffix.into()),
                (None, Ok(address)) => Domain::Address(address),
                (None, Err(_)) => Domain::Exact(text.into()),
            },
        };
        self.catalog.groups.push(Group {
            name: name.into(),
            base_path: base_path.into(),
            domains: domains.iter().map(domain).collect(),
            default_domain: format!("{name}.{SUFFIX}"),
            default_domain_calls_per_day: 1_000,
            forward_app_code: false,
            https: Vec::new(),
            stages: Vec::new(),
            bound: Vec::new(),
        });
        GroupId(self.catalog.groups.len() as u32 - 1)
    }

    /// An anonymous API, passed on to `/` with the client's method. Methods: `ANY`, or names between commas.
    pub fn api(&mut self, group: GroupId, name: &str, stage: u32, methods: &str, path: &str) -> ApiId {
        let id = self.name(group, name);
        self.catalog.apis.push(Arc::new(Api {
            group,
            name: name.into(),
            id,
            stage: StageId(stage),
            version: "20260101000000000".into(),
            authentication: Authentication::None,
            body_bytes: None,
            upgrades: Vec::new(),
            protocols: Protocols { http: true, https: true },
            methods: if methods == "ANY" {
                MethodSet::Any
            } else {
                MethodSet::These(methods.split(',').map(String::from).collect())
            },
            path: template(path),
            backend: Backend::Vpc {
                vpc_access: VpcAccessId(0),
                path: template("/"),
                method: None,
                timeout: Duration::from_secs(10),
            },
        }));
        ApiId(self.catalog.apis.len() as u32 - 1)
    }

    fn name(&mut self, group: GroupId, api: &str) -> ApiName {
        let name = format!("{}/{api}", self.catalog.groups[group.index()].name);
        ApiNames::number(&mut self.catalog.names, &name)
    }

    pub fn api_mut(&mut self, api: ApiId) -> &mut Api {
        Arc::make_mut(&mut self.catalog.apis[api.index()])
    }

    /// Gives an API another backend path and method.
    pub fn backend(&mut self, api: ApiId, backend_path: &str, backend_method: Option<&str>) {
        let Backend::Vpc { path, method, .. } = &mut self.api_mut(api).backend;
        (*path, *method) = (template(backend_path), backend_method.map(String::from));
    }

    pub fn app(&mut self, name: &str) -> AppId {
        let app_codes = Box::new([Secret::new(format!("code-of-{name}"))]);
        self.catalog.apps.push(App {
            name: name.into(),
            owner: None,
            keys: Box::default(),
            app_codes,
            authorizations: Box::default(),
        })
    }

    pub fn authorize(&mut self, app: AppId, group: GroupId, api: &str, stage: u32, expires_ms: Option<u64>) {
        let authorization = Authorization { api: self.name(group, api), stage: StageId(stage), expires_ms };
        self.catalog.apps.change(app, |app| {
            let mut all: Vec<Authorization> = app.authorizations.iter().copied().chain([authorization]).collect();
            all.sort_unstable_by_key(|one| (one.api, one.stage));
            app.authorizations = all.into();
        });
    }
}

/// `/user/[id]`, `/files/*`.
pub fn template(path: &str) -> PathTemplate {
    let segment = |text: &str| match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(name) => Segment::Parameter(name.into()),
        None if text == "*" => Segment::Rest,
        None => Segment::Literal(text.into()),
    };
    let segments = if path == "/" { Vec::new() } else { path.split('/').skip(1).map(segment).collect() };
    PathTemplate { segments }
}

/// A request as its parser would leave it.
pub struct Request {
    buffer: Vec<u8>,
    head: RequestHead,
    target: Span,
    body_bytes: u64,
    pub scheme: Scheme,
    pub peer: IpAddr,
    pub now_ms: u64,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        let mut request = Self {
            buffer: Vec::new(),
            head: RequestHead::default(),
            target: Span::default(),
            body_bytes: 0,
            scheme: Scheme::Http,
            peer: [192, 0, 2, 7].into(),
            now_ms: 1_767_225_600_000,
        };
        request.head.method = request.push(method);
        request.target = request.push(target);
        request.head.target = request.target;
        request
    }

    pub fn field(mut self, name: &str, value: &str) -> Self {
        let field = Field { name: self.push(name), value: self.push(value), id: FieldId::of(name.as_bytes()), plain: false };
        assert!(self.head.fields.push(field));
        self
    }

    pub fn body_bytes(mut self, bytes: u64) -> Self {
        self.body_bytes = bytes;
        self
    }

    /// Of the version that may come without `Host`.
    pub fn http10(mut self) -> Self {
        self.head.version = Version::Http10;
        self
    }

    pub fn call(&self) -> Call<'_> {
        let target = self.target.of(&self.buffer);
        let mut parts = target.splitn(2, |&byte| byte == b'?');
        let path = parts.next().unwrap_or_default();
        Call {
            request: RequestView { buffer: &self.buffer, head: &self.head },
            target: Target { authority: None, path, query: parts.next() },
            body_bytes: self.body_bytes,
            scheme: self.scheme,
            peer: self.peer,
            client: None,
            form: None,
            now_ms: self.now_ms,
        }
    }

    fn push(&mut self, text: &str) -> Span {
        let start = self.buffer.len() as u16;
        self.buffer.extend_from_slice(text.as_bytes());
        Span { start, end: self.buffer.len() as u16 }
    }
}

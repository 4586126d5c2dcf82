//! APIs and apps as tests write them: documents with defaults that suit most tests.

/// An API's document, in parts.
#[derive(Clone, Debug)]
pub struct Api {
    pub name: String,
    authentication: String,
    protocols: String,
    path: String,
    method: String,
    body_bytes: Option<u64>,
    upgrades: Option<String>,
    vpc_access: String,
    backend_path: String,
    backend_method: String,
    timeout_ms: u64,
}

fn list(names: &[&str]) -> String {
    format!("[{}]", names.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", "))
}

impl Api {
    /// Takes every method on `path`, without authentication, and passes it to the same path of the VPC access `backend`
    /// with the client's method.
    pub fn open(name: &str, path: &str) -> Self {
        Self {
            name: name.into(),
            authentication: "type = \"none\"\n".into(),
            protocols: list(&["http", "https"]),
            path: path.into(),
            method: "\"ANY\"".into(),
            body_bytes: None,
            upgrades: None,
            vpc_access: "backend".into(),
            backend_path: path.into(),
            backend_method: "ANY".into(),
            timeout_ms: 10_000,
        }
    }

    /// As [`Api::open`], for signed calls and AppCodes.
    pub fn app(name: &str, path: &str) -> Self {
        Self::open(name, path)
            .authentication("type = \"app\"\napp_code = \"header-query\"\nsignature_methods = [\"HMAC_SHA256\", \"HMAC_SHA1\"]\n")
    }

    /// The lines of the table `[authentication]`.
    pub fn authentication(mut self, lines: &str) -> Self {
        self.authentication = lines.into();
        self
    }

    pub fn protocols(mut self, protocols: &[&str]) -> Self {
        self.protocols = list(protocols);
        self
    }

    pub fn methods(mut self, methods: &[&str]) -> Self {
        self.method = list(methods);
        self
    }

    pub fn body_bytes(mut self, bytes: u64) -> Self {
        self.body_bytes = Some(bytes);
        self
    }

    pub fn upgrades(mut self, protocols: &[&str]) -> Self {
        self.upgrades = Some(list(protocols));
        self
    }

    pub fn vpc_access(mut self, name: &str) -> Self {
        self.vpc_access = name.into();
        self
    }

    pub fn backend_path(mut self, path: &str) -> Self {
        self.backend_path = path.into();
        self
    }

    pub fn backend_method(mut self, method: &str) -> Self {
        self.backend_method = method.into();
        self
    }

    pub fn timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }

    pub fn document(&self) -> String {
        let Self { name, authentication, protocols, path, method, vpc_access, backend_path, backend_method, timeout_ms, .. } =
            self;
        let mut more = self.body_bytes.map_or(String::new(), |bytes| format!("body_bytes = {bytes}\n"));
        more += &self.upgrades.as_ref().map_or(String::new(), |list| format!("upgrades = {list}\n"));
        format!(
            "name = {name:?}\n\n[authentication]\n{authentication}\n[request]\nprotocols = {protocols}\npath = {path:?}\n\
             method = {method}\nmode = \"pass-through\"\n{more}\n[backend]\ntype = \"vpc\"\nvpc_access = {vpc_access:?}\n\
             path = {backend_path:?}\nmethod = {backend_method:?}\ntimeout_ms = {timeout_ms}\n"
        )
    }
}

/// An app's document, in parts.
#[derive(Clone, Debug)]
pub struct App {
    pub name: String,
    pub key: String,
    pub secret: String,
    pub code: String,
    owner: Option<String>,
    authorizations: String,
}

impl App {
    pub fn new(name: &str, key: &str, secret: &str, code: &str) -> Self {
        Self {
            name: name.into(),
            key: key.into(),
            secret: secret.into(),
            code: code.into(),
            owner: None,
            authorizations: String::new(),
        }
    }

    /// The first app of the vectors.
    pub fn alpha() -> Self {
        Self::new("alpha", "24601001", "sEcReT-Alpha-0123456789abcdef", "AC0123456789abcdef0123456789abcd")
    }

    /// The second one; its secret is not ASCII.
    pub fn bravo() -> Self {
        Self::new("bravo", "app-bravo_2", "密钥Bravo🔑", "BC0123456789abcdef0123456789abcd")
    }

    pub fn may_call(self, api: &str, stages: &[&str]) -> Self {
        self.authorized(api, stages, None)
    }

    pub fn may_call_until(self, api: &str, stages: &[&str], expires: &str) -> Self {
        self.authorized(api, stages, Some(expires))
    }

    fn authorized(mut self, api: &str, stages: &[&str], expires: Option<&str>) -> Self {
        self.authorizations.push_str(&format!("\n[[authorization]]\napi = {api:?}\nstages = {}\n", list(stages)));
        if let Some(expires) = expires {
            self.authorizations.push_str(&format!("expires = {expires:?}\n"));
        }
        self
    }

    pub fn owned_by(mut self, owner: &str) -> Self {
        self.owner = Some(owner.into());
        self
    }

    pub fn document(&self) -> String {
        let Self { name, key, secret, code, owner, authorizations } = self;
        let owner = owner.as_ref().map(|owner| format!("owner = {owner:?}\n")).unwrap_or_default();
        format!("name = {name:?}\n{owner}app_key = {key:?}\napp_secret = {secret:?}\napp_code = {code:?}\n{authorizations}")
    }
}

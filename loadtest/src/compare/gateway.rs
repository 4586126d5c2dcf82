//! The gateway's side of the comparison: a config directory with the APIs of the scenarios, published with the
//! gateway's own command, as a user would.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::certificate::Certificate;
use super::scenario::{APIS_OF_A_GROUP, Setting};
use crate::request::App;
use crate::size::{Addresses, Size};

const GROUP: &str = "bench";
pub const DOMAIN: &str = "api.example.com";

/// One API: its name, which is also the first segment of its path, its method, and whether an app must call.
struct Api {
    name: &'static str,
    method: &'static str,
    authentication: &'static str,
}

const FOR_APPS: &str = "type = \"app\"\napp_code = \"header\"\nsignature_methods = [\"HMAC_SHA256\"]\n";

const APIS: [Api; 6] = [
    Api { name: "plain", method: "GET", authentication: "type = \"none\"\n" },
    Api { name: "upload", method: "POST", authentication: "type = \"none\"\n" },
    Api { name: "app-code", method: "GET", authentication: FOR_APPS },
    Api { name: "signature", method: "GET", authentication: FOR_APPS },
    Api { name: "limited", method: "GET", authentication: FOR_APPS },
    Api { name: "throttled", method: "GET", authentication: FOR_APPS },
];

/// The app that every scenario calls as. It exists only in a directory that is gone after the run.
pub fn app() -> App {
    App {
        key: "24601001".to_owned(),
        secret: "loadtest-secret-0123456789abcdef".to_owned(),
        code: "0123456789abcdef0123456789abcdef".to_owned(),
    }
}

/// Where a gateway listens, what it stands before, and what it has to do beside.
pub struct Place<'a> {
    pub listen: SocketAddr,
    /// Where TLS is spoken, and HTTP/2 in clear text.
    pub edge: Option<(SocketAddr, SocketAddr, &'a Certificate)>,
    pub backend: SocketAddr,
    /// The operator's listener.
    pub admin: Option<SocketAddr>,
    pub setting: &'a Setting,
}

/// Writes the documents under `directory`, publishes every API to RELEASE, and gives the config directory back.
pub fn prepare(binary: &Path, directory: &Path, place: &Place) -> Result<PathBuf> {
    let config = directory.join("config");
    let apis = place.setting.apis;
    if apis > 0 {
        let size = Size { groups: apis / APIS_OF_A_GROUP, apis: APIS_OF_A_GROUP, apps: 0 };
        size.write(&config, &Addresses { listen: place.listen.to_string(), backend_port: place.backend.port() })?;
    }
    for (file, text) in documents(place, directory) {
        let path = config.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    let mut command = Command::new(binary);
    command.args(["publish", "--all", "--stage", "RELEASE", "--remarks", "side-by-side", "--config"]).arg(&config);
    let output = command.output().with_context(|| binary.display().to_string())?;
    if !output.status.success() {
        bail!("lockgate publish --all: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(config)
}

/// File names within the config directory, and their texts.
fn documents(place: &Place, directory: &Path) -> Vec<(String, String)> {
    let Place { listen, edge: secure, backend, admin, setting } = place;
    let state = directory.join("state");
    let log = if setting.access_log { directory.join("access.log") } else { PathBuf::from("off") };
    let admin = admin.map_or(String::new(), |address| format!("\n[admin]\naddress = \"{address}\"\n"));
    // With thousands of connections, and as many to the backend as a process has descriptors for; the others wait for those.
    let edge = secure.map_or(String::new(), |(listen, http2, _)| {
        format!(
            "[[listener]]\naddress = \"{listen}\"\nprotocol = \"https\"\n\n\
             [[listener]]\naddress = \"{http2}\"\nprotocol = \"http\"\nhttp2 = true\n\n\
             [limits]\nconnections_per_address = 1000000\nconnections_per_worker = 100000\npool_connections = 9000\n\
             pool_queue = 65536\npool_wait_ms = 30000\nconnect_timeout_ms = 30000\nidle_timeout_ms = 3600000\n\n"
        )
    });
    let protocols = if secure.is_some() { "[\"http\", \"https\"]" } else { "[\"http\"]" };
    let certificate = secure.map_or(String::new(), |(_, _, Certificate { both, .. })| {
        format!("\n[[certificate]]\nchain = {both:?}\nkey = {both:?}\n")
    });
    let mut documents = vec![
        (
            "gateway.toml".to_owned(),
            format!(
                "[instance]\nname = \"bench\"\nworkers = 1\nstate_directory = {state:?}\n\n\
                 [[listener]]\naddress = \"{listen}\"\nprotocol = \"http\"\n\n{edge}\
                 [access_log]\npath = {log:?}\n{admin}"
            ),
        ),
        (
            "vpc-access/bench.toml".to_owned(),
            format!(
                "name = \"bench\"\nvpc_id = \"vpc-bench\"\nport = {port}\n\n\
                 [[instance]]\nid = \"i-bench\"\naddress = \"{ip}\"\nport = {port}\n",
                port = backend.port(),
                ip = backend.ip()
            ),
        ),
        (
            format!("groups/{GROUP}/group.toml"),
            format!("name = \"{GROUP}\"\nbase_path = \"/\"\ndomains = [\"{DOMAIN}\"]\n{certificate}"),
        ),
        ("apps/bench.toml".to_owned(), app_document()),
        ("policies/limited.toml".to_owned(), policy("limited", "user = 1000000000\napp = 1000000000\n")),
        ("policies/throttled.toml".to_owned(), policy("throttled", "\n[[special]]\napp = \"bench\"\nlimit = 0\n")),
    ];
    for Api { name, method, authentication } in APIS {
        let text = format!(
            "name = \"{name}\"\n\n[authentication]\n{authentication}\n\
             [request]\nprotocols = {protocols}\npath = \"/{name}/[size]\"\nmethod = \"{method}\"\nmode = \"pass-through\"\n\n\
             [backend]\ntype = \"vpc\"\nvpc_access = \"bench\"\npath = \"/{name}/[size]\"\nmethod = \"{method}\"\ntimeout_ms = 10000\n"
        );
        documents.push((format!("groups/{GROUP}/apis/{name}.toml"), text));
    }
    documents
}

/// Of the API of the same name; each limit is another quota that a call draws from.
fn policy(name: &str, limits: &str) -> String {
    format!(
        "name = \"{name}\"\ntype = \"traffic-control\"\nunit = \"minute\"\napi = 1000000000\n{limits}\n\
         [[bind]]\napi = \"{GROUP}/{name}\"\nstages = [\"RELEASE\"]\n"
    )
}

/// A document of its own that changes from one time to the next: another app, whose AppCode is replaced.
pub fn changing_document(time: u64) -> (&'static str, String) {
    let text =
        format!("name = \"changing\"\napp_key = \"24601002\"\napp_secret = \"changing-secret\"\napp_code = \"{time:032x}\"\n");
    ("apps/changing.toml", text)
}

fn app_document() -> String {
    let App { key, secret, code } = app();
    let mut text = format!(
        "name = \"bench\"\nowner = \"loadtest\"\napp_key = \"{key}\"\napp_secret = \"{secret}\"\napp_code = \"{code}\"\n"
    );
    for api in APIS.iter().filter(|api| api.authentication == FOR_APPS) {
        text += &format!("\n[[authorization]]\napi = \"{GROUP}/{}\"\nstages = [\"RELEASE\"]\n", api.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::scenario;

    #[test]
    fn every_document_is_toml() {
        let address = "127.0.0.1:1".parse().unwrap();
        let setting = Setting { access_log: true, ..Setting::default() };
        let place = Place { listen: address, edge: None, backend: address, admin: Some(address), setting: &setting };
        for (file, text) in documents(&place, Path::new("run")) {
            assert!(toml::from_str::<toml::Table>(&text).is_ok(), "{file}:\n{text}");
        }
    }

    #[test]
    fn every_built_in_scenario_calls_an_api_that_exists() {
        for scenario in scenario::all().unwrap() {
            let api = APIS.iter().find(|api| scenario.path.split('/').nth(1) == Some(api.name));
            assert_eq!(api.map(|api| api.method), Some(scenario.method.as_str()), "{}", scenario.name);
        }
    }
}

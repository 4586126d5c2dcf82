//! `lockgate demo`

mod backend;
mod secure;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::Failure;
use super::run::{serve, start, with_log};
use super::signals::Signals;
use crate::catalog::{self, AccessLog, Api, App, AppCodePlace, Authentication, Catalog, Kept};

/// Run the sample instance with a backend of its own, and print calls to try
#[derive(Args)]
pub struct Demo {
    /// Where it listens for HTTPS, too, with a certificate of its own
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    https: SocketAddr,
}

impl Demo {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let signals = Signals::listen()?;
        let mut kept = Kept::default();
        let (catalog, stamps) = catalog::load_served(config, &mut kept, &|_, _, _| ());
        let mut catalog = catalog?;
        let (amend, authority) = secure::secure(&catalog, self.https)?;
        amend(&mut catalog);
        let catalog = Arc::new(catalog);
        let (api, app) = callable(&catalog)
            .ok_or_else(|| Failure::new("nothing to try: no app with a key and an AppCode may call a published API"))?;
        for address in catalog.vpc_accesses.iter().flat_map(|access| &access.instances).map(|instance| instance.address) {
            backend::start(address)
                .map_err(|error| Failure::new(format!("the demo's backend cannot listen on {address}: {error}")))?;
            writeln!(out, "backend: listening on http://{address}")?;
        }
        let calls = Calls::of(&catalog, api, app, config, &authority)?.to_string();
        let logs_here = matches!(catalog.access_log, AccessLog::Stdout);
        with_log(&catalog, || {
            let gateway = start(config, catalog.clone(), (stamps, kept), None, amend)?;
            write!(out, "{calls}")?;
            let logs_here = if logs_here { " Each call leaves a line of the access log here." } else { "" };
            writeln!(out, "\nCtrl-C ends the demo.{logs_here}")?;
            out.flush()?;
            serve(gateway, &signals)
        })
    }
}

/// The first published API that an app with all credentials may call.
fn callable(catalog: &Catalog) -> Option<(&Api, &App)> {
    catalog.apis.iter().find_map(|api| {
        let complete = |app: &&App| !app.keys.is_empty() && !app.app_codes.is_empty();
        let allowed = |app: &&App| app.authorization(api.id, api.stage).is_some();
        let app = catalog.apps.iter().find(|app| complete(app) && allowed(app))?;
        matches!(api.authentication, Authentication::App { app_code: AppCodePlace::HeaderQuery, .. }).then_some((&**api, app))
    })
}

/// Ready-to-paste command lines.
struct Calls {
    lines: Vec<(&'static str, String)>,
}

impl Calls {
    fn of(catalog: &Catalog, api: &Api, app: &App, config: &Path, authority: &Path) -> Result<Self, Failure> {
        let target = super::call::Target::of(catalog, api, false, &[])?;
        let (url, host) = (target.url(), &target.host);
        let secure = super::call::Target::of(catalog, api, true, &[])?;
        let (address, path) = (secure.gateway, secure.request_target());
        let (ip, port, authority) = (address.ip(), address.port(), authority.display());
        let code = app.app_codes.first().map_or("", |code| code.expose());
        let lockgate = own_name();
        let config = match config.to_str() {
            Some("config") => String::new(),
            _ => format!(" --config '{}'", config.display()),
        };
        let name = format!("{}/{}", catalog.groups[api.group.index()].name, api.name);
        Ok(Self {
            lines: vec![
                ("AppCode in the header", format!("curl -i -H 'Host: {host}' -H 'Authorization: APPCODE {code}' '{url}'")),
                ("AppCode in the query", format!("curl -i -H 'Host: {host}' '{url}?AppCode={code}'")),
                (
                    "over HTTPS",
                    format!(
                        "curl -i --cacert '{authority}' --resolve {host}:{port}:{ip} -H 'Authorization: APPCODE {code}' \
                         'https://{host}:{port}{path}'"
                    ),
                ),
                ("a signed call", format!("{lockgate} call {name} --app {} --signature{config}", app.name)),
                (
                    "a signed call with curl",
                    format!("eval \"$({lockgate} sign --app {} --curl -H 'Host: {host}' '{url}'{config})\"", app.name),
                ),
                ("without credentials: refused", format!("curl -i -H 'Host: {host}' '{url}'")),
            ],
        })
    }
}

impl std::fmt::Display for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "\nTry, in another terminal:")?;
        self.lines.iter().try_for_each(|(what, line)| write!(f, "\n# {what}\n{line}\n"))
    }
}

/// This program, as the directory it was started in can call it.
fn own_name() -> String {
    let name = std::env::current_exe().ok();
    let here = std::env::current_dir().ok();
    match (&name, here) {
        (Some(name), Some(here)) => match name.strip_prefix(&here) {
            // A shell looks for a bare name elsewhere.
            Ok(inside) => format!("./{}", inside.display()),
            Err(_) => name.display().to_string(),
        },
        (Some(name), None) => name.display().to_string(),
        (None, _) => "lockgate".into(),
    }
}

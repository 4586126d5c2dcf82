//! `lockgate call`

pub(super) mod exchange;
mod target;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::pki_types::ServerName;

use super::Failure;
use super::curl_like::{RequestArguments, add_content_headers};
use super::sign::{credentials, sign_now};
use crate::catalog::{self, Api, Authentication, Catalog, Scheme};
use crate::gate::authenticate::sign::Unsigned;
use crate::gate::authenticate::signature::Method;
use crate::tls::certificate;
use crate::tls::client::{Client, Trust};
pub use target::Target;

/// Send one request through the running gateway, and show what came of it
#[derive(Args)]
pub struct Call {
    /// The API to call
    #[arg(value_name = "GROUP/API")]
    api: String,
    /// Call as this app
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Authenticate by the app's AppCode
    #[arg(long, requires = "app", conflicts_with = "signature", required_unless_present_any = ["signature", "anonymous"])]
    app_code: bool,
    /// Authenticate by a signature with the app's key
    #[arg(long, requires = "app")]
    signature: bool,
    /// Do not authenticate
    #[arg(long, conflicts_with_all = ["app", "app_code", "signature"])]
    anonymous: bool,
    /// RELEASE, PRE, TEST, or a stage of the group
    #[arg(long, default_value = "RELEASE")]
    stage: String,
    #[command(flatten)]
    request: RequestArguments,
    /// A parameter of the path, or `*` for the rest of it
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// The query, percent-encoded
    #[arg(short, long, value_name = "QUERY")]
    query: Option<String>,
    /// Where the gateway listens; otherwise its first listener
    #[arg(long, value_name = "ADDRESS:PORT")]
    gateway: Option<SocketAddr>,
    /// Over HTTPS; otherwise as the first listener does that speaks what the API takes
    #[arg(long)]
    https: bool,
    /// Authorities of which one must have signed the gateway's certificate, PEM; otherwise those that the system believes
    #[arg(long, value_name = "FILE")]
    authorities: Option<PathBuf>,
    /// How long to wait for each part of the answer
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 30_000)]
    timeout_ms: u64,
}

impl Call {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let catalog = catalog::load(config)?;
        let api = self.published(&catalog)?;
        let mut target = Target::of(&catalog, api, self.https, &self.parameters)?;
        if let Some(gateway) = self.gateway {
            target.gateway = gateway;
        }
        target.query = self.query.clone();
        let method = self.request.method_or(&target.method);
        let mut headers = self.request.headers()?;
        headers.push(("X-Ca-Stage".into(), self.stage.clone()));
        headers.push(("X-Ca-Request-Mode".into(), "debug".into()));
        let body = self.request.body();
        add_content_headers(&mut headers, !body.is_empty());
        if let Some(app) = &self.app {
            if self.signature {
                let (key, secret) = credentials(&catalog, app)?;
                let (path, query) = (&*target.path, target.query.as_deref());
                let unsigned = Unsigned { method: &method, path, query, headers: &headers, body };
                let signed = sign_now(&unsigned, &key, &secret, signature_method(api))?;
                headers.extend(signed);
            } else {
                let app = catalog.apps.iter().find(|known| *known.name == **app);
                let code = app.and_then(|app| app.app_codes.first()).ok_or_else(|| Failure::new("the app has no AppCode"))?;
                headers.push(("Authorization".into(), format!("APPCODE {}", code.expose())));
            }
        }
        headers.insert(0, ("Host".into(), target.host.clone()));
        let request = exchange::Request { method: &method, target: &target.request_target(), headers: &headers, body };
        let tls = if target.scheme == Scheme::Https { Some(tls(&target.host, self.authorities.as_deref())?) } else { None };
        let answer =
            exchange::send(target.gateway, tls.as_ref(), &request, Duration::from_millis(self.timeout_ms)).map_err(|error| {
                Failure::new(format!("{}: {error}\n  help: is the gateway running? `lockgate run`", target.gateway))
            })?;
        show(&request, &answer, out)?;
        match answer.status {
            200..400 => Ok(()),
            _ => Err(Failure::silent()),
        }
    }

    fn published<'c>(&self, catalog: &'c Catalog) -> Result<&'c Api, Failure> {
        let found = catalog.apis.iter().find(|api| {
            let name = [&catalog.groups[api.group.index()].name, "/", &api.name].concat();
            name == self.api && catalog.stages[api.stage.index()].eq_ignore_ascii_case(&self.stage)
        });
        found.map(|api| &**api).ok_or_else(|| {
            let Self { api, stage, .. } = self;
            Failure::new(format!(
                "{api} is not published to {stage}\n  help: lockgate publish {api} --stage {stage} --remarks \"...\""
            ))
        })
    }
}

/// How a gateway is spoken to that answers for this Host.
fn tls(host: &str, authorities: Option<&Path>) -> Result<Client, Failure> {
    let roots = match authorities {
        None => certificate::system_authorities().map(|(roots, _)| roots).map_err(|problem| {
            Failure::new(format!("the gateway's certificate cannot be verified: {problem}\n  help: --authorities FILE"))
        })?,
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
            certificate::authorities(&text).map_err(|problem| Failure::new(format!("{}: {problem}", file.display())))?
        }
    };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let name = ServerName::try_from(name.to_owned()).ok();
    // The digest tells settings apart, and there is only one here.
    let trust = Trust::Authorities(Arc::new(roots), [0; 32]);
    Client::new(&trust, name, None, false).map_err(|error| Failure::new(error.to_string()))
}

/// The stronger of the methods that the API allows.
fn signature_method(api: &Api) -> Method {
    match api.authentication {
        Authentication::App { methods, .. } if !methods.hmac_sha256 => Method::HmacSha1,
        _ => Method::HmacSha256,
    }
}

/// What a person wants to see: request, answer, and the gateway's own timing.
fn show(request: &exchange::Request<'_>, answer: &exchange::Answer, out: &mut dyn Write) -> Result<(), Failure> {
    let (dim, bold, plain) = if std::io::stdout().is_terminal() { ("\x1b[2m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    writeln!(out, "{dim}> {} {} HTTP/1.1{plain}", request.method, request.target)?;
    for (name, value) in request.headers {
        let value = if name == "Authorization" { "APPCODE [not shown]" } else { value };
        writeln!(out, "{dim}> {name}: {value}{plain}")?;
    }
    writeln!(out, "{bold}< {}{plain}", answer.status_line)?;
    for (name, value) in &answer.headers {
        writeln!(out, "< {name}: {value}")?;
    }
    writeln!(out)?;
    out.write_all(&answer.body)?;
    if !answer.body.is_empty() && !answer.body.ends_with(b"\n") {
        writeln!(out)?;
    }
    write!(out, "{dim}{:.1} ms in all", answer.took.as_secs_f64() * 1000.0)?;
    if let Some((_, timing)) = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("X-Ca-Debug-Info")) {
        write!(out, "; the gateway says, in ms: {timing}")?;
    }
    writeln!(out, "{plain}")?;
    Ok(())
}

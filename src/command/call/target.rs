//! How a published API is reached: which listener, Host and path. A domain that is bound to another stage leads elsewhere.

use std::net::SocketAddr;

use super::Failure;
use crate::catalog::{Api, Catalog, Domain, MethodSet, Scheme, Segment};
use crate::http::percent::encode_segment;
use crate::http::serialise::HeadWriter;

pub struct Target {
    pub gateway: SocketAddr,
    pub scheme: Scheme,
    pub host: String,
    pub method: String,
    /// Percent-encoded, base path included.
    pub path: String,
    pub query: Option<String>,
}

/// The longest path parameter, in bytes.
const PARAMETER_BYTES: usize = 8 * 1024;

impl Target {
    /// By the first listener that speaks what the API takes. `https`: over HTTPS and nothing else. `parameters`: `NAME=VALUE`;
    /// `*=VALUE` is the rest of the path.
    pub fn of(catalog: &Catalog, api: &Api, https: bool, parameters: &[String]) -> Result<Self, Failure> {
        let group = &catalog.groups[api.group.index()];
        let speaks = |scheme| match scheme {
            Scheme::Http => api.protocols.http && !https,
            Scheme::Https => api.protocols.https,
        };
        let listener = catalog.listeners.iter().find(|listener| speaks(listener.scheme));
        let listener = listener.ok_or_else(|| {
            let over = if https { "HTTPS" } else { "what the API takes" };
            Failure::new(format!("no listener of the instance speaks {over}\n  help: add `[[listener]]` to gateway.toml"))
        })?;
        let mut gateway = listener.address;
        if gateway.ip().is_unspecified() {
            gateway.set_ip(if gateway.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
        }
        let leads = |domain: &&Domain| group.bound.iter().all(|(bound, stage)| bound != *domain || *stage == api.stage);
        let host = group.domains.iter().find(leads).map(|domain| match domain {
            Domain::Exact(name) => name.clone(),
            Domain::Wildcard(suffix) => format!("call{suffix}"),
            Domain::Address(address) => SocketAddr::new(*address, gateway.port()).to_string(),
            Domain::Any => gateway.to_string(),
        });
        let method = match &api.methods {
            MethodSet::Any => "GET".to_owned(),
            MethodSet::These(methods) => methods.first().cloned().unwrap_or_default(),
        };
        let mut path = group.base_path.clone();
        for segment in &api.path.segments {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(&encoded(text)?),
                Segment::Parameter(name) => path.push_str(&encoded(value_of(name, parameters)?)?),
                Segment::Rest => path.push_str(value_of("*", parameters).unwrap_or_default()),
            }
        }
        if path.is_empty() {
            path.push('/');
        }
        let scheme = listener.scheme;
        Ok(Self { gateway, scheme, host: host.unwrap_or_else(|| group.default_domain.clone()), method, path, query: None })
    }

    pub fn request_target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    pub fn url(&self) -> String {
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        format!("{scheme}://{}{}", self.gateway, self.request_target())
    }
}

fn value_of<'p>(name: &str, parameters: &'p [String]) -> Result<&'p str, Failure> {
    let given = parameters.iter().filter_map(|parameter| parameter.split_once('=')).find(|(known, _)| *known == name);
    given
        .map(|(_, value)| value)
        .ok_or_else(|| Failure::new(format!("the path has a parameter `{name}`: --parameter {name}=VALUE")))
}

fn encoded(text: &str) -> Result<String, Failure> {
    let mut buffer = [0; PARAMETER_BYTES];
    let mut writer = HeadWriter::new(&mut buffer);
    encode_segment(text.as_bytes(), &mut writer);
    let len = writer.finish().ok_or_else(|| Failure::new("a parameter of the path is too long"))?;
    Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
}

//! API groups.

use std::fmt;
use std::net::IpAddr;

use super::{SiteId, StageId};

pub struct Group {
    pub name: String,
    /// Starts with `/`; does not end with it, so that the base path `/` is empty here.
    pub base_path: String,
    pub domains: Vec<Domain>,
    /// The group's debugging domain, lower case.
    pub default_domain: String,
    /// Calls a day that the default domain answers (product: 1,000).
    pub default_domain_calls_per_day: u64,
    /// Keep the caller's AppCode and `Authorization` in the backend request.
    pub forward_app_code: bool,
    /// Domains that are served over HTTPS, or sent there; the default domain, where a certificate is bound to it, too.
    pub https: Vec<(Domain, DomainHttps)>,
    /// Stages of its own, beside those of every group.
    pub stages: Vec<StageId>,
    /// Domains whose calls go to one stage, whatever they say.
    pub bound: Vec<(Domain, StageId)>,
}

/// What HTTPS is to a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DomainHttps {
    /// How it is served; `None`: not over HTTPS.
    pub site: Option<SiteId>,
    /// Calls over HTTP are sent to HTTPS.
    pub redirect: bool,
}

/// A name that calls arrive under. Names are lower case, without port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// `*`: any Host that no other domain matches.
    Any,
    Exact(String),
    /// `*.example.net`, kept as `.example.net`.
    Wildcard(String),
    Address(IpAddr),
}

/// As it is written.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

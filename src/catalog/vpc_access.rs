//! VPC access authorizations: the private addresses an API may be passed to.

use std::net::SocketAddr;
use std::time::Duration;

use crate::tls::client::Client;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VpcAccess {
    pub name: String,
    pub vpc_id: String,
    /// The Host that the backend sees; without it, address and port of the instance.
    pub host: Option<String>,
    /// `None`: it is spoken to by HTTP.
    pub tls: Option<Client>,
    /// It is spoken to by HTTP/2, as its protocol says.
    pub http2: bool,
    /// At least one.
    pub instances: Vec<BackendInstance>,
    pub balance: Balance,
    /// `None`: only calls show how an instance is.
    pub health: Option<HealthCheck>,
}

/// How calls are shared among instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// How long an instance that came back takes to get its whole share; zero: it has it at once.
    pub slow_start: Duration,
    pub when_all_down: WhenAllDown,
}

impl Default for Balance {
    fn default() -> Self {
        Self { slow_start: Duration::from_secs(10), when_all_down: WhenAllDown::TryAll }
    }
}

/// What becomes of a call when every instance stands aside or is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAllDown {
    /// It goes to one of them all the same.
    TryAll,
    FailFast,
}

/// A request made to each instance every now and then, to see whether it is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// `GET` or `HEAD`.
    pub method: &'static str,
    pub path: String,
    /// Host of the request; without it, that of the VPC access.
    pub host: Option<String>,
    /// From the end of one check to the start of the next.
    pub interval: Duration,
    /// For a whole check. At most the interval.
    pub timeout: Duration,
    /// Good answers in a row after which an instance that is down is up. At least 1.
    pub healthy_threshold: u32,
    /// Checks without one in a row after which an instance is down. At least 1.
    pub unhealthy_threshold: u32,
    pub expected_status: ExpectedStatus,
}

/// Which answers are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedStatus {
    /// All of a hundred: 2 for 200 to 299.
    Class(u16),
    These(Vec<u16>),
}

impl ExpectedStatus {
    pub fn has(&self, status: u16) -> bool {
        match self {
            Self::Class(class) => status / 100 == *class,
            Self::These(list) => list.contains(&status),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendInstance {
    pub id: String,
    pub address: SocketAddr,
    /// At least 1.
    pub weight: u32,
}

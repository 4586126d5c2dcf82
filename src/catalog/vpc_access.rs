//! VPC access authorizations: the private addresses an API may be passed to.

use std::net::SocketAddr;

use super::Scheme;

pub struct VpcAccess {
    pub name: String,
    pub vpc_id: String,
    /// The Host that the backend sees; without it, address and port of the instance.
    pub host: Option<String>,
    pub scheme: Scheme,
    /// At least one.
    pub instances: Vec<BackendInstance>,
}

pub struct BackendInstance {
    pub id: String,
    pub address: SocketAddr,
    /// At least 1.
    pub weight: u32,
}

//! VPC access documents -> VPC accesses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Checked;
use super::domains::domain_name;
use super::files::Files;
use super::health;
use super::tls::{self, SystemTrust};
use crate::catalog::{BackendInstance, Balance, VpcAccess, WhenAllDown};
use crate::document::gateway::SchemeWord;
use crate::document::vpc_access::{InstanceTable, ProtocolWord, SLOW_START_MS, VpcAccess as Document, WEIGHT, WhenAllDownWord};
use crate::document::{At, Diagnostic, Layout};

const DEFAULT_WEIGHT: u32 = 100;

/// `None` stands for errors in the report.
pub fn vpc_access(
    document: &Document,
    by_path: &str,
    layout: &Layout,
    system: &SystemTrust,
    checked: &mut Checked<'_>,
) -> Option<VpcAccess> {
    let name = checked.name("a VPC access", &document.name, by_path);
    let vpc_id = checked.text("vpc_id", &document.vpc_id);
    let port = document.port.as_ref().map(|port| checked.port(port));
    let host = document.host.as_ref().map(|host| backend_host(host, checked));
    if let Some(network) = document.network.as_ref().filter(|network| network.value != "vpc") {
        let diagnostic = checked.at(network, format!("network = \"{}\" is not allowed", network.value)).label("allowed: `vpc`");
        checked.push(diagnostic.note(
            "a load balancer (ALB) must be of the intranet type: one of the internet type is not reached over the private network, \
             and would take calls that never passed the gateway",
        ));
    }
    let http2 = http2(document, checked);
    let tls = tls::client(document, &Files { layout, directory: &layout.vpc_accesses() }, system, checked);
    if document.instance.is_empty() {
        checked.push(
            checked.at(&document.instance, "a VPC access has at least one instance").help("add `[[instance]]` with `address`"),
        );
    }
    let mut instances: Vec<BackendInstance> = Vec::new();
    for table in &document.instance.value {
        if let Some(instance) = instance(table, port, checked) {
            if instances.iter().any(|other| other.address == instance.address) {
                checked.push(checked.at(&table.address, format!("two instances have the address {}", instance.address)));
            } else if let Some(id) = table.id.as_ref().filter(|id| instances.iter().any(|other| other.id == id.value)) {
                checked.push(checked.at(id, "two instances have this id"));
            }
            instances.push(instance);
        }
    }
    let balance = balance(document, checked);
    let health = document.health.as_ref().map(|table| health::health_check(table, checked));
    Some(VpcAccess {
        name: name?,
        vpc_id: vpc_id?,
        host: host.flatten(),
        tls: tls.ok()?,
        http2: http2?,
        instances,
        balance,
        health: health.flatten(),
    })
}

/// `protocol` is one of the scheme.
fn http2(document: &Document, checked: &mut Checked<'_>) -> Option<bool> {
    let https = document.scheme.as_ref().is_some_and(|scheme| scheme.value == SchemeWord::Https);
    let Some(protocol) = &document.protocol else { return Some(false) };
    let (problem, help) = match (protocol.value, https) {
        (ProtocolWord::Http1, _) => return Some(false),
        (ProtocolWord::H2, true) | (ProtocolWord::H2c, false) => return Some(true),
        (ProtocolWord::H2, false) => {
            ("`h2` is HTTP/2 over TLS, and this VPC access is spoken to by http", "add `scheme = \"https\"`, or write `h2c`")
        }
        (ProtocolWord::H2c, true) => ("`h2c` is HTTP/2 in clear text, and this VPC access is spoken to by https", "write `h2`"),
    };
    checked.push(checked.at(protocol, problem).help(help));
    None
}

fn balance(document: &Document, checked: &mut Checked<'_>) -> Balance {
    let mut balance = Balance::default();
    if let Some(ms) = document.slow_start_ms.as_ref().and_then(|ms| checked.number("slow_start_ms", ms, SLOW_START_MS)) {
        balance.slow_start = Duration::from_millis(ms);
    }
    if let Some(word) = &document.when_all_down {
        balance.when_all_down = match word.value {
            WhenAllDownWord::TryAll => WhenAllDown::TryAll,
            WhenAllDownWord::FailFast => WhenAllDown::FailFast,
        };
    }
    balance
}

/// `port`: that of the VPC access; `Some(None)` when it has an error of its own.
fn instance(table: &InstanceTable, port: Option<Option<u16>>, checked: &mut Checked<'_>) -> Option<BackendInstance> {
    let address = match table.address.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() || address.is_multicast() => {
            checked.push(checked.at(&table.address, format!("`{address}` is not the address of one instance")));
            None
        }
        Ok(address) => Some(address),
        Err(_) => {
            checked.push(not_an_address(checked, &table.address));
            None
        }
    };
    let port = match (&table.port, port) {
        (Some(port), _) => checked.port(port),
        (None, Some(port)) => port,
        (None, None) => {
            let diagnostic = checked.at(&table.address, "this instance has no port");
            checked.push(diagnostic.help("add `port` to the instance, or to the VPC access for all of its instances"));
            None
        }
    };
    let weight = match &table.weight {
        Some(weight) => checked.number("weight", weight, WEIGHT).map(|weight| weight as u32),
        None => Some(DEFAULT_WEIGHT),
    };
    let address = SocketAddr::new(address?, port?);
    let id = match &table.id {
        Some(id) => checked.text("id", id)?,
        None => address.to_string(),
    };
    Some(BackendInstance { id, address, weight: weight? })
}

fn not_an_address(checked: &Checked<'_>, value: &At<String>) -> Diagnostic {
    let diagnostic = checked.at(value, format!("`{}` is not an IP address", value.value));
    match value.parse::<SocketAddr>() {
        Ok(both) => diagnostic.help(format!("write `address = \"{}\"` and `port = {}`", both.ip(), both.port())),
        Err(_) => diagnostic.note("allowed: an IPv4 or IPv6 address, such as `10.0.0.5`; names are not resolved"),
    }
}

/// Name and port of a Host.
pub(super) fn parts_of_host(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// A Host: a name or an address, with or without a port.
pub(super) fn backend_host(host: &At<String>, checked: &mut Checked<'_>) -> Option<String> {
    let (name, port) = parts_of_host(host);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let named = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.parse::<std::net::Ipv4Addr>().is_ok() || domain_name(name).is_ok(),
    };
    let ported = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if named && ported {
        return Some(host.value.clone());
    }
    let diagnostic = checked.at(host, format!("`{}` is not a Host", host.value));
    checked.push(diagnostic.note("allowed: a name or an address, with or without `:PORT`"));
    None
}

//! `gateway.toml` -> instance, listeners, security, quota, limits, access log.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;

use super::Checked;
use super::cluster::{cluster, engine_loss, nonce_loss};
use super::domains::domain_name;
use super::files::Files;
use crate::catalog::cluster::NonceLoss;
use crate::catalog::{
    AccessLog, Cluster, CounterFull, Driver, EngineLoss, Instance, Limits, Listener, LogFormat, NonceFull, Quota, Retention,
    Scheme, Security, Tolerance,
};
use crate::document::At;
use crate::document::gateway::{
    AccessLogTable, COUNTER_CAPACITY, CounterFullWord, DriverWord, Gateway, InstanceTable, KEPT, ListenerTable, LogFormatWord,
    NONCE_CAPACITY, NonceFullWord, PublishTable, QuotaTable, SIGNATURE_WINDOW_S, SchemeWord, SecurityTable, ToleranceWord,
    WORKERS,
};
use crate::document::limits::{Limit, LimitsTable};
use crate::http::field::is_token_byte;

pub const DEFAULT_DOMAIN_SUFFIX: &str = "localhost";
/// Where state is kept, when nothing else is said.
pub const STATE_DIRECTORY: &str = "state";
const DEFAULT_SIGNATURE_WINDOW_S: u64 = 900;
const DEFAULT_NONCE_CAPACITY: usize = 2_000_000;
const DEFAULT_COUNTER_CAPACITY: usize = 200_000;
const DEFAULT_VERSIONS_KEPT: usize = 20;
const DEFAULT_GENERATIONS_KEPT: usize = 10;

/// `gateway.toml`, checked.
pub struct Settings {
    pub instance: Instance,
    pub listeners: Vec<Listener>,
    pub security: Security,
    pub quota: Quota,
    pub cluster: Option<Arc<Cluster>>,
    pub limits: Limits,
    pub access_log: AccessLog,
    pub retention: Retention,
    pub log_format: LogFormat,
    pub admin: Option<SocketAddr>,
}

/// `None` stands for errors in the report. Relative paths are relative to `directory`, that of the file.
pub fn settings(document: &Gateway, files: &Files<'_>, checked: &mut Checked<'_>) -> Option<Settings> {
    let directory = files.directory;
    let instance = instance(&document.instance, directory, checked);
    let listeners = listeners(&document.listener, checked);
    let mut security = security(&document.security, checked);
    let mut quota = quota(&document.quota, checked);
    let cluster = match document.cluster.as_ref().map(|table| &table.value) {
        Some(table) => {
            quota.on_engine_loss = table.on_engine_loss.as_ref().map_or(quota.on_engine_loss, |word| engine_loss(word.value));
            let nonces = table.nonces_on_engine_loss.as_ref().map(|word| nonce_loss(word.value));
            security.nonces_on_engine_loss = nonces.unwrap_or_default();
            cluster(table, files, checked).map(|cluster| Some(Arc::new(cluster)))
        }
        None => Some(None),
    };
    let limits = limits(&document.limits, checked);
    let access_log = access_log(&document.access_log, directory, checked);
    let admin = document.admin.as_ref().and_then(|table| admin(&table.address, &listeners, checked));
    let log_format = match document.log.format.as_ref().map(|format| format.value) {
        None | Some(LogFormatWord::Text) => LogFormat::Text,
        Some(LogFormatWord::Json) => LogFormat::Json,
    };
    let retention = retention(&document.publish, checked);
    let (instance, access_log) = (instance?, access_log?);
    let cluster = cluster?;
    Some(Settings { instance, listeners, security, quota, cluster, limits, access_log, log_format, admin, retention })
}

fn retention(table: &PublishTable, checked: &mut Checked<'_>) -> Retention {
    let mut number = |key: &str, value: &Option<At<i64>>, default: usize| {
        value.as_ref().and_then(|value| checked.number(key, value, KEPT)).map_or(default, |number| number as usize)
    };
    Retention {
        versions: number("versions_kept", &table.versions_kept, DEFAULT_VERSIONS_KEPT),
        generations: number("generations_kept", &table.generations_kept, DEFAULT_GENERATIONS_KEPT),
    }
}

fn instance(table: &InstanceTable, directory: &Path, checked: &mut Checked<'_>) -> Option<Instance> {
    let name = checked.text("name", &table.name);
    let workers = table.workers.as_ref().and_then(|workers| checked.number("workers", workers, WORKERS));
    let mut egress_addresses = Vec::new();
    for address in table.egress_addresses.iter().flatten() {
        match address.parse::<IpAddr>() {
            Ok(parsed) if egress_addresses.contains(&parsed) => checked.push(checked.at(address, "this address is listed twice")),
            Ok(parsed) => egress_addresses.push(parsed),
            Err(_) => checked.push(not_an_address(checked, address)),
        }
    }
    let state = match &table.state_directory {
        Some(path) => checked.text("state_directory", path).map(|path| directory.join(path)),
        None => Some(directory.join(STATE_DIRECTORY)),
    };
    let suffix = match &table.default_domain_suffix {
        Some(suffix) => default_domain_suffix(suffix, checked),
        None => Some(DEFAULT_DOMAIN_SUFFIX.to_owned()),
    };
    let driver = match table.driver.as_ref().map(|driver| driver.value) {
        None | Some(DriverWord::Auto) => Driver::Auto,
        Some(DriverWord::IoUring) => Driver::IoUring,
        Some(DriverWord::Epoll) => Driver::Epoll,
    };
    let name = name?;
    Some(Instance {
        via: table.via.unwrap_or(true).then(|| pseudonym(&name)),
        name,
        workers: workers.and_then(|workers| NonZeroUsize::new(workers as usize)),
        egress_addresses,
        state_directory: state?,
        default_domain_suffix: suffix?,
        driver,
    })
}

/// A name as `received-by` of `Via` may have it: a token (RFC 9110, section 7.6.3).
fn pseudonym(name: &str) -> String {
    name.bytes().map(|byte| if is_token_byte(byte) { char::from(byte) } else { '-' }).collect()
}

fn not_an_address(checked: &Checked<'_>, value: &At<String>) -> crate::document::Diagnostic {
    checked
        .at(value, format!("`{}` is not an IP address", value.value))
        .note("allowed: an IPv4 or IPv6 address, such as `10.0.0.5`")
}

fn default_domain_suffix(suffix: &At<String>, checked: &mut Checked<'_>) -> Option<String> {
    match domain_name(suffix) {
        Ok(suffix) => Some(suffix),
        Err(problem) => {
            checked.push(checked.at(suffix, format!("`{}` is not a domain", suffix.value)).note(problem));
            None
        }
    }
}

fn listeners(tables: &At<Vec<ListenerTable>>, checked: &mut Checked<'_>) -> Vec<Listener> {
    if tables.is_empty() {
        checked.push(checked.at(tables, "there is no listener").help("add `[[listener]]` with `address = \"127.0.0.1:8080\"`"));
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for table in &tables.value {
        let scheme = match table.protocol.as_ref().map(|protocol| protocol.value) {
            None | Some(SchemeWord::Http) => Scheme::Http,
            Some(SchemeWord::Https) => Scheme::Https,
        };
        match table.address.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => {
                checked.push(checked.at(&table.address, "a listener has a port of its own").note("allowed: ports 1 to 65535"));
            }
            Ok(address) if listeners.iter().any(|other| other.address == address) => {
                checked.push(checked.at(&table.address, "two listeners have this address"));
            }
            Ok(address) => {
                let http2 = table.http2.unwrap_or(scheme == Scheme::Https);
                listeners.push(Listener { address, scheme, http2 });
            }
            Err(_) => {
                let diagnostic = checked.at(&table.address, format!("`{}` is not an address with a port", table.address.value));
                checked.push(
                    diagnostic.note("allowed: `ADDRESS:PORT` or `[ADDRESS]:PORT`, such as `127.0.0.1:8080`, port 1 to 65535"),
                );
            }
        }
    }
    listeners
}

/// A port alone is one of 127.0.0.1: what the listener says is for the operator.
fn admin(address: &At<String>, listeners: &[Listener], checked: &mut Checked<'_>) -> Option<SocketAddr> {
    let parsed = match address.parse::<u16>() {
        Ok(port) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => address.parse::<SocketAddr>().ok(),
    };
    match parsed.filter(|parsed| parsed.port() > 0) {
        None => {
            let diagnostic = checked.at(address, format!("`{}` is not where the operator's listener can be", address.value));
            checked.push(diagnostic.note("allowed: `PORT` (of 127.0.0.1), `ADDRESS:PORT` or `[ADDRESS]:PORT`, port 1 to 65535"));
            None
        }
        Some(parsed) if listeners.iter().any(|listener| overlap(listener.address, parsed)) => {
            checked.push(checked.at(address, "a `[[listener]]` has this address"));
            None
        }
        parsed => parsed,
    }
}

/// Both addresses cannot be listened on.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_family = one.is_ipv4() == other.is_ipv4();
    one.port() == other.port()
        && (one.ip() == other.ip() || same_family && (one.ip().is_unspecified() || other.ip().is_unspecified()))
}

fn security(table: &SecurityTable, checked: &mut Checked<'_>) -> Security {
    let mut number = |key, value: &Option<At<i64>>, range| value.as_ref().and_then(|value| checked.number(key, value, range));
    let window_s = number("signature_window_s", &table.signature_window_s, SIGNATURE_WINDOW_S);
    let capacity = number("nonce_capacity", &table.nonce_capacity, NONCE_CAPACITY);
    let tolerances = match &table.tolerate {
        None => vec![Tolerance::RawPath, Tolerance::EmptyValueEquals, Tolerance::QueryFirst, Tolerance::ByteOrder],
        Some(words) => tolerances(words, checked),
    };
    let mut trusted_proxies = Vec::new();
    for network in table.trusted_proxies.iter().flatten() {
        match network.parse::<IpNet>().or_else(|_| network.parse::<IpAddr>().map(IpNet::from)) {
            Ok(parsed) => trusted_proxies.push(parsed.trunc()),
            Err(_) => {
                let diagnostic = checked.at(network, format!("`{}` is neither an address nor a network", network.value));
                checked.push(diagnostic.note("allowed: an IP address, or a network such as `10.0.0.0/8`"));
            }
        }
    }
    Security {
        signature_window_ms: window_s.unwrap_or(DEFAULT_SIGNATURE_WINDOW_S) * 1000,
        nonce_capacity: capacity.map_or(DEFAULT_NONCE_CAPACITY, |capacity| capacity as usize),
        nonce_full: match table.nonce_full.as_ref().map(|word| word.value) {
            None | Some(NonceFullWord::Refuse) => NonceFull::Refuse,
            Some(NonceFullWord::Accept) => NonceFull::Accept,
        },
        nonces_on_engine_loss: NonceLoss::default(),
        tolerances,
        trusted_proxies,
    }
}

fn quota(table: &QuotaTable, checked: &mut Checked<'_>) -> Quota {
    let capacity = table.counter_capacity.as_ref();
    let capacity = capacity.and_then(|value| checked.number("counter_capacity", value, COUNTER_CAPACITY));
    Quota {
        counter_capacity: capacity.map_or(DEFAULT_COUNTER_CAPACITY, |capacity| capacity as usize),
        counter_full: match table.counter_full.as_ref().map(|word| word.value) {
            None | Some(CounterFullWord::Refuse) => CounterFull::Refuse,
            Some(CounterFullWord::Accept) => CounterFull::Accept,
        },
        on_engine_loss: EngineLoss::default(),
    }
}

fn tolerances(words: &[At<ToleranceWord>], checked: &mut Checked<'_>) -> Vec<Tolerance> {
    let mut tolerances = Vec::new();
    for word in words {
        let tolerance = match word.value {
            ToleranceWord::RawPath => Tolerance::RawPath,
            ToleranceWord::EmptyValueEquals => Tolerance::EmptyValueEquals,
            ToleranceWord::QueryFirst => Tolerance::QueryFirst,
            ToleranceWord::ByteOrder => Tolerance::ByteOrder,
            ToleranceWord::CommaJoined => Tolerance::CommaJoined,
        };
        if tolerances.contains(&tolerance) {
            checked.push(checked.at(word, "this tolerance is listed twice"));
        } else {
            tolerances.push(tolerance);
        }
    }
    tolerances
}

fn limits(table: &LimitsTable, checked: &mut Checked<'_>) -> Limits {
    let mut limits = Limits::default();
    for &limit in Limit::ALL {
        let Some(written) = table.of(limit) else { continue };
        if let Some(value) = checked.number(limit.key(), written, limit.range()) {
            limits.set(limit, value);
        }
    }
    if let Some(written) = table.start_line_bytes.as_ref().or(table.head_bytes.as_ref())
        && limits.head.start_line_bytes > limits.head.head_bytes
    {
        let text = format!("start_line_bytes is {}, head_bytes is {}", limits.head.start_line_bytes, limits.head.head_bytes);
        checked.push(checked.at(written, "a start line cannot be longer than its head").note(text));
    }
    match &table.stand_aside_max_ms {
        // The longest time follows a first one that is longer.
        None => limits.stand_aside_max = limits.stand_aside_max.max(limits.stand_aside),
        Some(written) if limits.stand_aside > limits.stand_aside_max => {
            let (first, most) = (limits.stand_aside.as_millis(), limits.stand_aside_max.as_millis());
            let text = format!("stand_aside_ms is {first}, stand_aside_max_ms is {most}");
            checked.push(checked.at(written, "an instance cannot stand aside for longer than the longest time").note(text));
        }
        Some(_) => {}
    }
    limits
}

fn access_log(table: &AccessLogTable, directory: &Path, checked: &mut Checked<'_>) -> Option<AccessLog> {
    let Some(path) = &table.path else { return Some(AccessLog::Stdout) };
    match checked.text("path", path)?.as_str() {
        "off" => Some(AccessLog::Off),
        "stdout" => Some(AccessLog::Stdout),
        path => Some(AccessLog::File(directory.join(PathBuf::from(path)))),
    }
}

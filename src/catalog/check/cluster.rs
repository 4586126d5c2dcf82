//! `[cluster]` -> the engine, and how it is spoken to.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Checked;
use super::files::Files;
use crate::catalog::cluster::{ClusterKey, EngineTls, Form, NonceLoss};
use crate::catalog::{Cluster, EngineLoss, Secret};
use crate::document::At;
use crate::document::cluster::{
    CONNECT_TIMEOUT_MS, ClusterTable, ClusterTlsTable, EngineLossWord, FormWord, NODES, NonceLossWord, WAIT_MS,
};

const DEFAULT_KEY_PREFIX: &str = "lockgate";
const DEFAULT_WAIT_MS: u64 = 500;
const DEFAULT_CONNECT_TIMEOUT_MS: u64 = 1000;
/// Too short a secret could be guessed, in characters.
const SHORTEST_SECRET: usize = 16;
const LONGEST_PREFIX: usize = 64;

/// `None` stands for errors in the report.
pub fn cluster(table: &ClusterTable, files: &Files<'_>, checked: &mut Checked<'_>) -> Option<Cluster> {
    let addresses = addresses(&table.addresses, checked);
    let form = form(table, checked);
    let key = key(&table.secret_file, files, checked);
    let password = match &table.password_file {
        Some(path) => secret(path, "password_file", files, checked).map(|text| Some(Secret::new(text))),
        None => Some(None),
    };
    let username = match &table.username {
        Some(name) => checked.text("username", name).map(Some),
        None => Some(None),
    };
    let key_prefix = key_prefix(table.key_prefix.as_ref(), checked);
    let tls = match &table.tls {
        Some(table) => tls(table, files, checked).map(Some),
        None => Some(None),
    };
    let mut number = |key, value: &Option<At<i64>>, range| match value {
        Some(value) => checked.number(key, value, range).map(Some),
        None => Some(None),
    };
    let wait_ms = number("wait_ms", &table.wait_ms, WAIT_MS);
    let connect_ms = number("connect_timeout_ms", &table.connect_timeout_ms, CONNECT_TIMEOUT_MS);
    let nodes = number("nodes", &table.nodes, NODES);
    Some(Cluster {
        addresses: addresses?,
        form: form?,
        tls: tls?,
        username: username?,
        password: password?,
        key: key?,
        key_prefix: key_prefix?,
        wait: Duration::from_millis(wait_ms?.unwrap_or(DEFAULT_WAIT_MS)),
        connect_timeout: Duration::from_millis(connect_ms?.unwrap_or(DEFAULT_CONNECT_TIMEOUT_MS)),
        nodes: nodes?,
    })
}

pub fn engine_loss(word: EngineLossWord) -> EngineLoss {
    match word {
        EngineLossWord::Refuse => EngineLoss::Refuse,
        EngineLossWord::LocalShare => EngineLoss::LocalShare,
        EngineLossWord::Allow => EngineLoss::Allow,
    }
}

pub fn nonce_loss(word: NonceLossWord) -> NonceLoss {
    match word {
        NonceLossWord::Refuse => NonceLoss::Refuse,
        NonceLossWord::Allow => NonceLoss::Allow,
    }
}

fn addresses(list: &At<Vec<At<String>>>, checked: &mut Checked<'_>) -> Option<Vec<(String, u16)>> {
    if list.is_empty() {
        checked.push(checked.at(list, "the engine has no address").help("write `addresses = [\"127.0.0.1:6379\"]`"));
        return None;
    }
    let mut addresses = Vec::new();
    for address in &list.value {
        match parsed(address) {
            Some(parsed) if addresses.contains(&parsed) => checked.push(checked.at(address, "this address is listed twice")),
            Some(parsed) => addresses.push(parsed),
            None => {
                let diagnostic = checked.at(address, format!("`{}` is not an address of an engine", address.value));
                checked.push(diagnostic.note(
                    "allowed: `HOST:PORT` or `[ADDRESS]:PORT`, such as `10.0.0.5:6379`; a user, a password and TLS have keys of their own",
                ));
            }
        }
    }
    (addresses.len() == list.len()).then_some(addresses)
}

fn parsed(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_name = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    let good = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && is_name(host),
    };
    let port = port.parse::<u16>().ok().filter(|&port| port > 0 && good)?;
    Some((bare.unwrap_or(host).to_owned(), port))
}

fn form(table: &ClusterTable, checked: &mut Checked<'_>) -> Option<Form> {
    match (table.form.as_ref().map(|form| form.value), &table.sentinel_master) {
        (Some(FormWord::Sentinel), Some(name)) => checked.text("sentinel_master", name).map(Form::Sentinel),
        (Some(FormWord::Sentinel), None) => {
            let diagnostic = checked.at(&table.addresses, "Sentinels are asked for an engine by its name");
            checked.push(diagnostic.help("add `sentinel_master`"));
            None
        }
        (_, Some(name)) => {
            let diagnostic = checked.at(name, "only Sentinels are asked for an engine by its name");
            checked.push(diagnostic.help("add `form = \"sentinel\"`, or take `sentinel_master` out"));
            None
        }
        (Some(FormWord::Cluster), None) => Some(Form::Cluster),
        (None | Some(FormWord::Single), None) if table.addresses.len() > 1 => {
            let diagnostic = checked.at(&table.addresses, "one engine has one address");
            checked.push(diagnostic.help("say what they are: `form = \"sentinel\"` or `form = \"cluster\"`"));
            None
        }
        (None | Some(FormWord::Single), None) => Some(Form::Single),
    }
}

fn key(path: &At<String>, files: &Files<'_>, checked: &mut Checked<'_>) -> Option<ClusterKey> {
    let text = secret(path, "secret_file", files, checked)?;
    if text.len() < SHORTEST_SECRET {
        let diagnostic = checked.at(path, format!("this secret is shorter than {SHORTEST_SECRET} characters"));
        checked.push(diagnostic.help("`openssl rand -hex 32` makes a good one; all gateways of the cluster have the same"));
        return None;
    }
    let digest: [u8; 32] = Sha256::digest([b"lockgate cluster\n", text.as_bytes()].concat()).into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    Some(ClusterKey(key))
}

/// Of a file, without the ends of its lines.
fn secret(path: &At<String>, key: &str, files: &Files<'_>, checked: &mut Checked<'_>) -> Option<String> {
    let text = files.text(path, key, checked)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        checked.push(checked.at(path, "this file is empty"));
        return None;
    }
    Some(text.to_owned())
}

fn key_prefix(prefix: Option<&At<String>>, checked: &mut Checked<'_>) -> Option<String> {
    let Some(prefix) = prefix else { return Some(DEFAULT_KEY_PREFIX.to_owned()) };
    // Braces would say which slot of a Redis Cluster a key is in.
    let good = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}');
    if prefix.is_empty() || prefix.len() > LONGEST_PREFIX || !prefix.bytes().all(good) {
        let diagnostic = checked.at(prefix, "keys in the engine cannot begin so");
        checked.push(diagnostic.note(format!("allowed: 1 to {LONGEST_PREFIX} visible ASCII characters without braces")));
        return None;
    }
    Some(prefix.value.clone())
}

fn tls(table: &ClusterTlsTable, files: &Files<'_>, checked: &mut Checked<'_>) -> Option<EngineTls> {
    let authorities = match &table.authorities {
        Some(path) => {
            files.authorities(path, checked)?;
            Some(files.text(path, "authorities", checked)?)
        }
        None => None,
    };
    let identity = match (&table.certificate, &table.key) {
        (None, None) => None,
        (Some(chain), Some(key)) => {
            files.certificate([chain, key], ["certificate", "key"], checked)?;
            let (chain, key) = (files.text(chain, "certificate", checked)?, files.text(key, "key", checked)?);
            Some((chain, Secret::new(key)))
        }
        (Some(alone), None) | (None, Some(alone)) => {
            let diagnostic = checked.at(alone, "a certificate and its key go together");
            checked.push(diagnostic.help("write both, `certificate` and `key`"));
            return None;
        }
    };
    Some(EngineTls { authorities, identity })
}

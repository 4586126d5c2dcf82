//! `[health]` of a VPC access -> its active check.

use std::time::Duration;

use super::Checked;
use super::vpc_access::backend_host;
use crate::catalog::{ExpectedStatus, HealthCheck};
use crate::document::At;
use crate::document::vpc_access::{HealthMethodWord, HealthTable, INTERVAL_MS, STATUS, Statuses, THRESHOLD, TIMEOUT_MS};

const DEFAULT_INTERVAL_MS: u64 = 5000;
const DEFAULT_TIMEOUT_MS: u64 = 2000;
const DEFAULT_HEALTHY_THRESHOLD: u32 = 2;
const DEFAULT_UNHEALTHY_THRESHOLD: u32 = 3;
/// Longest path of a check, in bytes.
const PATH_BYTES: usize = 1024;

/// `None` stands for errors in the report.
pub fn health_check(table: &HealthTable, checked: &mut Checked<'_>) -> Option<HealthCheck> {
    let path = path(&table.path, checked);
    let host = table.host.as_ref().map(|host| backend_host(host, checked));
    let mut number = |key, value: &Option<At<i64>>, range| value.as_ref().and_then(|value| checked.number(key, value, range));
    let interval_ms = number("interval_ms", &table.interval_ms, INTERVAL_MS).unwrap_or(DEFAULT_INTERVAL_MS);
    let timeout_ms = number("timeout_ms", &table.timeout_ms, TIMEOUT_MS).unwrap_or(DEFAULT_TIMEOUT_MS.min(interval_ms));
    let healthy = number("healthy_threshold", &table.healthy_threshold, THRESHOLD);
    let unhealthy = number("unhealthy_threshold", &table.unhealthy_threshold, THRESHOLD);
    if let Some(written) = table.timeout_ms.as_ref().filter(|_| timeout_ms > interval_ms) {
        let text = format!("timeout_ms is {timeout_ms}, interval_ms is {interval_ms}");
        checked.push(checked.at(written, "a check cannot take longer than its interval").note(text));
    }
    let expected_status = match &table.expected_status {
        Some(statuses) => expected_status(statuses, checked),
        None => Some(ExpectedStatus::Class(2)),
    };
    Some(HealthCheck {
        method: match table.method.as_ref().map(|word| word.value) {
            None | Some(HealthMethodWord::Get) => "GET",
            Some(HealthMethodWord::Head) => "HEAD",
        },
        path: path?,
        host: host.flatten(),
        interval: Duration::from_millis(interval_ms),
        timeout: Duration::from_millis(timeout_ms),
        healthy_threshold: healthy.map_or(DEFAULT_HEALTHY_THRESHOLD, |n| n as u32),
        unhealthy_threshold: unhealthy.map_or(DEFAULT_UNHEALTHY_THRESHOLD, |n| n as u32),
        expected_status: expected_status?,
    })
}

/// Origin form (RFC 9112, section 3.2.1): it is sent as it stands.
fn path(path: &At<String>, checked: &mut Checked<'_>) -> Option<String> {
    let visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if path.starts_with('/') && visible && path.len() <= PATH_BYTES {
        return Some(path.value.clone());
    }
    let diagnostic = checked.at(path, format!("`{}` is not the path of a check", path.value));
    checked.push(diagnostic.note("allowed: `/` and what follows it in a URL, percent-encoded, at most 1024 bytes"));
    None
}

fn expected_status(statuses: &At<Statuses>, checked: &mut Checked<'_>) -> Option<ExpectedStatus> {
    match &statuses.value {
        Statuses::Class(class) => match class.as_bytes() {
            [hundred @ b'2'..=b'5', b'x', b'x'] => Some(ExpectedStatus::Class(u16::from(hundred - b'0'))),
            _ => {
                let diagnostic = checked.at(statuses, format!("`{class}` does not name statuses"));
                checked.push(diagnostic.note("allowed: `2xx`, `3xx`, `4xx`, `5xx`, or a list such as `[200, 204]`"));
                None
            }
        },
        Statuses::These(list) if list.is_empty() => {
            checked.push(checked.at(statuses, "no answer would be good: a check expects at least one status"));
            None
        }
        Statuses::These(list) => {
            let good: Vec<_> = list.iter().filter_map(|status| checked.number("expected_status", status, STATUS)).collect();
            (good.len() == list.len()).then(|| ExpectedStatus::These(good.into_iter().map(|status| status as u16).collect()))
        }
    }
}

//! One access log line: the product's field names, then timers and how the request ended.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// What is known of a request when it has ended. Byte strings are as received; the line escapes them.
pub struct Record<'a> {
    pub instance: &'a str,
    /// Upper-case UUID.
    pub request_id: &'a [u8],
    /// Unix time at which the head was complete, in milliseconds.
    pub unix_ms: u64,
    pub client_ip: IpAddr,
    pub protocol: &'a str,
    pub method: &'a [u8],
    pub domain: &'a [u8],
    pub path: &'a [u8],
    /// Without the values of secrets.
    pub query: &'a [u8],
    pub group: &'a str,
    pub api: &'a str,
    /// Of the API; where there is none, as the caller asked for it.
    pub stage: &'a [u8],
    pub app: &'a str,
    /// By what the app was known.
    pub credential: &'a str,
    pub app_key: &'a [u8],
    pub nonce: &'a [u8],
    /// 0: nothing was answered.
    pub status: u16,
    pub error_code: &'a str,
    pub error_message: &'a [u8],
    pub backend: Option<SocketAddr>,
    pub backend_reused: bool,
    pub retried: bool,
    /// Bytes of the request, head and body.
    pub request_bytes: u64,
    /// Bytes of the answer, head and body.
    pub response_bytes: u64,
    pub timers: Timers,
    pub ended: Ended,
}

/// Phases of a request, in microseconds since its head was complete; 0 where it did not come so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timers {
    /// The gate had decided.
    pub decided_us: u64,
    /// The request head had gone to the backend.
    pub forwarded_us: u64,
    /// The head of the backend's answer was there.
    pub first_byte_us: u64,
    /// The answer had gone to the client.
    pub total_us: u64,
}

impl Timers {
    /// What the backend took: from the request's head sent to the answer's head.
    pub fn service_us(&self) -> u64 {
        self.first_byte_us.saturating_sub(self.forwarded_us)
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Answered, by the backend or by the gateway.
    Answered,
    /// The client was gone before its answer was.
    ClientGone,
    /// The client did not take its answer, or send its request, in time.
    ClientTimeout,
    /// The rest of the request was refused after its answer had begun.
    RequestBroke,
    /// The backend's answer broke off after it had begun.
    BackendBroke,
    /// The backend's answer stalled after it had begun.
    BackendTimeout,
    /// After a switch to another protocol, nothing passed for too long.
    UpgradeIdle,
    /// The time of a connection that had switched was over.
    UpgradeLifetime,
    /// The API of a connection that had switched was changed, or is served no more.
    Withdrawn,
    /// The gateway was stopped, and a connection that had switched had no end of its own.
    Drained,
}

impl Ended {
    /// In the order of their declaration.
    pub const ALL: [Self; 10] = [
        Self::Answered,
        Self::ClientGone,
        Self::ClientTimeout,
        Self::RequestBroke,
        Self::BackendBroke,
        Self::BackendTimeout,
        Self::UpgradeIdle,
        Self::UpgradeLifetime,
        Self::Withdrawn,
        Self::Drained,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Ended::Answered => "answered",
            Ended::ClientGone => "client-gone",
            Ended::ClientTimeout => "client-timeout",
            Ended::RequestBroke => "request-broke",
            Ended::BackendBroke => "backend-broke",
            Ended::BackendTimeout => "backend-timeout",
            Ended::UpgradeIdle => "upgrade-idle",
            Ended::UpgradeLifetime => "upgrade-lifetime",
            Ended::Withdrawn => "api-changed",
            Ended::Drained => "drained",
        }
    }
}

/// `,"name":`, made when the program is compiled.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}

impl Record<'_> {
    /// Writes the line, a JSON object, without its line end.
    pub fn write(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(b"{\"requestHandleTime\":\"");
        write_utc(line, self.unix_ms);
        line.push(b'"');
        text(line, key!("requestId"), self.request_id);
        text(line, key!("instanceId"), self.instance.as_bytes());
        line.extend_from_slice(key!("clientIp"));
        line.push(b'"');
        address(line, self.client_ip);
        line.push(b'"');
        text(line, key!("requestProtocol"), self.protocol.as_bytes());
        text(line, key!("httpMethod"), self.method);
        text(line, key!("domain"), self.domain);
        text(line, key!("path"), self.path);
        text(line, key!("requestQueryString"), self.query);
        text(line, key!("apiGroupName"), self.group.as_bytes());
        text(line, key!("apiName"), self.api.as_bytes());
        text(line, key!("apiStageName"), self.stage);
        text(line, key!("appName"), self.app.as_bytes());
        text(line, key!("appCredential"), self.credential.as_bytes());
        text(line, key!("consumerAppKey"), self.app_key);
        text(line, key!("clientNonce"), self.nonce);
        number(line, key!("statusCode"), self.status.into());
        text(line, key!("errorCode"), self.error_code.as_bytes());
        text(line, key!("errorMessage"), self.error_message);
        if let Some(backend) = self.backend {
            line.extend_from_slice(key!("backend"));
            line.push(b'"');
            socket_address(line, backend);
            line.push(b'"');
        }
        flag(line, key!("backendReused"), self.backend_reused);
        flag(line, key!("retried"), self.retried);
        number(line, key!("requestSize"), self.request_bytes);
        number(line, key!("responseSize"), self.response_bytes);
        number(line, key!("serviceLatency"), self.timers.service_us() / 1000);
        number(line, key!("totalLatency"), self.timers.total_us / 1000);
        number(line, key!("decidedUs"), self.timers.decided_us);
        number(line, key!("forwardedUs"), self.timers.forwarded_us);
        number(line, key!("firstByteUs"), self.timers.first_byte_us);
        number(line, key!("totalUs"), self.timers.total_us);
        text(line, key!("ended"), self.ended.as_str().as_bytes());
        line.push(b'}');
    }
}

fn number(line: &mut Vec<u8>, key: &[u8], n: u64) {
    line.extend_from_slice(key);
    digits(line, n);
}

fn digits(line: &mut Vec<u8>, n: u64) {
    line.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

fn flag(line: &mut Vec<u8>, key: &[u8], on: bool) {
    line.extend_from_slice(key);
    line.extend_from_slice(if on { b"true" } else { b"false" });
}

/// A string; left out where it is empty.
fn text(line: &mut Vec<u8>, key: &[u8], bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    line.extend_from_slice(key);
    line.push(b'"');
    // Without an early exit the compiler compares many bytes at once.
    if bytes.iter().fold(true, |all, &byte| all & is_plain(byte)) {
        line.extend_from_slice(bytes);
    } else {
        escaped(line, bytes);
    }
    line.push(b'"');
}

#[inline]
fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// Bytes that are not UTF-8 are written as the characters of ISO-8859-1.
#[cold]
fn escaped(line: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let is_utf8 = std::str::from_utf8(bytes).is_ok();
    for &byte in bytes {
        match byte {
            _ if is_plain(byte) => line.push(byte),
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            0x80.. if is_utf8 => line.push(byte),
            _ => {
                line.extend_from_slice(b"\\u00");
                line.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
}

fn address(line: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                line.extend_from_slice(if place == 0 { b"" } else { b"." });
                digits(line, octet.into());
            }
        }
        // A vector takes everything.
        IpAddr::V6(address) => _ = write!(line, "{address}"),
    }
}

fn socket_address(line: &mut Vec<u8>, to: SocketAddr) {
    match to {
        SocketAddr::V4(v4) => {
            address(line, (*v4.ip()).into());
            line.push(b':');
            digits(line, v4.port().into());
        }
        SocketAddr::V6(_) => _ = write!(line, "{to}"),
    }
}

/// `yyyy-MM-ddTHH:mm:ssZ`.
fn write_utc(line: &mut Vec<u8>, unix_ms: u64) {
    let seconds = unix_ms / 1000;
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let of_day = seconds % 86_400;
    let two = |line: &mut Vec<u8>, n: u64| line.extend_from_slice(&[b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8]);
    two(line, year / 100);
    two(line, year % 100);
    line.push(b'-');
    two(line, month);
    line.push(b'-');
    two(line, day);
    line.push(b'T');
    two(line, of_day / 3600);
    line.push(b':');
    two(line, of_day / 60 % 60);
    line.push(b':');
    two(line, of_day % 60);
    line.push(b'Z');
}

/// Days since 1970-01-01 to year, month, day, in the proleptic Gregorian calendar.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record<'static> {
        Record {
            instance: "edge-1",
            request_id: b"7AD052CB-EE8B-4DFD-BBAF-EFB340E0A5AF",
            unix_ms: 1_709_210_096_789,
            client_ip: "127.0.0.1".parse().unwrap(),
            protocol: "HTTP",
            method: b"GET",
            domain: b"api.example.com",
            path: b"/a\"b\\c\x01",
            query: "q=\u{4f60}".as_bytes(),
            group: "g",
            api: "a",
            stage: b"RELEASE",
            app: "",
            credential: "",
            app_key: b"\xff",
            nonce: b"",
            status: 200,
            error_code: "",
            error_message: b"",
            backend: Some("[::1]:80".parse().unwrap()),
            backend_reused: true,
            retried: false,
            request_bytes: 1,
            response_bytes: 2,
            timers: Timers { decided_us: 3, forwarded_us: 10, first_byte_us: 2_010, total_us: 3_000 },
            ended: Ended::Answered,
        }
    }

    #[test]
    fn a_line_is_json_with_the_products_names() {
        let mut line = Vec::new();
        record().write(&mut line);
        let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(json["requestHandleTime"], "2024-02-29T12:34:56Z");
        assert_eq!(json["path"], "/a\"b\\c\u{1}");
        assert_eq!(json["requestQueryString"], "q=\u{4f60}");
        assert_eq!(json["consumerAppKey"], "\u{ff}");
        assert_eq!(json["backend"], "[::1]:80");
        assert_eq!(json["serviceLatency"], 2);
        assert_eq!(json["ended"], "answered");
        assert!(json.get("errorCode").is_none());
    }

    #[test]
    fn dates_at_the_edges() {
        for (unix_s, text) in
            [(0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (4_102_444_799, "2099-12-31T23:59:59Z")]
        {
            let mut line = Vec::new();
            write_utc(&mut line, unix_s * 1000);
            assert_eq!(line, text.as_bytes());
        }
    }
}

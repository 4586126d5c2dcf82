//! `[limits]` of `gateway.toml`: each limit with its unit, its range and what it bounds, in one table.
//!
//! The catalog holds the defaults (`catalog::limits`); `lockgate limits` prints both.

use std::ops::RangeInclusive;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::At;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    BytesPerSecond,
    Count,
    Milliseconds,
    Percent,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Unit::Bytes => "bytes",
            Unit::BytesPerSecond => "B/s",
            Unit::Count => "",
            Unit::Milliseconds => "ms",
            Unit::Percent => "%",
        }
    }
}

macro_rules! limits {
    ($($(#[doc = $about:literal])+ $variant:ident $key:ident: $unit:ident in $range:expr;)*) => {
        /// `[limits]`: every key is optional.
        #[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(transform = ranges)]
        pub struct LimitsTable {
            $($(#[doc = $about])+ pub $key: Option<At<i64>>,)*
        }

        /// A limit by its key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Limit { $($variant,)* }

        impl Limit {
            pub const ALL: &[Limit] = &[$(Limit::$variant,)*];

            /// The key in the file.
            pub fn key(self) -> &'static str {
                match self { $(Limit::$variant => stringify!($key),)* }
            }
            pub fn about(self) -> &'static str {
                match self { $(Limit::$variant => concat!($($about),+).trim_ascii(),)* }
            }
            pub fn unit(self) -> Unit {
                match self { $(Limit::$variant => Unit::$unit,)* }
            }
            pub fn range(self) -> RangeInclusive<u64> {
                match self { $(Limit::$variant => $range,)* }
            }
        }

        impl LimitsTable {
            /// What the file says of a limit.
            pub fn of(&self, limit: Limit) -> Option<&At<i64>> {
                match limit { $(Limit::$variant => self.$key.as_ref(),)* }
            }
        }
    };
}

/// The schema of a limit knows its range.
fn ranges(schema: &mut Schema) {
    for &limit in Limit::ALL {
        if let Some(of) = schema.pointer_mut(&format!("/properties/{}", limit.key())) {
            let (low, high) = limit.range().into_inner();
            of["minimum"] = low.into();
            of["maximum"] = high.into();
        }
    }
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const HOUR_MS: u64 = 3_600_000;

/// Of a request body: of the instance, and of an API.
pub const BODY_BYTES: RangeInclusive<u64> = 0..=1024 * 1024 * MIB;

limits! {
    /// Request line, and status line of a backend's answer.
    StartLineBytes start_line_bytes: Bytes in 256..=32 * KIB;
    /// Whole head: start line, fields, empty line.
    HeadBytes head_bytes: Bytes in KIB..=65_535;
    /// Field lines of a head.
    HeadFields head_fields: Count in 8..=128;
    /// Chunk extensions of one message.
    ChunkExtensionBytes chunk_extension_bytes: Bytes in 0..=64 * KIB;
    /// Trailer section of a chunked message.
    TrailerBytes trailer_bytes: Bytes in 0..=64 * KIB;
    /// Largest request body, unless the API has a limit of its own (`body_bytes`).
    BodyBytes body_bytes: Bytes in BODY_BYTES;
    /// Largest form body read as parameters of a signature.
    FormBytes form_bytes: Bytes in 0..=64 * MIB;
    /// Requests in a row of a connection that came before the one ahead of them was answered; the connection ends after the last.
    PipelinedRequests pipelined_requests: Count in 1..=1_000_000;
    /// From a request's first byte to the end of its head.
    HeadTimeout head_timeout_ms: Milliseconds in 10..=HOUR_MS;
    /// Longest wait for the next bytes of a request body.
    BodyTimeout body_timeout_ms: Milliseconds in 10..=HOUR_MS;
    /// Slowest pace of a request body, over all waits for its bytes and beyond body_timeout_ms; 0: none.
    BodyRate body_bytes_per_second: BytesPerSecond in 0..=MIB;
    /// Longest wait for the client to take bytes of an answer: what was received at once, 16 to 128 KiB.
    SendTimeout send_timeout_ms: Milliseconds in 10..=HOUR_MS;
    /// Longest time between two requests of a connection.
    IdleTimeout idle_timeout_ms: Milliseconds in 10..=24 * HOUR_MS;
    /// How long a client that still sends a request that was refused or answered early is listened to, so that it gets its answer.
    LingerTimeout linger_timeout_ms: Milliseconds in 0..=HOUR_MS;
    /// What is taken from it meanwhile, and thrown away.
    LingerBytes linger_bytes: Bytes in 0..=1024 * MIB;
    /// Longest wait for a connection to a backend, its TLS handshake included.
    ConnectTimeout connect_timeout_ms: Milliseconds in 10..=10 * 60_000;
    /// Longest wait for the next bytes of a backend's answer, once it has begun.
    AnswerTimeout answer_timeout_ms: Milliseconds in 10..=HOUR_MS;
    /// From a connection to the end of its TLS handshake.
    TlsHandshakeTimeout tls_handshake_timeout_ms: Milliseconds in 10..=HOUR_MS;
    /// Longest time without a byte in either direction on a connection that has switched to another protocol.
    UpgradeIdleTimeout upgrade_idle_timeout_ms: Milliseconds in 10..=24 * HOUR_MS;
    /// Longest time that it lasts.
    UpgradeLifetime upgrade_lifetime_ms: Milliseconds in 10..=30 * 24 * HOUR_MS;
    /// TLS handshakes under way of a worker; connections beyond that are closed.
    TlsHandshakes tls_handshakes: Count in 1..=1_000_000;
    /// Streams of an HTTP/2 connection at one time.
    Http2Streams http2_streams: Count in 1..=10_000;
    /// What a client may send on a stream before it has been passed on; of all streams, `http2_connection_window_bytes`.
    Http2StreamWindow http2_stream_window_bytes: Bytes in 16 * KIB..=16 * MIB;
    /// What a client may send on all streams of a connection before it has been passed on.
    Http2ConnectionWindow http2_connection_window_bytes: Bytes in 65_535..=64 * MIB;
    /// What of an answer waits for its client to take it, for each stream.
    Http2SendBuffer http2_send_buffer_bytes: Bytes in KIB..=16 * MIB;
    /// Streams that a client resets within 10 seconds; the connection ends after more.
    Http2Resets http2_resets: Count in 1..=1_000_000;
    /// Frames that move nothing (settings, pings, priorities, empty data, unknown ones) within 10 seconds; the connection ends after more.
    Http2IdleFrames http2_idle_frames: Count in 8..=1_000_000;
    /// CONTINUATION frames of one head; the connection ends after more.
    Http2Continuations http2_continuations: Count in 1..=1_000;
    /// Client connections of the process; a stream of HTTP/2 beside another of its connection counts as one.
    Connections connections: Count in 1..=16_000_000;
    /// Client connections from one IPv4 address, or one IPv6 network of 64 bits, streams of HTTP/2 as above; trusted_proxies are not held to it.
    ConnectionsPerAddress connections_per_address: Count in 1..=16_000_000;
    /// Client connections of a worker.
    ConnectionsPerWorker connections_per_worker: Count in 1..=1_000_000;
    /// Idle connections kept to one instance of a VPC access, by each worker.
    PoolIdleConnections pool_idle_connections: Count in 0..=100_000;
    /// Longest time a connection to a backend is kept without use.
    PoolIdleTimeout pool_idle_timeout_ms: Milliseconds in 10..=24 * HOUR_MS;
    /// Connections to one instance of a VPC access, by each worker: in use and idle. Of an instance that speaks HTTP/2: calls at one time, however
    /// few connections they share.
    PoolConnections pool_connections: Count in 1..=1_000_000;
    /// Requests that wait for a connection to one instance to come free, by each worker.
    PoolQueue pool_queue: Count in 0..=65_536;
    /// Longest wait for a connection to come free.
    PoolWait pool_wait_ms: Milliseconds in 10..=HOUR_MS;
    /// How long an instance that failed stands aside the first time; 0: never.
    StandAside stand_aside_ms: Milliseconds in 0..=HOUR_MS;
    /// How long it stands aside at most, when it fails again and again.
    StandAsideMax stand_aside_max_ms: Milliseconds in 0..=24 * HOUR_MS;
    /// Resets and time-outs in a row after which an instance stands aside; a refused connection is enough.
    StandAsideFailures stand_aside_failures: Count in 1..=255;
    /// Requests that may be sent again, of the recent ones, by each worker for each VPC access.
    RetryPercent retry_percent: Percent in 0..=100;
    /// Requests that may be sent again besides, within 5 to 10 seconds.
    RetryMinimum retry_minimum: Count in 0..=10_000;
    /// APIs, in each of their stages, that have metrics of their own; those that are called after are counted together.
    MetricsApis metrics_apis: Count in 0..=100_000;
    /// VPC accesses that have metrics of their own; further ones are counted together.
    MetricsVpcAccesses metrics_vpc_accesses: Count in 0..=100_000;
    /// From the order to stop, when readiness goes, to the moment when no more connections are taken.
    DrainDelay drain_delay_ms: Milliseconds in 0..=HOUR_MS;
    /// From then on to the end of the process, whatever still runs.
    DrainTimeout drain_timeout_ms: Milliseconds in 0..=HOUR_MS;
}

//! Every limit of the gateway, with its unit, in one place.

use std::time::Duration;

use crate::document::limits::Limit;
use crate::http::chunked::ChunkLimits;
use crate::http::frames::FrameLimits;
use crate::http::head::HeadLimits;

#[derive(Clone, Debug)]
pub struct Limits {
    pub head: HeadLimits,
    pub chunked: ChunkLimits,
    /// Largest request body, in bytes.
    pub body_bytes: u64,
    /// Largest form body read as parameters of a signature, in bytes.
    pub form_bytes: usize,
    /// Requests in a row that came before the one ahead of them was answered.
    pub pipelined_requests: usize,
    /// From a connection's first byte of a request to the end of its head.
    pub head_timeout: Duration,
    /// Longest wait for the next bytes of a request body.
    pub body_timeout: Duration,
    /// Slowest pace of a request body, in bytes a second; 0: none.
    pub body_rate: u64,
    /// Longest wait for the client to take bytes of an answer.
    pub send_timeout: Duration,
    /// Longest time between two requests of a connection.
    pub idle_timeout: Duration,
    /// How long a client that is still sending a refused request is listened to, so that it gets its answer.
    pub linger_timeout: Duration,
    /// What is taken from it meanwhile.
    pub linger_bytes: usize,
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes of a backend's answer, once it has begun.
    pub answer_timeout: Duration,
    /// Longest time without a byte in either direction on a connection that has switched to another protocol.
    pub upgrade_idle_timeout: Duration,
    /// Longest time that it lasts.
    pub upgrade_lifetime: Duration,
    /// From a connection to the end of its TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// TLS handshakes under way of a worker.
    pub tls_handshakes: usize,
    pub http2: Http2Limits,
    /// Client connections of the process, and streams beside another of their connection.
    pub connections: usize,
    /// Client connections from one address.
    pub connections_per_address: usize,
    /// Client connections of a worker.
    pub connections_per_worker: usize,
    /// Idle connections kept to one instance of a VPC access, by each worker.
    pub pool_idle_connections: usize,
    /// Longest time a connection to a backend is kept without use.
    pub pool_idle_timeout: Duration,
    /// Connections of a worker to one instance of a VPC access.
    pub pool_connections: usize,
    /// Requests of a worker that wait for a connection to one instance.
    pub pool_queue: usize,
    /// Longest wait for one of them to come free.
    pub pool_wait: Duration,
    /// How long an instance that failed stands aside the first time; zero: never.
    pub stand_aside: Duration,
    pub stand_aside_max: Duration,
    /// Resets and time-outs in a row after which an instance stands aside.
    pub stand_aside_failures: usize,
    /// Requests that may be sent again, in percent of the recent ones.
    pub retry_percent: u64,
    /// Requests that may be sent again besides, within seconds.
    pub retry_minimum: u64,
    /// APIs with metrics of their own.
    pub metrics_apis: usize,
    /// VPC accesses with metrics of their own.
    pub metrics_vpc_accesses: usize,
    /// From the order to stop to the moment when no more connections are taken.
    pub drain_delay: Duration,
    /// From then on to the end of the process, whatever still runs.
    pub drain_timeout: Duration,
}

/// Of a connection that speaks HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Limits {
    /// Streams at one time.
    pub streams: usize,
    /// What is received ahead of what has been passed on, in bytes: of a stream, and of all.
    pub stream_window_bytes: usize,
    pub connection_window_bytes: usize,
    /// What waits for a client to take it, for each stream, in bytes.
    pub send_buffer_bytes: usize,
    pub frames: FrameLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: HeadLimits { start_line_bytes: 8 * 1024, head_bytes: 32 * 1024, fields: 100 },
            chunked: ChunkLimits { extension_bytes: 4 * 1024, trailer_bytes: 8 * 1024 },
            body_bytes: 32 * 1024 * 1024,
            form_bytes: 1024 * 1024,
            pipelined_requests: 256,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            body_rate: 256,
            send_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            linger_timeout: Duration::from_secs(2),
            linger_bytes: 1024 * 1024,
            connect_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(60),
            upgrade_idle_timeout: Duration::from_secs(300),
            upgrade_lifetime: Duration::from_secs(24 * 3600),
            tls_handshake_timeout: Duration::from_secs(10),
            tls_handshakes: 1024,
            http2: Http2Limits {
                streams: 128,
                stream_window_bytes: 256 * 1024,
                connection_window_bytes: 1024 * 1024,
                send_buffer_bytes: 64 * 1024,
                frames: FrameLimits { resets: 200, idle_frames: 1000, continuations: 8 },
            },
            connections: 65_536,
            connections_per_address: 1024,
            connections_per_worker: 4096,
            pool_idle_connections: 512,
            pool_idle_timeout: Duration::from_secs(55),
            pool_connections: 1024,
            pool_queue: 1024,
            pool_wait: Duration::from_secs(3),
            stand_aside: Duration::from_secs(2),
            stand_aside_max: Duration::from_secs(60),
            stand_aside_failures: 3,
            retry_percent: 20,
            retry_minimum: 10,
            metrics_apis: 1000,
            metrics_vpc_accesses: 1000,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Where a limit is kept.
enum Slot<'a> {
    Long(&'a mut u64),
    Size(&'a mut usize),
    Time(&'a mut Duration),
}

impl Limits {
    /// In the unit of the limit. The caller has checked the range.
    pub fn set(&mut self, limit: Limit, value: u64) {
        match self.slot(limit) {
            Slot::Long(slot) => *slot = value,
            Slot::Size(slot) => *slot = value as usize,
            Slot::Time(slot) => *slot = Duration::from_millis(value),
        }
    }

    /// In the unit of the limit.
    pub fn value(&self, limit: Limit) -> u64 {
        match self.clone().slot(limit) {
            Slot::Long(slot) => *slot,
            Slot::Size(slot) => *slot as u64,
            Slot::Time(slot) => slot.as_millis() as u64,
        }
    }

    fn slot(&mut self, limit: Limit) -> Slot<'_> {
        match limit {
            Limit::StartLineBytes => Slot::Size(&mut self.head.start_line_bytes),
            Limit::HeadBytes => Slot::Size(&mut self.head.head_bytes),
            Limit::HeadFields => Slot::Size(&mut self.head.fields),
            Limit::ChunkExtensionBytes => Slot::Size(&mut self.chunked.extension_bytes),
            Limit::TrailerBytes => Slot::Size(&mut self.chunked.trailer_bytes),
            Limit::BodyBytes => Slot::Long(&mut self.body_bytes),
            Limit::FormBytes => Slot::Size(&mut self.form_bytes),
            Limit::PipelinedRequests => Slot::Size(&mut self.pipelined_requests),
            Limit::HeadTimeout => Slot::Time(&mut self.head_timeout),
            Limit::BodyTimeout => Slot::Time(&mut self.body_timeout),
            Limit::BodyRate => Slot::Long(&mut self.body_rate),
            Limit::SendTimeout => Slot::Time(&mut self.send_timeout),
            Limit::IdleTimeout => Slot::Time(&mut self.idle_timeout),
            Limit::LingerTimeout => Slot::Time(&mut self.linger_timeout),
            Limit::LingerBytes => Slot::Size(&mut self.linger_bytes),
            Limit::ConnectTimeout => Slot::Time(&mut self.connect_timeout),
            Limit::AnswerTimeout => Slot::Time(&mut self.answer_timeout),
            Limit::UpgradeIdleTimeout => Slot::Time(&mut self.upgrade_idle_timeout),
            Limit::UpgradeLifetime => Slot::Time(&mut self.upgrade_lifetime),
            Limit::TlsHandshakeTimeout => Slot::Time(&mut self.tls_handshake_timeout),
            Limit::TlsHandshakes => Slot::Size(&mut self.tls_handshakes),
            Limit::Http2Streams => Slot::Size(&mut self.http2.streams),
            Limit::Http2StreamWindow => Slot::Size(&mut self.http2.stream_window_bytes),
            Limit::Http2ConnectionWindow => Slot::Size(&mut self.http2.connection_window_bytes),
            Limit::Http2SendBuffer => Slot::Size(&mut self.http2.send_buffer_bytes),
            Limit::Http2Resets => Slot::Size(&mut self.http2.frames.resets),
            Limit::Http2IdleFrames => Slot::Size(&mut self.http2.frames.idle_frames),
            Limit::Http2Continuations => Slot::Size(&mut self.http2.frames.continuations),
            Limit::Connections => Slot::Size(&mut self.connections),
            Limit::ConnectionsPerAddress => Slot::Size(&mut self.connections_per_address),
            Limit::ConnectionsPerWorker => Slot::Size(&mut self.connections_per_worker),
            Limit::PoolIdleConnections => Slot::Size(&mut self.pool_idle_connections),
            Limit::PoolIdleTimeout => Slot::Time(&mut self.pool_idle_timeout),
            Limit::PoolConnections => Slot::Size(&mut self.pool_connections),
            Limit::PoolQueue => Slot::Size(&mut self.pool_queue),
            Limit::PoolWait => Slot::Time(&mut self.pool_wait),
            Limit::StandAside => Slot::Time(&mut self.stand_aside),
            Limit::StandAsideMax => Slot::Time(&mut self.stand_aside_max),
            Limit::StandAsideFailures => Slot::Size(&mut self.stand_aside_failures),
            Limit::RetryPercent => Slot::Long(&mut self.retry_percent),
            Limit::RetryMinimum => Slot::Long(&mut self.retry_minimum),
            Limit::MetricsApis => Slot::Size(&mut self.metrics_apis),
            Limit::MetricsVpcAccesses => Slot::Size(&mut self.metrics_vpc_accesses),
            Limit::DrainDelay => Slot::Time(&mut self.drain_delay),
            Limit::DrainTimeout => Slot::Time(&mut self.drain_timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_within_its_range() {
        let limits = Limits::default();
        for &limit in Limit::ALL {
            assert!(limit.range().contains(&limits.value(limit)), "{}", limit.key());
        }
    }

    #[test]
    fn a_limit_that_is_set_reads_back() {
        let mut limits = Limits::default();
        for &limit in Limit::ALL {
            limits.set(limit, *limit.range().start());
        }
        for &limit in Limit::ALL {
            assert_eq!(limits.value(limit), *limit.range().start(), "{}", limit.key());
        }
    }
}

//! Every limit of the gateway, with its unit, in one place.

use std::time::Duration;

use crate::http::chunked::ChunkLimits;
use crate::http::head::HeadLimits;

pub struct Limits {
    pub head: HeadLimits,
    pub chunked: ChunkLimits,
    /// Largest request body, in bytes.
    pub body_bytes: u64,
    /// Largest form body read as parameters of a signature, in bytes.
    pub form_bytes: usize,
    /// From a connection's first byte of a request to the end of its head.
    pub head_timeout: Duration,
    /// Longest wait for the next bytes of a request body.
    pub body_timeout: Duration,
    /// Longest wait for the client to take bytes of an answer.
    pub send_timeout: Duration,
    /// Longest time between two requests of a connection.
    pub idle_timeout: Duration,
    /// How long a client that is still sending a refused request is listened to, so that it gets its answer.
    pub linger_timeout: Duration,
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes of a backend's answer, once it has begun.
    pub answer_timeout: Duration,
    /// Client connections of a worker.
    pub connections_per_worker: usize,
    /// Idle connections kept to one instance of a VPC access, by each worker.
    pub pool_idle_connections: usize,
    /// Longest time a connection to a backend is kept without use.
    pub pool_idle_timeout: Duration,
    /// How long an instance that refused a connection stands aside.
    pub stand_aside: Duration,
    /// From the order to stop to the end of the process, whatever still runs.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: HeadLimits { start_line_bytes: 8 * 1024, head_bytes: 32 * 1024, fields: 100 },
            chunked: ChunkLimits { extension_bytes: 4 * 1024, trailer_bytes: 8 * 1024 },
            body_bytes: 32 * 1024 * 1024,
            form_bytes: 1024 * 1024,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            linger_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(60),
            connections_per_worker: 20_000,
            pool_idle_connections: 512,
            pool_idle_timeout: Duration::from_secs(55),
            stand_aside: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

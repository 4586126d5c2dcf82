//! What can be asked.

use super::server::Reply;
use super::{Sources, scrape};
use crate::observe::exposition;
use crate::observe::status::Phase;

/// The page at a path.
pub fn page(path: &[u8], sources: &Sources) -> Reply {
    match path {
        b"/" => Reply::text(200, "/healthz  alive\n/readyz   new connections are wanted\n/metrics  for Prometheus\n"),
        b"/healthz" => health(sources),
        b"/readyz" => readiness(sources),
        b"/metrics" => Reply { status: 200, content_type: exposition::CONTENT_TYPE, body: scrape::metrics(sources) },
        _ => Reply::text(404, "there is /healthz, /readyz and /metrics\n"),
    }
}

/// Not well: the process should be started anew.
fn health(sources: &Sources) -> Reply {
    match sources.stuck().as_slice() {
        [] => Reply::text(200, "ok\n"),
        stuck => Reply::text(503, format!("stuck: workers {stuck:?}\n")),
    }
}

fn readiness(sources: &Sources) -> Reply {
    match sources.status.phase() {
        Phase::Serving => Reply::text(200, "ready\n"),
        Phase::Starting => Reply::text(503, "starting\n"),
        Phase::Draining => Reply::text(503, "draining\n"),
    }
}

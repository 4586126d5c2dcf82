//! A client's TLS handshake, before its first request.

use std::sync::Arc;

use super::connection::Connection;
use crate::net::Wait;
use crate::net::handshake::{Means, accept};

/// Makes the connection secure; false when it ends instead. Why is counted, and the client has been told.
/// `http2`: it may be spoken.
pub async fn secure(c: &Connection, http2: bool) -> bool {
    let (core, counters) = (&c.core, &c.core.counters);
    let tables = core.running();
    let limits = &tables.catalog.limits;
    if core.handshakes.under_way() >= limits.tls_handshakes {
        counters.tls_shed.add(1);
        return false;
    }
    let (now_ms, timeout) = (core.clock.coarse_ms(), limits.tls_handshake_timeout);
    for direction in [&c.watch.from_client, &c.watch.to_client] {
        direction.arm(Wait::Handshake, now_ms, timeout);
    }
    let until_ms = now_ms.saturating_add(timeout.as_millis() as u64);
    let means = Means { handshakes: &core.handshakes, blocks: &core.blocks, until_ms };
    let choose = |name: Option<&str>| {
        let called = c.stream.local_address().filter(|_| name.is_none()).map(|address| address.to_string());
        let site = tables.router.site(name.or(called.as_deref())?.as_bytes())?;
        tables.catalog.sites.get(site.index()).map(Arc::clone)
    };
    let done = accept(&c.stream, &means, http2, choose).await;
    c.watch.from_client.clear();
    c.watch.to_client.clear();
    match done {
        Ok(resumed) => {
            counters.tls_handshakes.add(1);
            counters.tls_resumptions.add(u64::from(resumed));
            c.stream.session().into_iter().for_each(|session| c.watch.secure(session.clone()));
            true
        }
        Err(_) => {
            counters.tls_failures.add(1);
            false
        }
    }
}

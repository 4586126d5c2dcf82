//! The catalog compiled for a worker, and what all workers share.

use std::sync::Arc;

use super::authenticate::apps::Apps;
use super::authenticate::nonce::NonceSet;
use super::authorize::Authorizations;
use super::quota::daily::DailyQuota;
use super::route::Router;
use crate::catalog::Catalog;

/// One worker's tables: built on its own core, read without any atomic operation.
pub struct Tables {
    pub catalog: Arc<Catalog>,
    pub router: Router,
    pub apps: Apps,
    pub authorizations: Authorizations,
}

/// Counters and sets that all workers share.
pub struct Shared {
    pub nonces: NonceSet,
    /// Calls of each group's default domain, by `GroupId`.
    pub default_domain_calls: Box<[DailyQuota]>,
}

impl Tables {
    pub fn build(catalog: Arc<Catalog>) -> Self {
        let (router, apps, authorizations) = (Router::build(&catalog), Apps::build(&catalog), Authorizations::build(&catalog));
        Self { catalog, router, apps, authorizations }
    }
}

impl Shared {
    /// `key`: random, for the fingerprints of nonces.
    pub fn new(catalog: &Catalog, now_ms: u64, key: [u8; 16]) -> Self {
        Self {
            nonces: NonceSet::new(catalog.security.nonce_capacity, catalog.security.signature_window_ms, now_ms, key),
            default_domain_calls: catalog.groups.iter().map(|_| DailyQuota::default()).collect(),
        }
    }
    /// Called about once a second, off the workers: moves the nonce window on.
    pub fn tend(&self, now_ms: u64) {
        self.nonces.advance(now_ms);
    }
}

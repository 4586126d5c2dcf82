//! The catalog compiled for a worker, and what all workers share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::authenticate::apps::Apps;
use super::authenticate::nonce::NonceSet;
use super::quota::daily::DailyQuota;
use super::route::Router;
use crate::catalog::Catalog;

/// What all workers decide by: built off the workers, never changed, read without any atomic operation.
pub struct Tables {
    pub catalog: Arc<Catalog>,
    pub router: Router,
    pub apps: Apps,
    /// Calls of each group's default domain, by `GroupId`.
    pub default_domain_calls: Box<[Arc<DailyQuota>]>,
}

/// Counters and sets that all workers share.
pub struct Shared {
    pub nonces: NonceSet,
    /// Calls of each group's default domain, by the group's name: they outlive a generation. Locked to build tables only.
    default_domain_calls: Mutex<HashMap<String, Arc<DailyQuota>>>,
}

impl Tables {
    pub fn build(catalog: Arc<Catalog>, shared: &Shared) -> Self {
        let (router, apps) = (Router::build(&catalog), Apps::build(&catalog));
        let default_domain_calls = shared.default_domain_calls(&catalog);
        Self { catalog, router, apps, default_domain_calls }
    }
}

impl Shared {
    /// In memory alone. `key`: random, for the fingerprints of nonces.
    pub fn new(catalog: &Catalog, now_ms: u64, key: [u8; 16]) -> Self {
        let (capacity, window_ms) = (catalog.security.nonce_capacity, catalog.security.signature_window_ms);
        Self::with(NonceSet::new(capacity, window_ms, now_ms, key))
    }

    /// With nonces that may outlive the process.
    pub fn with(nonces: NonceSet) -> Self {
        Self { nonces, default_domain_calls: Mutex::default() }
    }

    /// For decisions that are not served: without room for the nonces of others.
    pub fn for_preview(catalog: &Catalog) -> Self {
        let nonces = NonceSet::new(0, catalog.security.signature_window_ms, 0, [0; 16]);
        Self { nonces, default_domain_calls: Mutex::default() }
    }

    /// A group that was taken out and put back goes on with its count: nobody gets a second budget by a reload.
    fn default_domain_calls(&self, catalog: &Catalog) -> Box<[Arc<DailyQuota>]> {
        let mut known = self.default_domain_calls.lock().unwrap_or_else(PoisonError::into_inner);
        catalog.groups.iter().map(|group| known.entry(group.name.clone()).or_default().clone()).collect()
    }

    /// Called about once a second, off the workers: moves the nonce window on.
    pub fn tend(&self, now_ms: u64) {
        self.nonces.advance(now_ms);
    }
}

//! The catalog compiled for a worker, and what all workers share.
//!
//! What grows with APIs and apps is there once, and only read: the templates of each group, the apps, the policies. What calls
//! go through first, and is small, each worker has of its own: it is a copy that the worker made on its core. Neither is
//! written on the way of a call.

use std::sync::Arc;

use super::authenticate::apps::Apps;
use super::authenticate::nonce::NonceSet;
use super::policy::Policies;
use super::quota::Quotas;
use super::route::{Built, Router};
use crate::catalog::{Catalog, Group};

/// What a worker decides by: built off the workers, never changed, read without any atomic operation. Each worker runs on a
/// clone.
#[derive(Clone)]
pub struct Tables {
    pub catalog: Arc<Catalog>,
    pub router: Router,
    /// Of all workers: they are many, and seldom change.
    pub apps: Arc<Apps>,
    pub policies: Arc<Policies>,
    /// The counter of each group's default domain, by `GroupId`. It is known by the group's name: a group that was taken out
    /// and put back goes on with its count.
    pub default_domain_counters: Box<[u64]>,
    /// What of the router is not from the tables before.
    pub built: Built,
}

/// Counters and sets that all workers share.
pub struct Shared {
    pub nonces: NonceSet,
    pub quotas: Quotas,
}

impl Tables {
    pub fn build(catalog: Arc<Catalog>, shared: &Shared) -> Self {
        Self::after(None, catalog, shared)
    }

    /// The same, with what has not changed since the tables before.
    pub fn after(before: Option<&Self>, catalog: Arc<Catalog>, shared: &Shared) -> Self {
        let (router, built) = Router::after(before.map(|before| &before.router), &catalog);
        let apps = match before.filter(|before| before.catalog.apps.is(&catalog.apps)) {
            Some(before) => before.apps.clone(),
            None => Arc::new(Apps::build(&catalog)),
        };
        let counter = |group: &Group| shared.quotas.default_domain(group.name.as_bytes());
        let default_domain_counters = catalog.groups.iter().map(counter).collect();
        let policies =
            Arc::new(Policies::build(&catalog, &shared.quotas, before.map(|before| (&*before.policies, &*before.catalog))));
        Self { catalog, router, apps, policies, default_domain_counters, built }
    }
}

impl Shared {
    /// In memory alone. `key`: random, for fingerprints.
    pub fn new(catalog: &Catalog, now_ms: u64, key: [u8; 16]) -> Self {
        let (capacity, window_ms) = (catalog.security.nonce_capacity, catalog.security.signature_window_ms);
        let workers = catalog.instance.workers.map_or(1, usize::from);
        let quotas = Quotas::own(catalog.quota.counter_capacity, workers, key);
        Self { nonces: NonceSet::new(capacity, window_ms, now_ms, key), quotas }
    }

    /// For decisions that are not served: without room for the nonces of others, and with counters of their own.
    pub fn for_preview(catalog: &Catalog) -> Self {
        Self::looking_at(catalog, Quotas::own(catalog.quota.counter_capacity, 1, [0; 16]))
    }

    /// For those who look at what others count.
    pub fn looking_at(catalog: &Catalog, quotas: Quotas) -> Self {
        Self { nonces: NonceSet::new(0, catalog.security.signature_window_ms, 0, [0; 16]), quotas }
    }

    /// Called about once a second, off the workers: moves the nonce window on.
    pub fn tend(&self, now_ms: u64) {
        self.nonces.advance(now_ms);
    }
}

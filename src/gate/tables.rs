//! The catalog compiled for a worker, and what all workers share.

use std::sync::Arc;

use crate::catalog::Catalog;

/// One worker's tables: built on its own core, read without any atomic operation.
pub struct Tables {
    pub catalog: Arc<Catalog>,
}

/// Counters and sets that all workers share.
pub struct Shared {}

impl Tables {
    pub fn build(catalog: Arc<Catalog>) -> Self {
        Self { catalog }
    }
}

impl Shared {
    pub fn new(_catalog: &Catalog) -> Self {
        Self {}
    }
    /// Called about once a second, off the workers: moves the nonce window on.
    pub fn tend(&self, _now_ms: u64) {
        todo!()
    }
}

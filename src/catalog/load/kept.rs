//! What a load leaves for the next one: what has not changed since need not be read again.
//!
//! What is published is known by the digests that name it, all else by the look of its file or directory
//! ([`Stamp::is_settled`]). Whoever wants every file read begins with nothing kept.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use ahash::RandomState;

use super::apps::List;
use super::parts::Part;
use crate::catalog::check::policy::Callers;
use crate::catalog::{ApiName, ApiNames};
use crate::document::Stamp;

#[derive(Default)]
pub struct Kept {
    pub(super) names: Arc<ApiNames>,
    /// Names of drafts by the directory of a group's.
    pub(super) drafts: HashMap<PathBuf, Drafts>,
    /// By stage and group; their APIs are at home in these places.
    pub(super) parts: HashMap<(String, String), Part>,
    pub(super) places: Places,
    /// By document; their apps' authorizations are for these stages.
    pub(super) lists: HashMap<PathBuf, Arc<List>>,
    pub(super) stages: Vec<String>,
    pub(super) callers: Callers,
    /// Of fingerprints.
    pub(super) random: RandomState,
    pub(super) effort: Effort,
}

/// The names behind the places that catalogs hold: as long as they stay, places mean the same.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub groups: Vec<String>,
    pub vpc_accesses: Vec<String>,
    pub stages: Vec<String>,
}

pub(super) struct Drafts {
    pub look: Stamp,
    pub names: Arc<[ApiName]>,
}

/// How much a load had to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Groups that were put together anew, in any stage.
    pub groups: usize,
    /// Files of what is published that were read: manifests and versions.
    pub published_files: usize,
    /// Documents of apps that were read.
    pub app_documents: usize,
}

impl Kept {
    /// What the last load had to do.
    pub fn effort(&self) -> Effort {
        self.effort
    }
}

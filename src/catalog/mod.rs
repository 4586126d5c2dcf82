//! The catalog: every document, typed, checked together and cross-referenced. A value that exists is valid.
//!
//! Built once by the loader, off the workers, and immutable from then on; each worker compiles its own tables
//! from it. Places in it are indexes ([`GroupId`] and its kin), so that tables hold small numbers, not references.

use std::net::SocketAddr;

pub mod api;
pub mod app;
mod apps;
mod check;
pub mod cluster;
pub mod condition;
pub mod group;
pub mod instance;
pub mod limits;
mod load;
mod names;
mod parallel;
pub mod parameter;
pub mod policy;
mod publication;
mod settle;
mod template;
pub mod vpc_access;
mod whole;

use std::sync::Arc;

pub use crate::tls::server::Site;
pub use api::{Api, AppCodePlace, Authentication, Backend, MethodSet, PathTemplate, Protocols, Segment, SignatureMethods};
pub use app::{App, AppKey, Authorization, Secret};
pub use apps::{AppId, AppList, Apps, Own};
pub use check::gateway::{STATE_DIRECTORY, Settings};
pub use check::{STAGES, check_name, group_manifest, root_manifest, version_of};
pub use cluster::Cluster;
pub use condition::Condition;
pub use group::{Domain, DomainHttps, Group};
pub use instance::{
    AccessLog, CounterFull, Driver, Instance, Listener, LogFormat, NonceFull, Quota, Retention, Scheme, Security, Tolerance,
};
pub use limits::{Http2Limits, Limits};
pub use load::{
    AppDocument, Effort, Kept, Progress, admin_address, app_documents, load, load_counted, load_layout, load_served,
    load_watched, state_directory,
};
pub use names::ApiNames;
pub use parallel::{both, each};
pub use parameter::Parameter;
pub use policy::{EngineLoss, Period, Policy};
pub use publication::{Candidate, check_publication, instance_settings};
pub use template::Overlap;
pub use vpc_access::{BackendInstance, Balance, ExpectedStatus, HealthCheck, VpcAccess, WhenAllDown};
pub use whole::{LastWhole, last_whole};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
        impl $name {
            pub fn index(self) -> usize { self.0 as usize }
        }
    )*};
}
ids! {
    /// Place in [`Catalog::groups`].
    GroupId;
    /// Place in [`Catalog::apis`]: one API as published to one stage.
    ApiId;
    /// Number of a name in [`Catalog::names`].
    ApiName;
    /// Place in [`Catalog::vpc_accesses`].
    VpcAccessId;
    /// Place in [`Catalog::stages`].
    StageId;
    /// Place in [`Catalog::sites`].
    SiteId;
    /// Place in [`Catalog::policies`].
    PolicyId;
}

pub struct Catalog {
    /// Of the manifest: grows by one with every publication.
    pub generation: u64,
    /// SHA-256 over every document read, in lower-case hexadecimal.
    pub sha256: String,
    pub instance: Instance,
    pub listeners: Vec<Listener>,
    pub security: Security,
    pub quota: Quota,
    /// `None`: this gateway counts alone.
    pub cluster: Option<Arc<Cluster>>,
    pub limits: Limits,
    pub access_log: AccessLog,
    pub log_format: LogFormat,
    /// Where the operator's listener is; `None`: there is none.
    pub admin: Option<SocketAddr>,
    /// Stage names, `RELEASE` first.
    pub stages: Vec<String>,
    /// Shared with the catalog before, where they are the same.
    pub vpc_accesses: Vec<Arc<VpcAccess>>,
    pub groups: Vec<Group>,
    /// How domains are served over HTTPS.
    pub sites: Vec<Arc<Site>>,
    /// What is published: one entry for each API and stage. Shared with the catalog before, where they are the same.
    pub apis: Vec<Arc<Api>>,
    /// Of APIs that are drafted, published, or were.
    pub names: Arc<ApiNames>,
    pub apps: Apps,
    /// An API in its stage has one at most.
    pub policies: Vec<Policy>,
}

impl Catalog {
    /// Largest body of a request to an API, in bytes.
    pub fn body_bytes(&self, api: ApiId) -> u64 {
        self.apis.get(api.index()).and_then(|api| api.body_bytes).unwrap_or(self.limits.body_bytes)
    }
}

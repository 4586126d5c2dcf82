//! Domain, base path, stage, method and path -> API.
//!
//! A domain names the groups that share it; the longest base path picks one of them, for good: a shorter one is not
//! tried when its group has no such API. [`trie`] holds base paths and path templates.
//!
//! A router is small: names, base paths and stages, a few hundred bytes for each group. Each worker has one of its own. What
//! grows with the APIs stands in the [`templates`] of a group in a stage, which are shared by all workers, and by the
//! generations in which the group's APIs are the same.

mod domain;
mod method;
mod names;
mod segment;
mod stage;
mod templates;
mod trie;

#[cfg(test)]
mod tests;

use super::trace::{Observer, Seen};
use super::{Call, ErrorCode, Refusal};
use crate::catalog::{ApiId, Catalog, GroupId, SiteId, StageId};
use crate::http::field::FieldId;
use crate::http::head::Span;
use crate::http::target::host_of;
use domain::Domains;
use method::Method;
use stage::Stages;
use templates::Found;
use trie::{Builder, Trie};

pub(super) use segment::decoded;

/// The most path parameters a template may have.
pub const MAX_PARAMETERS: usize = 16;

/// Where the parameters of a matched template stand in the call's path (still percent-encoded), by their place in the
/// template, and the rest that `*` matched. Spans are ranges of [`Target::path`](crate::http::target::Target::path),
/// base path included, not of the head's buffer: `span.of(call.target.path)`. Places beyond the template's last
/// parameter are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathMatch {
    pub parameters: [Span; MAX_PARAMETERS],
    /// Range of the path after the `/` that stands before `*`. `/files/*` matches `/files/` with an empty rest, and
    /// does not match `/files`.
    pub rest: Option<Span>,
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub api: ApiId,
    pub group: GroupId,
    pub path: PathMatch,
    /// The call came under the group's default domain.
    pub default_domain: bool,
    /// How the domain is served over HTTPS, where it is.
    pub site: Option<SiteId>,
    /// Calls of the domain over HTTP are sent to HTTPS.
    pub redirect: bool,
}

#[derive(Clone)]
pub struct Router {
    domains: Domains,
    base_paths: Trie,
    /// Where the base paths of domains lead.
    entrances: Box<[Entrance]>,
    stages: Stages,
}

/// What the base path of a domain leads to.
#[derive(Clone, Copy)]
struct Entrance {
    group: GroupId,
    /// The stage that the domain is bound to.
    bound: Option<StageId>,
}

/// How many groups a router has templates of, counted once in each stage, and how many of these are not the ones of the
/// router before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Built {
    pub all: usize,
    pub anew: usize,
}

/// Bytes of memory of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// What each worker has of its own.
    pub own: usize,
    /// What all workers share.
    pub shared: usize,
}

impl Router {
    pub fn build(catalog: &Catalog) -> Self {
        Self::after(None, catalog).0
    }

    /// The same, with the templates of groups that have not changed since the router before.
    pub fn after(before: Option<&Self>, catalog: &Catalog) -> (Self, Built) {
        let mut trie = Builder::default();
        let mut entrances = Vec::new();
        let domains = Domains::build(catalog, &mut trie, &mut entrances);
        let (stages, built) = Stages::build(catalog, before.map(|before| &before.stages));
        (Self { domains, base_paths: trie.finish(), entrances: entrances.into(), stages }, built)
    }

    pub fn route(&self, call: &Call<'_>) -> Result<Route, Refusal> {
        self.route_watched(call, &mut ())
    }

    /// The same, and `observer` is told what each step found.
    #[inline]
    pub fn route_watched<O: Observer>(&self, call: &Call<'_>, observer: &mut O) -> Result<Route, Refusal> {
        let host = host_of(&call.request, &call.target)?;
        let path = call.target.path;
        let (how, site) = self
            .domains
            .find(host)
            .ok_or_else(|| Refusal::with(ErrorCode::I404DO, &host[..host.len().min(MAX_DOMAIN_ECHO_BYTES)]))?;
        observer.saw(Seen::Domain(how));
        let (Entrance { group, bound }, base_end) = self
            .base_paths
            .longest_base(site.base_paths, path)
            .and_then(|(entrance, end)| Some((*self.entrances.get(entrance as usize)?, end)))
            .ok_or(Refusal::because(ErrorCode::I404NF, "under this base path"))?;
        observer.saw(Seen::Group { group, base_end });
        let (stage, in_stage) = match bound {
            None => self.stages.named(group, call.request.field(FieldId::XCaStage)),
            Some(stage) => self.stages.of(group, stage).map(|in_stage| (stage, in_stage)),
        }
        .ok_or(Refusal::new(ErrorCode::I400SG))?;
        observer.saw(Seen::Stage { stage, bound: bound.is_some() });
        let mut matched = PathMatch::default();
        match in_stage.templates.find(path, base_end, Method::of(call.request.method()), &mut matched) {
            Found::Api { nth } => {
                let route = Route {
                    api: ApiId(in_stage.first + nth),
                    group,
                    path: matched,
                    default_domain: site.default,
                    site: site.https.site,
                    redirect: site.https.redirect,
                };
                observer.saw(Seen::Api(route));
                Ok(route)
            }
            Found::OtherMethods => Err(Refusal::because(ErrorCode::I405UM, "no API of this path takes this method")),
            Found::Nothing => Err(Refusal::because(ErrorCode::I404NF, "with this path in this stage")),
        }
    }

    pub fn size(&self) -> Size {
        let own = self.domains.bytes() + self.base_paths.bytes() + size_of_val(&*self.entrances) + self.stages.bytes();
        Size { own, shared: self.stages.templates_bytes() }
    }

    /// How a domain is served over HTTPS: a call and a handshake find it by the same rules.
    pub fn site(&self, domain: &[u8]) -> Option<SiteId> {
        self.domains.find(domain).and_then(|(_, site)| site.https.site)
    }
}

/// Bytes of an unknown domain that the refusal repeats.
const MAX_DOMAIN_ECHO_BYTES: usize = 253;

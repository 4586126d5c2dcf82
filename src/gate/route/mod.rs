//! Domain, base path, stage, method and path -> API.
//!
//! A domain names the groups that share it; the longest base path picks one of them, for good: a shorter one is not
//! tried when its group has no such API. [`trie`] holds base paths and path templates.

mod domain;
mod segment;
mod stage;
mod trie;

#[cfg(test)]
mod tests;

use ahash::AHashMap;

use super::trace::{Observer, Seen};
use super::{Call, ErrorCode, Refusal};
use crate::catalog::{ApiId, Catalog, GroupId, MethodSet, SiteId, StageId};
use crate::http::field::FieldId;
use crate::http::head::Span;
use crate::http::target::host_of;
use domain::Domains;
use stage::Stages;
use trie::{Builder, NodeId, Place, Trie};

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

pub struct Router {
    domains: Domains,
    trie: Trie,
    /// Where the base paths of domains lead.
    entrances: Box<[Entrance]>,
    stages: Stages,
    /// Names that APIs declare. Few: a call's method is looked up once, in order.
    methods: Box<[Box<[u8]>]>,
    /// What stands at the templates: runs of answers, each ended by its `last`.
    answers: Box<[Answer]>,
}

/// What the base path of a domain leads to.
#[derive(Clone, Copy)]
struct Entrance {
    group: GroupId,
    /// The stage that the domain is bound to.
    bound: Option<StageId>,
}

/// An API of a template, under one method.
#[derive(Clone, Copy)]
struct Answer {
    api: ApiId,
    method: u16,
    last: bool,
}

/// Every method; stands after all others in a run.
const ANY_METHOD: u16 = u16::MAX;
/// A method that no API declares.
const UNKNOWN_METHOD: u16 = u16::MAX - 1;

impl Router {
    pub fn build(catalog: &Catalog) -> Self {
        let mut trie = Builder::default();
        let stages = Stages::build(catalog, &mut trie);
        let mut entrances = Vec::new();
        let domains = Domains::build(catalog, &mut trie, &mut entrances);
        let mut methods = Methods::default();
        let mut placed: Vec<(NodeId, Place, u16, ApiId)> = Vec::with_capacity(catalog.apis.len());
        for (index, api) in catalog.apis.iter().enumerate() {
            // Of a catalog that was checked, every API is in a stage of its group.
            let Some(root) = stages.templates(api.group, api.stage) else { continue };
            let (node, place) = trie.template(root, &api.path.segments);
            let api_id = ApiId(index as u32);
            match &api.methods {
                MethodSet::Any => placed.push((node, place, ANY_METHOD, api_id)),
                MethodSet::These(names) => placed.extend(names.iter().map(|name| (node, place, methods.id(name), api_id))),
            }
        }
        placed.sort_unstable();
        let mut answers = Vec::with_capacity(placed.len());
        for run in placed.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            trie.set(run[0].0, run[0].1, answers.len() as u32);
            answers.extend(run.iter().map(|&(_, _, method, api)| Answer { api, method, last: false }));
            if let Some(last) = answers.last_mut() {
                last.last = true;
            }
        }
        Self {
            domains,
            trie: trie.finish(),
            entrances: entrances.into(),
            stages,
            methods: methods.names.into_iter().map(|name| name.as_bytes().into()).collect(),
            answers: answers.into(),
        }
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
            .trie
            .longest_base(site.base_paths, path)
            .and_then(|(entrance, end)| Some((*self.entrances.get(entrance as usize)?, end)))
            .ok_or(Refusal::because(ErrorCode::I404NF, "under this base path"))?;
        observer.saw(Seen::Group { group, base_end });
        let (stage, root) = match bound {
            None => self.stages.named(group, call.request.field(FieldId::XCaStage)),
            Some(stage) => self.stages.templates(group, stage).map(|root| (stage, root)),
        }
        .ok_or(Refusal::new(ErrorCode::I400SG))?;
        observer.saw(Seen::Stage { stage, bound: bound.is_some() });
        let method = self.method(call.request.method());
        let mut path_matched = false;
        let found = self.trie.find(root, path, base_end, |run| {
            path_matched = true;
            self.answer(run, method)
        });
        match found {
            Some((api, path)) => {
                let route = Route {
                    api,
                    group,
                    path,
                    default_domain: site.default,
                    site: site.https.site,
                    redirect: site.https.redirect,
                };
                observer.saw(Seen::Api(route));
                Ok(route)
            }
            None if path_matched => Err(Refusal::because(ErrorCode::I405UM, "no API of this path takes this method")),
            None => Err(Refusal::because(ErrorCode::I404NF, "with this path in this stage")),
        }
    }

    /// How a domain is served over HTTPS: a call and a handshake find it by the same rules.
    pub fn site(&self, domain: &[u8]) -> Option<SiteId> {
        self.domains.find(domain).and_then(|(_, site)| site.https.site)
    }

    /// Methods are case-sensitive (RFC 9110, section 9.1).
    fn method(&self, name: &[u8]) -> u16 {
        self.methods.iter().position(|known| **known == *name).map_or(UNKNOWN_METHOD, |at| at as u16)
    }

    /// The API of a run that takes the method: the one that names it, before one that takes any. `HEAD` is no `GET`.
    #[inline]
    fn answer(&self, run: u32, method: u16) -> Option<ApiId> {
        for answer in &self.answers[run as usize..] {
            if answer.method == method || answer.method == ANY_METHOD {
                return Some(answer.api);
            }
            if answer.last {
                return None;
            }
        }
        None
    }
}

/// Bytes of an unknown domain that the refusal repeats.
const MAX_DOMAIN_ECHO_BYTES: usize = 253;

/// Numbers for method names, while a router is built.
#[derive(Default)]
struct Methods<'c> {
    names: Vec<&'c str>,
    ids: AHashMap<&'c str, u16>,
}

impl<'c> Methods<'c> {
    fn id(&mut self, name: &'c str) -> u16 {
        *self.ids.entry(name).or_insert_with(|| {
            self.names.push(name);
            (self.names.len() - 1).min(UNKNOWN_METHOD as usize - 1) as u16
        })
    }
}

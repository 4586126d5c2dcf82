//! Domains: the name a call arrives under -> the groups that share it.

use std::net::IpAddr;

use ahash::AHashMap;

use super::Entrance;
use super::trie::{Builder, NodeId, Place};
use crate::catalog::{Catalog, Domain, DomainHttps, GroupId};
use crate::gate::trace::HowNamed;

/// Longest domain name, in bytes (RFC 1035, section 2.3.4), without its final dot.
const MAX_NAME_BYTES: usize = 253;

/// The groups of a domain, by base path: a root of the trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub base_paths: NodeId,
    /// A group's default domain, which has a daily quota.
    pub default: bool,
    pub https: DomainHttps,
}

pub(super) struct Domains {
    exact: AHashMap<Box<[u8]>, Site>,
    /// By the name after `*.`.
    wildcard: AHashMap<Box<[u8]>, Site>,
    /// Groups' default domains.
    default: AHashMap<Box<[u8]>, Site>,
    address: AHashMap<IpAddr, Site>,
    any: Option<Site>,
}

/// What HTTPS is to each domain, over the groups that share it.
fn https(catalog: &Catalog) -> AHashMap<Domain, DomainHttps> {
    let mut all: AHashMap<Domain, DomainHttps> = AHashMap::new();
    for (domain, https) in catalog.groups.iter().flat_map(|group| &group.https) {
        let joined = all.entry(domain.clone()).or_default();
        joined.site = joined.site.or(https.site);
        joined.redirect |= https.redirect;
    }
    all
}

impl Domains {
    /// Each domain of a group gets an entrance.
    pub fn build<'c>(catalog: &'c Catalog, trie: &mut Builder<'c>, entrances: &mut Vec<Entrance>) -> Self {
        let mut domains = Self {
            exact: AHashMap::new(),
            wildcard: AHashMap::new(),
            default: AHashMap::new(),
            address: AHashMap::new(),
            any: None,
        };
        let mut joins: Vec<(Site, Entrance)> = Vec::new();
        let https = https(catalog);
        let of = |domain: &Domain| https.get(domain).copied().unwrap_or_default();
        for (index, group) in catalog.groups.iter().enumerate() {
            let id = GroupId(index as u32);
            for domain in &group.domains {
                let new = || Site { base_paths: trie.root(), default: false, https: of(domain) };
                let site = match domain {
                    Domain::Exact(name) => *domains.exact.entry(name.as_bytes().into()).or_insert_with(new),
                    Domain::Wildcard(suffix) => {
                        *domains.wildcard.entry(suffix.trim_start_matches('.').as_bytes().into()).or_insert_with(new)
                    }
                    Domain::Address(address) => *domains.address.entry(*address).or_insert_with(new),
                    Domain::Any => *domains.any.get_or_insert_with(new),
                };
                let bound = group.bound.iter().find(|(bound, _)| bound == domain).map(|(_, stage)| *stage);
                joins.push((site, Entrance { group: id, bound }));
            }
            let https = of(&Domain::Exact(group.default_domain.clone()));
            let new = || Site { base_paths: trie.root(), default: true, https };
            let site = *domains.default.entry(group.default_domain.as_bytes().into()).or_insert_with(new);
            joins.push((site, Entrance { group: id, bound: None }));
        }
        for (site, entrance) in joins {
            let base_path = catalog.groups[entrance.group.index()].base_path.split('/').skip(1);
            let node = base_path.fold(site.base_paths, |node, text| trie.literal(node, text));
            trie.set(node, Place::End, entrances.len() as u32);
            entrances.push(entrance);
        }
        domains
    }

    /// The site of a host, without its port: exact, then the longest wildcard, then a default domain, an address, `*`.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<(HowNamed, Site)> {
        self.named(name)
            .or_else(|| self.addressed(name).map(|site| (HowNamed::Address, site)))
            .or_else(|| self.any.map(|site| (HowNamed::Any, site)))
    }

    fn named(&self, name: &[u8]) -> Option<(HowNamed, Site)> {
        let mut lower = [0; MAX_NAME_BYTES];
        let name = name.strip_suffix(b".").unwrap_or(name);
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let exact = self.exact.get(&*lower).map(|site| (HowNamed::Exact, *site));
        exact
            .or_else(|| self.wildcard(lower).map(|site| (HowNamed::Wildcard, *site)))
            .or_else(|| self.default.get(&*lower).map(|site| (HowNamed::Default, *site)))
    }

    /// `*.a.b` is any name below `a.b`, at any depth; it is not `a.b` itself. The label in place of `*` is not empty.
    fn wildcard(&self, name: &[u8]) -> Option<&Site> {
        if self.wildcard.is_empty() || name.first() == Some(&b'.') {
            return None;
        }
        memchr::memchr_iter(b'.', name).find_map(|dot| self.wildcard.get(&name[dot + 1..]))
    }

    fn addressed(&self, name: &[u8]) -> Option<Site> {
        if self.address.is_empty() {
            return None;
        }
        let name = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or(name);
        let address: IpAddr = std::str::from_utf8(name).ok()?.parse().ok()?;
        self.address.get(&address).copied()
    }
}

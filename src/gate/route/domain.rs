//! Domains: the name a call arrives under -> the groups that share it.

use std::net::IpAddr;

use ahash::AHashMap;

use super::Entrance;
use super::names::{Names, Site};
use super::trie::{Builder, Leaf, Place};
use crate::catalog::{Catalog, Domain, DomainHttps, GroupId};
use crate::gate::trace::HowNamed;

/// Longest domain name, in bytes (RFC 1035, section 2.3.4), without its final dot.
const MAX_NAME_BYTES: usize = 253;

#[derive(Clone)]
pub(super) struct Domains {
    exact: Names,
    /// By the name after `*.`.
    wildcard: Names,
    /// Groups' default domains.
    default: Names,
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
        let (mut exact, mut wildcard, mut default) = (Found::default(), Found::default(), Found::default());
        let (mut address, mut any) = (AHashMap::new(), None);
        let mut joins: Vec<(Site, Entrance)> = Vec::new();
        let https = https(catalog);
        let of = |domain: &Domain| https.get(domain).copied().unwrap_or_default();
        for (index, group) in catalog.groups.iter().enumerate() {
            let id = GroupId(index as u32);
            for domain in &group.domains {
                let new = || Site { base_paths: trie.root(), default: false, https: of(domain) };
                let site = match domain {
                    Domain::Exact(name) => *exact.entry(name).or_insert_with(new),
                    Domain::Wildcard(suffix) => *wildcard.entry(suffix.trim_start_matches('.')).or_insert_with(new),
                    Domain::Address(named) => *address.entry(*named).or_insert_with(new),
                    Domain::Any => *any.get_or_insert_with(new),
                };
                let bound = group.bound.iter().find(|(bound, _)| bound == domain).map(|(_, stage)| *stage);
                joins.push((site, Entrance { group: id, bound }));
            }
            let https = of(&Domain::Exact(group.default_domain.clone()));
            let new = || Site { base_paths: trie.root(), default: true, https };
            let site = *default.entry(&group.default_domain).or_insert_with(new);
            joins.push((site, Entrance { group: id, bound: None }));
        }
        for (site, entrance) in joins {
            let base_path = catalog.groups[entrance.group.index()].base_path.split('/').skip(1);
            let node = base_path.fold(site.base_paths, |node, text| trie.literal(node, text));
            trie.set(node, Place::End, Leaf { value: entrances.len() as u32, kind: ENTRANCE });
            entrances.push(entrance);
        }
        let names = |found: Found<'_>| Names::new(&found.into_iter().collect::<Vec<_>>());
        Self { exact: names(exact), wildcard: names(wildcard), default: names(default), address, any }
    }

    /// The site of a host, without its port: exact, then the longest wildcard, then a default domain, an address, `*`.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<(HowNamed, Site)> {
        self.named(name)
            .or_else(|| self.addressed(name).map(|site| (HowNamed::Address, site)))
            .or_else(|| self.any.map(|site| (HowNamed::Any, site)))
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        [&self.exact, &self.wildcard, &self.default].map(Names::bytes).iter().sum()
    }

    #[inline]
    fn named(&self, name: &[u8]) -> Option<(HowNamed, Site)> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        if name.len() > MAX_NAME_BYTES {
            return None;
        }
        let exact = self.exact.find(name).map(|site| (HowNamed::Exact, site));
        exact
            .or_else(|| self.wildcard(name).map(|site| (HowNamed::Wildcard, site)))
            .or_else(|| self.default.find(name).map(|site| (HowNamed::Default, site)))
    }

    /// `*.a.b` is any name below `a.b`, at any depth; it is not `a.b` itself. The label in place of `*` is not empty.
    fn wildcard(&self, name: &[u8]) -> Option<Site> {
        if self.wildcard.is_empty() || name.first() == Some(&b'.') {
            return None;
        }
        memchr::memchr_iter(b'.', name).find_map(|dot| self.wildcard.find(&name[dot + 1..]))
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

/// Sites by name, as they are found among the groups.
type Found<'c> = AHashMap<&'c str, Site>;

/// What stands at base paths is of one kind.
const ENTRANCE: u32 = 1;

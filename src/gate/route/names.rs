//! Domain names -> sites: a table in which a name costs one cache line, as names are nearly always short.

use super::segment::{fold, mix, same, word_at};
use super::trie::NodeId;
use crate::catalog::DomainHttps;

/// The groups of a domain, by base path: a root of the trie of base paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub base_paths: NodeId,
    /// A group's default domain, which has a daily quota.
    pub default: bool,
    pub https: DomainHttps,
}

/// Names in lower case, found in any case. Who calls adds nothing to it: it holds what the operator has written.
#[derive(Clone, Default)]
pub(super) struct Names {
    /// A power of two, at most half of them taken; or none at all.
    slots: Box<[Slot]>,
    long_names: Box<[Box<[u8]>]>,
}

/// Bytes of a name that stand in its slot.
const NAME_BYTES: usize = 38;
/// Of a free slot.
const FREE: u16 = u16::MAX;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Slot {
    site: Site,
    hash: u32,
    name_len: u16,
    /// Of a longer one, its place among those.
    name: [u8; NAME_BYTES],
}

const _: () = assert!(size_of::<Slot>() == 64);

impl Names {
    pub fn new(sites: &[(&str, Site)]) -> Self {
        let Some(&(_, any)) = sites.first() else { return Self::default() };
        let free = Slot { site: any, hash: 0, name_len: FREE, name: [0; NAME_BYTES] };
        let mut slots = vec![free; (sites.len() * 2).next_power_of_two()];
        let mut long_names: Vec<Box<[u8]>> = Vec::new();
        let mask = slots.len() - 1;
        for &(text, site) in sites {
            let text = text.as_bytes();
            let mut name = [0; NAME_BYTES];
            match name.get_mut(..text.len()) {
                Some(place) => place.copy_from_slice(text),
                None => {
                    name[..4].copy_from_slice(&(long_names.len() as u32).to_le_bytes());
                    long_names.push(text.into());
                }
            }
            let hash = hash(text);
            let mut at = hash as usize & mask;
            while slots[at].name_len != FREE {
                at = (at + 1) & mask;
            }
            slots[at] = Slot { site, hash, name_len: text.len() as u16, name };
        }
        Self { slots: slots.into(), long_names: long_names.into() }
    }

    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Site> {
        let mask = self.slots.len().checked_sub(1)?;
        let hash = hash(name);
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots.get(at)?;
            if slot.name_len == FREE {
                return None;
            }
            if slot.hash == hash && usize::from(slot.name_len) == name.len() && self.is(slot, name) {
                return Some(slot.site);
            }
            at = (at + 1) & mask;
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.slots) + self.long_names.iter().map(|name| name.len() + size_of_val(name)).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    #[inline]
    fn is(&self, slot: &Slot, name: &[u8]) -> bool {
        let known = slot.name.get(..usize::from(slot.name_len)).unwrap_or_else(|| self.long_name(slot));
        same(known, name) || known.eq_ignore_ascii_case(name)
    }

    #[cold]
    fn long_name(&self, slot: &Slot) -> &[u8] {
        let place = slot.name.first_chunk().map_or(0, |place| u32::from_le_bytes(*place));
        self.long_names.get(place as usize).map_or(&[], |name| name)
    }
}

/// The same in any case.
#[inline]
fn hash(name: &[u8]) -> u32 {
    const SMALL: u64 = 0x2020_2020_2020_2020;
    let (mut state, mut at) = (0, 0);
    while at < name.len() {
        let (word, len) = word_at(name, at);
        state = mix(state, word | SMALL);
        at += len;
    }
    fold(state, name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_are_found_in_any_case() {
        let site = |n: u32| Site { base_paths: NodeId(n), default: n.is_multiple_of(2), https: DomainHttps::default() };
        let names: Vec<String> =
            (1..=253).map(|len| format!("{len}-").chars().chain(std::iter::repeat('x')).take(len).collect()).collect();
        let table = Names::new(&names.iter().zip(0..).map(|(name, n)| (name.as_str(), site(n))).collect::<Vec<_>>());
        for (name, n) in names.iter().zip(0..) {
            assert_eq!(table.find(name.as_bytes()), Some(site(n)), "{name}");
            assert_eq!(table.find(name.to_ascii_uppercase().as_bytes()), Some(site(n)), "{name}");
            assert_eq!(table.find(format!("{name}.").as_bytes()), None);
            // What differs from a letter in the bit of its case alone is another byte.
            let other: String = name.chars().map(|c| if c == '-' { '\r' } else { c }).collect();
            assert_eq!(table.find(other.as_bytes()).is_some(), other == *name, "{name}");
        }
        assert_eq!(Names::default().find(b"x"), None);
    }
}

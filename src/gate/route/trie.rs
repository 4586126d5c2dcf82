//! Path templates in a trie over decoded segments: literal before `[param]` before `*`, with backtracking.
//!
//! All nodes of all roots lie in one array, and so do their literal edges: each node's edges are a small open-addressed
//! table, at most two thirds full, found by the segment's hash. A lookup costs the same under a node with one edge and
//! under one with 100,000. Texts are stored once, however many templates use them.

use ahash::AHashMap;

use super::segment::{self, Segment};
use super::{MAX_PARAMETERS, PathMatch};
use crate::catalog;
use crate::http::head::Span;

/// Place of a node. A root is a node too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(u32);

/// No node, no value.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Node {
    /// First slot of the node's edges.
    edges: u32,
    /// Slots - 1; slots are a power of two. [`NONE`]: no edges.
    mask: u32,
    parameter: u32,
    /// Value of the template that ends here.
    end: u32,
    /// Value of the template that ends here with `*`.
    rest: u32,
}

#[derive(Clone, Copy)]
struct Edge {
    hash: u32,
    /// [`NONE`]: a free slot.
    child: u32,
    /// Range of the texts.
    text: (u32, u32),
}

pub(super) struct Trie {
    nodes: Box<[Node]>,
    edges: Box<[Edge]>,
    texts: Box<[u8]>,
}

impl Trie {
    /// The value at the longest base path that `path` begins with, and where the base path ends. Base paths are made
    /// of literals and match whole segments.
    pub fn longest_base(&self, root: NodeId, path: &[u8]) -> Option<(u32, usize)> {
        let (mut node, mut at, mut found) = (&self.nodes[root.0 as usize], 0, None);
        loop {
            if node.end != NONE {
                found = Some((node.end, at));
            }
            if path.get(at) != Some(&b'/') {
                return found;
            }
            let segment = Segment::at(path, at + 1);
            let Some(child) = self.literal(node, path, &segment) else { return found };
            (node, at) = (&self.nodes[child as usize], segment.end);
        }
    }

    /// Finds the most specific template under `root` that matches `path[from..]` and whose value `accept` takes. The
    /// leftmost segment in which two templates differ decides: literal before `[param]` before `*`.
    ///
    /// `accept` is also how a caller learns that the path matched and the value (a set of methods) did not.
    #[inline]
    pub fn find<T>(
        &self,
        root: NodeId,
        path: &[u8],
        from: usize,
        accept: impl FnMut(u32) -> Option<T>,
    ) -> Option<(T, PathMatch)> {
        let mut search = Search { trie: self, path, accept, parameters: 0, matched: PathMatch::default() };
        let root = &self.nodes[root.0 as usize];
        // `/` is the template without segments, with a base path too: `/base/` is `/base`.
        let value = if path.get(from..) == Some(b"/") { search.take(root.end) } else { None };
        let value = value.or_else(|| search.descend(root, from))?;
        Some((value, search.matched))
    }

    #[inline]
    fn literal(&self, node: &Node, path: &[u8], segment: &Segment) -> Option<u32> {
        if node.mask == NONE {
            return None;
        }
        let mut slot = segment.hash & node.mask;
        loop {
            let edge = &self.edges[(node.edges + slot) as usize];
            if edge.child == NONE {
                return None;
            }
            if edge.hash == segment.hash && segment.is(path, &self.texts[edge.text.0 as usize..edge.text.1 as usize]) {
                return Some(edge.child);
            }
            slot = (slot + 1) & node.mask;
        }
    }
}

struct Search<'t, F> {
    trie: &'t Trie,
    path: &'t [u8],
    accept: F,
    /// Parameters bound so far.
    parameters: usize,
    matched: PathMatch,
}

impl<T, F: FnMut(u32) -> Option<T>> Search<'_, F> {
    /// `path[at..]` is empty or begins with `/`. Visits each node at most once, and no deeper than the templates go.
    fn descend(&mut self, node: &Node, at: usize) -> Option<T> {
        if self.path.get(at) != Some(&b'/') {
            return self.take(node.end);
        }
        let trie = self.trie;
        let segment = Segment::at(self.path, at + 1);
        if let Some(child) = trie.literal(node, self.path, &segment)
            && let Some(value) = self.descend(&trie.nodes[child as usize], segment.end)
        {
            return Some(value);
        }
        if node.parameter != NONE
            && segment.is_value(self.path)
            && let Some(place) = self.matched.parameters.get_mut(self.parameters)
        {
            *place = span(segment.start, segment.end);
            self.parameters += 1;
            if let Some(value) = self.descend(&trie.nodes[node.parameter as usize], segment.end) {
                return Some(value);
            }
            self.parameters -= 1;
            self.matched.parameters[self.parameters] = Span::default();
        }
        let value = self.take(node.rest)?;
        self.matched.rest = Some(span(at + 1, self.path.len()));
        Some(value)
    }

    #[inline]
    fn take(&mut self, value: u32) -> Option<T> {
        if value == NONE { None } else { (self.accept)(value) }
    }
}

/// A path is part of a head, and heads are at most 65,535 bytes long.
#[inline]
fn span(start: usize, end: usize) -> Span {
    Span { start: start as u16, end: end as u16 }
}

/// Which value of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    End,
    Rest,
}

/// A trie being filled. `'c`: the catalog that the texts are borrowed from.
#[derive(Default)]
pub(super) struct Builder<'c> {
    nodes: Vec<Node>,
    /// Literal edges: node and text -> child.
    edges: AHashMap<(u32, u32), u32>,
    symbols: AHashMap<&'c str, u32>,
    /// Range and hash of each symbol.
    texts: Vec<((u32, u32), u32)>,
    bytes: Vec<u8>,
}

impl<'c> Builder<'c> {
    pub fn root(&mut self) -> NodeId {
        NodeId(self.node())
    }

    /// The node of a template, made when it is new, and where on it the template's value stands.
    pub fn template(&mut self, root: NodeId, segments: &'c [catalog::Segment]) -> (NodeId, Place) {
        debug_assert!(parameters(segments) <= MAX_PARAMETERS, "the catalog holds templates to MAX_PARAMETERS");
        let mut node = root;
        for segment in segments {
            node = match segment {
                catalog::Segment::Literal(text) => self.literal(node, text),
                catalog::Segment::Parameter(_) => self.parameter(node),
                catalog::Segment::Rest => return (node, Place::Rest),
            };
        }
        (node, Place::End)
    }

    pub fn literal(&mut self, parent: NodeId, text: &'c str) -> NodeId {
        let symbol = *self.symbols.entry(text).or_insert_with(|| {
            let start = self.bytes.len() as u32;
            self.bytes.extend_from_slice(text.as_bytes());
            self.texts.push(((start, self.bytes.len() as u32), segment::hash(text.as_bytes())));
            self.texts.len() as u32 - 1
        });
        if let Some(&child) = self.edges.get(&(parent.0, symbol)) {
            return NodeId(child);
        }
        let child = self.node();
        self.edges.insert((parent.0, symbol), child);
        NodeId(child)
    }

    /// Sets the value of a node. The first stays: the catalog refuses two templates that are the same.
    pub fn set(&mut self, node: NodeId, place: Place, value: u32) {
        let node = &mut self.nodes[node.0 as usize];
        let stored = match place {
            Place::End => &mut node.end,
            Place::Rest => &mut node.rest,
        };
        if *stored == NONE {
            *stored = value;
        }
    }

    pub fn finish(mut self) -> Trie {
        let mut list: Vec<(u32, u32, u32)> =
            self.edges.drain().map(|((parent, symbol), child)| (parent, symbol, child)).collect();
        list.sort_unstable();
        let mut edges = Vec::with_capacity(list.len() * 2);
        for children in list.chunk_by(|a, b| a.0 == b.0) {
            // Never full: a search for what is not there ends at a free slot.
            let slots = (children.len() + children.len() / 2 + 1).next_power_of_two();
            let (first, mask) = (edges.len(), slots as u32 - 1);
            edges.resize(first + slots, Edge { hash: 0, child: NONE, text: (0, 0) });
            for &(_, symbol, child) in children {
                let (text, hash) = self.texts[symbol as usize];
                let mut slot = hash & mask;
                while edges[first + slot as usize].child != NONE {
                    slot = (slot + 1) & mask;
                }
                edges[first + slot as usize] = Edge { hash, child, text };
            }
            let parent = &mut self.nodes[children[0].0 as usize];
            (parent.edges, parent.mask) = (first as u32, mask);
        }
        Trie { nodes: self.nodes.into(), edges: edges.into(), texts: self.bytes.into() }
    }

    fn parameter(&mut self, parent: NodeId) -> NodeId {
        if self.nodes[parent.0 as usize].parameter == NONE {
            self.nodes[parent.0 as usize].parameter = self.node();
        }
        NodeId(self.nodes[parent.0 as usize].parameter)
    }

    fn node(&mut self) -> u32 {
        self.nodes.push(Node { edges: 0, mask: NONE, parameter: NONE, end: NONE, rest: NONE });
        self.nodes.len() as u32 - 1
    }
}

fn parameters(segments: &[catalog::Segment]) -> usize {
    segments.iter().filter(|s| matches!(s, catalog::Segment::Parameter(_))).count()
}

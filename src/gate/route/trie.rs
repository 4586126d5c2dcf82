//! Path templates in a trie over decoded segments: literal before `[param]` before `*`, with backtracking.
//!
//! All nodes of all roots lie in one array. The children that a node has for literals are a small open-addressed table
//! in it, at most two thirds full, found by the segment's hash; a child is its own entry there, so that a step down costs
//! one cache line, the same under a node with one child and under one with 100,000. Texts are stored once, however many
//! templates use them.

use ahash::AHashMap;

use super::PathMatch;
use super::segment::{self, Segment};
use crate::catalog;
use crate::http::head::Span;

/// Place of a node. A root is a node too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub u32);

/// No node, no value.
pub(super) const NONE: u32 = u32::MAX;

/// 32 bytes: never across two cache lines.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Node {
    /// Of the literal that leads here; a root and a parameter's node have none.
    hash: u32,
    text: u32,
    /// Bytes of the text. [`NONE`]: a free entry of a table.
    text_len: u32,
    /// Where the table of the literal children begins.
    literals: u32,
    /// Entries of the table - 1; entries are a power of two. [`NONE`]: no literal children.
    mask: u32,
    /// The child for `[param]`.
    parameter: u32,
    /// Value of the template that ends here.
    end: u32,
    /// Value of the template that ends here with `*`.
    rest: u32,
}

const FREE: Node = Node { hash: 0, text: 0, text_len: NONE, literals: 0, mask: NONE, parameter: NONE, end: NONE, rest: NONE };

pub(super) struct Trie {
    nodes: Box<[Node]>,
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
            (node, at) = (child, segment.end);
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
    fn literal(&self, node: &Node, path: &[u8], segment: &Segment) -> Option<&Node> {
        if node.mask == NONE {
            return None;
        }
        let hash = segment.hash(path);
        let mut slot = hash & node.mask;
        loop {
            let child = &self.nodes[(node.literals + slot) as usize];
            if child.text_len == NONE {
                return None;
            }
            if child.hash == hash && segment.is(path, self.text(child)) {
                return Some(child);
            }
            slot = (slot + 1) & node.mask;
        }
    }

    #[inline]
    fn text(&self, node: &Node) -> &[u8] {
        &self.texts[node.text as usize..(node.text + node.text_len) as usize]
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
            && let Some(value) = self.descend(child, segment.end)
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
    roots: usize,
    /// Literal children: node and text -> child.
    literals: AHashMap<(u32, u32), u32>,
    /// Texts, with their range and hash by number.
    numbers: AHashMap<&'c str, u32>,
    texts: Vec<(u32, u32, u32)>,
    bytes: Vec<u8>,
}

impl<'c> Builder<'c> {
    /// A new root, numbered from 0 on. Roots come before all else: theirs are the only places that outlast
    /// [`Builder::finish`].
    pub fn root(&mut self) -> NodeId {
        debug_assert_eq!(self.nodes.len(), self.roots, "roots first");
        self.roots += 1;
        NodeId(self.node())
    }

    /// The node of a template, made when it is new, and where on it the template's value stands.
    pub fn template(&mut self, root: NodeId, segments: &'c [catalog::Segment]) -> (NodeId, Place) {
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
        let number = *self.numbers.entry(text).or_insert_with(|| {
            self.texts.push((self.bytes.len() as u32, text.len() as u32, segment::hash(text.as_bytes())));
            self.bytes.extend_from_slice(text.as_bytes());
            self.texts.len() as u32 - 1
        });
        if let Some(&child) = self.literals.get(&(parent.0, number)) {
            return NodeId(child);
        }
        let child = self.node();
        self.literals.insert((parent.0, number), child);
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

    /// Moves every literal child into its parent's table; all other nodes come first, in the order they were made, and
    /// so the roots stay where they are.
    pub fn finish(mut self) -> Trie {
        let mut children: Vec<(u32, u32, u32)> =
            self.literals.drain().map(|((parent, number), child)| (parent, number, child)).collect();
        children.sort_unstable();

        let mut is_literal = vec![false; self.nodes.len()];
        children.iter().for_each(|&(_, _, child)| is_literal[child as usize] = true);
        let mut place = vec![NONE; self.nodes.len()];
        let mut size = 0;
        for node in (0..self.nodes.len()).filter(|&node| !is_literal[node]) {
            (place[node], size) = (size, size + 1);
        }
        let firsts = size;
        let mut nodes = vec![FREE; firsts as usize];
        for siblings in children.chunk_by(|a, b| a.0 == b.0) {
            // Never full: a search for what is not there ends at a free entry.
            let entries = (siblings.len() + siblings.len() / 2 + 1).next_power_of_two();
            let (first, mask) = (nodes.len(), entries as u32 - 1);
            nodes.resize(first + entries, FREE);
            for &(_, number, child) in siblings {
                let (text, text_len, hash) = self.texts[number as usize];
                let mut slot = hash & mask;
                while nodes[first + slot as usize].text_len != NONE {
                    slot = (slot + 1) & mask;
                }
                place[child as usize] = first as u32 + slot;
                nodes[first + slot as usize] = Node { hash, text, text_len, ..FREE };
            }
            let parent = &mut self.nodes[siblings[0].0 as usize];
            (parent.literals, parent.mask) = (first as u32, mask);
        }
        for (node, &at) in self.nodes.iter().zip(&place) {
            let Node { hash, text, text_len, .. } = nodes[at as usize];
            let parameter = if node.parameter == NONE { NONE } else { place[node.parameter as usize] };
            nodes[at as usize] = Node { hash, text, text_len, parameter, ..*node };
        }
        Trie { nodes: nodes.into(), texts: self.bytes.into() }
    }

    fn parameter(&mut self, parent: NodeId) -> NodeId {
        if self.nodes[parent.0 as usize].parameter == NONE {
            self.nodes[parent.0 as usize].parameter = self.node();
        }
        NodeId(self.nodes[parent.0 as usize].parameter)
    }

    fn node(&mut self) -> u32 {
        self.nodes.push(FREE);
        self.nodes.len() as u32 - 1
    }
}

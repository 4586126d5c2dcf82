//! Path templates in a trie over decoded segments: literal before `[param]` before `*`, with backtracking.
//!
//! All nodes of all roots lie in one array, each in a cache line of its own, with its text and its values. The children that
//! a node has for literals are a small open-addressed table in it, at most two thirds full, found by the segment's hash; a
//! child is its own entry there, so that a step down costs one cache line, the same under a node with one child and under
//! one with 100,000.

use ahash::AHashMap;

use super::PathMatch;
use super::segment::{self, Segment};
use crate::catalog;
use crate::http::head::Span;

/// Place of a node. A root is a node too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub u32);

/// No node.
const NONE: u32 = u32::MAX;
/// Bytes of a text that stand in the node itself.
const TEXT_BYTES: usize = 20;

/// What stands at a template, by what its user makes of it. Whoever searches takes it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub value: u32,
    /// Zero: there is nothing.
    pub kind: u32,
}

impl Leaf {
    const NONE: Self = Self { value: 0, kind: 0 };

    fn is_there(self) -> bool {
        self.kind != 0
    }
}

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Node {
    /// Of the literal that leads here; a root and a parameter's node have none.
    hash: u32,
    /// Bytes of the text. [`NONE`]: a free entry of a table.
    text_len: u32,
    /// The text; of one that is longer, its place among those.
    text: [u8; TEXT_BYTES],
    /// Where the table of the literal children begins.
    literals: u32,
    /// Entries of the table - 1; entries are a power of two. [`NONE`]: no literal children.
    mask: u32,
    /// The child for `[param]`, where more may follow it.
    parameter: u32,
    /// Of the template that ends with `[param]` here, where nothing may follow it: a child that needs no line of its own.
    parameter_end: Leaf,
    /// Of the template that ends here.
    end: Leaf,
    /// Of the template that ends here with `*`.
    rest: Leaf,
}

const _: () = assert!(size_of::<Node>() == 64);

const FREE: Node = Node {
    hash: 0,
    text_len: NONE,
    text: [0; TEXT_BYTES],
    literals: 0,
    mask: NONE,
    parameter: NONE,
    parameter_end: Leaf::NONE,
    end: Leaf::NONE,
    rest: Leaf::NONE,
};

#[derive(Clone)]
pub(super) struct Trie {
    nodes: Box<[Node]>,
    long_texts: Box<[u8]>,
}

impl Trie {
    /// What stands at the longest base path that `path` begins with, and where the base path ends. Base paths are made
    /// of literals and match whole segments.
    #[inline]
    pub fn longest_base(&self, root: NodeId, path: &[u8]) -> Option<(u32, usize)> {
        let (mut node, mut at, mut found) = (&self.nodes[root.0 as usize], 0, None);
        loop {
            if node.end.is_there() {
                found = Some((node.end.value, at));
            }
            if node.mask == NONE || path.get(at) != Some(&b'/') {
                return found;
            }
            let segment = Segment::at(path, at + 1);
            let Some(child) = self.literal(node, path, &segment) else { return found };
            (node, at) = (child, segment.end);
        }
    }

    /// Finds the most specific template under `root` that matches `path[from..]` and whose leaf `accept` takes. The
    /// leftmost segment in which two templates differ decides: literal before `[param]` before `*`.
    ///
    /// `accept` is also how a caller learns that the path matched and the leaf (a set of methods) did not. `matched`, empty
    /// before, is filled in.
    #[inline]
    pub fn find<T>(
        &self,
        root: NodeId,
        path: &[u8],
        from: usize,
        matched: &mut PathMatch,
        accept: impl FnMut(Leaf) -> Option<T>,
    ) -> Option<T> {
        let mut search = Search { trie: self, path, accept, parameters: 0, matched };
        let root = &self.nodes[root.0 as usize];
        // `/` is the template without segments, with a base path too: `/base/` is `/base`.
        let value = if path.get(from..) == Some(b"/") { search.take(root.end) } else { None };
        value.or_else(|| search.descend(root, from))
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.nodes) + self.long_texts.len()
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
    fn text<'t>(&'t self, node: &'t Node) -> &'t [u8] {
        match node.text.get(..node.text_len as usize) {
            Some(text) => text,
            None => self.long_text(node),
        }
    }

    #[cold]
    fn long_text(&self, node: &Node) -> &[u8] {
        let place = node.text.first_chunk().map_or(0, |place| u32::from_le_bytes(*place)) as usize;
        self.long_texts.get(place..place + node.text_len as usize).unwrap_or_default()
    }
}

struct Search<'t, F> {
    trie: &'t Trie,
    path: &'t [u8],
    accept: F,
    /// Parameters bound so far.
    parameters: usize,
    matched: &'t mut PathMatch,
}

impl<'t, T, F: FnMut(Leaf) -> Option<T>> Search<'t, F> {
    /// `path[at..]` is empty or begins with `/`. Visits each node at most once, and no deeper than the templates go.
    fn descend(&mut self, mut node: &'t Node, mut at: usize) -> Option<T> {
        let trie = self.trie;
        loop {
            if self.path.get(at) != Some(&b'/') {
                return self.take(node.end);
            }
            let segment = Segment::at(self.path, at + 1);
            let literal = trie.literal(node, self.path, &segment);
            // Where there is one way alone, there is nothing to come back to.
            let has_others = node.parameter != NONE || node.parameter_end.is_there() || node.rest.is_there();
            match literal {
                Some(child) if !has_others => (node, at) = (child, segment.end),
                _ => return self.branch(node, literal, &segment, at),
            }
        }
    }

    /// The ways on from a node, one after the other.
    fn branch(&mut self, node: &'t Node, literal: Option<&'t Node>, segment: &Segment, at: usize) -> Option<T> {
        if let Some(value) = literal.and_then(|child| self.descend(child, segment.end)) {
            return Some(value);
        }
        if (node.parameter != NONE || node.parameter_end.is_there())
            && segment.is_value(self.path)
            && let Some(place) = self.matched.parameters.get_mut(self.parameters)
        {
            *place = span(segment.start, segment.end);
            self.parameters += 1;
            let trie = self.trie;
            let found = match trie.nodes.get(node.parameter as usize) {
                Some(child) => self.descend(child, segment.end),
                None if segment.end == self.path.len() => self.take(node.parameter_end),
                None => None,
            };
            if found.is_some() {
                return found;
            }
            self.parameters -= 1;
            self.matched.parameters[self.parameters] = Span::default();
        }
        let value = self.take(node.rest)?;
        self.matched.rest = Some(span(at + 1, self.path.len()));
        Some(value)
    }

    #[inline]
    fn take(&mut self, leaf: Leaf) -> Option<T> {
        if leaf.is_there() { (self.accept)(leaf) } else { None }
    }
}

/// A path is part of a head, and heads are at most 65,535 bytes long.
#[inline]
fn span(start: usize, end: usize) -> Span {
    Span { start: start as u16, end: end as u16 }
}

/// Which leaf of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    End,
    Rest,
}

/// Stands for the length of a text at a node that has become part of another.
const LEFT_OUT: u32 = NONE - 1;

/// A trie being filled. `'c`: the catalog that the texts are borrowed from.
#[derive(Default)]
pub(super) struct Builder<'c> {
    nodes: Vec<Node>,
    roots: usize,
    /// Literal children: node and text -> child.
    literals: AHashMap<(u32, &'c str), u32>,
}

impl<'c> Builder<'c> {
    /// A new root, numbered from 0 on. Roots come before all else: theirs are the only places that outlast
    /// [`Builder::finish`].
    pub fn root(&mut self) -> NodeId {
        debug_assert_eq!(self.nodes.len(), self.roots, "roots first");
        self.roots += 1;
        NodeId(self.node())
    }

    /// The node of a template, made when it is new, and which of its leaves is the template's.
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
        if let Some(&child) = self.literals.get(&(parent.0, text)) {
            return NodeId(child);
        }
        let child = self.node();
        self.literals.insert((parent.0, text), child);
        NodeId(child)
    }

    /// Sets a leaf of a node. The first stays: the catalog refuses two templates that are the same.
    pub fn set(&mut self, node: NodeId, place: Place, leaf: Leaf) {
        let node = &mut self.nodes[node.0 as usize];
        let stored = match place {
            Place::End => &mut node.end,
            Place::Rest => &mut node.rest,
        };
        if !stored.is_there() {
            *stored = leaf;
        }
    }

    /// Moves every literal child into its parent's table; all other nodes come first, in the order they were made, and
    /// so the roots stay where they are.
    pub fn finish(mut self) -> Trie {
        self.shorten();
        let mut children: Vec<(u32, u32, &str)> =
            self.literals.drain().map(|((parent, text), child)| (parent, child, text)).collect();
        children.sort_unstable();

        let mut is_literal = vec![false; self.nodes.len()];
        children.iter().for_each(|&(_, child, _)| is_literal[child as usize] = true);
        let mut place = vec![NONE; self.nodes.len()];
        let mut size = 0;
        for node in (0..self.nodes.len()).filter(|&node| !is_literal[node] && self.nodes[node].text_len != LEFT_OUT) {
            (place[node], size) = (size, size + 1);
        }
        let mut nodes = vec![FREE; size as usize];
        let mut long_texts = Vec::new();
        for siblings in children.chunk_by(|a, b| a.0 == b.0) {
            // Never full: a search for what is not there ends at a free entry.
            let entries = (siblings.len() + siblings.len() / 2 + 1).next_power_of_two();
            let (first, mask) = (nodes.len(), entries as u32 - 1);
            nodes.resize(first + entries, FREE);
            for &(_, child, text) in siblings {
                let hash = segment::hash(text.as_bytes());
                let mut slot = hash & mask;
                while nodes[first + slot as usize].text_len != NONE {
                    slot = (slot + 1) & mask;
                }
                place[child as usize] = first as u32 + slot;
                let (text_len, text) = (text.len() as u32, in_node(text.as_bytes(), &mut long_texts));
                nodes[first + slot as usize] = Node { hash, text_len, text, ..FREE };
            }
            let parent = &mut self.nodes[siblings[0].0 as usize];
            (parent.literals, parent.mask) = (first as u32, mask);
        }
        for (node, &at) in self.nodes.iter().zip(&place).filter(|(_, at)| **at != NONE) {
            let Node { hash, text_len, text, .. } = nodes[at as usize];
            let parameter = if node.parameter == NONE { NONE } else { place[node.parameter as usize] };
            nodes[at as usize] = Node { hash, text_len, text, parameter, ..*node };
        }
        Trie { nodes: nodes.into(), long_texts: long_texts.into() }
    }

    /// Children for parameters, after which nothing may follow, become part of their parents.
    fn shorten(&mut self) {
        let has_literals: ahash::AHashSet<u32> = self.literals.keys().map(|(parent, _)| *parent).collect();
        for at in 0..self.nodes.len() {
            let child = self.nodes[at].parameter;
            let Some(of) = self.nodes.get(child as usize) else { continue };
            if of.parameter == NONE && !of.parameter_end.is_there() && !of.rest.is_there() && !has_literals.contains(&child) {
                let end = of.end;
                self.nodes[child as usize].text_len = LEFT_OUT;
                (self.nodes[at].parameter, self.nodes[at].parameter_end) = (NONE, end);
            }
        }
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

/// A text as it stands in its node.
fn in_node(text: &[u8], long_texts: &mut Vec<u8>) -> [u8; TEXT_BYTES] {
    let mut bytes = [0; TEXT_BYTES];
    match bytes.get_mut(..text.len()) {
        Some(place) => place.copy_from_slice(text),
        None => {
            bytes[..4].copy_from_slice(&(long_texts.len() as u32).to_le_bytes());
            long_texts.extend_from_slice(text);
        }
    }
    bytes
}

//! The APIs of one group in one stage: path and method -> API.
//!
//! What a generation has of a group is shared with the one before, and among all workers, as long as its APIs are the same.
//! APIs are numbered from the group's first one on, so that it does not matter what is published beside them.

use std::sync::Arc;

use super::PathMatch;
use super::method::{ANY, Method, SEVERAL, Set};
use super::trie::{Builder, Leaf, NodeId, Place, Trie};
use crate::catalog::{Api, MethodSet};

pub(super) struct Templates {
    trie: Trie,
    /// Where APIs share a template: runs of answers, each ended by its `last`.
    answers: Box<[Answer]>,
    /// Methods without bits of their own.
    others: Box<[Box<[u8]>]>,
    /// What they were made of.
    members: Box<[Member]>,
}

/// An API, and how far it is from the first.
struct Member {
    nth: u32,
    api: Arc<Api>,
}

/// An API of a template that several share, or that takes a method without a bit.
#[derive(Clone, Copy)]
struct Answer {
    nth: u32,
    methods: Set,
    /// Place in `others`; [`NO_OTHER`]: there is none.
    other: u32,
    last: bool,
}

const NO_OTHER: u32 = u32::MAX;

/// What a search came to.
pub(super) enum Found {
    Api {
        nth: u32,
    },
    /// Templates match, and none of them takes the method.
    OtherMethods,
    Nothing,
}

/// Templates are the only ones of their trie.
const ROOT: NodeId = NodeId(0);

impl Templates {
    /// Of APIs, each with its distance from the first.
    pub fn build<'a>(apis: impl Iterator<Item = (u32, &'a Arc<Api>)>) -> Self {
        let members: Box<[Member]> = apis.map(|(nth, api)| Member { nth, api: api.clone() }).collect();
        let mut trie = Builder::default();
        let root = trie.root();
        let mut placed: Vec<(NodeId, Place, u32)> = Vec::with_capacity(members.len());
        for (place, member) in (0..).zip(&members) {
            let (node, leaf) = trie.template(root, &member.api.path.segments);
            placed.push((node, leaf, place));
        }
        placed.sort_unstable();
        let (mut answers, mut others) = (Vec::new(), Vec::new());
        for run in placed.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let run_of = run.iter().filter_map(|&(_, _, place)| members.get(place as usize));
            let start = answers.len();
            run_of.for_each(|member| answer(member, &mut answers, &mut others));
            let Some(of) = answers.get_mut(start..) else { continue };
            // Whoever names the method comes before one that takes any.
            of.sort_by_key(|answer| answer.methods == ANY);
            let leaf = match of {
                [Answer { nth, methods, other: NO_OTHER, .. }] => {
                    let leaf = Leaf { value: *nth, kind: *methods };
                    answers.truncate(start);
                    leaf
                }
                [.., last] => {
                    last.last = true;
                    Leaf { value: start as u32, kind: SEVERAL }
                }
                [] => continue,
            };
            trie.set(run[0].0, run[0].1, leaf);
        }
        Self { trie: trie.finish(), answers: answers.into(), others: others.into(), members }
    }

    /// They were made of these very APIs.
    pub fn are_of<'a>(&self, mut apis: impl Iterator<Item = (u32, &'a Arc<Api>)>) -> bool {
        let same = |member: &Member| apis.next().is_some_and(|(nth, api)| member.nth == nth && Arc::ptr_eq(&member.api, api));
        self.members.iter().all(same) && apis.next().is_none()
    }

    /// `matched`, empty before, is filled in.
    #[inline]
    pub fn find(&self, path: &[u8], from: usize, method: Method<'_>, matched: &mut PathMatch) -> Found {
        let mut path_matched = false;
        let found = self.trie.find(ROOT, path, from, matched, |leaf| {
            path_matched = true;
            match leaf.kind {
                SEVERAL => self.answer(leaf.value, method),
                methods => (methods & (method.bit | ANY) != 0).then_some(leaf.value),
            }
        });
        match found {
            Some(nth) => Found::Api { nth },
            None if path_matched => Found::OtherMethods,
            None => Found::Nothing,
        }
    }

    /// Bytes of memory, without the APIs themselves.
    pub fn bytes(&self) -> usize {
        let names: usize = self.others.iter().map(|name| name.len()).sum();
        self.trie.bytes() + size_of_val(&*self.answers) + size_of_val(&*self.others) + size_of_val(&*self.members) + names
    }

    /// The API of a run that takes the method. `HEAD` is no `GET`.
    fn answer(&self, run: u32, method: Method<'_>) -> Option<u32> {
        for answer in self.answers.get(run as usize..)? {
            let is_other = || self.others.get(answer.other as usize).is_some_and(|name| **name == *method.name);
            if answer.methods & (method.bit | ANY) != 0 || is_other() {
                return Some(answer.nth);
            }
            if answer.last {
                return None;
            }
        }
        None
    }
}

fn answer(member: &Member, answers: &mut Vec<Answer>, others: &mut Vec<Box<[u8]>>) {
    let answer = |methods, other| Answer { nth: member.nth, methods, other, last: false };
    let MethodSet::These(names) = &member.api.methods else { return answers.push(answer(ANY, NO_OTHER)) };
    let names = || names.iter().map(|name| Method::of(name.as_bytes()));
    let known = names().fold(0, |set, method| set | method.bit);
    if known != 0 {
        answers.push(answer(known, NO_OTHER));
    }
    for method in names().filter(|method| method.bit == 0) {
        answers.push(answer(0, others.len() as u32));
        others.push(method.name.into());
    }
}

//! A disk that forgets what was not synced: it is told the calls of a command, and says what may be left of its files when
//! the power goes after any of them.
//!
//! What the rules of POSIX allow, and no file system more: content is safe once the file is synced, an entry of a
//! directory once the directory is, and both once their file system is. What is not safe may be there all the same, in part, or not at all.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use lockgate_test_support::Call;

use crate::sample::Chance;

#[derive(Clone)]
enum Node {
    File { now: Vec<u8>, safe: Vec<u8> },
    Directory { now: Entries, safe: Entries, unsynced: Vec<Change> },
}

impl Node {
    fn sync(&mut self) {
        match self {
            Self::File { now, safe } => safe.clone_from(now),
            Self::Directory { now, safe, unsynced } => {
                safe.clone_from(now);
                unsynced.clear();
            }
        }
    }
}

type Entries = BTreeMap<String, usize>;

/// A change of a directory that has not been synced. Each happens at once, or not at all.
#[derive(Clone)]
enum Change {
    Add(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

impl Change {
    fn apply(&self, entries: &mut Entries) {
        match self {
            Self::Add(name, node) => drop(entries.insert(name.clone(), *node)),
            Self::Remove(name) => drop(entries.remove(name)),
            Self::Rename(from, to, node) => {
                entries.remove(from);
                entries.insert(to.clone(), *node);
            }
        }
    }
}

/// What is left of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Left {
    /// All: the process died, and the power did not go.
    All,
    Nothing,
    /// Entries of directories, without the contents of their files.
    Entries,
    /// Each change of a directory, and each content in part, as chance has it.
    Some,
}

pub struct Disk {
    nodes: Vec<Node>,
    /// Open files and directories: the node, and how far it was written.
    open: HashMap<u32, (usize, usize)>,
    root: String,
}

impl Disk {
    /// A directory as it is now: all of it is safe.
    pub fn of(root: &Path) -> Self {
        let mut disk = Self { nodes: Vec::new(), open: HashMap::new(), root: root.display().to_string() };
        disk.add(root);
        disk
    }

    fn add(&mut self, path: &Path) -> usize {
        let at = self.nodes.len();
        if path.is_dir() {
            self.nodes.push(directory(Entries::new()));
            let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
            let entries: Entries =
                entries.map(|entry| (entry.file_name().into_string().unwrap(), self.add(&entry.path()))).collect();
            self.nodes[at] = directory(entries);
        } else {
            let bytes = fs::read(path).unwrap();
            self.nodes.push(Node::File { now: bytes.clone(), safe: bytes });
        }
        at
    }

    /// The command has made a call.
    pub fn apply(&mut self, call: &Call) {
        match call {
            Call::Nothing | Call::Missing | Call::Mode(_) => {}
            Call::Create(path) => {
                let (parent, name) = self.place(path);
                if !self.entries(parent).contains_key(&name) {
                    let file = self.node(Node::File { now: Vec::new(), safe: Vec::new() });
                    self.change(parent, Change::Add(name, file));
                }
            }
            Call::Truncate(path) => {
                let file = self.find(path);
                self.content(file).clear();
            }
            Call::Open(fd, path) => drop(self.open.insert(*fd, (self.find(path), 0))),
            Call::Close(fd) => drop(self.open.remove(fd)),
            Call::Write(fd, bytes) => {
                let (file, at) = self.open[fd];
                let content = self.content(file);
                content.resize(content.len().max(at + bytes.len()), 0);
                content[at..at + bytes.len()].copy_from_slice(bytes);
                self.open.insert(*fd, (file, at + bytes.len()));
            }
            Call::Resize(fd, length) => {
                let file = self.open[fd].0;
                self.content(file).resize(*length as usize, 0);
            }
            Call::Sync(fd) => self.nodes[self.open[fd].0].sync(),
            Call::SyncAll(fd) => {
                assert!(self.open.contains_key(fd));
                self.nodes.iter_mut().for_each(Node::sync);
            }
            Call::Unlink(path) | Call::Rmdir(path) => {
                let (parent, name) = self.place(path);
                self.change(parent, Change::Remove(name));
            }
            Call::Mkdir(path) => {
                let (parent, name) = self.place(path);
                let new = self.node(directory(Entries::new()));
                self.change(parent, Change::Add(name, new));
            }
            Call::Rename(from, to) => {
                let ((parent, old), (other, new)) = (self.place(from), self.place(to));
                assert_eq!(parent, other, "renames stay in their directory: elsewhere they are two changes");
                let node = self.entries(parent)[&old];
                self.change(parent, Change::Rename(old, new, node));
            }
            Call::Link(from, to) => {
                let (node, (parent, name)) = (self.find(from), self.place(to));
                self.change(parent, Change::Add(name, node));
            }
        }
    }

    /// Writes what is left into an empty directory.
    pub fn leave(&self, left: Left, chance: &mut Chance, into: &Path) {
        self.leave_node(0, left, chance, into);
    }

    fn leave_node(&self, node: usize, left: Left, chance: &mut Chance, into: &Path) {
        match &self.nodes[node] {
            Node::File { now, safe } => {
                let torn = || now[..now.len() / 2].to_vec();
                let bytes = match left {
                    Left::All => now.clone(),
                    Left::Nothing | Left::Entries => safe.clone(),
                    Left::Some => match chance.below(3) {
                        0 => now.clone(),
                        1 if now != safe => torn(),
                        _ => safe.clone(),
                    },
                };
                fs::write(into, bytes).unwrap();
            }
            Node::Directory { now, safe, unsynced } => {
                fs::create_dir_all(into).unwrap();
                let entries = match left {
                    Left::All | Left::Entries => now.clone(),
                    Left::Nothing => safe.clone(),
                    Left::Some => {
                        let mut entries = safe.clone();
                        unsynced.iter().filter(|_| chance.below(2) == 0).for_each(|change| change.apply(&mut entries));
                        entries
                    }
                };
                for (name, node) in entries {
                    self.leave_node(node, left, chance, &into.join(name));
                }
            }
        }
    }

    fn node(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn change(&mut self, parent: usize, change: Change) {
        let Node::Directory { now, unsynced, .. } = &mut self.nodes[parent] else { panic!("a file has no entries") };
        change.apply(now);
        unsynced.push(change);
    }

    fn content(&mut self, file: usize) -> &mut Vec<u8> {
        match &mut self.nodes[file] {
            Node::File { now, .. } => now,
            Node::Directory { .. } => panic!("a directory has no content"),
        }
    }

    fn entries(&self, node: usize) -> &Entries {
        match &self.nodes[node] {
            Node::Directory { now, .. } => now,
            Node::File { .. } => panic!("a file has no entries"),
        }
    }

    fn find(&self, path: &Path) -> usize {
        let below = path.strip_prefix(&self.root).expect("only what is below is told");
        below.iter().fold(0, |node, name| self.entries(node)[name.to_str().unwrap()])
    }

    fn place(&self, path: &Path) -> (usize, String) {
        (self.find(path.parent().unwrap()), path.file_name().unwrap().to_str().unwrap().to_owned())
    }
}

fn directory(entries: Entries) -> Node {
    Node::Directory { safe: entries.clone(), now: entries, unsynced: Vec::new() }
}

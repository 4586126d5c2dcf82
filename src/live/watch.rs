//! Tells the keeper that files may have changed: inotify on the directories, so that a file renamed into its place and
//! the swapped symbolic links of mounted volumes are seen, and files that are replaced stay watched.
//!
//! Where inotify cannot be had, or does not see (a network file system, the target of a link elsewhere), the keeper's
//! slow look at everything does.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use inotify::{Inotify, WatchDescriptor, WatchMask, Watches};

use super::keeper::Event;
use crate::document::Stamps;
use crate::observe::event::Event as Said;

/// Directories watched at most: each costs the kernel about a kilobyte.
const DIRECTORIES: usize = 16_384;

const MASK: WatchMask = WatchMask::CREATE
    .union(WatchMask::MOVED_TO)
    .union(WatchMask::MOVED_FROM)
    .union(WatchMask::DELETE)
    .union(WatchMask::CLOSE_WRITE)
    .union(WatchMask::ATTRIB)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::ONLYDIR);

pub struct Watch {
    /// `None`: there is no inotify for us.
    watches: Option<Watches>,
    watched: HashMap<PathBuf, WatchDescriptor>,
    root: PathBuf,
    /// The keeper has been told, and has not looked yet.
    told: Arc<AtomicBool>,
    warned: bool,
}

impl Watch {
    pub fn start(root: &Path, events: Sender<Event>) -> Self {
        let told = Arc::<AtomicBool>::default();
        let mut watch =
            Self { watches: None, watched: HashMap::new(), root: root.to_path_buf(), told: told.clone(), warned: false };
        match Inotify::init() {
            Ok(inotify) => {
                let watches = inotify.watches();
                let listen = move || listen(inotify, &told, &events);
                match std::thread::Builder::new().name("watch".into()).spawn(listen) {
                    Ok(_) => watch.watches = Some(watches),
                    Err(error) => watch.warn(&error),
                }
            }
            Err(error) => watch.warn(&error),
        }
        watch
    }

    /// From now on, a change is told again.
    pub fn rearm(&self) {
        self.told.store(false, Ordering::SeqCst);
    }

    /// Watches the directories of what was read. True: some of them were not watched before, so that what happened in
    /// them meanwhile has not been told.
    pub fn follow(&mut self, stamps: &Stamps) -> bool {
        let Some(mut watches) = self.watches.clone() else { return false };
        let wanted = directories(&self.root, stamps);
        let mut new = false;
        let mut watched = HashMap::with_capacity(wanted.len());
        for directory in wanted.into_iter().take(DIRECTORIES) {
            // Named anew each time: the same name may lead to another directory by now.
            match watches.add(&directory, MASK) {
                Ok(descriptor) => {
                    new |= self.watched.remove(&directory).as_ref() != Some(&descriptor);
                    watched.insert(directory, descriptor);
                }
                Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {}
                Err(error) => self.warn(&error),
            }
        }
        for (_, gone) in self.watched.drain() {
            if !watched.values().any(|descriptor| *descriptor == gone) {
                // It may be gone already, with its directory.
                let _ = watches.remove(gone);
            }
        }
        self.watched = watched;
        new
    }

    fn warn(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.warned, true) {
            Said::ChangesNotTold { error }.tell();
        }
    }
}

/// Where a change can come from: directories that were listed, and those of files that were read. Of what is published, the
/// root manifest names all the rest, which never changes.
fn directories(root: &Path, stamps: &Stamps) -> Vec<PathBuf> {
    let published = root.join("published");
    let of_files = stamps.files().filter_map(Path::parent).filter(|directory| !directory.starts_with(&published));
    let mut wanted: Vec<PathBuf> = stamps.directories().chain(of_files).map(Path::to_path_buf).collect();
    wanted.push(root.to_path_buf());
    wanted.push(published);
    // The root may be a link that is swapped as a whole, or gone, to be there again.
    if root.is_symlink() || !root.is_dir() {
        wanted.push(root.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf());
    }
    wanted.sort();
    wanted.dedup();
    wanted
}

fn listen(mut inotify: Inotify, told: &AtomicBool, events: &Sender<Event>) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let Ok(mut happened) = inotify.read_events_blocking(&mut buffer) else { return };
        let matters = happened.any(|event| event.name.is_none_or(is_a_document));
        if matters && !told.swap(true, Ordering::SeqCst) && events.send(Event::Changed).is_err() {
            return;
        }
    }
}

/// What is being written beside its place has a dot before its name; what mounted volumes are swapped by has two.
fn is_a_document(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    !name.starts_with(b".") || name.starts_with(b"..")
}

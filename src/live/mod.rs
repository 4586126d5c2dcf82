//! The running gateway kept on the files as they are: they are watched, loaded and checked off the workers, and a good
//! generation is put in force on all of them; a bad one is told, and the one before goes on.
//!
//! Start at [`keeper`]: its loop. [`watch`] tells it that files have changed, [`socket`] brings it the orders of commands;
//! [`state`] is the state directory that both sides meet in.

mod keeper;
mod policies;
pub mod socket;
pub mod state;
mod watch;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::catalog::{Catalog, Kept};
use crate::document::{Report, Stamps};
use crate::observe::status::{LoadError, Status};
use crate::worker::handover::Swap;
use keeper::{Event, Keeper};
use state::{State, StateError};
use watch::Watch;

/// The way to a gateway that is about to start: commands find it from now on, and wait until it follows its files.
pub struct Control {
    state: State,
    events: Sender<Event>,
    incoming: Receiver<Event>,
    damage: Option<LoadError>,
}

/// The thread that keeps a gateway on its files.
pub struct Live {
    events: Sender<Event>,
    /// Held for as long as the gateway runs: nobody else may use the directory.
    _state: Arc<State>,
}

impl Control {
    /// Takes the state directory, and listens for commands.
    pub fn open(state_directory: &Path) -> Result<Self, StateError> {
        let state = State::take(state_directory)?;
        let (events, incoming) = channel();
        let listens = socket::listen(&state, events.clone());
        listens.map_err(|error| StateError::Io(state_directory.to_path_buf(), error))?;
        Ok(Self { state, events, incoming, damage: None })
    }

    /// What is about to be followed is not served as it is: the gateway starts with an older generation.
    pub fn damaged(&mut self, report: &Report) {
        self.damage = Some(keeper::load_error(report));
    }

    /// Begins to follow the files. `read`: how those looked that the catalog in force was read from, and what was kept of them.
    pub fn follow(
        self,
        config_dir: &Path,
        swap: Swap,
        status: Arc<Status>,
        read: (Stamps, Kept),
        amend: Amend,
    ) -> io::Result<Live> {
        let Self { state, events, incoming, damage } = self;
        status.accepted(
            keeper::generation(swap.catalog(), swap.load(), keeper::work(read.1.effort(), swap.groups_built())),
            Vec::new(),
            0,
        );
        if let Some(damage) = damage {
            status.refused(damage);
        }
        let watch = Watch::start(config_dir, events.clone());
        let state = Arc::new(state);
        let keeper = Keeper::new(config_dir.to_path_buf(), incoming, watch, swap, (status, state.clone()), read, amend);
        std::thread::Builder::new().name("keeper".into()).spawn(move || keeper.run())?;
        Ok(Live { events, _state: state })
    }
}

/// What is served beside what the documents say, put into every catalog before it comes into force.
pub type Amend = Box<dyn Fn(&mut Catalog) + Send>;

impl Live {
    /// Has everything read again, and put in force where it has changed.
    pub fn reload(&self) {
        // The thread ends only with the process, or by a bug that has been told.
        let _ = self.events.send(Event::Reload);
    }

    /// No generation is put in force any more: the workers are about to end.
    pub fn stop(&self) {
        let _ = self.events.send(Event::Stop);
    }
}

/// Errors of documents that are kept for the status; `lockgate check` shows all.
const ERRORS_KEPT: usize = 20;

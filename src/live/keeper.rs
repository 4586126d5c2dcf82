//! The thread that keeps a gateway on its files. Read [`Keeper::run`], then [`Keeper::load`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use super::policies;
use super::socket::{Answer, Order, Receipt};
use super::state::State;
use super::watch::Watch;
use super::{Amend, ERRORS_KEPT};
use crate::catalog::{Catalog, Effort, Kept, load_served};
use crate::document::{Look, Report, Stamps};
use crate::net::Clock;
use crate::net::clock::unix_ms;
use crate::observe::event::Event as Said;
use crate::observe::status::{Generation, LoadError, Phase, Status, Work};
use crate::worker::handover::Swap;

/// Files are loaded when nothing has changed for so long: who writes several has then written them all.
const QUIET: Duration = Duration::from_millis(50);
/// Changes that do not end are loaded all the same.
const QUIET_AT_MOST: Duration = Duration::from_secs(1);
/// From one look at everything to the next; longer where a look takes long.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Share of its time that the thread may spend on such looks: one in so many.
const LOOK_SHARE: u32 = 100;

pub enum Event {
    /// A file may have changed.
    Changed,
    /// Load now.
    Reload,
    Asked(Order, SyncSender<Answer>),
    /// The gateway drains.
    Stop,
}

pub struct Keeper {
    config_dir: PathBuf,
    events: Receiver<Event>,
    watch: Watch,
    swap: Swap,
    status: Arc<Status>,
    /// How everything looked when it was last read.
    stamps: Stamps,
    /// Of what was last read: what has not changed since is not read again.
    kept: Kept,
    amend: Amend,
    clock: Clock,
    looking: Looking,
    restart_needed: Vec<&'static str>,
    state: Arc<State>,
    /// That it is gone has been told.
    is_stateless: bool,
}

/// The slow look at everything: it goes on while nothing else is to be done.
#[derive(Default)]
struct Looking {
    /// When it begins, and goes on.
    due_us: u64,
    /// How far it has come.
    place: usize,
    took: Duration,
}

/// What a load came to.
enum Outcome {
    /// True: there was something to put in force.
    InForce(bool),
    Refused(LoadError),
}

/// What was done for a generation: by its load, and by putting it in force.
pub fn work(effort: Effort, (groups, of_groups): (usize, usize)) -> Work {
    let Effort { published_files, app_documents, .. } = effort;
    Work { published_files, app_documents, groups, of_groups }
}

/// A catalog as the status shows it.
pub fn generation(catalog: &Catalog, load: u64, work: Work) -> Generation {
    Generation {
        number: catalog.generation,
        sha256: catalog.sha256.clone(),
        load,
        loaded_unix_ms: unix_ms(),
        groups: catalog.groups.len(),
        apis: catalog.apis.len(),
        apps: catalog.apps.len(),
        vpc_accesses: catalog.vpc_accesses.len(),
        work,
    }
}

impl Keeper {
    pub fn new(
        config_dir: PathBuf,
        events: Receiver<Event>,
        watch: Watch,
        swap: Swap,
        (status, state): (Arc<Status>, Arc<State>),
        (stamps, kept): (Stamps, Kept),
        amend: Amend,
    ) -> Self {
        let (clock, looking, restart_needed) = (Clock::default(), Looking::default(), Vec::new());
        let is_stateless = false;
        Self { config_dir, events, watch, swap, status, stamps, kept, amend, clock, looking, restart_needed, state, is_stateless }
    }

    /// Follows the files until the gateway drains.
    pub fn run(mut self) {
        self.watch.follow(&self.stamps);
        while let Some(event) = self.next() {
            match event {
                Event::Changed => match self.quiet() {
                    Ok(None) => drop(self.load()),
                    Ok(Some((order, reply))) => self.obey(order, &reply),
                    Err(Stopped) => return,
                },
                Event::Reload => drop(self.reload()),
                Event::Asked(order, reply) => self.obey(order, &reply),
                Event::Stop => return,
            }
            // Who asked has the answer: there is time to free what nobody runs any more.
            self.swap.tidy();
        }
    }

    /// Waits for what is to be done next, and looks at everything meanwhile, when it is time. `None`: nothing will come.
    fn next(&mut self) -> Option<Event> {
        loop {
            let now_us = self.clock.now_us();
            match self.events.recv_timeout(Duration::from_micros(self.looking.due_us.saturating_sub(now_us))) {
                Ok(event) => return Some(event),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(event) = self.look() {
                        return Some(event);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Waits until nothing more changes, or somebody wants it now.
    fn quiet(&mut self) -> Result<Option<(Order, SyncSender<Answer>)>, Stopped> {
        let began_us = self.clock.now_us();
        loop {
            self.watch.rearm();
            match self.events.recv_timeout(QUIET) {
                Ok(Event::Changed) if self.since(began_us) < QUIET_AT_MOST => {}
                Ok(Event::Changed | Event::Reload) | Err(RecvTimeoutError::Timeout) => return Ok(None),
                Ok(Event::Asked(order, reply)) => return Ok(Some((order, reply))),
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            }
        }
    }

    /// What no event tells: files on a network, the targets of links, a kernel without inotify, and what has changed before it
    /// was watched. Returns the event that comes meanwhile, and goes on when that is dealt with: nobody waits for a look.
    fn look(&mut self) -> Option<Event> {
        let began_us = self.clock.now_us();
        let mut came = None;
        let look = self.stamps.look(self.looking.place, || {
            came = self.events.try_recv().ok();
            came.is_some()
        });
        self.looking.took += self.since(began_us);
        match look {
            Look::Interrupted(place) => self.looking.place = place,
            Look::Same | Look::Changed => {
                self.look_after_state();
                let pause = LOOK_EVERY.max(self.looking.took * LOOK_SHARE);
                let due_us = self.clock.now_us() + pause.as_micros() as u64;
                self.looking = Looking { due_us, ..Looking::default() };
                if look == Look::Changed {
                    self.reload();
                    self.swap.tidy();
                }
            }
        }
        came
    }

    /// The state directory may have gone with the config directory, which is replaced as a whole.
    fn look_after_state(&mut self) {
        let is_gone = !self.state.is_in_place();
        if is_gone && !self.is_stateless {
            Said::StateGone { directory: &self.state.directory }.tell();
        }
        self.is_stateless = is_gone;
    }

    fn obey(&mut self, order: Order, reply: &SyncSender<Answer>) {
        let began_us = self.clock.now_us();
        let outcome = match order {
            Order::Load => self.load(),
            Order::Reload => self.reload(),
            Order::ReloadSoon => Outcome::InForce(false),
        };
        let generation = self.status.view().generation;
        let (changed, error) = match outcome {
            Outcome::InForce(changed) => (changed, None),
            Outcome::Refused(error) => (false, Some(error.report)),
        };
        let (groups, of_groups) = self.swap.groups_built();
        let receipt = Receipt {
            generation: generation.number,
            sha256: generation.sha256,
            workers: self.status.workers_at(generation.load),
            of: self.status.workers(),
            took_us: self.clock.now_us() - began_us,
            changed,
            work: work(self.kept.effort(), if changed { (groups, of_groups) } else { (0, of_groups) }),
            restart_needed: self.restart_needed.iter().map(|key| (*key).to_owned()).collect(),
            config: self.config_dir.display().to_string(),
        };
        // Who asked may be gone.
        let _ = reply.send(Answer { receipt, error });
        if order == Order::ReloadSoon {
            self.reload();
        }
    }

    /// Loads all files, whatever they look like.
    fn reload(&mut self) -> Outcome {
        self.kept = Kept::default();
        self.load()
    }

    /// Loads the files as they are now, and puts them in force if they are good and not what runs already.
    fn load(&mut self) -> Outcome {
        let began_us = self.clock.now_us();
        if self.status.phase() == Phase::Draining {
            return Outcome::Refused(error("the gateway drains", &self.config_dir));
        }
        self.watch.rearm();
        self.look_after_state();
        let mut loaded = self.read();
        // What was written into a directory before it was watched has not been told.
        if self.watch.follow(&self.stamps) && self.stamps.were_edited() {
            loaded = self.read();
        }
        let put = loaded.and_then(|catalog| self.put_in_force(catalog, began_us));
        match put {
            Ok(changed) => Outcome::InForce(changed),
            Err(error) => {
                // The same again is no news: an editor may touch its files more often than it mends them.
                let known = self.status.view().error.is_some_and(|known| known.report == error.report);
                if !known {
                    let LoadError { place, errors, report, .. } = &error;
                    let generation = self.swap.catalog().generation;
                    Said::LoadRefused { generation, place, errors: *errors, report }.tell();
                }
                self.status.refused(error.clone());
                Outcome::Refused(error)
            }
        }
    }

    fn read(&mut self) -> Result<Catalog, LoadError> {
        let config_dir: &Path = &self.config_dir;
        // A bug in a check must not end the thread, and with it every reload to come.
        let kept = &mut self.kept;
        let loaded = catch_unwind(AssertUnwindSafe(|| load_served(config_dir, kept, &|_, _, _| ())));
        let Ok((loaded, stamps)) = loaded else {
            self.kept = Kept::default();
            return Err(error("a bug ended the load: please report it, with the log", &self.config_dir));
        };
        self.stamps = stamps;
        let mut catalog = loaded.map_err(|report| load_error(&report))?;
        (self.amend)(&mut catalog);
        Ok(catalog)
    }

    /// False: it runs already.
    fn put_in_force(&mut self, mut catalog: Catalog, began_us: u64) -> Result<bool, LoadError> {
        let restart_needed = catalog.settle(self.swap.catalog());
        if restart_needed != self.restart_needed && !restart_needed.is_empty() {
            Said::RestartNeeded { keys: &restart_needed.join(", ") }.tell();
        }
        self.restart_needed = restart_needed;
        let kept = || self.restart_needed.iter().map(|key| (*key).to_owned()).collect();
        let before = self.status.view();
        let same = (catalog.generation, &catalog.sha256) == (before.generation.number, &before.generation.sha256);
        if same {
            self.status.accepted(before.generation, kept(), before.last_load_us);
            return Ok(false);
        }
        let changes = policies::changes(self.swap.catalog(), &catalog);
        let put = self.swap.put_in_force(Arc::new(catalog));
        let load = put.map_err(|stuck| {
            error(&format!("worker {} did not take the new generation in time", stuck.worker), &self.config_dir)
        })?;
        let took_us = self.clock.now_us() - began_us;
        let generation = generation(self.swap.catalog(), load, work(self.kept.effort(), self.swap.groups_built()));
        let (number, sha256, of) = (generation.number, generation.sha256.clone(), self.status.workers());
        self.status.accepted(generation, kept(), took_us);
        let workers = self.status.workers_at(load);
        Said::GenerationInForce { generation: number, sha256: &sha256, workers, of, took_us }.tell();
        changes.iter().for_each(|change| Said::PolicyChanged { change }.tell());
        Ok(true)
    }

    fn since(&self, began_us: u64) -> Duration {
        Duration::from_micros(self.clock.now_us().saturating_sub(began_us))
    }
}

/// The gateway drains.
struct Stopped;

/// Errors of documents as the status shows them.
pub fn load_error(report: &Report) -> LoadError {
    let (place, message) = report.first().map_or_else(Default::default, |(place, text)| (place, text.to_owned()));
    LoadError { unix_ms: unix_ms(), place, message, errors: report.len(), report: report.render_first(ERRORS_KEPT) }
}

/// An error that is no fault of a document.
fn error(message: &str, config_dir: &Path) -> LoadError {
    let place = config_dir.display().to_string();
    LoadError { unix_ms: unix_ms(), report: format!("error: {message}\n"), message: message.to_owned(), place, errors: 1 }
}

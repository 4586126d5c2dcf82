//! `lockgate run`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::Failure;
use super::progress::Progress;
use super::service::{SIGN_OF_LIFE, Service};
use super::signals::{Order, Signals};
use crate::admin::{Admin, Sources};
use crate::catalog::{self, Catalog, Driver, Kept, LastWhole, LogFormat, Scheme};
use crate::document::{Diagnostic, Layout, Report, Stamps};
use crate::live::{Amend, Control, Live};
use crate::observe::event::Event;
use crate::observe::log::{Format, Log};
use crate::worker::fleet::{Fleet, StartError};

/// The exit code of a configuration that cannot be run (EX_CONFIG of sysexits.h).
const CONFIG_ERROR: u8 = 78;

/// How long the end of the process waits for its last words to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[derive(Args)]
pub struct Run {
    /// Where a published file is damaged, do not start: without it, the last generation that is whole is served
    #[arg(long)]
    strict: bool,
}

impl Run {
    pub fn run(self, config: &Path) -> Result<(), Failure> {
        // Before anything is bound: a signal from now on is an order, not an end.
        let signals = Signals::listen()?;
        let (mut kept, progress) = (Kept::default(), Progress::new());
        let (catalog, stamps) = catalog::load_served(config, &mut kept, &|what, done, all| progress.show(what, done, all));
        drop(progress);
        let (catalog, damage) = match catalog {
            Ok(catalog) => (catalog, None),
            Err(report) => self.last_whole(config, report)?,
        };
        let catalog = Arc::new(catalog);
        with_log(&catalog, || serve(start(config, catalog.clone(), (stamps, kept), damage, Box::new(|_| ()))?, &signals))
    }

    /// What is served instead of files with errors, if it is what is published that is damaged; and the errors.
    fn last_whole(&self, config: &Path, mut report: Report) -> Result<(Catalog, Option<Report>), Failure> {
        if !self.strict {
            match catalog::last_whole(config) {
                LastWhole::Found(catalog) => return Ok((*catalog, Some(report))),
                LastWhole::None => {
                    let kept = Layout::new(config).generations();
                    let none = Diagnostic::file(&kept, "none of the generations that are kept here can be served instead");
                    report.push(none.help("restore the damaged files from a backup, or publish anew"));
                }
                LastWhole::Undamaged => {}
            }
        }
        Err(Failure::from(report).code(CONFIG_ERROR))
    }
}

/// Does something that says what it does, as `[log]` has it.
pub(super) fn with_log(catalog: &Catalog, gateway: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let log = Log::start(match catalog.log_format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    })?;
    let done = gateway();
    log.flush(LAST_WORDS);
    done
}

/// A gateway that serves.
pub(super) struct Running {
    fleet: Fleet,
    live: Live,
    service: Service,
}

/// Starts the gateway and says what it does.
///
/// `damage`: why it does not serve the current generation, but the last that is whole. `amend`: what is served beside what the
/// documents say, of every further catalog; of this one it is done.
pub(super) fn start(
    config: &Path,
    catalog: Arc<Catalog>,
    read: (Stamps, Kept),
    damage: Option<Report>,
    amend: Amend,
) -> Result<Running, Failure> {
    // Before anything is bound: who finds a listener finds the way to give orders, too.
    let mut control = Control::open(&catalog.instance.state_directory).map_err(|error| Failure::new(error.to_string()))?;
    if let Some(damage) = damage {
        Event::Damaged { generation: catalog.generation, report: &damage.render(false) }.tell();
        control.damaged(&damage);
    }
    let fails = |error: StartError| Failure::new(error.to_string());
    let bind = |address| Admin::bind(address).map_err(|error| StartError::Listen(address, error));
    let admin = catalog.admin.map(bind).transpose().map_err(fails)?;
    let mut fleet = Fleet::start(catalog.clone()).map_err(fails)?;
    let swap = fleet.swap().ok_or_else(|| Failure::new("the gateway is followed already"))?;
    let live = control.follow(config, swap, fleet.status.clone(), read, amend)?;
    if let Some(admin) = admin {
        admin.serve(Arc::new(sources(&fleet, &catalog)))?;
    }
    // Whatever the gateway needs descriptors for, it has: what is left is for clients and backends.
    fleet.open();
    let (instance, driver) = (catalog.instance.name.as_str(), driver(&fleet));
    for listener in &catalog.listeners {
        let scheme = if listener.scheme == Scheme::Https { "https" } else { "http" };
        Event::Listening { url: &format!("{scheme}://{}", listener.address) }.tell();
    }
    if let Some(address) = catalog.admin {
        Event::AdminListening { address }.tell();
    }
    let (workers, apis) = (fleet.workers(), catalog.apis.len());
    Event::Started { instance, workers, driver, apis }.tell();
    let service = Service::find();
    service.ready(&format!("{workers} workers on {driver}, {apis} published APIs"));
    Ok(Running { fleet, live, service })
}

/// What the operator's listener shows.
fn sources(fleet: &Fleet, catalog: &Catalog) -> Sources {
    Sources {
        instance: catalog.instance.name.clone(),
        driver: driver(fleet),
        listeners: catalog.listeners.iter().map(|listener| format!("http://{}", listener.address)).collect(),
        workers: fleet.counters(),
        status: fleet.status.clone(),
        board: fleet.board(),
        shared: fleet.shared(),
        policies: fleet.policies(),
        engine: fleet.engine(),
        log: fleet.log_lines(),
    }
}

fn driver(fleet: &Fleet) -> &'static str {
    match fleet.driver {
        Driver::Epoll => "epoll",
        Driver::Auto | Driver::IoUring => "io_uring",
    }
}

/// Follows orders until one of them is to stop; then lets the workers finish.
pub(super) fn serve(running: Running, signals: &Signals) -> Result<(), Failure> {
    let Running { mut fleet, live, service } = running;
    loop {
        match signals.within(SIGN_OF_LIFE) {
            Some(Order::Stop) => break,
            Some(Order::ReopenLog) => {
                if let Some(log) = fleet.reopen_log() {
                    log.ask();
                }
            }
            Some(Order::Reload) => live.reload(),
            None => {
                fleet.tend();
                if fleet.all_is_well() {
                    service.alive();
                }
            }
        }
    }
    service.stopping();
    live.stop();
    Event::Draining { delay_ms: fleet.drain_delay().as_millis() as u64 }.tell();
    let ended = fleet.drain(|wait| {
        service.alive();
        signals.within(wait) == Some(Order::Stop)
    });
    let requests = fleet.count(|counters| counters.requests.get());
    let panics = fleet.count(|counters| counters.panics.get());
    Event::Stopped { requests, panics, log_lines_dropped: fleet.log_lines_dropped() }.tell();
    match ended {
        true => Ok(()),
        false => Err(Failure::new("the drain was cut short, by a second signal or by drain_timeout_ms")),
    }
}

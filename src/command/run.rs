//! `lockgate run`

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::Failure;
use super::signals::{Order, Signals};
use crate::admin::{Admin, Sources};
use crate::catalog::{self, Catalog, Driver, Scheme};
use crate::worker::fleet::{Fleet, StartError};

/// The exit code of a configuration that cannot be run (EX_CONFIG of sysexits.h).
const CONFIG_ERROR: u8 = 78;

#[derive(Args)]
pub struct Run {}

impl Run {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        // Before anything is bound: a signal from now on is an order, not an end.
        let signals = Signals::listen()?;
        let catalog = catalog::load(config).map_err(|report| Failure::from(report).code(CONFIG_ERROR))?;
        let fleet = start(catalog.clone(), out)?;
        serve(fleet, &signals, out)
    }
}

/// Starts the gateway and says what it does.
pub(super) fn start(catalog: Arc<Catalog>, out: &mut dyn Write) -> Result<Fleet, Failure> {
    super::log_to_standard_error();
    let fails = |error: StartError| Failure::new(error.to_string());
    let bind = |address| Admin::bind(address).map_err(|error| StartError::Listen(address, error));
    let admin = catalog.admin.map(bind).transpose().map_err(fails)?;
    let fleet = Fleet::start(catalog.clone()).map_err(fails)?;
    if let Some(admin) = admin {
        let sources = Sources { workers: fleet.counters(), status: fleet.status.clone(), log: fleet.log_lines() };
        admin.serve(Arc::new(sources))?;
    }
    let driver = if fleet.driver == Driver::Epoll { "epoll" } else { "io_uring" };
    for listener in &catalog.listeners {
        let scheme = if listener.scheme == Scheme::Https { "https" } else { "http" };
        writeln!(out, "{}: listening on {scheme}://{}", catalog.instance.name, listener.address)?;
    }
    if let Some(address) = catalog.admin {
        writeln!(out, "{}: operator's listener on http://{address}", catalog.instance.name)?;
    }
    let workers = fleet.workers();
    writeln!(out, "{}: {workers} workers on {driver}, {} published APIs", catalog.instance.name, catalog.apis.len())?;
    out.flush()?;
    Ok(fleet)
}

/// Follows orders until one of them is to stop; then lets the workers finish.
pub(super) fn serve(mut fleet: Fleet, signals: &Signals, out: &mut dyn Write) -> Result<(), Failure> {
    loop {
        match signals.next() {
            Some(Order::Stop) => break,
            Some(Order::ReopenLog) => {
                if let Some(log) = fleet.reopen_log() {
                    log.ask();
                }
            }
            None => fleet.tend(),
        }
    }
    writeln!(out, "draining; a second signal ends at once")?;
    out.flush()?;
    let ended = fleet.drain(|wait| signals.within(wait) == Some(Order::Stop));
    let requests = fleet.count(|counters| counters.requests.get());
    let panics = fleet.count(|counters| counters.panics.get());
    let dropped = fleet.log_lines_dropped();
    writeln!(out, "stopped after {requests} requests ({panics} panics, {dropped} log lines dropped)")?;
    match ended {
        true => Ok(()),
        false => Err(Failure::new("the drain was cut short, by a second signal or by drain_timeout_ms")),
    }
}

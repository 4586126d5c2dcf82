//! Work that takes longer than a second shows how far it is, on a terminal.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const AFTER: Duration = Duration::from_secs(1);

/// A bar on standard error, which appears when it is worth it, and is gone when the work is done.
pub struct Progress {
    since: Instant,
    bar: RefCell<Option<ProgressBar>>,
    wanted: bool,
}

impl Progress {
    #[allow(clippy::disallowed_methods)] // a person waits, not a worker
    pub fn new() -> Self {
        Self { since: Instant::now(), bar: RefCell::new(None), wanted: std::io::stderr().is_terminal() }
    }

    pub fn show(&self, what: &'static str, done: usize, all: usize) {
        if !self.wanted || self.since.elapsed() < AFTER {
            return;
        }
        let mut bar = self.bar.borrow_mut();
        let bar = bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg:>8} {bar:40} {pos}/{len}");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_length(all as u64);
        bar.set_message(what);
        bar.set_position(done as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }
}

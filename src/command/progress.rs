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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // as above
    fn a_bar_appears_on_a_terminal_when_the_work_takes_longer() {
        let after = |took: Duration, wanted: bool| {
            let progress = Progress { since: Instant::now() - took, bar: RefCell::default(), wanted };
            progress.show("apps", 30, 100);
            progress.bar.take().map(|bar| (bar.message(), bar.position(), bar.length()))
        };
        assert_eq!(after(AFTER * 2, true), Some(("apps".to_owned(), 30, Some(100))));
        assert_eq!(after(Duration::ZERO, true), None);
        assert_eq!(after(AFTER * 2, false), None);
    }
}

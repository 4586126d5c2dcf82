//! The active checks of the generation in force, run by one worker for all. A check that the next generation has too
//! goes on as if nothing had happened.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::proxy::Core;
use crate::upstream::board::Key;
use crate::upstream::check::{Checker, Running};

#[derive(Default)]
pub struct Checks {
    running: RefCell<HashMap<Key, Running>>,
}

impl Checks {
    /// Begins the checks that are new, and ends those that are gone.
    pub fn follow(&self, core: &Rc<Core>) {
        let mut before = self.running.take();
        let mut running = HashMap::with_capacity(before.len());
        for (key, checker) in core.running().upstreams.checkers() {
            match before.remove(&key) {
                Some(same) if same.is(&checker) => drop(running.insert(key, same)),
                other => {
                    other.inspect(Running::stop);
                    running.insert(key, checker.running());
                    core.spawn(check(core.clone(), checker));
                }
            }
        }
        for gone in before.values() {
            gone.stop();
            gone.forget(&core.clock);
        }
        self.running.replace(running);
    }
}

/// Checks one instance until it is no longer to be checked, or the worker drains.
async fn check(core: Rc<Core>, mut checker: Checker) {
    while !core.draining.get() && checker.is_wanted() {
        // Held no longer than one check: a generation that is gone must not stay for it.
        let running = core.running();
        checker.check(&running.upstreams, &core.clock, &core.handshakes, &core.blocks).await;
        drop(running);
        monoio::time::sleep(checker.interval()).await;
    }
}

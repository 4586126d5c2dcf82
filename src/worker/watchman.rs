//! Says what has become of instances, workers and clients without a place, once a second and off the workers: it looks, so that nobody on the path
//! of a request has to tell.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::turned_away::{Turn, TurnedAway};
use crate::net::Clock;
use crate::observe::counters::{Counters, stuck};
use crate::observe::event::Event;
use crate::upstream::board::Board;
use crate::upstream::health::State;

#[derive(Default)]
pub struct Watchman {
    /// Instances that were not well at the last look.
    ill: HashMap<(String, SocketAddr), State>,
    stuck: Vec<usize>,
    turned_away: TurnedAway,
    http2_refused: TurnedAway,
}

impl Watchman {
    /// Looks, and tells what has changed since the last look.
    pub fn look(&mut self, board: &Board, workers: &[Arc<Counters>]) {
        let now_ms = Clock::default().now_us() / 1000;
        let mut ill = HashMap::new();
        let was_ill = |access: &str, address| self.ill.keys().any(|(a, b)| a == access && *b == address);
        let seen = board.seen(now_ms, |access, address, state| state != State::Well || was_ill(access, address));
        for seen in seen {
            let (vpc_access, address) = (seen.access.as_str(), seen.address);
            let before = self.ill.remove(&(seen.access.clone(), address)).unwrap_or(State::Well);
            // Between two trials an instance is no better than it was.
            let state = if seen.state == State::Trial { State::Aside } else { seen.state };
            match state {
                _ if state == before => {}
                State::Well => Event::InstanceWell { vpc_access, address }.tell(),
                State::Down => Event::InstanceDown { vpc_access, address }.tell(),
                State::Aside | State::Trial => Event::InstanceAside { vpc_access, address }.tell(),
            }
            if state != State::Well {
                ill.insert((seen.access, address), state);
            }
        }
        self.ill = ill;
        let stuck = stuck(workers, now_ms);
        stuck.iter().filter(|worker| !self.stuck.contains(worker)).for_each(|&worker| Event::WorkerStuck { worker }.tell());
        self.stuck = stuck;
        let turned_away = workers.iter().map(|worker| worker.connections_shed.get() + worker.tls_shed.get()).sum();
        match self.turned_away.look(turned_away) {
            None => {}
            Some(Turn::Begins) => Event::ClientsTurnedAway.tell(),
            Some(Turn::Ends(connections)) => Event::ClientsTakenAgain { connections }.tell(),
        }
        match self.http2_refused.look(workers.iter().map(|worker| worker.http2.refused()).sum()) {
            None => {}
            Some(Turn::Begins) => Event::Http2Refused.tell(),
            Some(Turn::Ends(refused)) => Event::Http2RefusedEnough { refused }.tell(),
        }
    }

    /// No worker was stuck at the last look.
    pub fn all_is_well(&self) -> bool {
        self.stuck.is_empty()
    }
}

//! Making room: which connection that waits between two requests is ended for another that has something to say.

use super::deadline::{Wait, Watch, Watches};

/// Connections looked at for one to be ended, at most: more would cost a worker with very many of them too much time.
const LOOKED_AT: usize = 4096;
/// Connections that wait, of which the best is chosen.
const CHOSEN_FROM: usize = 64;

impl Watches {
    /// Connections that have a place: not those that are being ended.
    pub fn places_taken(&self) -> usize {
        self.len() - self.slots.borrow().leaving
    }

    /// Ends one that waits between two requests, and gives up its place: of those looked at, one that has never been sent
    /// an answer before one that has, and then the one that has waited longest. False: none of them waits.
    pub fn end_longest_idle(&self) -> bool {
        let mut slots = self.slots.borrow_mut();
        let len = slots.watches.len();
        let from = self.search_from.get();
        let mut looked_at = 0;
        let in_turn = (0..len.min(LOOKED_AT)).map(|n| (from + n) % len).inspect(|_| looked_at += 1);
        let waiting = in_turn.filter_map(|place| slots.watches[place].as_ref()).filter(|watch| watch.may_be_ended());
        let chosen = waiting.take(CHOSEN_FROM).min_by_key(|watch| (watch.served.get(), watch.from_client.at_ms.get())).cloned();
        // Another search begins where this one came to its end, so that all are looked at sooner or later.
        self.search_from.set((from + looked_at).checked_rem(len).unwrap_or(0));
        let Some(watch) = chosen else { return false };
        watch.leaving.set(true);
        watch.ticket.take();
        watch.end_wait();
        slots.leaving += 1;
        true
    }
}

impl Watch {
    fn may_be_ended(&self) -> bool {
        self.from_client.wait() == Wait::Idle && !self.leaving.get()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::net::Watched;
    use crate::net::stream::Handle;

    fn connected(watches: &Rc<Watches>, n: usize) -> (Vec<TcpStream>, Vec<Watched>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let streams: Vec<_> = (0..n).map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
        let watched = streams.iter().map(|stream| watches.add(Handle::Socket(stream.as_raw_fd()), None)).collect();
        (streams, watched)
    }

    fn waits(watch: &Watch, since_ms: u64) {
        watch.from_client.arm(Wait::Idle, since_ms, Duration::from_secs(60));
    }

    #[test]
    fn who_was_never_served_goes_first_and_then_who_waits_longest() {
        let watches = Rc::<Watches>::default();
        let (_streams, watched) = connected(&watches, 5);
        for (watch, (since_ms, served)) in watched.iter().zip([(100, true), (50, true), (400, false), (300, false)]) {
            waits(watch, since_ms);
            watch.served.set(served);
        }
        watched[4].from_client.arm(Wait::Head, 0, Duration::from_secs(10));
        for next in [3, 2, 1, 0] {
            assert!(watches.end_longest_idle());
            assert!(watched[next].is_leaving() && watched[next].from_client.expired() == Wait::Idle, "{next}");
        }
        assert!(!watches.end_longest_idle(), "the last one is busy");
        assert_eq!((watches.len(), watches.places_taken()), (5, 1));
        drop(watched);
        assert_eq!((watches.len(), watches.places_taken()), (0, 0));
    }

    #[test]
    fn all_are_looked_at_sooner_or_later() {
        let watches = Rc::<Watches>::default();
        let (_streams, watched) = connected(&watches, 100);
        watched.iter().for_each(|watch| waits(watch, 0));
        let ended = (0..150).filter(|_| watches.end_longest_idle()).count();
        assert_eq!((ended, watches.places_taken()), (100, 0));
    }
}

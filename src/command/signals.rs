//! Orders that come as signals.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// SIGTERM, SIGINT
    Stop,
    /// SIGUSR1
    ReopenLog,
    /// SIGHUP
    Reload,
}

pub struct Signals(Receiver<Order>);

impl Signals {
    /// From now on signals are orders.
    pub fn listen() -> io::Result<Self> {
        let mut signals = iterator::Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1])?;
        let (sender, receiver) = channel();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                let order = match signal {
                    SIGUSR1 => Order::ReopenLog,
                    SIGHUP => Order::Reload,
                    _ => Order::Stop,
                };
                if sender.send(order).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self(receiver))
    }

    /// The next order; `None`: none came so soon.
    pub fn within(&self, wait: Duration) -> Option<Order> {
        self.0.recv_timeout(wait).ok()
    }
}

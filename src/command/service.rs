//! The service manager (systemd), where there is one: it is told when the gateway is ready, when it stops, and that it
//! is alive.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::observe::event::Event;

/// What it is told; nothing, where `NOTIFY_SOCKET` names nobody.
pub struct Service {
    /// The manager waits for a sign of life.
    watched: bool,
}

/// How often it is given a sign of life, at least: `WatchdogSec=` must be more than twice as long.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

impl Service {
    pub fn find() -> Self {
        Self { watched: sd_notify::watchdog_enabled().is_some() }
    }

    pub fn ready(&self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    pub fn alive(&self) {
        if self.watched {
            tell(&[NotifyState::Watchdog]);
        }
    }

    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        Event::ServiceManagerDeaf { error: &error }.tell();
    }
}

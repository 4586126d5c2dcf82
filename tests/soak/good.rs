//! Clients that do everything right: each of their calls is answered, and how long that took is kept.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lockgate_test_support::{Message, Request};

/// Between two calls of a good client.
const PAUSE: Duration = Duration::from_millis(4);

/// What became of good calls.
#[derive(Default)]
pub struct Calls {
    /// How long each took, in microseconds.
    pub took_us: Vec<u64>,
    /// Connections that had been closed when they were used again.
    pub reconnected: usize,
}

impl Calls {
    pub fn join(parts: Vec<Calls>) -> Calls {
        parts.into_iter().fold(Calls::default(), |mut all, part| {
            all.took_us.extend(part.took_us);
            all.reconnected += part.reconnected;
            all
        })
    }

    /// The time within which 99 of 100 were answered.
    pub fn p99_us(&mut self) -> u64 {
        self.took_us.sort_unstable();
        self.took_us.get(self.took_us.len() * 99 / 100).copied().unwrap_or_default()
    }
}

/// A client that calls again and again, on a connection that it keeps.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
pub fn call<C>(
    connect: impl Fn() -> C,
    exchange: impl Fn(&mut C, &Request) -> io::Result<Message>,
    request: &Request,
    over: &AtomicBool,
) -> Calls {
    let (mut calls, mut client, mut used) = (Calls::default(), connect(), false);
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        loop {
            match exchange(&mut client, request) {
                Ok(answer) => {
                    answer.assert_passed();
                    used = true;
                    break;
                }
                // One that waited may have been ended for another client, as any client must expect.
                Err(error) => {
                    assert!(used, "a call on a new connection is not answered: {error}");
                    (client, used) = (connect(), false);
                    calls.reconnected += 1;
                }
            }
        }
        calls.took_us.push(begun.elapsed().as_micros() as u64);
        std::thread::sleep(PAUSE);
    }
    calls
}

/// Ends all threads, also when one of them has failed.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

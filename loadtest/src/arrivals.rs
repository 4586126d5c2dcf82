//! Arrivals of an open loop: requests come when they come, whether or not earlier ones have been answered.
//!
//! A thread of its own sleeps until each intended time, to some 50 microseconds, and tells the ring by a byte stream: timers of the
//! ring's runtime are only good to a millisecond. What is told is the intended time, so that whoever takes it late measures from then.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::Write;
use std::os::unix::net::UnixStream as StdStream;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;
use monoio::io::AsyncReadRent;
use monoio::net::UnixStream;
use serde::{Deserialize, Serialize};

use crate::clock;

/// How far apart they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// As those of many who know nothing of each other.
    #[default]
    Poisson,
}

/// Intended times, in nanoseconds since the beginning. The same for the same seed.
struct Times {
    gap_ns: f64,
    arrivals: Arrivals,
    random: u64,
    at_ns: f64,
}

impl Times {
    fn new(rate: f64, arrivals: Arrivals, seed: u64) -> Self {
        Self { gap_ns: 1e9 / rate, arrivals, random: seed | 1, at_ns: 0.0 }
    }
}

impl Iterator for Times {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.at_ns += match self.arrivals {
            Arrivals::Constant => self.gap_ns,
            Arrivals::Poisson => {
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                // In (0, 1]: its logarithm is there.
                let uniform = ((self.random >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
                -uniform.ln() * self.gap_ns
            }
        };
        Some(self.at_ns as u64)
    }
}

/// Requests that are due and that no connection has taken yet.
#[derive(Clone, Default)]
pub struct Due(Rc<RefCell<Waiting>>);

#[derive(Default)]
struct Waiting {
    due: VecDeque<Instant>,
    idle: Vec<Waker>,
    over: bool,
}

impl Due {
    /// `rate` a second, for so long.
    pub fn begin(rate: f64, arrivals: Arrivals, seed: u64, time: Duration) -> Result<Self> {
        let (told, tell) = StdStream::pair()?;
        let begun = clock::now();
        let times = Times::new(rate, arrivals, seed).take_while(move |&at_ns| at_ns < time.as_nanos() as u64);
        std::thread::spawn(move || pace(tell, begun, times));
        let due = Self::default();
        monoio::spawn(listen(UnixStream::from_std(told)?, begun, due.clone()));
        Ok(due)
    }

    /// When the next request was to be sent; `None`: there are no more.
    pub async fn next(&self) -> Option<Instant> {
        poll_fn(|context| {
            let waiting = &mut *self.0.borrow_mut();
            match waiting.due.pop_front() {
                Some(at) => Poll::Ready(Some(at)),
                None if waiting.over => Poll::Ready(None),
                None => {
                    waiting.idle.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn come(&self, at: Instant) {
        let waiting = &mut *self.0.borrow_mut();
        waiting.due.push_back(at);
        if let Some(waker) = waiting.idle.pop() {
            waker.wake();
        }
    }

    fn end(&self) {
        let waiting = &mut *self.0.borrow_mut();
        waiting.over = true;
        waiting.idle.drain(..).for_each(Waker::wake);
    }
}

/// Sleeps until each of the times, and tells it. Ends with whoever listens.
fn pace(mut tell: StdStream, begun: Instant, times: impl Iterator<Item = u64>) {
    for at_ns in times {
        std::thread::sleep((begun + Duration::from_nanos(at_ns)).saturating_duration_since(clock::now()));
        if tell.write_all(&at_ns.to_le_bytes()).is_err() {
            return;
        }
    }
}

async fn listen(mut told: UnixStream, begun: Instant, due: Due) {
    let (mut buffer, mut held) = (vec![0; 4096], Vec::new());
    loop {
        let (result, back) = told.read(buffer).await;
        buffer = back;
        match result {
            Ok(n) if n > 0 => held.extend_from_slice(&buffer[..n]),
            _ => return due.end(),
        }
        let whole = held.len() - held.len() % 8;
        for at_ns in held.drain(..whole).collect::<Vec<u8>>().chunks_exact(8) {
            let at_ns = u64::from_le_bytes(at_ns.try_into().unwrap_or_default());
            due.come(begun + Duration::from_nanos(at_ns));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_keep_their_rate_and_come_again_with_their_seed() {
        let times = |arrivals, seed| Times::new(10_000.0, arrivals, seed).take(100_000).collect::<Vec<u64>>();
        assert_eq!(times(Arrivals::Constant, 1)[..3], [100_000, 200_000, 300_000]);
        let poisson = times(Arrivals::Poisson, 7);
        let seconds = poisson[poisson.len() - 1] as f64 / 1e9;
        assert!((9.8..10.2).contains(&seconds), "100,000 at 10,000 a second took {seconds}");
        // Of an exponential distribution, 1 - 1/e of the gaps are below their mean.
        let short = poisson.windows(2).filter(|pair| pair[1] - pair[0] < 100_000).count();
        assert!((62_000..64_500).contains(&short), "{short}");
        assert_eq!(poisson, times(Arrivals::Poisson, 7));
        assert_ne!(poisson, times(Arrivals::Poisson, 8));
    }
}

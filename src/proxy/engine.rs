//! A worker's side of the cluster's engine: what calls need goes to its thread, and calls that wait are woken when that rings.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::cluster::{Engine, Message, NonceAnswer, NonceAsk, NonceVerdict};
use crate::gate::Counting;
use crate::net::{Clock, pause};

pub struct Waiting {
    engine: Engine,
    /// Rings so far.
    rings: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
}

impl Waiting {
    pub fn new(engine: Engine) -> Self {
        Self { engine, rings: Cell::new(0), wakers: RefCell::default() }
    }

    /// How long a call waits at most.
    pub fn patience_us(&self) -> u64 {
        self.engine.wait.as_micros() as u64
    }

    /// Hands on what the last decision needs.
    pub fn ask(&self, counting: &mut Counting) {
        for need in counting.needs() {
            // One that is lost is missed by a call that waits, at most until its patience ends.
            self.engine.tell(Message::Need(need));
        }
    }

    /// Whether any gateway has seen a nonce before, as far as it is known in time.
    pub async fn confirm(&self, nonce: u128, clock: &Clock) -> NonceVerdict {
        let until_us = clock.now_us() + self.patience_us();
        let answer = Arc::new(NonceAnswer::default());
        if !self.engine.tell(Message::Nonce(NonceAsk { nonce, answer: answer.clone() })) {
            return NonceVerdict::Lost;
        }
        loop {
            let left_us = until_us.saturating_sub(clock.now_us());
            match answer.verdict() {
                Some(verdict) => return verdict,
                None if left_us == 0 => return NonceVerdict::Lost,
                None => self.news(Duration::from_micros(left_us)).await,
            }
        }
    }

    /// The engine has answered something.
    pub fn ring(&self) {
        self.rings.set(self.rings.get() + 1);
        self.wakers.take().into_iter().for_each(Waker::wake);
    }

    /// Waits for the next answer, to whoever it may be, or for so long. It moves no bytes, and may be dropped.
    pub async fn news(&self, left: Duration) {
        let heard = self.rings.get();
        let mut pause = pin!(pause(left));
        poll_fn(|context| {
            if self.rings.get() != heard {
                return Poll::Ready(());
            }
            self.wakers.borrow_mut().push(context.waker().clone());
            pause.as_mut().poll(context)
        })
        .await;
    }
}

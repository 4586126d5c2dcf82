//! What moves the bytes of a connection while someone talks over it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::carrier::Carrier;

/// The two directions of a socket; each runs to its end.
pub struct Pumps<'p, R, S> {
    receiving: Option<Pin<&'p mut R>>,
    sending: Option<Pin<&'p mut S>>,
}

impl<'p, R: Future<Output = ()>, S: Future<Output = ()>> Pumps<'p, R, S> {
    /// [`Carrier::receive`] and [`Carrier::send`].
    pub fn new(receiving: Pin<&'p mut R>, sending: Pin<&'p mut S>) -> Self {
        Self { receiving: Some(receiving), sending: Some(sending) }
    }

    /// Moves bytes until the talk is over, and its last word has been sent.
    pub async fn run(&mut self, carrier: &Carrier<'_>, talk: impl Future<Output = ()>) {
        {
            let mut talk = pin!(talk);
            poll_fn(|context| {
                loop {
                    self.poll(context);
                    if talk.as_mut().poll(context).is_ready() {
                        return Poll::Ready(());
                    }
                    if !carrier.has_stirred() {
                        return Poll::Pending;
                    }
                }
            })
            .await;
        }
        self.until(carrier, || carrier.is_sent()).await;
    }

    /// Takes what the other side still sends, and throws it away. The caller has ended the connection, or will when it is
    /// told how much that was.
    pub async fn run_dry(&mut self, carrier: &Carrier<'_>, mut taken: impl FnMut(usize)) {
        self.until(carrier, || {
            taken(carrier.discard());
            carrier.has_ended()
        })
        .await;
    }

    async fn until(&mut self, carrier: &Carrier<'_>, mut done: impl FnMut() -> bool) {
        poll_fn(|context| {
            loop {
                self.poll(context);
                if done() {
                    return Poll::Ready(());
                }
                if !carrier.has_stirred() {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        self.receiving.take_if(|receiving| receiving.as_mut().poll(context).is_ready());
        self.sending.take_if(|sending| sending.as_mut().poll(context).is_ready());
    }
}

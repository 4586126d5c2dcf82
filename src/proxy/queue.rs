//! Calls that wait for their turn under a limit a second. A client that leaves meanwhile gives its place up.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::connection::Connection;
use super::failure::Failure;
use super::request::Request;
use crate::gate::{self, Forward};
use crate::net::{Ready, pause};
use crate::observe::record::Ended;

/// How often it is looked whether the client is still there, once it has ended its side.
const LOOK_EVERY_US: u64 = 50_000;

/// Waits for the turn that the gate has given the call. The gate gives no turn beyond its policy's `queue_wait_ms`.
pub async fn own_turn(
    c: &Connection,
    mut ready: Pin<&mut dyn Ready>,
    request: &Request,
    form: Option<()>,
    forward: &Forward,
) -> Result<(), Failure> {
    c.core.counters.quota_queued.add(1);
    let until_us = c.core.clock.now_us() + forward.wait_ms * 1000;
    let (mut watching, mut look_every_us) = (true, u64::MAX);
    while let Some(left_us) = until_us.checked_sub(c.core.clock.now_us()).filter(|&us| us > 0) {
        let mut pause = pin!(pause(Duration::from_micros(left_us.min(look_every_us))));
        poll_fn(|context| {
            if watching && c.stirs(ready.as_mut(), context).is_ready() {
                watching = false;
                if c.is_asked_whether_it_is_there(request.head.version) {
                    look_every_us = LOOK_EVERY_US;
                    return Poll::Ready(());
                }
            }
            if c.watch.client_gone.get() { Poll::Ready(()) } else { pause.as_mut().poll(context) }
        })
        .await;
        if c.watch.client_gone.get() {
            let call = request.call(c, form)?;
            gate::give_place_up(&call, &request.tables, &c.core.shared, &mut c.core.scratch.borrow_mut(), forward);
            c.core.ask_engine();
            return Err(Failure::End(Ended::ClientGone));
        }
    }
    c.watch.from_client.clear();
    Ok(())
}

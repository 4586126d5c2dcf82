//! The rest of a large answer, moved from the backend's socket to the client's by the kernel ([`crate::net::pipe`]). Like
//! the relay that copies, it is held up by a client that takes its time, and has the same deadlines.

use std::io;

use super::answer::Answer;
use super::failure::Failure;
use crate::net::Wait;
use crate::net::pipe::{FILL_BYTES, Pipe, Unblocked};

/// What must still be to come of a body for it to be moved, in bytes. Measured: below it, waiting for the sockets costs more than the
/// copies would.
pub const LEAST_BYTES: u64 = 64 * 1024;
/// How often a pipe is filled until other connections have their turn.
const FILLS_IN_A_TURN: usize = 4;

/// Moves bytes until there are none `left`, or there is no pipe to be had for the rest. Not while anything is being received
/// from the client or sent to the backend: their sockets do not block meanwhile.
pub async fn splice(a: &Answer<'_>, left: &mut u64) -> Result<(), Failure> {
    let (Some(backend), Some(client)) = (Unblocked::new(a.backend), Unblocked::new(&a.c.stream)) else { return Ok(()) };
    while *left > 0 {
        a.await_more();
        backend.readable().await;
        a.c.watch.from_backend.clear();
        let Some(mut pipe) = a.c.core.pipes.take(&a.c.core.admission) else { return Ok(()) };
        for _ in 0..FILLS_IN_A_TURN {
            let wanted = usize::try_from(*left).map_or(FILL_BYTES, |left| left.min(FILL_BYTES));
            match pipe.fill(&backend, wanted) {
                Ok(n) if n > 0 => {
                    *left -= n as u64;
                    drain(a, &client, &mut pipe).await?;
                    // That was all there is, or the end of the body.
                    if n < wanted || *left == 0 {
                        break;
                    }
                }
                Err(error) if must_wait(&error) => break,
                _ => {
                    a.c.core.pipes.put(pipe);
                    return Err(a.broken_off());
                }
            }
        }
        a.c.core.pipes.put(pipe);
    }
    Ok(())
}

/// Gives the client all that is in the pipe.
async fn drain(a: &Answer<'_>, client: &Unblocked<'_>, pipe: &mut Pipe) -> Result<(), Failure> {
    let limits = &a.tables.catalog.limits;
    a.c.watch.to_client.arm(Wait::Send, a.c.core.clock.coarse_ms(), limits.send_timeout);
    while pipe.held() > 0 {
        match pipe.drain(client) {
            Ok(n) if n > 0 => a.story.sent(n),
            Err(error) if must_wait(&error) => client.writable().await,
            _ => return Err(Failure::of_client(&a.c.watch)),
        }
    }
    a.c.watch.to_client.clear();
    Ok(())
}

fn must_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

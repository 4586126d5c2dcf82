//! A bell that another thread rings to wake a worker's task: a byte through a pair of sockets, so that it reaches the
//! event loop by the same way as everything else, on either driver.

use std::io::{self, Write};
use std::os::unix::net::UnixStream as Pair;

use monoio::io::AsyncReadRent;
use monoio::net::UnixStream;

/// The end that rings; any thread may.
pub struct Ringer(Pair);

/// The end that hears, not yet on an event loop.
pub struct Bell(Pair);

/// A worker's end.
pub struct Listening {
    stream: UnixStream,
    buffer: Vec<u8>,
}

/// Rings that are taken at once.
const RINGS: usize = 64;

pub fn bell() -> io::Result<(Ringer, Bell)> {
    let (ringer, bell) = Pair::pair()?;
    ringer.set_nonblocking(true)?;
    Ok((Ringer(ringer), Bell(bell)))
}

impl Ringer {
    /// Wakes the other end. Never waits: a socket that is full has been rung, and not yet heard.
    pub fn ring(&self) {
        let _ = (&self.0).write(&[0]);
    }
}

impl Bell {
    /// Brings the bell onto this thread's event loop.
    pub fn adopt(self) -> io::Result<Listening> {
        self.0.set_nonblocking(!super::runtime::on_ring())?;
        Ok(Listening { stream: UnixStream::from_std(self.0)?, buffer: Vec::with_capacity(RINGS) })
    }
}

impl Listening {
    /// Waits for the bell; false when nobody can ring it any more. Runs to its end, as every receive does.
    pub async fn heard(&mut self) -> bool {
        let (result, buffer) = self.stream.read(std::mem::take(&mut self.buffer)).await;
        self.buffer = buffer;
        self.buffer.clear();
        matches!(result, Ok(n) if n > 0)
    }
}

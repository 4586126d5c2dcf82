//! What rude clients do: they hold connections, take little, and say what nobody wants to hear.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use socket2::SockRef;

/// Between two bytes of a slow one, or two visits of a quick one.
pub const TICK: Duration = Duration::from_millis(20);
/// New connections in a tick of one that holds many.
const AT_ONCE: usize = 10;

/// A loop that is never stuck ends when it is over.
pub fn patient(stream: TcpStream) -> Option<TcpStream> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.set_write_timeout(Some(Duration::from_secs(5))).ok()?;
    Some(stream)
}

/// Holds so many connections that begin well and go on a byte at a time; those that are closed come again.
pub fn hold(over: &AtomicBool, connections: usize, connect: impl Fn() -> Option<TcpStream>, beginning: &[u8], byte: &[u8]) {
    let mut held: Vec<TcpStream> = Vec::new();
    while !over.load(Ordering::Relaxed) {
        held.retain_mut(|stream| !is_closed(stream) && stream.write_all(byte).is_ok());
        // Not all at once: a listener's queue is for others, too.
        for _ in 0..AT_ONCE {
            if held.len() < connections
                && let Some(mut stream) = connect()
            {
                let _ = stream.write_all(beginning);
                held.push(stream);
            }
        }
        sleep(TICK);
    }
}

/// Holds so many connections that ask for much and take little.
pub fn sip(over: &AtomicBool, connections: usize, connect: impl Fn() -> Option<TcpStream>, request: &[u8]) {
    let mut held: Vec<TcpStream> = Vec::new();
    while !over.load(Ordering::Relaxed) {
        held.retain_mut(|stream| matches!(stream.read(&mut [0; 64]), Ok(n) if n > 0));
        if held.len() < connections
            && let Some(mut stream) = connect()
        {
            let _ = SockRef::from(&stream).set_recv_buffer_size(4096);
            let _ = stream.write_all(request);
            held.push(stream);
        }
        sleep(TICK);
    }
}

/// Says something, and takes what comes until the other side ends it, or nothing more comes.
pub fn say(mut stream: TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

fn is_closed(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    let seen = stream.peek(&mut [0; 1]);
    let _ = stream.set_nonblocking(false);
    match seen {
        Ok(n) => n == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

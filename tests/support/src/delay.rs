//! A way to a peer on which every byte takes its time, in both directions.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

pub struct DelayedPeer {
    pub address: SocketAddr,
}

impl DelayedPeer {
    /// Bytes come `delay_ms` after they were sent. Ended with the test's process.
    pub fn start(peer: SocketAddr, delay_ms: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(peer) else { continue };
                let delay = Duration::from_millis(delay_ms);
                let both = (client.try_clone(), server.try_clone());
                let (Ok(client_again), Ok(server_again)) = both else { continue };
                carry(client, server_again, delay);
                carry(server, client_again, delay);
            }
        });
        Self { address }
    }
}

/// One direction: a thread that reads, and one that writes what was read long enough ago.
#[expect(clippy::disallowed_methods, reason = "a test's clock is not the gateway's")]
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (late, is_late): (_, Receiver<(Instant, Vec<u8>)>) = channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let Some(part) = buffer.get(..n) else { break };
            if late.send((Instant::now() + delay, part.to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        let _ = to.set_nodelay(true);
        for (at, bytes) in is_late {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

//! A scripted backend in threads: it keeps every byte it received and answers as the test says.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use crate::message::{Message, Reader};
use crate::wait::{DEADLINE, eventually};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    arrivals: mpsc::Receiver<Message>,
}

struct Shared {
    requests: Mutex<Vec<Message>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    stopped: AtomicBool,
    announce: Mutex<mpsc::Sender<Message>>,
}

/// One connection from the gateway, in the hands of a script.
pub struct Peer {
    pub stream: TcpStream,
    pub reader: Reader,
    /// Place of this connection in the order of arrival, from 0.
    pub index: usize,
    shared: Arc<Shared>,
}

impl Backend {
    /// Answers every request with what `answer` makes of it, and keeps connections alive.
    pub fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::scripted(move |peer| {
            while let Some(request) = peer.request()? {
                peer.send(answer(&request))?;
            }
            Ok(())
        })
    }

    /// Answers `200 OK` with the body `ok`.
    pub fn ok() -> Self {
        Self::answering(|_| OK.to_vec())
    }

    /// Answers `200 OK` with the body `ok`, each time when it is told to.
    pub fn held() -> (Self, mpsc::Sender<()>) {
        let (release, released) = mpsc::channel();
        let released = Mutex::new(released);
        let backend = Self::scripted(move |peer| {
            while peer.request()?.is_some() {
                let _ = released.lock().expect("no script panicked").recv();
                peer.send(OK)?;
            }
            Ok(())
        });
        (backend, release)
    }

    /// Answers `413` as soon as it has a head, and takes nothing more.
    pub fn early() -> Self {
        Self::scripted(|peer| {
            peer.head()?;
            peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
            peer.wait_for_close()
        })
    }

    /// Sends `answer` to the first request of each connection, and closes it.
    pub fn closing(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::scripted(move |peer| {
            peer.request()?;
            peer.send(&answer)?;
            peer.close()
        })
    }

    /// Runs `script` on each connection, in a thread of its own; the connection closes when it returns.
    pub fn scripted(script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::scripted_at("127.0.0.1:0".parse().expect("an address"), script)
    }

    /// As [`Backend::scripted`], on an address that the test has reserved.
    pub fn scripted_at(at: SocketAddr, script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(at).expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (announce, arrivals) = mpsc::channel();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            announce: Mutex::new(announce),
        });
        let (script, accepting) = (Arc::new(script), Arc::clone(&shared));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let index = accepting.connections.fetch_add(1, Ordering::SeqCst);
                accepting.open.fetch_add(1, Ordering::SeqCst);
                let (script, shared) = (Arc::clone(&script), Arc::clone(&accepting));
                thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let _ = stream.set_read_timeout(Some(DEADLINE * 4));
                    let mut peer = Peer::new(stream, index, shared);
                    // A connection that breaks is what many tests are about; they look at what arrived.
                    let _ = script(&mut peer);
                    peer.shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, shared, arrivals }
    }

    /// Everything received so far, in order of arrival.
    pub fn requests(&self) -> Vec<Message> {
        self.shared.requests.lock().expect("no script panicked").clone()
    }

    pub fn count(&self) -> usize {
        self.shared.requests.lock().expect("no script panicked").len()
    }

    /// The next request that no earlier call has returned.
    #[track_caller]
    pub fn next(&self) -> Message {
        self.arrivals.recv_timeout(DEADLINE).expect("a request reaches the backend")
    }

    /// Connections made so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until the scripts of all connections but `n` have ended.
    pub fn wait_for_open_connections(&self, n: usize) {
        eventually(&format!("{n} open connections at the backend"), || {
            (self.shared.open.load(Ordering::SeqCst) == n).then_some(())
        });
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl Peer {
    fn new(stream: TcpStream, index: usize, shared: Arc<Shared>) -> Self {
        let reader = Reader::new(stream.try_clone().expect("a socket can be duplicated"));
        Self { stream, reader, index, shared }
    }

    /// The next whole request, kept by the backend; `None` when the gateway closed.
    pub fn request(&mut self) -> io::Result<Option<Message>> {
        let request = self.reader.request()?;
        if let Some(request) = &request {
            self.keep(request);
        }
        Ok(request)
    }

    /// The head of the next request, before its body has arrived.
    pub fn head(&mut self) -> io::Result<Option<Message>> {
        let head = self.reader.head()?;
        if let Some(head) = &head {
            self.keep(head);
        }
        Ok(head)
    }

    fn keep(&self, message: &Message) {
        self.shared.requests.lock().expect("no script panicked").push(message.clone());
        let _ = self.shared.announce.lock().expect("no script panicked").send(message.clone());
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Waits until the gateway closes its side; what it still sends is thrown away.
    pub fn wait_for_close(&mut self) -> io::Result<()> {
        self.reader.rest().map(drop)
    }

    pub fn close(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Both)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Client, Request};
    use crate::message::chunked;

    #[test]
    fn a_backend_keeps_what_it_received() {
        let backend = Backend::ok();
        let mut client = Client::connect(backend.address);
        client.call(&Request::get("/1")).assert_passed();
        let chunks = chunked(b"hello", 2);
        client.call(&Request::new("POST", "/2").field("Transfer-Encoding", "chunked").body(&chunks)).assert_passed();
        let requests = backend.requests();
        assert_eq!((requests.len(), backend.connections()), (2, 1));
        assert_eq!(requests[0].head, Request::get("/1").bytes());
        assert_eq!((requests[1].text().as_str(), &requests[1].raw_body), ("hello", &chunks));
        drop(client);
        backend.wait_for_open_connections(0);
    }
}

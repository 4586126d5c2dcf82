//! No connection takes a worker for itself: not a body that never stops, not requests without end.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lockgate_test_support::{Api, Backend, Config, Gateway, Request, now_ms};

/// Longest time that a plain call may take beside a greedy one on the same worker. Without a turn taken it never ends.
const PATIENCE_MS: u64 = 10_000;

fn start(backend: &Backend, driver: &str) -> Gateway {
    Config::with_backend(backend.address)
        .instance(&format!("workers = 1\ndriver = {driver:?}"))
        .table("limits", "pipelined_requests = 1000000")
        .published(&Api::open("open", "/open/*"))
        .start()
}

/// Ends the greedy client, also when the test fails.
struct End<'a>(&'a AtomicBool, TcpStream);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.shutdown(Shutdown::Both);
    }
}

/// Runs `greedy` on a connection of its own for as long as plain calls are made.
fn beside(gateway: &Gateway, greedy: impl Fn(&mut TcpStream, &AtomicBool) -> io::Result<()> + Sync) {
    let over = AtomicBool::new(false);
    let mut stream = TcpStream::connect(gateway.address).expect("the gateway listens");
    std::thread::scope(|scope| {
        let end = End(&over, stream.try_clone().expect("a socket can be duplicated"));
        let (stream, over, greedy) = (&mut stream, &over, &greedy);
        // It ends with an error, because the connection is taken from it.
        let running = scope.spawn(move || _ = greedy(stream, over));
        let mut client = gateway.client();
        let mut slowest = 0;
        for _ in 0..30 {
            let begun = now_ms();
            client.call(&Request::get("/open/small")).assert_passed();
            slowest = slowest.max(now_ms() - begun);
        }
        drop(end);
        running.join().expect("the greedy client ends well");
        assert!(slowest < PATIENCE_MS, "a call took {slowest} ms: {}", gateway.output());
    });
}

#[test]
fn a_body_without_end_leaves_room_for_others() {
    let backend = Backend::scripted(|peer| {
        while let Some(request) = peer.request()? {
            if request.target() == "/open/small" {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
                continue;
            }
            // The other way of a body without end, which is not copied.
            if request.target() == "/open/length" {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\n")?;
                let bytes = vec![b'x'; 1024 * 1024];
                loop {
                    peer.send(&bytes)?;
                }
            }
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            let chunks = b"a\r\n0123456789\r\n".repeat(20_000);
            loop {
                peer.send(&chunks)?;
            }
        }
        Ok(())
    });
    for (driver, target) in
        [("io_uring", "/open/large"), ("epoll", "/open/large"), ("io_uring", "/open/length"), ("epoll", "/open/length")]
    {
        let gateway = start(&backend, driver);
        beside(&gateway, |stream, over| {
            stream.write_all(&Request::get(target).bytes())?;
            let mut buffer = vec![0; 1024 * 1024];
            while !over.load(Ordering::Relaxed) {
                stream.read_exact(&mut buffer)?;
            }
            Ok(())
        });
    }
}

#[test]
fn requests_without_end_leave_room_for_others() {
    let backend = Backend::ok();
    for driver in ["io_uring", "epoll"] {
        let gateway = start(&backend, driver);
        let refused = AtomicUsize::new(0);
        beside(&gateway, |stream, over| {
            let many = Request::get("/nothing").bytes().repeat(2000);
            let mut out = stream.try_clone()?;
            std::thread::scope(|scope| {
                scope.spawn(move || while !over.load(Ordering::Relaxed) && out.write_all(&many).is_ok() {});
                let mut buffer = vec![0; 1024 * 1024];
                while !over.load(Ordering::Relaxed) {
                    match stream.read(&mut buffer)? {
                        0 => break,
                        n => refused.fetch_add(n, Ordering::Relaxed),
                    };
                }
                Ok(())
            })
        });
        assert!(refused.load(Ordering::Relaxed) > 0);
    }
}

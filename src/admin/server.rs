//! One request a connection, a thread for each, and few of them: the operator, a probe, a scraper.
//!
//! The head is read by the same strict parser as a client's. Nothing waits longer than [`TIME_LIMIT_US`].

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::http::framing::{BodyLength, request_framing};
use crate::http::head::{HeadLimits, Parsed, RequestHead, RequestView, parse_request};
use crate::http::serialise::HeadWriter;
use crate::http::target::{host_of, parse_target};
use crate::net::Clock;

/// Connections at once; further ones are closed.
const CONNECTIONS: usize = 16;
/// From a connection's start to its end, in microseconds.
const TIME_LIMIT_US: u64 = 10_000_000;
/// The largest request, in bytes.
const REQUEST_BYTES: usize = 8 * 1024;
const LIMITS: HeadLimits = HeadLimits { start_line_bytes: 2 * 1024, head_bytes: REQUEST_BYTES, fields: 64 };
/// The largest head of an answer, in bytes.
const HEAD_BYTES: usize = 512;
/// How long accepting pauses when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An answer.
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl Reply {
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

/// Answers on threads of its own, as long as the process lives. `page` is given a path.
pub fn start(
    listener: TcpListener,
    address: SocketAddr,
    page: impl Fn(&[u8]) -> Reply + Send + Sync + 'static,
) -> io::Result<()> {
    let (page, busy) = (Arc::new(page), Arc::new(AtomicUsize::new(0)));
    let accept = move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                std::thread::sleep(ACCEPT_PAUSE);
                continue;
            };
            let Some(place) = BusyPlace::take(&busy) else { continue };
            let page = page.clone();
            // A thread that cannot be had costs this connection.
            _ = std::thread::Builder::new().name("admin-request".into()).spawn(move || {
                let _place = place;
                // The peer has left, or was too slow.
                _ = serve(stream, address.ip(), page.as_ref());
            });
        }
    };
    std::thread::Builder::new().name("admin".into()).spawn(accept).map(drop)
}

/// One of the connections that there may be; given up when dropped.
struct BusyPlace(Arc<AtomicUsize>);

impl BusyPlace {
    fn take(busy: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(busy.clone());
        (busy.fetch_add(1, Ordering::Relaxed) < CONNECTIONS).then_some(place)
    }
}

impl Drop for BusyPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn serve(stream: TcpStream, own: IpAddr, page: &(impl Fn(&[u8]) -> Reply + ?Sized)) -> io::Result<()> {
    let mut stream = Timed { stream, clock: Clock::default(), ends_at_us: 0 };
    stream.ends_at_us = stream.clock.now_us() + TIME_LIMIT_US;
    let (mut buffer, mut len, mut scanned) = ([0; REQUEST_BYTES], 0, 0);
    let mut head = Box::<RequestHead>::default();
    let asked = loop {
        match stream.read(&mut buffer[len..])? {
            0 => return Ok(()),
            n => len += n,
        }
        match parse_request(&buffer[..len], scanned, &LIMITS, &mut head) {
            Ok(Parsed::Complete) => break ask(&RequestView { buffer: &buffer[..len], head: &head }, own),
            Ok(Parsed::Partial) if len < buffer.len() => scanned = len,
            Ok(Parsed::Partial) => break Err(Reply::text(431, "the request is too large\n")),
            Err(_) => break Err(Reply::text(400, "this is no HTTP/1.1 request\n")),
        }
    };
    let (reply, with_body) = match asked {
        Ok(Asked { path, with_body }) => (page(path), with_body),
        Err(refusal) => (refusal, true),
    };
    stream.write(&head_of(&reply))?;
    if with_body {
        stream.write(reply.body.as_bytes())?;
    }
    Ok(())
}

struct Asked<'a> {
    path: &'a [u8],
    /// It is no `HEAD`.
    with_body: bool,
}

fn ask<'a>(request: &RequestView<'a>, own: IpAddr) -> Result<Asked<'a>, Reply> {
    let with_body = match request.method() {
        b"GET" => true,
        b"HEAD" => false,
        _ => return Err(Reply::text(405, "only GET and HEAD are answered\n")),
    };
    let malformed = |_| Reply::text(400, "this is no HTTP/1.1 request\n");
    let target = parse_target(request.method(), request.target()).map_err(malformed)?;
    let host = host_of(request, &target).map_err(malformed)?;
    if own.is_loopback() && !is_own_name(host) {
        return Err(Reply::text(403, "a listener on a loopback address answers to that address and to `localhost` alone\n"));
    }
    match request_framing(request) {
        Ok(framing) if framing.body == BodyLength::None => Ok(Asked { path: target.path, with_body }),
        Ok(_) => Err(Reply::text(413, "a request has no body here\n")),
        Err(error) => Err(malformed(error)),
    }
}

/// A page in the operator's browser may have a name of its own resolve to this machine (DNS rebinding): a name that no
/// operator would use is not answered.
fn is_own_name(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| match port.bytes().all(|b| b.is_ascii_digit()) {
        true => name,
        false => host,
    });
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    host.is_empty() || name.eq_ignore_ascii_case("localhost") || literal.parse::<IpAddr>().is_ok()
}

fn head_of(reply: &Reply) -> Vec<u8> {
    let mut buffer = [0; HEAD_BYTES];
    let mut writer = HeadWriter::new(&mut buffer);
    writer.status_line(reply.status);
    writer.field(b"Content-Type", reply.content_type.as_bytes());
    writer.number_field(b"Content-Length", reply.body.len() as u64);
    writer.field(b"Cache-Control", b"no-store");
    if reply.status == 405 {
        writer.field(b"Allow", b"GET, HEAD");
    }
    writer.field(b"Connection", b"close");
    writer.end();
    let len = writer.finish().unwrap_or_default();
    buffer[..len].to_vec()
}

/// A stream all of whose operations end by one time.
struct Timed {
    stream: TcpStream,
    clock: Clock,
    ends_at_us: u64,
}

impl Timed {
    fn remaining(&self) -> io::Result<Option<Duration>> {
        match self.ends_at_us.saturating_sub(self.clock.now_us()) {
            0 => Err(io::ErrorKind::TimedOut.into()),
            us => Ok(Some(Duration::from_micros(us))),
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.remaining()?)?;
        self.stream.read(into)
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(self.remaining()?)?;
            match self.stream.write(bytes)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => bytes = &bytes[n..],
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_the_machines_own_are_told_apart() {
        for own in ["localhost", "LOCALHOST:9090", "127.0.0.1", "127.0.0.1:9090", "[::1]", "[::1]:9090", ""] {
            assert!(is_own_name(own.as_bytes()), "{own}");
        }
        for other in ["evil.example", "evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example:9090", "\u{ff}"] {
            assert!(!is_own_name(other.as_bytes()), "{other}");
        }
    }
}

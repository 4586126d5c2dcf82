//! New connections to a backend.
//!
//! The socket is made here, not by the runtime: it is bound to an egress address, and its descriptor is known from
//! the start, so that the connection's deadline can end the attempt.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use monoio::net::TcpStream;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Instance, Upstreams};
use crate::net::runtime;
use crate::net::stream::Stream;
use crate::sys;

/// A connection on its way; [`Connecting::finish`] waits for it.
pub struct Connecting {
    stream: Stream,
}

impl Upstreams {
    /// Starts a connection for a call that has its turn.
    pub fn connect(&self, instance: &Instance) -> io::Result<Connecting> {
        instance.make_room();
        self.reach(instance.backend.address)
    }

    /// Starts a connection that no pool counts.
    pub(super) fn reach(&self, to: SocketAddr) -> io::Result<Connecting> {
        start(to, self.egress(to.ip()))
    }
}

fn start(to: SocketAddr, from: Option<IpAddr>) -> io::Result<Connecting> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(from) = from {
        // The port is chosen when the destination is known, so that one address serves many destinations.
        sys::choose_port_when_connecting(socket.as_raw_fd());
        socket.bind(&SockAddr::from(SocketAddr::new(from, 0)))?;
    }
    match socket.connect(&SockAddr::from(to)) {
        Ok(()) => {}
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(e) => return Err(e),
    }
    Ok(Connecting { stream: Stream::new(TcpStream::from_std(socket.into())?) })
}

impl Connecting {
    /// The stream being connected: for a deadline to watch over.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Waits until the connection is made. A socket shut down meanwhile is an error.
    pub async fn finish(self) -> io::Result<Stream> {
        self.stream.writable().await?;
        self.stream.take_error()?;
        runtime::adopt(&self.stream)?;
        Ok(self.stream)
    }
}

//! Listening sockets: one for each worker and address, shared out by the kernel (`SO_REUSEPORT`).

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::AsRawFd;

use monoio::net::TcpListener;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::Stream;
use crate::sys::{self, Direction};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16_384;

/// A socket that listens; made before any worker starts, so that an address in use is an error of the command.
pub fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A worker's listener on its own event loop.
pub struct Listener(TcpListener);

impl Listener {
    pub fn adopt(socket: StdListener) -> io::Result<Self> {
        socket.set_nonblocking(!super::runtime::on_ring())?;
        TcpListener::from_std(socket).map(Self)
    }

    /// Ends [`Listener::accept`], now and for good.
    pub fn stop(&self) {
        sys::shutdown(self.0.as_raw_fd(), Direction::Read);
    }

    /// The next connection. Never dropped before it ends: a connection accepted meanwhile would leak.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        Ok((Stream::new(stream), peer))
    }
}

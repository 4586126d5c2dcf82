//! A monoio runtime as the gateway builds it, and the sockets that go with it.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use anyhow::{Context, Result};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Entries of the submission queue: more than the operations that 64 to 1,000 connections have to submit at once.
const RING_ENTRIES: u32 = 4096;
pub const LISTEN_BACKLOG: i32 = 16_384;

/// Runs `main` on a ring with `COOP_TASKRUN` and `SINGLE_ISSUER`; monoio's default flags cost a quarter more
/// processor time, which here would be time of the core that generator and backend share.
pub fn run<F: Future>(main: F) -> Result<F::Output> {
    let mut ring = io_uring::IoUring::builder();
    ring.setup_coop_taskrun().setup_single_issuer();
    let mut runtime = RuntimeBuilder::<IoUringDriver>::new()
        .with_entries(RING_ENTRIES)
        .uring_builder(ring)
        .enable_timer()
        .build()
        .context("io_uring is not available here (kernel.io_uring_disabled, seccomp, or a kernel before 6.0)")?;
    Ok(runtime.block_on(main))
}

/// A listener whose accepted sockets inherit the congestion control, when one is named.
pub fn listen(address: SocketAddr, congestion: Option<&str>) -> Result<TcpListener> {
    Ok(TcpListener::from_std(listening(address, congestion)?)?)
}

/// The same, on no ring.
pub fn listening(address: SocketAddr, congestion: Option<&str>) -> Result<StdListener> {
    let socket = stream_socket(address, congestion)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into()).with_context(|| format!("binding {address}"))?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// Connects on the loopback, where the call blocks for no time worth measuring. `linger`: how long the connection's end is seen
/// to; of none, it is a reset.
pub fn connect(
    address: SocketAddr,
    source: Option<Ipv4Addr>,
    congestion: Option<&str>,
    linger: Option<Duration>,
) -> Result<TcpStream> {
    let socket = stream_socket(address, congestion)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::from((source, 0)).into()).with_context(|| format!("binding {source}"))?;
    }
    socket.connect(&address.into()).with_context(|| format!("connecting to {address}"))?;
    socket.set_linger(linger)?;
    SockRef::from(&socket).set_tcp_nodelay(true)?;
    Ok(TcpStream::from_std(socket.into())?)
}

/// Blocking, as the ring wants its sockets.
fn stream_socket(address: SocketAddr, congestion: Option<&str>) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(name) = congestion {
        socket.set_tcp_congestion(name.as_bytes()).with_context(|| format!("congestion control {name}"))?;
    }
    Ok(socket)
}

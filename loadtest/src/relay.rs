//! The floor: a bare TCP relay on the gateway's own runtime. It reads nothing it carries; one connection of a client
//! is one connection to the backend. What a proxy costs above it is the price of understanding HTTP.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Args;
use monoio::io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, Splitable};
use monoio::net::TcpStream;

use crate::ring;

mod epoll;

/// One buffer a direction, kept for the life of the connection.
const BUFFER_BYTES: usize = 16 * 1024;

#[derive(Args)]
pub struct Arguments {
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where every connection goes
    #[arg(long)]
    backend: SocketAddr,
    /// Congestion control of the accepted connections; by default the system's
    #[arg(long)]
    congestion: Option<String>,
    /// On epoll, in the place of a ring
    #[arg(long)]
    epoll: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.epoll {
        let listener = ring::listening(arguments.listen, arguments.congestion.as_deref())?;
        println!("listening {}", listener.local_addr()?);
        return epoll::serve(&listener, arguments.backend);
    }
    ring::run(serve(arguments))?
}

async fn serve(arguments: &Arguments) -> Result<()> {
    let listener = ring::listen(arguments.listen, arguments.congestion.as_deref())?;
    println!("listening {}", listener.local_addr()?);
    let backend = arguments.backend;
    loop {
        let (client, _) = listener.accept().await?;
        monoio::spawn(async move {
            // An error ends this connection alone; the generator at its other end sees it and reports it.
            let _ = relay(client, backend).await;
        });
    }
}

async fn relay(client: TcpStream, backend: SocketAddr) -> std::io::Result<()> {
    let backend = TcpStream::connect_addr(backend).await?;
    client.set_nodelay(true)?;
    backend.set_nodelay(true)?;
    let (client_in, client_out) = client.into_split();
    let (backend_in, backend_out) = backend.into_split();
    let answers = monoio::spawn(copy(backend_in, client_out));
    copy(client_in, backend_out).await;
    answers.await;
    Ok(())
}

/// Carries bytes until one end is done or gone, and tells the other by closing its half.
async fn copy(mut from: impl AsyncReadRent, mut to: impl AsyncWriteRent) {
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER_BYTES);
    loop {
        buffer.clear();
        let (result, filled) = from.read(buffer).await;
        if !matches!(result, Ok(bytes) if bytes > 0) {
            break;
        }
        let (result, written) = to.write_all(filled).await;
        if result.is_err() {
            break;
        }
        buffer = written;
    }
    let _ = to.shutdown().await;
}

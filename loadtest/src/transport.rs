//! What carries requests and answers: a connection, plain or with TLS on it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use monoio::buf::IoBufMut;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};

use crate::ring;

/// Received at once, before it is decrypted.
const WIRE_BYTES: usize = 32 * 1024;

/// Where connections go, and what they are. Each of a run has one of its own, so that it resumes its own sessions.
#[derive(Clone)]
pub struct Route {
    pub target: SocketAddr,
    /// Where they come from; by default the kernel chooses.
    pub source: Option<Ipv4Addr>,
    pub congestion: Option<String>,
    pub secure: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Ended by a reset: where there is one for each request, no port waits for its connection to be forgotten.
    pub short: bool,
}

impl Route {
    /// `authority`: who has signed the certificate of `host`, PEM; without it there is no TLS. `http2`: what is spoken.
    pub fn new(
        target: SocketAddr,
        host: &str,
        authority: Option<&Path>,
        congestion: Option<String>,
        short: bool,
        http2: bool,
    ) -> Result<Self> {
        let secure = authority.map(|file| secure(host, file, http2)).transpose()?;
        Ok(Self { target, source: None, congestion, secure, short })
    }

    /// From one of so many addresses of the loopback, each of which has ports of its own. Of one, the kernel may choose.
    pub fn of_source(&self, nth: usize, sources: u8) -> Self {
        let source = (sources > 1).then(|| Ipv4Addr::new(127, 0, 0, 1 + (nth % usize::from(sources)) as u8));
        Self { source, ..self.clone() }
    }

    /// Sessions that no other connection has.
    pub fn of_its_own(&self) -> Self {
        let mut route = self.clone();
        if let Some((config, _)) = &mut route.secure {
            let mut own = ClientConfig::clone(config);
            own.resumption = Resumption::in_memory_sessions(4);
            *config = Arc::new(own);
        }
        route
    }

    /// Without the sessions of before: every handshake is a whole one.
    pub fn without_resumption(mut self) -> Self {
        if let Some((config, _)) = &mut self.secure {
            let mut own = ClientConfig::clone(config);
            own.resumption = Resumption::disabled();
            *config = Arc::new(own);
        }
        self
    }
}

fn secure(host: &str, authority: &Path, http2: bool) -> Result<(Arc<ClientConfig>, ServerName<'static>)> {
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(authority).with_context(|| authority.display().to_string())?;
    roots.add(CertificateDer::from_pem_slice(&pem)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    if http2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    Ok((Arc::new(config), ServerName::try_from(host.to_owned())?))
}

pub struct Transport {
    stream: TcpStream,
    session: Option<Box<Session>>,
}

struct Session {
    connection: ClientConnection,
    /// As received, from `taken` on still to be decrypted.
    wire: Vec<u8>,
    taken: usize,
}

impl Transport {
    pub async fn open(route: &Route) -> Result<Self> {
        let linger = if route.short { Some(Duration::ZERO) } else { None };
        let mut stream = ring::connect(route.target, route.source, route.congestion.as_deref(), linger)?;
        let Some((config, name)) = &route.secure else { return Ok(Self { stream, session: None }) };
        let connection = ClientConnection::new(config.clone(), name.clone())?;
        let mut session = Box::new(Session { connection, wire: Vec::with_capacity(WIRE_BYTES), taken: 0 });
        while session.connection.is_handshaking() {
            session.flush(&mut stream).await?;
            if session.connection.is_handshaking() {
                session.fill(&mut stream).await?;
            }
        }
        session.flush(&mut stream).await?;
        Ok(Self { stream, session: Some(session) })
    }

    /// Whether the session was resumed; nobody knows of a plain connection.
    pub fn is_resumed(&self) -> bool {
        let kind = self.session.as_ref().and_then(|session| session.connection.handshake_kind());
        kind == Some(HandshakeKind::Resumed)
    }

    pub async fn send(&mut self, bytes: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let Some(session) = &mut self.session else {
            let (result, bytes) = self.stream.write_all(bytes).await;
            return (result.map(drop), bytes);
        };
        let mut left = &bytes[..];
        while !left.is_empty() {
            // A session takes so much before it wants to be rid of it.
            let sent = match session.connection.writer().write(left) {
                Ok(n) => session.flush(&mut self.stream).await.map(|()| n),
                Err(error) => Err(error),
            };
            match sent {
                Ok(n) => left = &left[n..],
                Err(error) => return (Err(error), bytes),
            }
        }
        (Ok(()), bytes)
    }

    /// Receives behind what `buffer` holds, up to its capacity.
    pub async fn receive(&mut self, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let (start, end) = (buffer.len(), buffer.capacity());
        let Some(session) = &mut self.session else {
            let (result, slice) = self.stream.read(buffer.slice_mut(start..end)).await;
            return (result, slice.into_inner());
        };
        buffer.resize(end, 0);
        let result = loop {
            match session.connection.reader().read(&mut buffer[start..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => break result,
            }
            if let Err(error) = session.fill(&mut self.stream).await {
                break Err(error);
            }
        };
        buffer.truncate(start + result.as_ref().map_or(0, |n| *n));
        (result, buffer)
    }
}

impl Session {
    async fn flush(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let mut out = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut out)?;
        }
        if out.is_empty() { Ok(()) } else { stream.write_all(out).await.0.map(drop) }
    }

    async fn fill(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        if self.taken == self.wire.len() {
            let mut wire = std::mem::take(&mut self.wire);
            wire.clear();
            let (result, wire) = stream.read(wire).await;
            (self.wire, self.taken) = (wire, 0);
            if result? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        // A part at a time: what is decrypted is taken before there is more of it.
        self.taken += self.connection.read_tls(&mut &self.wire[self.taken..])?;
        self.connection.process_new_packets().map(drop).map_err(io::Error::other)
    }
}

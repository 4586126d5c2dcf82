//! Handshakes, by rustls's unbuffered API, over the block that the connection receives into.
//!
//! A handshake is fed one record after the other, so that what the peer sends right behind its last message is left for
//! the session. It ends with the keys: see [`super::session`].

use std::net::IpAddr;

use rustls::client::UnbufferedClientConnection;
use rustls::server::{Acceptor, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{CommonState, Error};

use super::client::Client;
use super::record;
use super::server::{HTTP2, Peer, Site};
use super::session::{Keys, Session};

/// Longest first message of a client, in bytes.
pub const HELLO_BYTES: usize = 16 * 1024;
/// What a peer may send in one handshake, in bytes: its certificates above all.
pub const HANDSHAKE_BYTES: usize = 128 * 1024;
/// Steps after an error, at most: more than there are messages of a handshake.
const LAST_STEPS: usize = 16;

/// A client's first message, as it comes in: it names the domain, which says how the handshake goes on.
#[derive(Default)]
pub struct Hello {
    acceptor: Acceptor,
    seen: usize,
}

impl Hello {
    /// Takes what has been received so far, all of it. Returns the name that the client asks for, once it is there; the
    /// error comes with what the client is told.
    pub fn read(&mut self, received: &[u8]) -> Result<Option<Option<String>>, (Error, Vec<u8>)> {
        while let Some(mut new) = received.get(self.seen..).filter(|new| !new.is_empty()) {
            match self.acceptor.read_tls(&mut new) {
                Ok(n) if n > 0 => self.seen += n,
                _ => return Err((Error::General("the first TLS message is too long".into()), Vec::new())),
            }
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => return Ok(Some(accepted.client_hello().server_name().map(str::to_owned))),
                Err((error, mut alert)) => {
                    let mut told = Vec::new();
                    let _ = alert.write_all(&mut told);
                    return Err((error, told));
                }
            }
        }
        Ok(None)
    }
}

pub enum Handshake {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What a handshake needs before it can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: another step.
    Step,
    /// What it wrote is to be sent.
    Send,
    /// The peer's next record.
    Receive,
    Done,
}

impl Handshake {
    /// `http2`: it may be spoken.
    pub fn server(site: &Site, http2: bool) -> Result<Self, Error> {
        UnbufferedServerConnection::new(site.config(http2).clone()).map(Self::Server)
    }

    pub fn client(client: &Client, address: IpAddr) -> Result<Self, Error> {
        client.begin(address).map(Self::Client)
    }

    /// Takes records off the front of `incoming`, which holds whole ones; what is to be sent goes behind `outgoing`.
    /// Returns how many bytes were taken. After an error, `outgoing` holds what the peer is told.
    pub fn step(&mut self, incoming: &mut [u8], outgoing: &mut Vec<u8>) -> Result<(usize, Next), Error> {
        let stepped = match self {
            Self::Server(connection) => follow(connection.process_tls_records(incoming), outgoing),
            Self::Client(connection) => follow(connection.process_tls_records(incoming), outgoing),
        };
        match stepped {
            Ok((taken, Next::Receive)) if !self.common().is_handshaking() => Ok((taken, Next::Done)),
            Ok(step) => Ok(step),
            Err(error) => {
                // The alert comes with the steps after the error, behind what was to be said before it.
                for _ in 0..LAST_STEPS {
                    let told = match self {
                        Self::Server(connection) => follow(connection.process_tls_records(&mut []), outgoing),
                        Self::Client(connection) => follow(connection.process_tls_records(&mut []), outgoing),
                    };
                    if told.is_err() {
                        break;
                    }
                }
                Err(error)
            }
        }
    }

    fn common(&self) -> &CommonState {
        match self {
            Self::Server(connection) => connection,
            Self::Client(connection) => connection,
        }
    }

    /// What is known of a client whose handshake is done.
    pub fn peer(&self, site: &Site) -> Peer {
        let common = self.common();
        Peer { http2: self.chose_http2(), ..Peer::of(site, common.peer_certificates()) }
    }

    pub fn chose_http2(&self) -> bool {
        self.common().alpn_protocol() == Some(HTTP2)
    }

    /// Whether the peer knew us from before.
    pub fn is_resumed(&self) -> bool {
        self.common().handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// The session that the handshake has made.
    pub fn finish(self) -> Result<Session, super::Error> {
        let (secrets, keys) = match self {
            Self::Server(connection) => {
                let (secrets, keys) = connection.dangerous_into_kernel_connection().map_err(|_| super::Error::Internal)?;
                (secrets, Keys::Server(keys))
            }
            Self::Client(connection) => {
                let (secrets, keys) = connection.dangerous_into_kernel_connection().map_err(|_| super::Error::Internal)?;
                (secrets, Keys::Client(keys))
            }
        };
        Session::new(&secrets, keys)
    }
}

fn follow<Data>(status: UnbufferedStatus<'_, '_, Data>, outgoing: &mut Vec<u8>) -> Result<(usize, Next), Error> {
    let next = match status.state? {
        ConnectionState::EncodeTlsData(mut data) => {
            let at = outgoing.len();
            let mut room = record::RECORD_BYTES;
            loop {
                outgoing.resize(at + room, 0);
                match data.encode(&mut outgoing[at..]) {
                    Ok(written) => {
                        outgoing.truncate(at + written);
                        break;
                    }
                    Err(EncodeError::InsufficientSize(more)) if more.required_size > room => room = more.required_size,
                    Err(_) => return Err(Error::General("a handshake message cannot be written".into())),
                }
            }
            Next::Step
        }
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Next::Send
        }
        ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => Next::Receive,
        ConnectionState::PeerClosed | ConnectionState::Closed => return Err(Error::HandshakeNotComplete),
        // Early data is off, and the session reads what comes behind the handshake.
        _ => return Err(Error::General("content within a handshake".into())),
    };
    Ok((status.discard, next))
}

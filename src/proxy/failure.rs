//! What can go wrong between a decision and the end of an answer: whose fault it is, whether the client can still be
//! told, and whether the request may be sent again.

use std::io;
use std::net::SocketAddr;

use crate::gate::{ErrorCode, Refusal};
use crate::net::{Wait, Watch, handshake};
use crate::observe::record::Ended;
use crate::tls::client;

#[derive(Debug)]
pub enum Failure {
    /// Nothing of an answer has been sent: the client is told.
    Tell(Refusal),
    /// Nobody is there to be told, or an answer has begun: the connection ends.
    End(Ended),
}

/// A failed attempt on one backend connection.
#[derive(Debug)]
pub struct AttemptFailure {
    pub failure: Failure,
    /// The backend closed the connection without a byte of an answer.
    pub unanswered: bool,
    /// It has said that it has not looked at the request.
    pub refused: bool,
}

impl AttemptFailure {
    /// What there was on the connection had come before the request: the end, or an answer to another.
    pub fn stale() -> Self {
        let refusal = Refusal::because(ErrorCode::N502RE, "the backend answered before it was asked");
        Self { failure: Failure::Tell(refusal), unanswered: true, refused: false }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Tell(refusal)
    }
}

impl From<Failure> for AttemptFailure {
    fn from(failure: Failure) -> Self {
        Self { failure, unanswered: false, refused: false }
    }
}

impl Failure {
    /// The backend ended its connection, or we did for its deadline or its client, before the answer's head was there.
    /// `silent`: without a byte of it.
    pub fn before_answer(watch: &Watch, error: Option<&io::Error>, silent: bool) -> Self {
        if watch.client_gone.get() {
            return Self::End(Ended::ClientGone);
        }
        Self::Tell(match watch.backend_expired() {
            Wait::Nothing if silent => Refusal::because(ErrorCode::D504CO, reason(error)),
            Wait::Nothing => Refusal::because(ErrorCode::N502RE, "the backend's answer broke off in its head"),
            _ => Refusal::new(ErrorCode::D504TO),
        })
    }

    /// No connection to the backend could be made.
    pub fn not_connected(watch: &Watch, address: SocketAddr, error: &io::Error) -> Self {
        if watch.client_gone.get() {
            return Self::End(Ended::ClientGone);
        }
        Self::Tell(match watch.backend_expired() {
            Wait::Nothing => Refusal::because(ErrorCode::D504CO, reason(Some(error))),
            _ => Refusal::connect_timeout(address),
        })
    }

    /// The connection to the backend could not be made secure.
    pub fn not_secured(watch: &Watch, failure: &handshake::Failure) -> Self {
        if watch.client_gone.get() {
            return Self::End(Ended::ClientGone);
        }
        let why = match failure {
            _ if watch.backend_expired() != Wait::Nothing => "Timeout in the handshake",
            handshake::Failure::Tls(error) => client::reason(error),
            handshake::Failure::Io(error) if error.kind() == io::ErrorKind::InvalidData => client::NO_TLS,
            handshake::Failure::Io(error) => reason(Some(error)),
            handshake::Failure::UnknownName | handshake::Failure::TooLong => client::FAILED,
        };
        Self::Tell(Refusal::because(ErrorCode::D504CS, why))
    }

    /// The same, once an answer has begun: the client can no longer be told.
    pub fn within_answer(self, watch: &Watch) -> Self {
        match self {
            Self::Tell(_) if watch.from_client.expired() == Wait::Nothing => Self::End(Ended::RequestBroke),
            Self::Tell(_) => Self::End(Ended::ClientTimeout),
            end => end,
        }
    }

    /// The client stopped sending, or taking.
    pub fn of_client(watch: &Watch) -> Self {
        let expired = [watch.from_client.expired(), watch.to_client.expired()];
        Self::End(if expired == [Wait::Nothing; 2] { Ended::ClientGone } else { Ended::ClientTimeout })
    }
}

/// The backend's answer broke off after its head had gone out.
pub fn ended_within_answer(watch: &Watch) -> Ended {
    match watch.backend_expired() {
        _ if watch.client_gone.get() => Ended::ClientGone,
        Wait::Nothing => Ended::BackendBroke,
        _ => Ended::BackendTimeout,
    }
}

fn reason(error: Option<&io::Error>) -> &'static str {
    match error.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "Connection refused",
        Some(io::ErrorKind::ConnectionReset) => "Connection reset",
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => "No route to host",
        Some(io::ErrorKind::InvalidData) => client::NO_HTTP2,
        Some(io::ErrorKind::AddrNotAvailable) => "No source address or port left",
        _ => "Connection is closed",
    }
}

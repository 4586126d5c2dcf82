//! TLS without I/O: bytes come in, bytes and values go out.
//!
//! rustls does handshakes ([`handshake`]), by its unbuffered API, in the connection's own block. It then hands over the
//! keys, and records are opened and sealed by [`record`] where they lie; [`session`] is what that leaves to do of the
//! protocol. [`server`] is the settings of the listening side, [`client`] those of the side that calls backends,
//! [`certificate`] is what files hold.

pub mod certificate;
pub mod client;
pub mod handshake;
pub mod record;
pub mod server;
pub mod session;

use std::fmt;

/// Why a session cannot go on. The peer is to blame, but for `Internal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A record that was not sealed with the session's key, or was changed on its way.
    BadRecord,
    RecordOverflow,
    UnexpectedMessage,
    Decode,
    /// The peer has ended the session with an alert.
    Alert(u8),
    /// More of something harmless than can be meant well.
    TooMany,
    Internal,
}

impl Error {
    /// What the peer is told (RFC 8446, section 6); nothing, where it said so first.
    pub fn alert(self) -> Option<u8> {
        match self {
            Self::BadRecord => Some(20),
            Self::RecordOverflow => Some(22),
            Self::UnexpectedMessage | Self::TooMany => Some(10),
            Self::Decode => Some(50),
            Self::Alert(_) => None,
            Self::Internal => Some(80),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRecord => f.write_str("a TLS record does not authenticate"),
            Self::RecordOverflow => f.write_str("a TLS record is too long"),
            Self::UnexpectedMessage => f.write_str("a TLS message came out of turn"),
            Self::Decode => f.write_str("a TLS message is malformed"),
            Self::Alert(alert) => write!(f, "the peer sent the TLS alert {alert}"),
            Self::TooMany => f.write_str("too many TLS messages without content"),
            Self::Internal => f.write_str("TLS failed"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

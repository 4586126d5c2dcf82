//! An established session: what is received and sent after the handshake, alerts, key updates and tickets included.

use std::ops::Range;

use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{ExtractedSecrets, ProtocolVersion};

use super::Error;
use super::record::{Content, Opener, Sealer};

/// Records without content, key updates and warnings that are taken in a row without any content between them.
const IDLE_RECORDS: u32 = 32;
/// Longest message of a client after the handshake, in bytes: a few bytes, that may come in several records.
const CLIENT_MESSAGE_BYTES: usize = 64;
/// Of a server: a ticket.
const SERVER_MESSAGE_BYTES: usize = 64 * 1024;

const CLOSE_NOTIFY: [u8; 2] = [1, 0];
const USER_CANCELED: u8 = 90;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
const UPDATE: [u8; 5] = [KEY_UPDATE, 0, 0, 1, 0];

/// What rustls keeps for a session whose records it no longer sees.
pub enum Keys {
    Server(KernelConnection<ServerConnectionData>),
    Client(KernelConnection<ClientConnectionData>),
}

pub struct Session {
    version: ProtocolVersion,
    opener: Opener,
    sealer: Sealer,
    keys: Keys,
    /// The peer has asked for a new key of ours, or the one in use is worn: it is changed before the next content.
    owes_update: bool,
    /// The beginning of a handshake message that comes in several records.
    message: Vec<u8>,
    idle_records: u32,
    /// The peer will send no more.
    pub closed: bool,
}

/// What a record held.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    Data(Range<usize>),
    /// Something of the session's own, or its end ([`Session::closed`]).
    Nothing,
}

impl Session {
    pub fn new(secrets: &ExtractedSecrets, keys: Keys) -> Result<Self, Error> {
        let version = match &keys {
            Keys::Server(keys) => keys.protocol_version(),
            Keys::Client(keys) => keys.protocol_version(),
        };
        Ok(Self {
            version,
            opener: Opener::new(version, secrets.rx.0, &secrets.rx.1)?,
            sealer: Sealer::new(version, secrets.tx.0, &secrets.tx.1)?,
            keys,
            owes_update: false,
            message: Vec::new(),
            idle_records: 0,
            closed: false,
        })
    }

    /// Opens a whole record where it lies.
    pub fn open_in_place(&mut self, record: &mut [u8]) -> Result<Opened, Error> {
        let (content, range) = self.opener.open_in_place(record)?;
        let plain = record.get(range.clone()).ok_or(Error::Internal)?;
        Ok(if self.is_data(content, plain)? { Opened::Data(range) } else { Opened::Nothing })
    }

    /// Opens a whole record into `out`. Returns how much content it held.
    pub fn open_to(&mut self, record: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (content, length) = self.opener.open_to(record, out)?;
        let plain = out.get(..length).ok_or(Error::Internal)?;
        Ok(if self.is_data(content, plain)? { length } else { 0 })
    }

    fn is_data(&mut self, content: Content, plain: &[u8]) -> Result<bool, Error> {
        // After its end nothing of the peer's counts (RFC 8446, section 6.1).
        if self.closed {
            return Ok(false);
        }
        if content == Content::Data && !plain.is_empty() {
            // A message in several records stands between no others (RFC 8446, section 5.1).
            if !self.message.is_empty() {
                return Err(Error::UnexpectedMessage);
            }
            self.idle_records = 0;
            return Ok(true);
        }
        self.idle_records += 1;
        if self.idle_records > IDLE_RECORDS {
            return Err(Error::TooMany);
        }
        match content {
            Content::Data => {}
            Content::ChangeCipherSpec if self.version == ProtocolVersion::TLSv1_3 => {}
            Content::ChangeCipherSpec => return Err(Error::UnexpectedMessage),
            Content::Alert => self.alert(plain)?,
            Content::Handshake => self.handshake(plain)?,
        }
        Ok(false)
    }

    fn alert(&mut self, plain: &[u8]) -> Result<(), Error> {
        match *plain {
            [_, 0] => self.closed = true,
            [_, USER_CANCELED] => {}
            // TLS 1.2 knows warnings, and none that would mean anything to us.
            [1, _] if self.version == ProtocolVersion::TLSv1_2 => {}
            [_, alert] => return Err(Error::Alert(alert)),
            _ => return Err(Error::Decode),
        }
        Ok(())
    }

    /// Messages after the handshake (RFC 8446, section 4.6). TLS 1.2 has one, which would begin another handshake:
    /// there is none.
    fn handshake(&mut self, plain: &[u8]) -> Result<(), Error> {
        if self.version != ProtocolVersion::TLSv1_3 || plain.is_empty() {
            return Err(Error::UnexpectedMessage);
        }
        let longest = match self.keys {
            Keys::Server(_) => CLIENT_MESSAGE_BYTES,
            Keys::Client(_) => SERVER_MESSAGE_BYTES,
        };
        if self.message.len() + plain.len() > longest {
            return Err(Error::TooMany);
        }
        let mut messages = std::mem::take(&mut self.message);
        messages.extend_from_slice(plain);
        let mut rest = &messages[..];
        while let [kind, a, b, c, after @ ..] = rest {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            if length > longest {
                return Err(Error::Decode);
            }
            let Some((body, next)) = after.split_at_checked(length) else { break };
            match (*kind, &mut self.keys) {
                // Nothing that was sealed with the new key may come with the message that announces it.
                (KEY_UPDATE, _) if next.is_empty() => self.key_update(body)?,
                (NEW_SESSION_TICKET, Keys::Client(keys)) => keys.handle_new_session_ticket(body).map_err(|_| Error::Decode)?,
                _ => return Err(Error::UnexpectedMessage),
            }
            rest = next;
        }
        self.message = rest.to_vec();
        Ok(())
    }

    fn key_update(&mut self, body: &[u8]) -> Result<(), Error> {
        match body {
            [0] => {}
            [1] => self.owes_update = true,
            _ => return Err(Error::Decode),
        }
        let secrets = match &mut self.keys {
            Keys::Server(keys) => keys.update_rx_secret(),
            Keys::Client(keys) => keys.update_rx_secret(),
        };
        let (sequence, secrets) = secrets.map_err(|_| Error::Internal)?;
        self.opener = Opener::new(self.version, sequence, &secrets)?;
        Ok(())
    }

    /// Bytes of a record before and after its content.
    pub fn overhead(&self) -> (usize, usize) {
        self.sealer.overhead()
    }

    /// Whether the next content can be sealed by itself: no message of the session's own must go before it.
    pub fn is_ready(&mut self) -> Result<bool, Error> {
        if self.sealer.is_worn() {
            // TLS 1.2 cannot change its key.
            if self.version != ProtocolVersion::TLSv1_3 {
                return Err(Error::TooMany);
            }
            self.owes_update = true;
        }
        Ok(!self.owes_update)
    }

    pub fn seal_in_place(&mut self, record: &mut [u8]) -> Result<(), Error> {
        self.sealer.seal_in_place(Content::Data, record)
    }

    /// Seals content that stays as it is into `out`, after a key update where one is due. Returns how much of `out` is
    /// used. At most [`super::record::CONTENT_BYTES`] at a time.
    pub fn seal_to(&mut self, plain: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let mut used = 0;
        if !self.is_ready()? {
            used = self.sealer.seal_to(Content::Handshake, &UPDATE, out)?;
            let secrets = match &mut self.keys {
                Keys::Server(keys) => keys.update_tx_secret(),
                Keys::Client(keys) => keys.update_tx_secret(),
            };
            let (sequence, secrets) = secrets.map_err(|_| Error::Internal)?;
            self.sealer = Sealer::new(self.version, sequence, &secrets)?;
            self.owes_update = false;
        }
        let out = out.get_mut(used..).ok_or(Error::Internal)?;
        Ok(used + self.sealer.seal_to(Content::Data, plain, out)?)
    }

    /// Tells the peer that nothing more will be sent.
    pub fn seal_close(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        self.sealer.seal_to(Content::Alert, &CLOSE_NOTIFY, out)
    }

    /// Tells the peer why the session is over.
    pub fn seal_alert(&mut self, alert: u8, out: &mut [u8]) -> Result<usize, Error> {
        self.sealer.seal_to(Content::Alert, &[2, alert], out)
    }
}

//! Records of an established connection (RFC 8446, section 5; RFC 5246, section 6.2 with RFC 5288 and RFC 7905), opened
//! and sealed where they lie. rustls negotiates the keys; here they are used.
//!
//! rustls's own record layer copies each record twice, into buffers that it allocates. This one lets the cipher read
//! and write the connection's blocks: in place, or from one block into another.

use std::ops::Range;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use rustls::{ConnectionTrafficSecrets, ProtocolVersion};

use super::Error;

/// Longest content of a record, in bytes.
pub const CONTENT_BYTES: usize = 16 * 1024;
/// Type, version and length.
pub const HEADER_BYTES: usize = 5;
/// Longest record that is taken: TLS 1.3 allows padding (RFC 8446, section 5.2).
pub const RECORD_BYTES: usize = HEADER_BYTES + CONTENT_BYTES + 256;
/// What a record has at most before its content, and after it.
pub const BEFORE_BYTES: usize = HEADER_BYTES + EXPLICIT_BYTES;
pub const AFTER_BYTES: usize = 1 + TAG_BYTES;

const TAG_BYTES: usize = 16;
/// The part of the nonce that TLS 1.2 sends with each record of AES-GCM.
const EXPLICIT_BYTES: usize = 8;
/// Records after which a key of AES-GCM is changed: half of what RFC 8446, section 5.5, allows.
const RECORDS_OF_A_KEY: u64 = 1 << 23;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    ChangeCipherSpec,
    Alert,
    Handshake,
    Data,
}

impl Content {
    fn read(byte: u8) -> Result<Self, Error> {
        match byte {
            20 => Ok(Self::ChangeCipherSpec),
            21 => Ok(Self::Alert),
            22 => Ok(Self::Handshake),
            23 => Ok(Self::Data),
            _ => Err(Error::UnexpectedMessage),
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::ChangeCipherSpec => 20,
            Self::Alert => 21,
            Self::Handshake => 22,
            Self::Data => 23,
        }
    }
}

/// How long the record at the front of `bytes` is, header included; `None`: its header is not all there.
pub fn length(bytes: &[u8]) -> Result<Option<usize>, Error> {
    let [_, _, _, high, low, ..] = *bytes else { return Ok(None) };
    let length = HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > RECORD_BYTES { Err(Error::RecordOverflow) } else { Ok(Some(length)) }
}

/// How records of the negotiated version and cipher are laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Tls13,
    Tls12Gcm,
    Tls12ChaCha,
}

/// The key of one direction, and how many records it has seen.
struct Key {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
    layout: Layout,
    records: u64,
}

impl Key {
    fn new(version: ProtocolVersion, sequence: u64, secrets: &ConnectionTrafficSecrets) -> Result<Self, Error> {
        let (algorithm, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(Error::Internal),
        };
        let chacha = matches!(secrets, ConnectionTrafficSecrets::Chacha20Poly1305 { .. });
        let layout = match version {
            ProtocolVersion::TLSv1_3 => Layout::Tls13,
            ProtocolVersion::TLSv1_2 if chacha => Layout::Tls12ChaCha,
            ProtocolVersion::TLSv1_2 => Layout::Tls12Gcm,
            _ => return Err(Error::Internal),
        };
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| Error::Internal)?;
        let iv = iv.as_ref().try_into().map_err(|_| Error::Internal)?;
        let records = if chacha { u64::MAX } else { RECORDS_OF_A_KEY };
        Ok(Self { key: LessSafeKey::new(key), iv, sequence, layout, records })
    }

    /// Bytes between header and content.
    fn explicit_bytes(&self) -> usize {
        if self.layout == Layout::Tls12Gcm { EXPLICIT_BYTES } else { 0 }
    }

    /// Of the record that comes next; no two records of a key share one.
    fn nonce(&self) -> [u8; 12] {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()).for_each(|(byte, n)| *byte ^= n);
        nonce
    }

    /// What is authenticated beside the content, of which there are `length` bytes; in TLS 1.3 of the whole record but
    /// its header.
    fn additional(&self, content: u8, length: usize) -> Additional {
        let length = (length as u16).to_be_bytes();
        let mut additional = Additional { bytes: [0; 13], len: 13 };
        if self.layout == Layout::Tls13 {
            additional.bytes[..5].copy_from_slice(&[content, 3, 3, length[0], length[1]]);
            additional.len = 5;
        } else {
            additional.bytes[..8].copy_from_slice(&self.sequence.to_be_bytes());
            additional.bytes[8..].copy_from_slice(&[content, 3, 3, length[0], length[1]]);
        }
        additional
    }

    /// Counts a record.
    fn count(&mut self) -> Result<(), Error> {
        self.sequence = self.sequence.checked_add(1).ok_or(Error::Internal)?;
        Ok(())
    }
}

struct Additional {
    bytes: [u8; 13],
    len: usize,
}

impl AsRef<[u8]> for Additional {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Seals what is sent.
pub struct Sealer(Key);

impl Sealer {
    pub fn new(version: ProtocolVersion, sequence: u64, secrets: &ConnectionTrafficSecrets) -> Result<Self, Error> {
        Key::new(version, sequence, secrets).map(Self)
    }

    /// Bytes of a record before its content, and after it.
    pub fn overhead(&self) -> (usize, usize) {
        let tail = if self.0.layout == Layout::Tls13 { AFTER_BYTES } else { TAG_BYTES };
        (HEADER_BYTES + self.0.explicit_bytes(), tail)
    }

    /// The key has sealed as many records as it should.
    pub fn is_worn(&self) -> bool {
        self.0.sequence >= self.0.records
    }

    /// Makes a record of its content, which is in place between the room for what goes before and after it.
    pub fn seal_in_place(&mut self, content: Content, record: &mut [u8]) -> Result<(), Error> {
        let (before, after) = self.overhead();
        let (head, rest) = record.split_at_mut_checked(before).ok_or(Error::Internal)?;
        let length = rest.len().checked_sub(after).ok_or(Error::Internal)?;
        let (in_out, tail) = rest.split_at_mut(length);
        let (nonce, additional, inner) = self.begin(content, length, head);
        let inner = &inner[..after - TAG_BYTES];
        self.0.key.seal_in_place_scatter(nonce, Aad::from(additional), in_out, inner, tail).map_err(|_| Error::Internal)?;
        self.0.count()
    }

    /// Writes the record of a content that stays as it is. Returns its length; an error where there is no room.
    pub fn seal_to(&mut self, content: Content, plain: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (before, after) = self.overhead();
        let length = before + plain.len() + after;
        let record = out.get_mut(..length).ok_or(Error::Internal)?;
        let (head, rest) = record.split_at_mut(before);
        let (sealed, tail) = rest.split_at_mut(plain.len());
        let (nonce, additional, inner) = self.begin(content, plain.len(), head);
        let inner = &inner[..after - TAG_BYTES];
        let result = self.0.key.seal_out_of_place_scatter(nonce, Aad::from(additional), plain, sealed, inner, tail);
        result.map_err(|_| Error::Internal)?;
        self.0.count()?;
        Ok(length)
    }

    /// Writes what goes before the content. The last value is the type as TLS 1.3 hides it behind the content.
    fn begin(&self, content: Content, length: usize, head: &mut [u8]) -> (Nonce, Additional, [u8; 1]) {
        let nonce = self.0.nonce();
        let (before, after) = self.overhead();
        let sealed = (before - HEADER_BYTES + length + after) as u16;
        let (outer, authenticated) = match self.0.layout {
            Layout::Tls13 => (Content::Data.byte(), usize::from(sealed)),
            Layout::Tls12Gcm | Layout::Tls12ChaCha => (content.byte(), length),
        };
        let [high, low] = sealed.to_be_bytes();
        head[..HEADER_BYTES].copy_from_slice(&[outer, 3, 3, high, low]);
        head[HEADER_BYTES..].copy_from_slice(&nonce[4..][..before - HEADER_BYTES]);
        (Nonce::assume_unique_for_key(nonce), self.0.additional(outer, authenticated), [content.byte()])
    }
}

/// Opens what is received.
pub struct Opener(Key);

impl Opener {
    pub fn new(version: ProtocolVersion, sequence: u64, secrets: &ConnectionTrafficSecrets) -> Result<Self, Error> {
        Key::new(version, sequence, secrets).map(Self)
    }

    /// Opens a whole record where it lies; the range is that of its content.
    pub fn open_in_place(&mut self, record: &mut [u8]) -> Result<(Content, Range<usize>), Error> {
        let Some(parts) = self.parts(record)? else { return Ok((Content::ChangeCipherSpec, 0..0)) };
        let sealed = record.get_mut(parts.start..).ok_or(Error::Internal)?;
        let result = self.0.key.open_in_place(parts.nonce, Aad::from(parts.additional), sealed);
        let plain = result.map_err(|_| Error::BadRecord)?;
        let (content, length) = content_of(self.0.layout, parts.outer, plain)?;
        self.0.count()?;
        Ok((content, parts.start..parts.start + length))
    }

    /// Opens a whole record into `out`, which has room for as many bytes as the record has. Returns the length of its
    /// content.
    pub fn open_to(&mut self, record: &[u8], out: &mut [u8]) -> Result<(Content, usize), Error> {
        let Some(parts) = self.parts(record)? else { return Ok((Content::ChangeCipherSpec, 0)) };
        let sealed = record.get(parts.start..).ok_or(Error::Internal)?;
        let (sealed, tag) = sealed.split_at(sealed.len() - TAG_BYTES);
        let plain = out.get_mut(..sealed.len()).ok_or(Error::Internal)?;
        let result = self.0.key.open_separate_gather(parts.nonce, Aad::from(parts.additional), sealed, tag, plain);
        result.map_err(|_| Error::BadRecord)?;
        let opened = content_of(self.0.layout, parts.outer, plain)?;
        self.0.count()?;
        Ok(opened)
    }

    /// `None`: a record that is not sealed, and means nothing (RFC 8446, section 5).
    fn parts(&self, record: &[u8]) -> Result<Option<Parts>, Error> {
        let [outer, _, _, _, _, body @ ..] = record else { return Err(Error::BadRecord) };
        let outer = Content::read(*outer)?;
        match self.0.layout {
            Layout::Tls13 if outer == Content::ChangeCipherSpec && body == [1] => return Ok(None),
            Layout::Tls13 if outer != Content::Data => return Err(Error::UnexpectedMessage),
            _ => {}
        }
        let explicit = self.0.explicit_bytes();
        let content = body.len().checked_sub(explicit + TAG_BYTES).ok_or(Error::BadRecord)?;
        let mut nonce = self.0.nonce();
        if explicit > 0 {
            nonce[4..].copy_from_slice(&body[..explicit]);
        }
        let authenticated = if self.0.layout == Layout::Tls13 { body.len() } else { content };
        Ok(Some(Parts {
            outer,
            start: HEADER_BYTES + explicit,
            nonce: Nonce::assume_unique_for_key(nonce),
            additional: self.0.additional(outer.byte(), authenticated),
        }))
    }
}

struct Parts {
    outer: Content,
    /// Where what is sealed begins.
    start: usize,
    nonce: Nonce,
    additional: Additional,
}

/// The type and length of what a record held: TLS 1.3 has the type behind the content, and padding behind that.
fn content_of(layout: Layout, outer: Content, plain: &[u8]) -> Result<(Content, usize), Error> {
    let (content, length) = match layout {
        Layout::Tls13 => {
            let last = plain.iter().rposition(|&byte| byte != 0).ok_or(Error::UnexpectedMessage)?;
            (Content::read(plain[last])?, last)
        }
        Layout::Tls12Gcm | Layout::Tls12ChaCha => (outer, plain.len()),
    };
    if length > CONTENT_BYTES { Err(Error::RecordOverflow) } else { Ok((content, length)) }
}

//! Frames in bytes that come in pieces (RFC 9113, section 4.1).

pub const HEADER_BYTES: usize = 9;
const PREFACE_BYTES: usize = 24;

/// The header of a frame.
#[derive(Debug)]
pub struct Header {
    /// Of the payload.
    pub len: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

/// What comes next.
pub enum Piece<'b> {
    Header(Header),
    /// Some of the payload of the frame before.
    Payload(&'b [u8]),
}

#[derive(Debug, Default)]
pub struct Walk {
    /// What is left of a payload, or of the preface.
    left: usize,
    header: [u8; HEADER_BYTES],
    known: usize,
}

impl Walk {
    pub fn behind_a_preface() -> Self {
        Self { left: PREFACE_BYTES, ..Self::default() }
    }

    /// Takes a piece off `bytes`; `None`: there is none left that is whole.
    pub fn next<'b>(&mut self, bytes: &mut &'b [u8]) -> Option<Piece<'b>> {
        if bytes.is_empty() {
            return None;
        }
        if self.left > 0 {
            let (payload, rest) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= payload.len();
            *bytes = rest;
            return Some(Piece::Payload(payload));
        }
        let (part, rest) = bytes.split_at((HEADER_BYTES - self.known).min(bytes.len()));
        self.header[self.known..self.known + part.len()].copy_from_slice(part);
        self.known += part.len();
        *bytes = rest;
        if self.known < HEADER_BYTES {
            return None;
        }
        self.known = 0;
        let [high, middle, low, kind, flags, stream @ ..] = self.header;
        self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        // The highest bit is reserved.
        let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
        Some(Piece::Header(Header { len: self.left, kind, flags, stream }))
    }
}

//! Where a string to sign goes, piece by piece: into an HMAC, or into bytes for a person to read.

use hmac::Mac;

pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// An HMAC fed in blocks: a string to sign comes in some forty pieces of a few bytes, and an update costs more than a copy.
pub(super) struct MacSink<M> {
    mac: M,
    block: [u8; BLOCK_BYTES],
    len: usize,
}

/// Eight blocks of SHA-256: most strings to sign, so that they are hashed in one go.
const BLOCK_BYTES: usize = 512;

impl<M: Mac> MacSink<M> {
    pub fn new(mac: M) -> Self {
        Self { mac, block: [0; BLOCK_BYTES], len: 0 }
    }

    /// What does not fit goes on at once.
    #[cold]
    #[inline(never)]
    fn spill(&mut self, bytes: &[u8]) {
        self.mac.update(&self.block[..self.len]);
        self.mac.update(bytes);
        self.len = 0;
    }

    pub fn finish(mut self) -> M {
        self.mac.update(&self.block[..self.len]);
        self.mac
    }
}

impl<M: Mac> Sink for MacSink<M> {
    // Most pieces are a constant byte: a store, where this is part of its caller.
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        match self.block.get_mut(self.len..self.len + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.spill(bytes),
        }
    }
}

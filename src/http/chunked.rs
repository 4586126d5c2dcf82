//! The chunked transfer coding (RFC 9112, section 7.1), strict, in place.
//!
//! The decoder walks the bytes that one read delivered and leaves in their place what may be sent on, so that the
//! buffer that received is the buffer that sends. Two outputs are possible: the same coding in its one canonical
//! spelling (lower-case size without leading zeros, no extension), or the bare content.

/// What is left in the buffer for the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Chunks in canonical spelling; the last chunk and the trailer section are left out: the caller ends the message.
    Chunks,
    /// The content without its coding.
    Content,
}

#[derive(Clone, Copy, Debug)]
pub struct ChunkLimits {
    /// Bytes of all chunk extensions of one message.
    pub extension_bytes: usize,
    /// Bytes of the trailer section.
    pub trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    Malformed(&'static str),
    ExtensionsTooLarge,
    TrailersTooLarge,
}

/// What one call found in its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// `buffer[..output]` is to be sent on.
    pub output: usize,
    /// Bytes of the input that belong to this message; when `done`, what follows is the next message's.
    pub consumed: usize,
    /// Bytes of content among them.
    pub content: usize,
    /// The last chunk and the trailer section have ended.
    pub done: bool,
}

#[derive(Debug)]
pub struct Decoder {
    // state: to be written
}

impl Decoder {
    pub fn new() -> Self {
        todo!()
    }
    /// Takes the next bytes of the message.
    pub fn decode(&mut self, _buffer: &mut [u8], _output: Output, _limits: &ChunkLimits) -> Result<Step, ChunkError> {
        todo!()
    }
}

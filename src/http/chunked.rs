//! The chunked transfer coding (RFC 9112, section 7.1), strict, in place.
//!
//! The decoder walks the bytes that one read delivered and leaves in their place what may be sent on, so that the
//! buffer that received is the buffer that sends. Two outputs are possible: the same coding in its one canonical
//! spelling (lower-case size without leading zeros, no extension), or the bare content.
//!
//! Input may be cut anywhere. Each byte of output is due to a byte of input that came no later: the canonical spelling
//! of what was received is never longer than what was received, at any point. So the decoder never has to hold output
//! back, and the outputs of all calls, one after the other, are the canonical message (a size line that came in two
//! reads leaves in two writes). In the common case, where the input is canonical already, no byte moves.

mod extension;
mod trailer;

use std::ops::Range;

use extension::Extension;
use trailer::Trailers;

use super::percent::hex;

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

/// Why a body is refused. The connection it came on closes, and what was sent on of it is never ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// Not the grammar of RFC 9112, section 7.1. The text names the rule that was broken.
    Malformed(&'static str),
    /// More than [`ChunkLimits::extension_bytes`] (section 7.1.1).
    ExtensionsTooLarge,
    /// More than [`ChunkLimits::trailer_bytes`] (section 7.1.2).
    TrailersTooLarge,
}

/// What one call found in its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `buffer[output]` is to be sent on; may be empty. It does not have to start at the buffer's start: bytes that are
    /// not sent on are left out by moving the start where that spares moving content.
    pub output: Range<usize>,
    /// Bytes of the input that belong to this message; when `done`, what follows is the next message's.
    pub consumed: usize,
    /// Bytes of content among them.
    pub content: usize,
    /// The last chunk and the trailer section have ended.
    pub done: bool,
}

/// Hexadecimal digits of a chunk size: 16 can count, zeros before them cannot go on for ever.
const MOST_SIZE_DIGITS: u8 = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a chunk size; `digits` came so far.
    Size {
        digits: u8,
    },
    Extension(Extension),
    /// After the CR of a size line.
    SizeEnd,
    /// In chunk data; `remaining` bytes of it are to come.
    Data,
    /// After chunk data.
    DataEnd,
    /// After the CR of [`State::DataEnd`].
    DataEndLf,
    Trailers,
    Done,
}

/// The decoder of one message.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// The size of the chunk, while it is read; then the bytes of its data to come.
    remaining: u64,
    extension_bytes: usize,
    trailers: Trailers,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    pub fn new() -> Self {
        Self { state: State::Size { digits: 0 }, remaining: 0, extension_bytes: 0, trailers: Trailers::default() }
    }

    /// Takes the next bytes of the message. After an error the decoder is of no more use.
    pub fn decode(&mut self, buffer: &mut [u8], output: Output, limits: &ChunkLimits) -> Result<Step, ChunkError> {
        let mut out = Out { buffer, range: 0..0, coding: output == Output::Chunks };
        let mut content = 0;
        let mut at = 0;
        while self.state != State::Done && at < out.buffer.len() {
            match self.state {
                State::Data => {
                    let available = out.buffer.len() - at;
                    let run = usize::try_from(self.remaining).map_or(available, |remaining| remaining.min(available));
                    out.content(at, run);
                    at += run;
                    content += run;
                    self.remaining -= run as u64;
                    if self.remaining == 0 {
                        self.state = State::DataEnd;
                    }
                }
                State::Trailers => {
                    let (consumed, ended) = self.trailers.take(&out.buffer[at..], limits.trailer_bytes)?;
                    at += consumed;
                    if ended {
                        self.state = State::Done;
                    }
                }
                _ => {
                    self.framing_byte(&mut out, at, limits)?;
                    at += 1;
                }
            }
        }
        Ok(Step { output: out.range, consumed: at, content, done: self.state == State::Done })
    }

    /// The trailer fields that may be sent on, as field lines with their line ends; empty when there are none. Complete
    /// once the message is done. Left out are all fields that frame, route, authenticate or control a message, or that
    /// are for one connection only: a trailer comes too late for any of these (RFC 9110, section 6.5.1).
    pub fn trailers(&self) -> &[u8] {
        self.trailers.lines()
    }

    /// One byte that is neither content nor trailer.
    fn framing_byte(&mut self, out: &mut Out<'_>, at: usize, limits: &ChunkLimits) -> Result<(), ChunkError> {
        let byte = out.buffer[at];
        self.state = match self.state {
            State::Size { digits } => match (hex(byte), byte) {
                (Some(digit), _) => self.size_digit(out, at, digits, digit)?,
                _ if digits == 0 => return Err(ChunkError::Malformed("a chunk size is missing")),
                (None, b'\r') => self.size_cr(out, at),
                (None, b';') => {
                    self.count_extension_byte(limits)?;
                    State::Extension(Extension::default())
                }
                _ => return Err(ChunkError::Malformed("a byte in a chunk size that is no hexadecimal digit")),
            },
            State::Extension(extension) => match extension.next(byte)? {
                Some(extension) => {
                    self.count_extension_byte(limits)?;
                    State::Extension(extension)
                }
                None => self.size_cr(out, at),
            },
            State::SizeEnd if byte != b'\n' => return Err(ChunkError::Malformed("a bare CR in a chunk size line")),
            State::SizeEnd if self.remaining == 0 => State::Trailers,
            State::SizeEnd => {
                out.coding(at, b'\n');
                State::Data
            }
            State::DataEnd if byte != b'\r' => return Err(ChunkError::Malformed("chunk data longer than its size")),
            State::DataEnd => {
                out.coding(at, b'\r');
                State::DataEndLf
            }
            State::DataEndLf if byte != b'\n' => return Err(ChunkError::Malformed("a bare CR after chunk data")),
            State::DataEndLf => {
                out.coding(at, b'\n');
                State::Size { digits: 0 }
            }
            state @ (State::Data | State::Trailers | State::Done) => state,
        };
        Ok(())
    }

    /// `chunk-size = 1*HEXDIG`: a recipient must beware of overflow (section 7.1), and here of readers with 63 bits too.
    fn size_digit(&mut self, out: &mut Out<'_>, at: usize, digits: u8, digit: u8) -> Result<State, ChunkError> {
        if digits == MOST_SIZE_DIGITS || self.remaining > (i64::MAX >> 4) as u64 {
            return Err(ChunkError::Malformed("a chunk size larger than any body"));
        }
        self.remaining = self.remaining << 4 | u64::from(digit);
        if self.remaining > 0 {
            out.coding(at, b"0123456789abcdef"[usize::from(digit & 0x0f)]);
        }
        Ok(State::Size { digits: digits + 1 })
    }

    fn size_cr(&mut self, out: &mut Out<'_>, at: usize) -> State {
        if self.remaining > 0 {
            out.coding(at, b'\r');
        }
        State::SizeEnd
    }

    /// Section 7.1.1: a recipient ought to limit extensions, which are the same work to it as content and none to send.
    fn count_extension_byte(&mut self, limits: &ChunkLimits) -> Result<(), ChunkError> {
        self.extension_bytes += 1;
        if self.extension_bytes > limits.extension_bytes { Err(ChunkError::ExtensionsTooLarge) } else { Ok(()) }
    }
}

/// The buffer of one call, and the part of it that is to be sent on. That part ends at or before the byte being read.
struct Out<'a> {
    buffer: &'a mut [u8],
    range: Range<usize>,
    /// The coding is sent on with the content.
    coding: bool,
}

impl Out<'_> {
    /// Sends on one byte of the coding; the byte it is due to is at `at`.
    #[inline]
    fn coding(&mut self, at: usize, byte: u8) {
        if !self.coding {
            return;
        }
        if self.range.is_empty() {
            self.range = at..at;
        }
        self.buffer[self.range.end] = byte;
        self.range.end += 1;
    }

    /// Sends on `buffer[at..at + len]`. Where bytes before it are left out, whichever is shorter moves: what is already
    /// to be sent, or the content.
    #[inline]
    fn content(&mut self, at: usize, len: usize) {
        let gap = at - self.range.end;
        if self.range.is_empty() {
            self.range = at..at;
        } else if gap > 0 && self.range.len() <= len {
            self.buffer.copy_within(self.range.clone(), self.range.start + gap);
            self.range = self.range.start + gap..at;
        } else if gap > 0 {
            self.buffer.copy_within(at..at + len, self.range.end);
        }
        self.range.end += len;
    }
}

#[cfg(test)]
mod tests;

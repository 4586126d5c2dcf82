//! A body on its way: what one receive delivered becomes what the next hop is sent, in the same buffer.
//!
//! The same code serves both directions. Pure: no I/O, no clock. Framing toward the next hop is always ours: what
//! goes out is counted, chunked by us, or ends with the connection.

use std::ops::Range;

use crate::http::chunked::{ChunkError, ChunkLimits, Decoder, Output};
use crate::http::framing::BodyLength;
use crate::http::serialise::{CHUNK_SIZE_BYTES, LAST_CHUNK, LAST_CHUNK_LINE, write_chunk_size};

/// What remains of a body, and how it goes out.
#[derive(Debug)]
pub enum Transfer {
    Ended,
    /// Bytes still to come; goes out as it comes.
    Exact(u64),
    /// Chunked, and goes out in canonical chunks.
    Chunks(Decoder),
    /// Chunked, and goes out as bare content.
    Content(Decoder),
    /// Chunked, and goes out in chunks of ours, so that the output is all content.
    Recoding {
        decoder: Decoder,
        begun: bool,
    },
    /// Ends with the connection it comes from, and with the one it goes to.
    Raw,
    /// Ends with the connection it comes from, and goes out in chunks of ours.
    Chunking {
        begun: bool,
    },
}

/// The line before a chunk of ours.
#[derive(Clone, Copy, Debug, Default)]
pub struct SizeLine {
    bytes: [u8; CHUNK_SIZE_BYTES + 2],
    len: usize,
}

impl SizeLine {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What one receive amounts to.
#[derive(Debug, Default)]
pub struct Passed {
    /// To be sent before the output.
    pub prefix: SizeLine,
    /// The bytes to send.
    pub output: Range<usize>,
    /// The bytes received that belong to this message; what follows belongs to another, or to nothing.
    pub consumed: usize,
    /// Bytes of content among them.
    pub content: u64,
    /// The message is whole; [`Transfer::tail`] ends it.
    pub ended: bool,
}

impl Transfer {
    /// `chunks`: the next hop understands the chunked coding.
    pub fn new(length: BodyLength, chunks: bool) -> Self {
        match length {
            BodyLength::None | BodyLength::Exact(0) => Self::Ended,
            BodyLength::Exact(n) => Self::Exact(n),
            BodyLength::Chunked if chunks => Self::Chunks(Decoder::new()),
            BodyLength::Chunked => Self::Content(Decoder::new()),
            BodyLength::UntilClose if chunks => Self::Chunking { begun: false },
            BodyLength::UntilClose => Self::Raw,
        }
    }

    /// As it goes to a backend. `bare`: the output must be content alone, because it is looked at on its way.
    pub fn to_backend(length: BodyLength, bare: bool) -> Self {
        match length {
            BodyLength::Chunked if bare => Self::Recoding { decoder: Decoder::new(), begun: false },
            _ => Self::new(length, true),
        }
    }

    /// What is still to come, where it goes out as it comes and its length is known.
    pub fn left(&mut self) -> Option<&mut u64> {
        if let Self::Exact(left) = self { Some(left) } else { None }
    }

    /// Takes the bytes of one receive.
    pub fn pass(&mut self, bytes: &mut [u8], limits: &ChunkLimits) -> Result<Passed, ChunkError> {
        match self {
            Self::Ended => Ok(Passed { ended: true, ..Passed::default() }),
            Self::Exact(left) => {
                let n = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= n as u64;
                let ended = *left == 0;
                Ok(Passed { output: 0..n, consumed: n, content: n as u64, ended, ..Passed::default() })
            }
            Self::Chunks(decoder) => pass_decoded(decoder, bytes, Output::Chunks, limits),
            Self::Content(decoder) => pass_decoded(decoder, bytes, Output::Content, limits),
            Self::Recoding { decoder, begun } => {
                let mut passed = pass_decoded(decoder, bytes, Output::Content, limits)?;
                if !passed.output.is_empty() {
                    passed.prefix = size_line(begun, passed.output.len());
                }
                Ok(passed)
            }
            Self::Raw => {
                Ok(Passed { output: 0..bytes.len(), consumed: bytes.len(), content: bytes.len() as u64, ..Passed::default() })
            }
            // A chunk without content would be read as the last one.
            Self::Chunking { .. } if bytes.is_empty() => Ok(Passed::default()),
            Self::Chunking { begun } => {
                let prefix = size_line(begun, bytes.len());
                let n = bytes.len();
                Ok(Passed { prefix, output: 0..n, consumed: n, content: n as u64, ended: false })
            }
        }
    }

    /// The end of the sender's connection is the end of the body; for the others, the body is cut short.
    pub fn ends_by_close(&self) -> bool {
        matches!(self, Self::Ended | Self::Raw | Self::Chunking { .. })
    }

    /// Something ends the message toward the next hop, once it is whole.
    pub fn has_tail(&self) -> bool {
        !matches!(self, Self::Ended | Self::Exact(_) | Self::Content(_) | Self::Raw)
    }

    /// What that is.
    pub fn tail(&self) -> [&[u8]; 3] {
        match self {
            Self::Chunks(decoder) => [LAST_CHUNK_LINE, decoder.trailers(), b"\r\n"],
            Self::Chunking { begun: true } | Self::Recoding { begun: true, .. } => [b"\r\n0\r\n\r\n", b"", b""],
            Self::Chunking { begun: false } | Self::Recoding { begun: false, .. } => [LAST_CHUNK, b"", b""],
            Self::Ended | Self::Exact(_) | Self::Content(_) | Self::Raw => [b"", b"", b""],
        }
    }
}

/// The line before a chunk of ours; it ends the chunk before, too.
fn size_line(begun: &mut bool, len: usize) -> SizeLine {
    let mut size = [0; CHUNK_SIZE_BYTES];
    let size_len = write_chunk_size(len as u64, &mut size);
    let mut line = SizeLine::default();
    if std::mem::replace(begun, true) {
        line.push(b"\r\n");
    }
    line.push(&size[..size_len]);
    line
}

fn pass_decoded(decoder: &mut Decoder, bytes: &mut [u8], output: Output, limits: &ChunkLimits) -> Result<Passed, ChunkError> {
    let step = decoder.decode(bytes, output, limits)?;
    Ok(Passed {
        output: step.output,
        consumed: step.consumed,
        content: step.content as u64,
        ended: step.done,
        ..Passed::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ChunkLimits = ChunkLimits { extension_bytes: 1024, trailer_bytes: 1024 };

    /// What the next hop is sent for these receives.
    fn sent(mut transfer: Transfer, receives: &[&str]) -> String {
        let mut out = Vec::new();
        for receive in receives {
            let mut bytes = receive.as_bytes().to_vec();
            let passed = transfer.pass(&mut bytes, &LIMITS).unwrap();
            out.extend_from_slice(passed.prefix.as_bytes());
            out.extend_from_slice(&bytes[passed.output]);
        }
        transfer.tail().iter().for_each(|part| out.extend_from_slice(part));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_body_until_close_becomes_chunks() {
        let chunking = || Transfer::new(BodyLength::UntilClose, true);
        assert_eq!(sent(chunking(), &["hello", " world"]), "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
        assert_eq!(sent(chunking(), &[]), "0\r\n\r\n");
    }

    #[test]
    fn a_receive_without_content_is_not_the_last_chunk() {
        assert_eq!(sent(Transfer::new(BodyLength::UntilClose, true), &["", "x", ""]), "1\r\nx\r\n0\r\n\r\n");
        let recoding = Transfer::to_backend(BodyLength::Chunked, true);
        assert_eq!(sent(recoding, &["1", "\r\n", "x\r\n0\r\n", "\r\n"]), "1\r\nx\r\n0\r\n\r\n");
    }

    #[test]
    fn a_hop_without_chunks_gets_the_content_alone() {
        assert_eq!(sent(Transfer::new(BodyLength::Chunked, false), &["3\r\nabc\r\n0\r\nX: 1\r\n\r\n"]), "abc");
        assert_eq!(sent(Transfer::new(BodyLength::UntilClose, false), &["ab", "c"]), "abc");
    }

    #[test]
    fn a_length_takes_no_byte_of_what_follows() {
        assert_eq!(sent(Transfer::new(BodyLength::Exact(4), true), &["ab", "cdGET /"]), "abcd");
    }
}

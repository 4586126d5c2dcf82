//! A body that goes out by a stream: taken from its spelling in HTTP/1.1, sent as the receiver grants room for it.

use std::io;
use std::ops::Range;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;

use super::failure;
use super::response::trailers;
use crate::http::chunked::{ChunkLimits, Decoder, Output};
use crate::http::framing::BodyLength;

/// Of trailers that have passed the gateway.
const LIMITS: ChunkLimits = ChunkLimits { extension_bytes: 0, trailer_bytes: 64 * 1024 };

pub struct Outgoing {
    pub stream: SendStream<Bytes>,
    left: Left,
}

enum Left {
    Exact(u64),
    Chunks(Decoder),
    /// Ends with what sends it.
    Open,
    Nothing,
}

/// What of the bytes to be sent comes next.
pub struct Part {
    pub content: Range<usize>,
    /// They are the last.
    end: bool,
}

impl Outgoing {
    pub fn new(stream: SendStream<Bytes>, body: BodyLength) -> Self {
        let left = match body {
            BodyLength::None => Left::Nothing,
            BodyLength::Exact(length) => Left::Exact(length),
            BodyLength::Chunked => Left::Chunks(Decoder::new()),
            BodyLength::UntilClose => Left::Open,
        };
        Self { stream, left }
    }

    /// Its bytes change when they are taken.
    pub fn is_coded(&self) -> bool {
        matches!(self.left, Left::Chunks(_))
    }

    pub fn is_whole(&self) -> bool {
        matches!(self.left, Left::Nothing)
    }

    /// Takes bytes off their coding, in place.
    pub fn take(&mut self, bytes: &mut [u8]) -> io::Result<Part> {
        let Left::Chunks(decoder) = &mut self.left else { return Ok(self.take_plain(bytes.len())) };
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
        let step = decoder.decode(bytes, Output::Content, &LIMITS).map_err(invalid)?;
        Ok(Part { content: step.output, end: step.done })
    }

    /// Takes so many bytes that have no coding.
    pub fn take_plain(&mut self, len: usize) -> Part {
        match &mut self.left {
            Left::Open => Part { content: 0..len, end: false },
            Left::Exact(left) => {
                let n = len.min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= n as u64;
                Part { content: 0..n, end: *left == 0 }
            }
            Left::Nothing | Left::Chunks(_) => Part { content: 0..0, end: false },
        }
    }

    /// Sends content that [`Outgoing::take`] has found, as much as there is room for; ready when all has gone.
    pub fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8], part: &mut Part) -> Poll<io::Result<()>> {
        while !part.content.is_empty() {
            self.stream.reserve_capacity(part.content.len());
            let granted = match ready!(self.stream.poll_capacity(context)) {
                Some(granted) => granted.map_err(failure)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
            let n = granted.min(part.content.len());
            let data = Bytes::copy_from_slice(bytes.get(part.content.start..part.content.start + n).unwrap_or_default());
            part.content.start += n;
            let last = part.end && part.content.is_empty() && self.trailer_lines().is_empty();
            self.stream.send_data(data, last).map_err(failure)?;
            if last {
                self.left = Left::Nothing;
            }
        }
        if std::mem::take(&mut part.end) && !self.is_whole() {
            self.end()?;
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self) -> io::Result<()> {
        let ended = match self.trailer_lines() {
            [] => self.stream.send_data(Bytes::new(), true),
            lines => {
                let trailers = trailers(lines).ok_or(io::ErrorKind::InvalidData)?;
                self.stream.send_trailers(trailers)
            }
        };
        self.left = Left::Nothing;
        ended.map_err(failure)
    }

    fn trailer_lines(&self) -> &[u8] {
        match &self.left {
            Left::Chunks(decoder) => decoder.trailers(),
            _ => b"",
        }
    }
}

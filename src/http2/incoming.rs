//! A body that comes in by a stream, spelled as in HTTP/1.1: as it is where its length has been said, else in chunks.
//!
//! What the reader has taken is the sender's to send again: so much and no more is under way, whoever is slow.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::RecvStream;
use http::HeaderMap;

use super::failure;
use crate::http::serialise::{CHUNK_SIZE_BYTES, LAST_CHUNK_LINE, write_chunk_size};
use crate::net::Block;

/// Room that one chunk needs besides its content, and some for content.
const LEAST_ROOM: usize = CHUNK_SIZE_BYTES + 2 + 64;

pub struct Incoming {
    body: RecvStream,
    chunked: bool,
    /// Received, and not read.
    data: Bytes,
    /// Spelled, and not read.
    spelled: Bytes,
    ended: bool,
}

impl Incoming {
    /// `chunked`: the length has not been said.
    pub fn new(body: RecvStream, chunked: bool) -> Self {
        Self { body, chunked, data: Bytes::new(), spelled: Bytes::new(), ended: false }
    }

    /// The same, behind a head that has been spelled.
    pub fn behind(head: Vec<u8>, body: RecvStream, chunked: bool) -> Self {
        Self { spelled: head.into(), ..Self::new(body, chunked) }
    }

    /// Puts what has come behind what the block holds; 0: the body has ended, and has been read.
    pub fn poll_read(&mut self, context: &mut Context<'_>, block: &mut Block) -> Poll<io::Result<usize>> {
        loop {
            if !self.spelled.is_empty() {
                let n = self.spelled.len().min(block.room());
                block.append(&self.spelled.split_to(n));
                return Poll::Ready(Ok(n));
            }
            if !self.data.is_empty() {
                let had = block.len();
                let taken = self.spell(block);
                self.body.flow_control().release_capacity(taken).map_err(failure)?;
                match block.len() - had {
                    // The chunk has been spelled aside.
                    0 => continue,
                    n => return Poll::Ready(Ok(n)),
                }
            }
            if self.ended {
                return Poll::Ready(Ok(0));
            }
            match ready!(self.body.poll_data(context)) {
                Some(data) => self.data = data.map_err(failure)?,
                None => {
                    let trailers = ready!(self.body.poll_trailers(context)).map_err(failure)?;
                    self.ended = true;
                    if self.chunked {
                        self.spelled = last_chunk(trailers.as_ref());
                    }
                }
            }
        }
    }

    /// Takes of the data what the block has room for, or, where that is too little for a chunk, all of it aside.
    fn spell(&mut self, block: &mut Block) -> usize {
        if !self.chunked {
            let n = self.data.len().min(block.room());
            block.append(&self.data[..n]);
            self.data.advance(n);
            return n;
        }
        let aside = block.room() < LEAST_ROOM;
        let n = if aside { self.data.len() } else { self.data.len().min(block.room() - CHUNK_SIZE_BYTES - 2) };
        let mut line = [0; CHUNK_SIZE_BYTES];
        let line_len = write_chunk_size(n as u64, &mut line);
        let parts = [&line[..line_len], &self.data[..n], b"\r\n"];
        if aside {
            self.spelled = parts.concat().into();
        } else {
            parts.iter().for_each(|part| _ = block.append(part));
        }
        self.data.advance(n);
        n
    }
}

fn last_chunk(trailers: Option<&HeaderMap>) -> Bytes {
    let mut spelled = LAST_CHUNK_LINE.to_vec();
    for (name, value) in trailers.into_iter().flatten() {
        [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].iter().for_each(|part| spelled.extend_from_slice(part));
    }
    spelled.extend_from_slice(b"\r\n");
    spelled.into()
}

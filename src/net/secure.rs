//! TLS between a stream and those who use it: what is received is opened where it lies, what is sent is sealed where it
//! lies. Where it cannot be in place, because several records came at once, or there is no room around what is sent,
//! the cipher reads one block and writes another. Between requests a session holds no block.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;

use super::block::{Block, Blocks, LARGE_BYTES};
use crate::sys::{self, Direction, Peeked};
use crate::tls::record::{self, AFTER_BYTES, BEFORE_BYTES, CONTENT_BYTES};
use crate::tls::session::{Opened, Session};
use crate::tls::{Error, server::Peer};

/// Room for a key update before a record.
const UPDATE_BYTES: usize = 64;
/// Room for an alert, or for a short message that is sent at once.
const SHORT_BYTES: usize = 128;

pub struct Secure {
    fd: RawFd,
    session: RefCell<Session>,
    blocks: Rc<Blocks>,
    /// The beginning of a record whose rest has not come.
    partial: Cell<Option<Block>>,
    /// Content that a look found; the next receive gets it.
    found: Cell<Option<Block>>,
    /// The peer will send no more.
    closed: Cell<bool>,
    /// Nothing more can be sent.
    ended: Cell<bool>,
    pub peer: Peer,
}

/// A receive under way.
pub(super) struct Reading {
    /// Where it receives.
    pub wire: Block,
    pub rest: Rest,
}

/// What a receive keeps while the kernel has its block.
pub(super) struct Rest {
    /// Where records begin.
    at: usize,
    /// The caller's block, where another is received into.
    plain: Option<Block>,
}

impl Reading {
    /// Into `wire`, which holds the beginning of a record, for content that goes behind `plain`.
    fn beside(wire: Block, plain: Block) -> Self {
        Self { wire, rest: Rest { at: 0, plain: Some(plain) } }
    }
}

pub(super) enum Received {
    /// More must be received.
    More(Reading),
    Done(io::Result<usize>, Block),
}

/// A send under way.
pub(super) enum Sealing {
    /// The block is a record, with so many bytes before and behind its content.
    InPlace(usize, usize),
    /// The caller's block, of which so many bytes have been sealed into the one that is being sent.
    Beside(Block, usize),
}

impl Secure {
    /// `received`: what came behind the handshake.
    pub fn new(fd: RawFd, session: Session, received: Block, blocks: Rc<Blocks>, peer: Peer) -> Self {
        let secure = Self {
            fd,
            session: RefCell::new(session),
            partial: Cell::default(),
            found: Cell::default(),
            closed: Cell::new(false),
            ended: Cell::new(false),
            peer,
            blocks,
        };
        match received.is_empty() {
            true => secure.blocks.put(received),
            false => drop(secure.find(received)),
        }
        secure
    }

    /// Opens what was received before anybody asked for it.
    fn find(&self, wire: Block) -> Peeked {
        let plain = self.blocks.small();
        match self.open(Reading::beside(wire, plain)) {
            Received::More(Reading { wire, rest }) => {
                rest.plain.into_iter().for_each(|plain| self.blocks.put(plain));
                self.keep(wire);
                Peeked::Nothing
            }
            Received::Done(Ok(n), plain) if n > 0 => {
                self.found.set(Some(plain));
                Peeked::Bytes
            }
            Received::Done(result, plain) => {
                self.blocks.put(plain);
                if result.is_ok() { Peeked::End } else { Peeked::Broken }
            }
        }
    }

    fn keep(&self, wire: Block) {
        match wire.is_empty() {
            true => self.blocks.put(wire),
            false => self.partial.set(Some(wire)),
        }
    }

    /// There is something to receive that the socket no longer shows.
    pub fn has_more(&self) -> bool {
        let found = self.found.take();
        let has = found.is_some() || self.closed.get();
        self.found.set(found);
        has
    }

    /// Where to receive, for a caller that wants content behind what `block` holds; or what it gets without.
    pub(super) fn begin(&self, block: Block) -> Received {
        if let Some(found) = self.found.take() {
            let n = found.len();
            let block = self.blocks.append_all(block, [found.filled(), b"", b""]);
            self.blocks.put(found);
            return Received::Done(Ok(n), block);
        }
        if self.closed.get() {
            return Received::Done(Ok(0), block);
        }
        Received::More(match self.partial.take() {
            Some(partial) => self.roomy(Reading::beside(partial, block)),
            None => self.roomy(Reading { rest: Rest { at: block.len(), plain: None }, wire: block }),
        })
    }

    /// Makes room for the rest of the record that has begun.
    fn roomy(&self, mut reading: Reading) -> Reading {
        let begun = reading.wire.filled().get(reading.rest.at..).unwrap_or_default();
        let missing = match record::length(begun) {
            Ok(Some(length)) => length.saturating_sub(begun.len()).max(1),
            _ => BEFORE_BYTES,
        };
        if reading.wire.room() < missing && reading.rest.plain.is_some() {
            reading.wire.lower(0);
        }
        while reading.wire.room() < missing {
            let headroom = reading.wire.headroom();
            reading.wire = self.blocks.enlarged(reading.wire, headroom);
        }
        reading
    }

    /// Takes what one receive has brought.
    pub(super) fn received(&self, received: io::Result<usize>, reading: Reading) -> Received {
        match received {
            Ok(n) if n > 0 => self.open(reading),
            // The end of the connection is not the end of what was sent through it: only the peer's word is.
            Ok(_) => self.over(Err(io::ErrorKind::UnexpectedEof.into()), reading),
            Err(error) => self.over(Err(error), reading),
        }
    }

    /// Gives the caller its block as it was.
    fn over(&self, result: io::Result<usize>, reading: Reading) -> Received {
        let Reading { mut wire, rest: Rest { at, plain } } = reading;
        match plain {
            Some(plain) => {
                self.blocks.put(wire);
                Received::Done(result, plain)
            }
            None => {
                wire.narrow(0..at);
                Received::Done(result, wire)
            }
        }
    }

    fn open(&self, mut reading: Reading) -> Received {
        let at = reading.rest.at;
        let whole = record::length(&reading.wire.filled()[at..]);
        let opened = match whole {
            Ok(Some(length)) if length == reading.wire.len() - at && reading.rest.plain.is_none() => {
                self.session.borrow_mut().open_in_place(&mut reading.wire.filled_mut()[at..])
            }
            Ok(Some(length)) if length <= reading.wire.len() - at => return self.gather(reading),
            Ok(_) => return Received::More(self.roomy(reading)),
            Err(error) => Err(error),
        };
        match opened {
            Ok(Opened::Data(range)) => {
                let n = range.len();
                match at {
                    0 => reading.wire.narrow(range),
                    _ => reading.wire.take(at + range.start..at + range.end, at),
                }
                Received::Done(Ok(n), reading.wire)
            }
            Ok(Opened::Nothing) => {
                reading.wire.narrow(0..at);
                self.nothing(reading)
            }
            Err(error) => self.fail(error, reading),
        }
    }

    /// After records without content: the end, or more must be received.
    fn nothing(&self, reading: Reading) -> Received {
        self.closed.set(self.session.borrow().closed);
        match self.closed.get() {
            true => self.over(Ok(0), reading),
            false => Received::More(self.roomy(reading)),
        }
    }

    /// Opens all whole records of a block into another.
    fn gather(&self, mut reading: Reading) -> Received {
        let mut plain = match reading.rest.plain.take() {
            Some(plain) => plain,
            None => {
                let large = reading.wire.capacity() >= LARGE_BYTES;
                let mut plain = if large { self.blocks.large() } else { self.blocks.small() };
                plain.clear(reading.wire.headroom());
                plain.append(&reading.wire.filled()[..reading.rest.at]);
                reading.wire.advance(reading.rest.at);
                reading.rest.at = 0;
                plain
            }
        };
        let had = plain.len();
        let mut failure = None;
        while failure.is_none() {
            let length = match record::length(reading.wire.filled()) {
                Ok(Some(length)) if length <= reading.wire.len() => length,
                Ok(_) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            while plain.room() < length {
                let headroom = plain.headroom();
                plain = self.blocks.enlarged(plain, headroom);
            }
            let record = &reading.wire.filled()[..length];
            plain.fill_with(|room| match self.session.borrow_mut().open_to(record, room) {
                Ok(n) => Some(n),
                Err(error) => {
                    failure = Some(error);
                    None
                }
            });
            reading.wire.advance(length);
        }
        let n = plain.len() - had;
        reading.rest.plain = Some(plain);
        if let Some(error) = failure {
            return self.fail(error, reading);
        }
        if n == 0 {
            if reading.wire.is_empty() {
                reading.wire.clear(0);
            }
            return self.nothing(reading);
        }
        self.closed.set(self.session.borrow().closed);
        self.keep(reading.wire);
        match reading.rest.plain {
            Some(plain) => Received::Done(Ok(n), plain),
            None => Received::Done(Err(Error::Internal.into()), self.blocks.small()),
        }
    }

    /// Tells the peer why the session is over.
    fn fail(&self, error: Error, reading: Reading) -> Received {
        if let Some(alert) = error.alert() {
            self.say_last(|session, out| session.seal_alert(alert, out));
        }
        self.ended.set(true);
        self.over(Err(error.into()), reading)
    }

    /// Looks what is there to be received. What the session itself has to take is taken.
    pub fn look(&self) -> Peeked {
        if let Some(found) = self.found.take() {
            self.found.set(Some(found));
            return Peeked::Bytes;
        }
        if self.closed.get() {
            return Peeked::End;
        }
        loop {
            let wire = self.partial.take().unwrap_or_else(|| self.blocks.small());
            let mut wire = self.roomy(Reading { wire, rest: Rest { at: 0, plain: None } }).wire;
            let mut received = Ok(0);
            wire.fill_with(|room| {
                received = sys::recv_now(self.fd, room);
                received.as_ref().ok().copied()
            });
            match received {
                Ok(0) => {
                    self.keep(wire);
                    return Peeked::End;
                }
                Ok(_) => match self.find(wire) {
                    Peeked::Nothing => {}
                    seen => return seen,
                },
                Err(error) => {
                    self.keep(wire);
                    let waiting = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
                    return if waiting { Peeked::Nothing } else { Peeked::Broken };
                }
            }
        }
    }

    /// Seals the first record of what is to be sent, or as many as one block holds. Returns what to send.
    pub(super) fn seal(&self, mut block: Block) -> Result<(Block, Sealing), (io::Error, Block)> {
        let sealed = self.seal_in_place(&mut block);
        match sealed {
            Ok(Some((before, behind))) => return Ok((block, Sealing::InPlace(before, behind))),
            Ok(None) => {}
            Err(error) => return Err((error.into(), block)),
        }
        let mut wire = self.wire(block.len());
        match self.seal_behind(&mut wire, block.filled()) {
            Ok(sealed) => Ok((wire, Sealing::Beside(block, sealed))),
            Err(error) => {
                self.blocks.put(wire);
                Err((error.into(), block))
            }
        }
    }

    fn seal_in_place(&self, block: &mut Block) -> Result<Option<(usize, usize)>, Error> {
        let session = &mut *self.session.borrow_mut();
        if self.ended.get() || block.len() > CONTENT_BYTES || !session.is_ready()? {
            return Ok(None);
        }
        let (before, behind) = session.overhead();
        let Some(record) = block.widen(before, behind) else { return Ok(None) };
        session.seal_in_place(record)?;
        Ok(Some((before, behind)))
    }

    /// A block for records of so much content, or of a part of it.
    pub(super) fn wire(&self, content: usize) -> Block {
        let fits = content + UPDATE_BYTES + BEFORE_BYTES + AFTER_BYTES <= CONTENT_BYTES;
        if fits { self.blocks.small() } else { self.blocks.large() }
    }

    /// Seals as much as there is room for. Returns how much.
    pub(super) fn seal_behind(&self, wire: &mut Block, content: &[u8]) -> Result<usize, Error> {
        if self.ended.get() {
            return Err(Error::UnexpectedMessage);
        }
        let mut sealed = 0;
        while sealed < content.len() {
            let room = wire.room().saturating_sub(UPDATE_BYTES + BEFORE_BYTES + AFTER_BYTES);
            let part = (content.len() - sealed).min(CONTENT_BYTES).min(room);
            if part == 0 {
                break;
            }
            let part = &content[sealed..sealed + part];
            let mut result = Err(Error::Internal);
            wire.fill_with(|room| {
                result = self.session.borrow_mut().seal_to(part, room);
                result.ok()
            });
            result?;
            sealed += part.len();
        }
        Ok(sealed)
    }

    /// A block has been sent, or not all of it: is there more to seal? The caller's block comes back when there is not.
    pub(super) fn sealed(
        &self,
        result: io::Result<()>,
        mut sent: Block,
        sealing: Sealing,
    ) -> Result<(Block, Sealing), (io::Result<()>, Block)> {
        // What the peer has of a record is not all of it, and nothing can follow.
        if result.is_err() {
            self.ended.set(true);
        }
        let (block, done) = match sealing {
            Sealing::InPlace(before, behind) => {
                let content = sent.len() - behind;
                sent.narrow(before..content);
                return Err((result, sent));
            }
            Sealing::Beside(block, done) => (block, done),
        };
        if result.is_err() || done == block.len() {
            self.blocks.put(sent);
            return Err((result, block));
        }
        sent.clear(0);
        match self.seal_behind(&mut sent, &block.filled()[done..]) {
            Ok(more) => Ok((sent, Sealing::Beside(block, done + more))),
            Err(error) => {
                self.blocks.put(sent);
                Err((Err(error.into()), block))
            }
        }
    }

    pub(super) fn put(&self, wire: Block) {
        self.blocks.put(wire);
    }

    /// Nothing more is to be sent, not even that.
    pub(super) fn abandon(&self) {
        self.ended.set(true);
    }

    /// Sends a short message at once, while nothing else is being sent. A peer that does not take it is given up.
    pub fn send_now(&self, content: &[u8]) {
        let mut out = [0; SHORT_BYTES];
        let sealed = self.session.borrow_mut().seal_to(content, &mut out);
        let sent =
            !self.ended.get() && sealed.is_ok_and(|n| out.get(..n).is_some_and(|record| sys::send_whole_now(self.fd, record)));
        if !sent {
            self.ended.set(true);
            sys::shutdown(self.fd, Direction::Both);
        }
    }

    /// Tells the peer that nothing more will be sent, while nothing is being sent.
    pub fn end(&self) {
        self.say_last(|session, out| session.seal_close(out));
    }

    fn say_last(&self, seal: impl FnOnce(&mut Session, &mut [u8]) -> Result<usize, Error>) {
        if self.ended.replace(true) {
            return;
        }
        let mut out = [0; SHORT_BYTES];
        if let Ok(n) = seal(&mut self.session.borrow_mut(), &mut out) {
            sys::send_now(self.fd, &out[..n]);
        }
    }
}

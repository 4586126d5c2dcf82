//! The frames of an HTTP/2 connection as they come in, looked at before anybody acts on them (RFC 9113). Those that cost their sender
//! less than their receiver may only come so often (section 10.5), and what a frame's header or our memory of a stream's end shows to be
//! wrong has the code that the rule names. Pure.
//!
//! [`sent`] follows the other direction; [`walk`] finds frames in bytes.

pub mod sent;
mod walk;

use walk::{Header, Piece, Walk};

/// How many frames may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// `RST_STREAM` within [`PERIOD_MS`].
    pub resets: usize,
    /// Frames that move nothing (settings, pings, priorities, empty data, kinds that are not known) within [`PERIOD_MS`];
    /// and so many `WINDOW_UPDATE`s beyond what they may grant room for ([`GRANTS_OF_A_MESSAGE_FRAME`]).
    pub idle_frames: usize,
    /// `CONTINUATION` in one head.
    pub continuations: usize,
}

/// The time that frames are counted over.
pub const PERIOD_MS: u64 = 10_000;

/// `WINDOW_UPDATE`s for each frame of data or fields that is sent: one of the stream and one of the connection for every 1.6 KiB of the
/// largest frame. Clients send them for every half of a window, or for all that they read at a time.
pub const GRANTS_OF_A_MESSAGE_FRAME: usize = 20;

/// Streams whose end is kept in mind. Of older ones it is the states of streams that say what is wrong.
const ENDED: usize = 16;

/// What the other side did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// Too many frames of a kind.
    Resets,
    IdleFrames,
    Continuations,
    Grants,
    /// A frame has another length than its kind has.
    Size,
    /// A window larger than any may be.
    Window,
    /// Content or fields of a stream that the sender has ended.
    Ended,
}

impl Breach {
    /// Its error code (RFC 9113, section 7).
    pub fn code(self) -> u32 {
        match self {
            Self::Resets | Self::IdleFrames | Self::Continuations | Self::Grants => 11,
            Self::Size => 6,
            Self::Window => 3,
            Self::Ended => 5,
        }
    }

    pub fn is_flood(self) -> bool {
        self.code() == 11
    }
}

/// A breach, and how many of the bytes that were looked at come before its frame.
pub type Found = (usize, Breach);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// A setting: its number and its value.
const SETTING_BYTES: usize = 6;
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];

/// Follows the frames of one direction of a connection.
#[derive(Debug, Default)]
pub struct Frames {
    walk: Walk,
    period: Option<u64>,
    resets: usize,
    idle_frames: usize,
    continuations: usize,
    /// `WINDOW_UPDATE`s that may still come.
    grants: usize,
    /// A head has begun, and goes on in `CONTINUATION`.
    in_head: bool,
    ended: [u32; ENDED],
    /// Where the next one goes.
    next_ended: usize,
    in_settings: bool,
    setting: [u8; SETTING_BYTES],
    setting_known: usize,
}

impl Frames {
    /// Of a client, which begins with the preface (section 3.4).
    pub fn of_client() -> Self {
        Self { walk: Walk::behind_a_preface(), ..Self::default() }
    }

    /// So many frames of data and fields have been sent: there is something to grant room for.
    pub fn sent(&mut self, frames: usize) {
        self.grants = self.grants.saturating_add(frames.saturating_mul(GRANTS_OF_A_MESSAGE_FRAME));
    }

    /// Takes the next bytes.
    pub fn see(&mut self, bytes: &[u8], now_ms: u64, limits: &FrameLimits) -> Result<(), Found> {
        let mut rest = bytes;
        // Where its frame begins; of one that began before these bytes, none of them is good.
        let mut begins = 0;
        while let Some(piece) = self.walk.next(&mut rest) {
            let looked_at = match piece {
                Piece::Header(header) => {
                    begins = (bytes.len() - rest.len()).saturating_sub(walk::HEADER_BYTES);
                    self.frame(&header, now_ms, limits)
                }
                Piece::Payload(payload) if self.in_settings => self.settings(payload),
                Piece::Payload(_) => Ok(()),
            };
            looked_at.map_err(|breach| (begins, breach))?;
        }
        Ok(())
    }

    fn frame(&mut self, frame: &Header, now_ms: u64, limits: &FrameLimits) -> Result<(), Breach> {
        if self.period.replace(now_ms / PERIOD_MS) != Some(now_ms / PERIOD_MS) {
            (self.resets, self.idle_frames) = (0, 0);
            self.grants = self.grants.max(limits.idle_frames);
        }
        let Header { len, kind, flags, .. } = *frame;
        let has_its_length = match kind {
            PRIORITY => len == 5,
            RST_STREAM | WINDOW_UPDATE => len == 4,
            SETTINGS if flags & ACK != 0 => len == 0,
            SETTINGS => len.is_multiple_of(SETTING_BYTES),
            PING => len == 8,
            GOAWAY => len >= 8,
            _ => true,
        };
        if !has_its_length {
            return Err(Breach::Size);
        }
        (self.in_settings, self.setting_known) = (kind == SETTINGS, 0);
        match kind {
            HEADERS | DATA => self.message(frame)?,
            RST_STREAM => self.end(frame.stream),
            _ => {}
        }
        if matches!(kind, HEADERS | CONTINUATION) {
            self.in_head = flags & END_HEADERS == 0;
        }
        let (count, most, breach) = match kind {
            HEADERS => {
                self.continuations = 0;
                return Ok(());
            }
            DATA if len > 0 || flags & END_STREAM != 0 => return Ok(()),
            WINDOW_UPDATE => {
                self.grants = self.grants.checked_sub(1).ok_or(Breach::Grants)?;
                return Ok(());
            }
            RST_STREAM => (&mut self.resets, limits.resets, Breach::Resets),
            CONTINUATION => (&mut self.continuations, limits.continuations, Breach::Continuations),
            _ => (&mut self.idle_frames, limits.idle_frames, Breach::IdleFrames),
        };
        *count += 1;
        if *count > most { Err(breach) } else { Ok(()) }
    }

    /// Of a stream whose end has come, nothing more may (section 5.1). Within a head nothing else may come at all, which is not ours to say.
    fn message(&mut self, frame: &Header) -> Result<(), Breach> {
        if frame.stream != 0 && !self.in_head && self.ended.contains(&frame.stream) {
            return Err(Breach::Ended);
        }
        if frame.flags & END_STREAM != 0 {
            self.end(frame.stream);
        }
        Ok(())
    }

    fn end(&mut self, stream: u32) {
        self.ended[self.next_ended] = stream;
        self.next_ended = (self.next_ended + 1) % ENDED;
    }

    /// Payload of settings; a setting may come in pieces.
    fn settings(&mut self, payload: &[u8]) -> Result<(), Breach> {
        for &byte in payload {
            self.setting[self.setting_known] = byte;
            self.setting_known = (self.setting_known + 1) % SETTING_BYTES;
            let [high, low, first, ..] = self.setting;
            if self.setting_known == 0 && [high, low] == INITIAL_WINDOW_SIZE && first > 0x7f {
                return Err(Breach::Window);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! The frames of an HTTP/2 connection as they come in, counted by kind before anybody acts on them (RFC 9113, section
//! 10.5): those that cost their sender less than their receiver may only come so often. Pure.

/// How many frames may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// `RST_STREAM` within [`PERIOD_MS`].
    pub resets: usize,
    /// Frames that move nothing (settings, pings, priorities, empty data, kinds that are not known) within [`PERIOD_MS`].
    pub idle_frames: usize,
    /// `CONTINUATION` in one head.
    pub continuations: usize,
}

/// The time that frames are counted over.
pub const PERIOD_MS: u64 = 10_000;

/// What came too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    Resets,
    IdleFrames,
    Continuations,
}

const PREFACE_BYTES: usize = 24;
const HEADER_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// Follows the frames of one direction of a connection.
#[derive(Debug, Default)]
pub struct Frames {
    /// Bytes that are of no interest: the preface, then payloads.
    skip: usize,
    header: [u8; HEADER_BYTES],
    known: usize,
    period: u64,
    resets: usize,
    idle_frames: usize,
    continuations: usize,
}

impl Frames {
    /// Of a client, which begins with the preface (RFC 9113, section 3.4).
    pub fn of_client() -> Self {
        Self { skip: PREFACE_BYTES, ..Self::default() }
    }

    /// Takes the next bytes.
    pub fn see(&mut self, mut bytes: &[u8], now_ms: u64, limits: &FrameLimits) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEADER_BYTES - self.known).min(bytes.len());
            self.header[self.known..self.known + taken].copy_from_slice(&bytes[..taken]);
            self.known += taken;
            bytes = &bytes[taken..];
            if self.known == HEADER_BYTES {
                self.known = 0;
                self.frame(now_ms, limits)?;
            }
        }
        Ok(())
    }

    fn frame(&mut self, now_ms: u64, limits: &FrameLimits) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = self.header;
        self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if std::mem::replace(&mut self.period, now_ms / PERIOD_MS) != self.period {
            (self.resets, self.idle_frames) = (0, 0);
        }
        let (count, most, flood) = match kind {
            HEADERS => {
                self.continuations = 0;
                return Ok(());
            }
            DATA if self.skip > 0 || flags & END_STREAM != 0 => return Ok(()),
            WINDOW_UPDATE => return Ok(()),
            RST_STREAM => (&mut self.resets, limits.resets, Flood::Resets),
            CONTINUATION => (&mut self.continuations, limits.continuations, Flood::Continuations),
            _ => (&mut self.idle_frames, limits.idle_frames, Flood::IdleFrames),
        };
        *count += 1;
        if *count > most { Err(flood) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits { resets: 2, idle_frames: 3, continuations: 1 };
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, flags: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![0, (len >> 8) as u8, len as u8, kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER_BYTES + len, 0xff);
        frame
    }

    /// Whatever the bytes are cut into.
    fn seen(frames: &[Vec<u8>]) -> Result<(), Flood> {
        let bytes = [PREFACE, &frames.concat()].concat();
        let cut = |size: usize| {
            let mut seen = Frames::of_client();
            bytes.chunks(size).try_for_each(|part| seen.see(part, 0, &LIMITS))
        };
        let outcome = cut(usize::MAX);
        (1..40).for_each(|size| assert_eq!(cut(size), outcome, "{size}"));
        outcome
    }

    #[test]
    fn each_kind_has_its_bound() {
        for kind in [2, 4, 6, 7, 10, 0xfa] {
            assert_eq!(seen(&vec![frame(kind, 0, 8); 3]), Ok(()), "{kind}");
            assert_eq!(seen(&vec![frame(kind, 0, 8); 4]), Err(Flood::IdleFrames), "{kind}");
        }
        assert_eq!(seen(&vec![frame(RST_STREAM, 0, 4); 2]), Ok(()));
        assert_eq!(seen(&vec![frame(RST_STREAM, 0, 4); 3]), Err(Flood::Resets));
        assert_eq!(seen(&vec![frame(DATA, 0, 0); 4]), Err(Flood::IdleFrames));
    }

    #[test]
    fn what_moves_something_is_not_counted() {
        let useful = [frame(HEADERS, 4, 300), frame(DATA, 0, 1), frame(DATA, END_STREAM, 0), frame(WINDOW_UPDATE, 0, 4)];
        assert_eq!(seen(&vec![useful.concat(); 100]), Ok(()));
    }

    #[test]
    fn continuations_count_for_one_head() {
        let head = [frame(HEADERS, 0, 10), frame(CONTINUATION, 4, 10)].concat();
        assert_eq!(seen(&vec![head; 10]), Ok(()));
        assert_eq!(seen(&[frame(HEADERS, 0, 10), vec![frame(CONTINUATION, 0, 0); 2].concat()]), Err(Flood::Continuations));
    }

    #[test]
    fn another_period_counts_anew() {
        let mut frames = Frames::of_client();
        frames.see(PREFACE, 0, &LIMITS).unwrap();
        for n in 0..10 {
            assert_eq!(frames.see(&frame(RST_STREAM, 0, 4).repeat(2), n * PERIOD_MS, &LIMITS), Ok(()));
        }
    }
}

//! The frames that a connection is sent: what there is to grant room for, and what is refused, whoever has written it.

use super::walk::{Piece, Walk};
use super::{DATA, GOAWAY, HEADERS, RST_STREAM};

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Data or fields.
    Message,
    /// A stream ends, with this code.
    Reset(u32),
    /// The connection is about to end, with this code.
    GoAway(u32),
}

/// Follows the frames that are sent.
#[derive(Debug, Default)]
pub struct Sent {
    walk: Walk,
    /// The frame at hand has a code, which begins behind so many bytes of its payload.
    code: Option<Code>,
}

#[derive(Debug)]
struct Code {
    skip: usize,
    known: usize,
    value: u32,
    kind: u8,
}

impl Sent {
    /// Takes the next bytes; `say` hears what they say.
    pub fn see(&mut self, mut bytes: &[u8], mut say: impl FnMut(Said)) {
        while let Some(piece) = self.walk.next(&mut bytes) {
            match piece {
                Piece::Header(header) => {
                    let skip = match header.kind {
                        DATA | HEADERS => {
                            say(Said::Message);
                            None
                        }
                        RST_STREAM => Some(0),
                        GOAWAY => Some(4),
                        _ => None,
                    };
                    self.code = skip.map(|skip| Code { skip, known: 0, value: 0, kind: header.kind });
                }
                Piece::Payload(payload) => self.payload(payload, &mut say),
            }
        }
    }

    fn payload(&mut self, payload: &[u8], say: &mut impl FnMut(Said)) {
        let Some(code) = &mut self.code else { return };
        let skipped = code.skip.min(payload.len());
        code.skip -= skipped;
        for &byte in payload[skipped..].iter().take(4 - code.known) {
            code.value = code.value << 8 | u32::from(byte);
            code.known += 1;
        }
        if code.known == 4 {
            say(if code.kind == GOAWAY { Said::GoAway(code.value) } else { Said::Reset(code.value) });
            self.code = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_bytes_are_cut_into() {
        let frames: [&[u8]; 5] = [
            &[0, 0, 3, DATA, 0, 0, 0, 0, 1, 1, 2, 3],
            &[0, 0, 4, RST_STREAM, 0, 0, 0, 0, 3, 0, 0, 0, 7],
            &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1],
            &[0, 0, 10, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 11, b'h', b'i'],
            &[0, 0, 1, HEADERS, 4, 0, 0, 0, 5, 0x88],
        ];
        let bytes = frames.concat();
        for size in 1..=bytes.len() {
            let (mut sent, mut said) = (Sent::default(), Vec::new());
            bytes.chunks(size).for_each(|part| sent.see(part, |word| said.push(word)));
            assert_eq!(said, [Said::Message, Said::Reset(7), Said::GoAway(11), Said::Message], "{size}");
        }
    }
}

//! The bytes of every body: one pattern, so that any part of a body can be checked where it arrives.

/// Prime, so that a body shifted by a buffer size, which is never a multiple of it, does not pass.
const PERIOD: usize = 8191;

/// The pattern over two periods: a run of up to one period from any phase is one slice of it.
pub struct Pattern {
    bytes: Vec<u8>,
}

impl Pattern {
    pub fn new() -> Self {
        Self { bytes: (0..2 * PERIOD).map(byte_at).collect() }
    }

    /// The first `size` bytes of a body.
    pub fn body(&self, size: usize) -> Vec<u8> {
        (0..size).map(byte_at).collect()
    }

    /// Whether `chunk` is what stands at `offset` of a body.
    pub fn matches(&self, offset: usize, chunk: &[u8]) -> bool {
        let mut phase = offset % PERIOD;
        chunk.chunks(PERIOD).all(|part| {
            let expected = self.bytes.get(phase..phase + part.len());
            phase = (phase + part.len()) % PERIOD;
            expected == Some(part)
        })
    }
}

/// Printable, and different from period to period of 64 by the carry of the multiplication.
fn byte_at(index: usize) -> u8 {
    let mixed = ((index % PERIOD) as u32).wrapping_mul(0x9E37_79B1) >> 24;
    b' ' + (mixed % 95) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_of_a_body_is_recognised_and_no_shifted_one() {
        let pattern = Pattern::new();
        let body = pattern.body(40_000);
        for (start, end) in [(0, 40_000), (1, 2), (8190, 8192), (100, 30_000), (39_999, 40_000), (5, 5)] {
            assert!(pattern.matches(start, &body[start..end]), "{start}..{end}");
        }
        assert!(!pattern.matches(1, &body[..128]));
        assert!(!pattern.matches(16_384, &body[..128]));
        let mut damaged = body.clone();
        damaged[20_000] ^= 1;
        assert!(!pattern.matches(0, &damaged));
    }
}

//! What makes each request another one, and its answer with it: a number that the generator counts up, in a field. The backend gives
//! it back in the first bytes of the body, or in a field where the body is too short for it: so that an answer that is good but
//! somebody else's is found.

/// Of requests, and of answers with a short body.
pub const FIELD: &str = "x-mark";
/// Hexadecimal digits.
pub const BYTES: usize = 16;

pub type Mark = [u8; BYTES];

/// Draws one after the other.
#[derive(Default)]
pub struct Marks(u64);

impl Marks {
    pub fn draw(&mut self) -> Mark {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.0 += 1;
        let number = self.0;
        std::array::from_fn(|place| DIGITS[(number >> (4 * (BYTES - 1 - place))) as usize & 15])
    }
}

/// Where an answer with so many bytes of body has its mark: at their beginning?
pub fn is_in_body(body_bytes: usize) -> bool {
    body_bytes >= BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_drawn_once_each() {
        let mut marks = Marks(0xfe);
        assert_eq!([marks.draw(), marks.draw()], [*b"00000000000000ff", *b"0000000000000100"]);
    }
}

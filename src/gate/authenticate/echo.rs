//! The server's string to sign as a refused caller sees it, safe to stand in a header field.
//!
//! It holds what the caller sent, decoded: a `%0d%0a` of a query would end the field and begin another (response
//! splitting). So each LF becomes `#` (the product's spelling) and every other control byte is left out.

use super::sink::Sink;

/// The longest echo, in bytes.
pub const MAX_ECHO_BYTES: usize = 4096;

#[derive(Default)]
pub(super) struct Echo {
    text: Vec<u8>,
    full: bool,
}

impl Echo {
    /// What was written, cut at its limit, never within a UTF-8 character.
    pub fn finish(mut self) -> Box<[u8]> {
        if self.full {
            let tail = self.text.len().saturating_sub(3);
            // A lead byte among the last three may have lost its continuation.
            if let Some(lead) = self.text[tail..].iter().rposition(|&byte| byte >= 0xC0) {
                let sequence = &self.text[tail + lead..];
                let whole = match sequence[0] {
                    0xF0.. => 4,
                    0xE0.. => 3,
                    _ => 2,
                };
                if sequence.len() < whole {
                    self.text.truncate(tail + lead);
                }
            }
        }
        self.text.into_boxed_slice()
    }
}

impl Sink for Echo {
    fn put(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let shown = match byte {
                b'\n' => b'#',
                0..=0x1F | 0x7F => continue,
                _ => byte,
            };
            if self.text.len() == MAX_ECHO_BYTES {
                self.full = true;
                return;
            }
            self.text.push(shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(bytes: &[u8]) -> Vec<u8> {
        let mut echo = Echo::default();
        echo.put(bytes);
        echo.finish().into_vec()
    }

    #[test]
    fn nothing_in_it_can_end_a_field() {
        assert_eq!(echo(b"GET\n\n/a?x=\r\nSet-Cookie: a=b\0\x7F\t\x1B[1m"), b"GET##/a?x=#Set-Cookie: a=b[1m");
    }

    #[test]
    fn other_bytes_are_kept() {
        assert_eq!(echo("/北京?é".as_bytes()), "/北京?é".as_bytes());
        assert_eq!(echo(b"\xB1\xB1\x80"), b"\xB1\xB1\x80");
    }

    #[test]
    fn it_is_cut_between_characters() {
        for (character, lead) in [("é", 1), ("京", 1), ("京", 2), ("💩", 1), ("💩", 2), ("💩", 3), ("a", 0)] {
            let text = "x".repeat(MAX_ECHO_BYTES - lead) + character + &character.repeat(3000);
            let cut = echo(text.as_bytes());
            assert!(cut.len() <= MAX_ECHO_BYTES && cut.len() + 4 > MAX_ECHO_BYTES);
            assert!(String::from_utf8(cut).is_ok());
        }
        assert_eq!(echo("京".repeat(5).as_bytes()), "京".repeat(5).as_bytes());
    }
}

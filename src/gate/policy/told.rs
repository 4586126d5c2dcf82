//! What an answer says of a limit, where its policy wants that: in one of the two spellings that clients know.

use std::sync::Arc;

use crate::catalog::policy::Fields;
use crate::http::serialise::HeadWriter;

/// A limit as one call met it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub fields: Fields,
    /// The policy, and which of its rules.
    pub name: Arc<str>,
    pub limit: u64,
    pub remaining: u64,
    /// Until the limit is whole again, in seconds.
    pub reset_s: u64,
    /// How long its window is, in seconds.
    pub window_s: u64,
}

impl Told {
    /// Whether a field of this name would be taken for one of these.
    pub fn is_named(&self, name: &[u8]) -> bool {
        let names: &[&[u8]] = match self.fields {
            Fields::None => &[],
            Fields::XRateLimit => &[b"X-RateLimit-Limit", b"X-RateLimit-Remaining", b"X-RateLimit-Reset"],
            Fields::RateLimit => &[b"RateLimit-Policy", b"RateLimit"],
        };
        names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    pub fn write(&self, writer: &mut HeadWriter<'_>) {
        let mut number = |name: &str, number: u64| {
            writer.bytes(name.as_bytes());
            writer.number(number);
        };
        match self.fields {
            Fields::None => {}
            Fields::XRateLimit => {
                number("X-RateLimit-Limit: ", self.limit);
                number("\r\nX-RateLimit-Remaining: ", self.remaining);
                number("\r\nX-RateLimit-Reset: ", self.reset_s);
                writer.bytes(b"\r\n");
            }
            Fields::RateLimit => {
                // A name has no character that a string of structured fields (RFC 9651) would have to escape.
                for (start, numbers) in [
                    ("RateLimit-Policy: \"", [(";q=", self.limit), (";w=", self.window_s)]),
                    ("RateLimit: \"", [(";r=", self.remaining), (";t=", self.reset_s)]),
                ] {
                    writer.bytes(start.as_bytes());
                    writer.bytes(self.name.as_bytes());
                    writer.bytes(b"\"");
                    for (key, number) in numbers {
                        writer.bytes(key.as_bytes());
                        writer.number(number);
                    }
                    writer.bytes(b"\r\n");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings() {
        let told = |fields| {
            let told = Told { fields, name: "gold; app".into(), limit: 100, remaining: 7, reset_s: 30, window_s: 60 };
            let mut buffer = [0; 256];
            let mut writer = HeadWriter::new(&mut buffer);
            told.write(&mut writer);
            let length = writer.finish().unwrap_or_default();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        assert_eq!(told(Fields::None), "");
        let x = "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 7\r\nX-RateLimit-Reset: 30\r\n";
        assert_eq!(told(Fields::XRateLimit), x);
        let ietf = "RateLimit-Policy: \"gold; app\";q=100;w=60\r\nRateLimit: \"gold; app\";r=7;t=30\r\n";
        assert_eq!(told(Fields::RateLimit), ietf);
    }
}

//! The client's half of the App signature: the string to sign of one fixed shape of request, fed to the HMAC in
//! pieces. Written apart from the gateway's own, so that a mistake in one does not agree with itself.

use anyhow::{Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Base64 of 32 bytes.
pub const SIGNATURE_BYTES: usize = 44;

/// The `X-Ca-Signature-Headers` of every request that [`Signer`] signs: sorted, as the lines of its string are.
pub const SIGNED_HEADERS: &str = "x-ca-key,x-ca-nonce,x-ca-stage,x-ca-timestamp";

/// What changes or may change from request to request. The path has no query and no escapes.
pub struct Call<'a> {
    pub method: &'a [u8],
    pub accept: &'a [u8],
    pub content_type: &'a [u8],
    pub nonce: &'a [u8],
    pub stage: &'a [u8],
    pub timestamp_ms: &'a [u8],
    pub path: &'a [u8],
}

/// An app's key and its secret's key schedule.
pub struct Signer {
    app_key: String,
    schedule: Hmac<Sha256>,
}

impl Signer {
    pub fn new(app_key: &str, app_secret: &str) -> Result<Self> {
        let schedule = Hmac::new_from_slice(app_secret.as_bytes()).map_err(|error| anyhow!("app secret: {error}"))?;
        Ok(Self { app_key: app_key.to_owned(), schedule })
    }

    pub fn app_key(&self) -> &str {
        &self.app_key
    }

    pub fn sign(&self, call: &Call) -> [u8; SIGNATURE_BYTES] {
        let mut mac = self.schedule.clone();
        // Method, Accept, Content-MD5, Content-Type, Date; the two that are never sent leave an empty line.
        for piece in [call.method, b"\n", call.accept, b"\n\n", call.content_type, b"\n\n"] {
            mac.update(piece);
        }
        for (name, value) in [
            (&b"x-ca-key:"[..], self.app_key.as_bytes()),
            (b"x-ca-nonce:", call.nonce),
            (b"x-ca-stage:", call.stage),
            (b"x-ca-timestamp:", call.timestamp_ms),
        ] {
            mac.update(name);
            mac.update(value);
            mac.update(b"\n");
        }
        mac.update(call.path);
        let mut signature = [b'='; SIGNATURE_BYTES];
        // 32 bytes always encode to the 44 that are there.
        let _ = STANDARD.encode_slice(mac.finalize().into_bytes(), &mut signature);
        signature
    }
}

/// Nonces that no other process and no other request shares: a random half and a counted half, written like a UUID.
pub struct Nonces {
    random: u64,
    count: u64,
}

pub const NONCE_BYTES: usize = 36;

impl Nonces {
    pub fn new() -> Result<Self> {
        let random = getrandom::u64().map_err(|error| anyhow!("random source: {error}"))?;
        Ok(Self { random, count: 0 })
    }

    pub fn draw(&mut self) -> [u8; NONCE_BYTES] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.count += 1;
        let value = u128::from(self.random) << 64 | u128::from(self.count);
        let mut text = [b'-'; NONCE_BYTES];
        let places = (0..NONCE_BYTES).filter(|place| ![8, 13, 18, 23].contains(place));
        for (digit, place) in places.enumerate() {
            text[place] = DIGITS[(value >> (124 - 4 * digit)) as usize & 15];
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Row v001 of the vectors: a request that the npm client `aliyun-api-gateway` 1.1.6 signed.
    #[test]
    fn signs_as_a_foreign_client_does() {
        let signer = Signer::new("24601001", "sEcReT-Alpha-0123456789abcdef").unwrap();
        let call = Call {
            method: b"GET",
            accept: b"application/json",
            content_type: b"",
            nonce: b"210dcae5-1e6c-4497-bf9a-b077fe14f76b",
            stage: b"RELEASE",
            timestamp_ms: b"1795329125416",
            path: b"/v1/ping",
        };
        assert_eq!(signer.sign(&call), *b"tMywwSVee/ntNOQBllXuuEcbD4VFan2IwYAAz8lHQk0=");
    }

    #[test]
    fn nonces_look_like_uuids_and_differ() {
        let mut nonces = Nonces::new().unwrap();
        let drawn: HashSet<_> = (0..1000).map(|_| nonces.draw()).collect();
        assert_eq!(drawn.len(), 1000);
        for nonce in drawn {
            let text = String::from_utf8(nonce.to_vec()).unwrap();
            let parts: Vec<usize> = text.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{text}");
            assert!(text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()));
        }
    }
}

//! The signature itself: Base64 of an HMAC over the string to sign, compared in constant time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::sink::MacSink;
use super::string_to_sign::StringToSign;
use super::variant::Variant;
use crate::catalog::{AppKey, SignatureMethods, Tolerance};

/// How a string is signed (`X-Ca-Signature-Method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    HmacSha256,
    HmacSha1,
}

impl Method {
    /// The method a header names, in any letter case; without a name, the default.
    pub fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"" => Some(Self::HmacSha256),
            _ if name.eq_ignore_ascii_case(b"HmacSHA256") => Some(Self::HmacSha256),
            _ if name.eq_ignore_ascii_case(b"HmacSHA1") => Some(Self::HmacSha1),
            _ => None,
        }
    }

    /// As the header spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "HmacSHA256",
            Self::HmacSha1 => "HmacSHA1",
        }
    }

    pub(super) fn is_allowed(self, methods: SignatureMethods) -> bool {
        match self {
            Self::HmacSha256 => methods.hmac_sha256,
            Self::HmacSha1 => methods.hmac_sha1,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::HmacSha256 => 32,
            Self::HmacSha1 => 20,
        }
    }
}

/// A signature, as bytes.
#[derive(Clone, Copy)]
pub(super) struct Signature {
    bytes: [u8; 32],
    len: usize,
}

/// Bytes of the longest signature in Base64.
const MAX_ENCODED_BYTES: usize = 44;

impl Signature {
    /// Reads the value of `X-Ca-Signature`: Base64 in its one canonical spelling, standard alphabet, padded. `None` for
    /// what no HMAC of this method looks like.
    pub fn decode(encoded: &[u8], method: Method) -> Option<Self> {
        if encoded.len() > MAX_ENCODED_BYTES {
            return None;
        }
        let mut decoded = [0; MAX_ENCODED_BYTES];
        let len = STANDARD.decode_slice(encoded, &mut decoded).ok()?;
        (len == method.bytes()).then(|| Self::of(&decoded[..len]))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// In constant time. What is behind a signature is zero in both.
    fn is(&self, other: &Self) -> bool {
        let mut same = (self.len as u64).ct_eq(&(other.len as u64));
        for (a, b) in self.bytes.as_chunks::<8>().0.iter().zip(other.bytes.as_chunks::<8>().0) {
            same &= u64::from_le_bytes(*a).ct_eq(&u64::from_le_bytes(*b));
        }
        same.into()
    }

    pub fn encode(&self) -> String {
        STANDARD.encode(self.as_bytes())
    }

    fn of(mac: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes[..mac.len()].copy_from_slice(mac);
        Self { bytes, len: mac.len() }
    }
}

/// What signs: an app secret and a method, with the key schedule made.
pub(super) enum Signer {
    // Copied, not borrowed: a schedule is 200 bytes, and an HMAC is used up by its call.
    HmacSha256(Hmac<Sha256>),
    HmacSha1(Hmac<Sha1>),
}

impl Signer {
    pub fn new(method: Method, key: &AppKey) -> Self {
        match method {
            Method::HmacSha256 => Self::HmacSha256(key.schedule.clone()),
            Method::HmacSha1 => Self::with_secret(method, key.secret.expose().as_bytes()),
        }
    }

    pub fn with_secret(method: Method, secret: &[u8]) -> Self {
        match method {
            Method::HmacSha256 => Self::HmacSha256(keyed(secret)),
            Method::HmacSha1 => Self::HmacSha1(keyed(secret)),
        }
    }

    /// Signs a string to sign as it is written.
    pub fn sign(&self, string: &mut StringToSign<'_>, variant: Variant) -> Signature {
        match self {
            Self::HmacSha256(schedule) => {
                let mut sink = MacSink::new(schedule.clone());
                string.write(variant, &mut sink);
                Signature::of(&sink.finish().finalize().into_bytes())
            }
            Self::HmacSha1(schedule) => {
                let mut sink = MacSink::new(schedule.clone());
                string.write(variant, &mut sink);
                Signature::of(&sink.finish().finalize().into_bytes())
            }
        }
    }

    /// Signs a string that stands in memory.
    pub fn sign_bytes(&self, string: &[u8]) -> Signature {
        match self {
            Self::HmacSha256(schedule) => Signature::of(&schedule.clone().chain_update(string).finalize().into_bytes()),
            Self::HmacSha1(schedule) => Signature::of(&schedule.clone().chain_update(string).finalize().into_bytes()),
        }
    }
}

fn keyed<M: Mac + hmac::digest::KeyInit>(secret: &[u8]) -> M {
    <M as Mac>::new_from_slice(secret).expect("HMAC takes a key of any length")
}

/// The variant under which `given` signs `string`: the canonical one, or the first of the allowed tolerances.
pub(super) fn verify(
    signer: &Signer,
    given: &Signature,
    string: &mut StringToSign<'_>,
    allowed: &[Tolerance],
) -> Option<Variant> {
    let signs = |string: &mut StringToSign<'_>, variant| signer.sign(string, variant).is(given);
    if signs(string, Variant::CANONICAL) {
        return Some(Variant::CANONICAL);
    }
    Variant::alternatives(string.sensitive_to(), allowed).find(|&variant| signs(string, variant))
}

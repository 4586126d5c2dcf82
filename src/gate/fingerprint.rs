//! What a few names and values are known by, in 64 bits.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// Keyed with a random key and cryptographically strong, so that nobody can make two of them meet. Parts are preceded by
/// their lengths, so that no two lists read alike.
pub fn fingerprint(key: &[u8; 16], parts: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher24::new_with_key(key);
    for part in parts {
        hasher.write_u64(part.len() as u64);
        hasher.write(part);
    }
    hasher.finish()
}

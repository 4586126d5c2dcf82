//! First messages of TLS clients (RFC 8446, section 4.1.2): right, or nearly right.

use super::words::HOSTS;
use crate::random::Random;

/// In one record or several.
pub fn hello(random: &mut Random) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend((0..32).map(|_| random.word() as u8));
    let session = vec![5; [0, 32, 32, 33][random.below(4)]];
    prefixed(1, &session, random, &mut body);
    prefixed(2, &[0x13, 0x01, 0x13, 0x02, 0xc0, 0x2b, 0xc0, 0x2f], random, &mut body);
    prefixed(1, &[0], random, &mut body);
    let mut extensions = Vec::new();
    if !random.one_in(4) {
        let name = random.pick(HOSTS).as_bytes();
        let mut entry = vec![if random.one_in(20) { 1 } else { 0 }];
        prefixed(2, name, random, &mut entry);
        let mut list = Vec::new();
        prefixed(2, &entry, random, &mut list);
        extension(0, &list, random, &mut extensions);
    }
    let known: [(u16, &[u8]); 5] = [
        (10, &[0, 4, 0, 29, 0, 23]),
        (13, &[0, 8, 4, 3, 8, 4, 4, 1, 5, 3]),
        (16, b"\x00\x0c\x02h2\x08http/1.1"),
        (43, &[4, 3, 4, 3, 3]),
        (51, &[0, 0]),
    ];
    for (kind, content) in known {
        if !random.one_in(6) {
            extension(kind, content, random, &mut extensions);
        }
    }
    prefixed(2, &extensions, random, &mut body);
    let mut message = vec![if random.one_in(30) { 2 } else { 1 }];
    prefixed(3, &body, random, &mut message);
    let mut out = Vec::new();
    let pieces = if random.one_in(4) { random.cuts(message.len()) } else { vec![message.len()] };
    let mut from = 0;
    for to in pieces {
        out.extend_from_slice(&[if random.one_in(40) { 23 } else { 22 }, 3, 1]);
        prefixed(2, &message[from..to], random, &mut out);
        from = to;
    }
    out
}

fn extension(kind: u16, content: &[u8], random: &mut Random, out: &mut Vec<u8>) {
    out.extend_from_slice(&kind.to_be_bytes());
    prefixed(2, content, random, out);
}

/// A length of so many bytes, then the content; now and then it is not that length.
fn prefixed(bytes: usize, content: &[u8], random: &mut Random, out: &mut Vec<u8>) {
    let off = if random.one_in(60) { random.below(3) } else { 1 };
    let length = (content.len() + off).saturating_sub(1) as u32;
    out.extend_from_slice(&length.to_be_bytes()[4 - bytes..]);
    out.extend_from_slice(content);
}

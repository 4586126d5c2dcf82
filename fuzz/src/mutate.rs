//! Changes to bytes: flipped bits, pieces taken out, doubled, put in, or exchanged with those of another input.

use crate::random::Random;

/// Longest input that mutation makes, in bytes.
const MOST_BYTES: usize = 4096;

/// What parsers trip over.
const TOKENS: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\0",
    b"\t",
    b" ",
    b"\x0b",
    b"\x0c",
    b"\x7f",
    b"\x80",
    b"\xff",
    b":",
    b" :",
    b",",
    b";",
    b"=",
    b"\"",
    b"\\",
    b"%",
    b"%00",
    b"%2e",
    b"?",
    b"#",
    b"/",
    b"/../",
    b"0",
    b"+",
    b"-",
    b"0x",
    b"_",
    b"\r\n ",
    b"\r\n\t",
    b"chunked",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length : 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n",
    b"Host: h\r\n",
    b"Connection: close\r\n",
    b"Connection: Transfer-Encoding\r\n",
    b"Expect: 100-continue\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"ffffffffffffffff",
    b"8000000000000000",
    b"7fffffffffffffff",
    b"100000000",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"[",
    b"]",
    b"[[",
    b"''",
    b"{",
    b"}",
];

/// Changes `input` in one to four places. `other`: an input to take pieces from.
pub fn mutate(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = input.to_vec();
    for _ in 0..1 + random.below(4) {
        change(&mut out, other, random);
    }
    out.truncate(MOST_BYTES);
    out
}

fn change(out: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(out.len() + 1);
    let end = (at + 1 + random.below(8)).min(out.len());
    match random.below(9) {
        0 if at < out.len() => out[at] ^= 1 << random.below(8),
        1 if at < out.len() => out[at] = random.word() as u8,
        2 => drop(out.drain(at..end)),
        3 => {
            let piece = out[at..end].to_vec();
            out.splice(at..at, piece);
        }
        4 | 5 => drop(out.splice(at..at, random.pick(TOKENS).iter().copied())),
        6 => drop(out.splice(at..end, random.pick(TOKENS).iter().copied())),
        7 => {
            let from = random.below(other.len() + 1);
            let to = from + random.below(other.len() - from + 1);
            out.splice(at..at, other[from..to].iter().copied());
        }
        _ => swap_lines(out, random),
    }
}

/// Exchanges two lines, or doubles one.
fn swap_lines(out: &mut Vec<u8>, random: &mut Random) {
    let mut lines: Vec<Vec<u8>> = out.split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    let (a, b) = (random.below(lines.len()), random.below(lines.len()));
    match lines.get(a).cloned() {
        Some(line) if random.one_in(2) => lines.insert(b, line),
        Some(_) => lines.swap(a, b),
        None => {}
    }
    *out = lines.concat();
}

/// The smallest input found that `still_wrong` holds of, by taking pieces out.
pub fn shrink(input: &[u8], mut still_wrong: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut size = best.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at + size <= best.len() {
            let tried = [&best[..at], &best[at + size..]].concat();
            if still_wrong(&tried) { best = tried } else { at += size }
        }
        size /= 2;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_leaves_what_is_wrong() {
        let wrong = |input: &[u8]| input.windows(2).any(|pair| pair == b"\r\r");
        assert_eq!(shrink(b"a long input with \r\r in the middle of it", wrong), b"\r\r");
    }

    #[test]
    fn the_same_seed_makes_the_same_changes() {
        let changed = || mutate(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"other", &mut Random::new(7));
        assert_eq!(changed(), changed());
    }
}

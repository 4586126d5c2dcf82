//! Readers as they are found in the wild, each wrong in its own way. What the gateway sends must have the same message
//! boundaries for all of them.

/// How a reader departs from the RFC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leniency {
    pub bare_lf: bool,
    pub bare_cr: bool,
    /// Joins folded lines.
    pub folds: bool,
    /// Takes the last `Content-Length`, not the first.
    pub last_length: bool,
    /// `Content-Length` beats `Transfer-Encoding`.
    pub length_first: bool,
    /// Any `Transfer-Encoding` that has `chunked` in it somewhere.
    pub odd_codings: bool,
    /// Names with white space or control bytes around them, and with `_` for `-`.
    pub loose_names: bool,
    /// Numbers with signs, blanks, `0x` and what not around them.
    pub loose_numbers: bool,
}

const STRICT: Leniency = Leniency {
    bare_lf: false,
    bare_cr: false,
    folds: false,
    last_length: false,
    length_first: false,
    odd_codings: false,
    loose_names: false,
    loose_numbers: false,
};
const ANY: Leniency = Leniency {
    bare_lf: true,
    bare_cr: true,
    folds: true,
    last_length: true,
    length_first: true,
    odd_codings: true,
    loose_names: true,
    loose_numbers: true,
};

/// Each fault alone, all together, and all but those that could hide another.
pub const READERS: &[Leniency] = &[
    STRICT,
    Leniency { bare_lf: true, ..STRICT },
    Leniency { bare_cr: true, ..STRICT },
    Leniency { folds: true, ..STRICT },
    Leniency { last_length: true, ..STRICT },
    Leniency { length_first: true, ..STRICT },
    Leniency { odd_codings: true, ..STRICT },
    Leniency { loose_names: true, ..STRICT },
    Leniency { loose_numbers: true, ..STRICT },
    ANY,
    Leniency { length_first: false, last_length: false, ..ANY },
    Leniency { folds: false, ..ANY },
];

/// Where messages end, and their contents; then whether bytes are left that are no whole message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub messages: Vec<(usize, Vec<u8>)>,
    pub rest: bool,
}

/// All requests on a connection.
pub fn requests(bytes: &[u8], leniency: Leniency) -> Seen {
    let mut reader = Reader { bytes, at: 0, leniency };
    let mut seen = Seen::default();
    while reader.at < bytes.len() {
        let Some(content) = reader.request() else {
            seen.rest = true;
            break;
        };
        seen.messages.push((reader.at, content));
    }
    seen
}

/// One answer, interim ones before it. `closed`: the connection ends where the bytes do.
pub fn response(bytes: &[u8], to_head: bool, closed: bool, leniency: Leniency) -> Seen {
    let mut reader = Reader { bytes, at: 0, leniency };
    match reader.response(to_head, closed) {
        Some(content) => Seen { messages: vec![(reader.at, content)], rest: reader.at < bytes.len() },
        None => Seen { messages: Vec::new(), rest: true },
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    leniency: Leniency,
}

struct Head {
    start_line: Vec<u8>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Reader<'_> {
    fn request(&mut self) -> Option<Vec<u8>> {
        let head = self.head()?;
        self.body(&head, Some(0))
    }

    fn response(&mut self, to_head: bool, closed: bool) -> Option<Vec<u8>> {
        loop {
            let head = self.head()?;
            let status: u16 = String::from_utf8_lossy(&head.start_line).split(' ').nth(1)?.parse().ok()?;
            match status {
                100..200 => {}
                _ if to_head || status == 204 || status == 304 => return Some(Vec::new()),
                _ => return self.body(&head, closed.then_some(self.bytes.len() - self.at)),
            }
        }
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let start = self.at;
        loop {
            let end = self.at;
            let len = match *self.bytes.get(end..)? {
                [b'\r', b'\n', ..] => 2,
                [b'\n', ..] if self.leniency.bare_lf => 1,
                [b'\r', _, ..] if self.leniency.bare_cr => 1,
                [] => return None,
                _ => {
                    self.at += 1;
                    continue;
                }
            };
            self.at += len;
            return Some(self.bytes[start..end].to_vec());
        }
    }

    fn head(&mut self) -> Option<Head> {
        let start_line = self.line()?;
        let mut lines: Vec<Vec<u8>> = Vec::new();
        loop {
            let line = self.line()?;
            match lines.last_mut() {
                _ if line.is_empty() => break,
                Some(last) if self.leniency.folds && matches!(line[0], b' ' | b'\t') => last.extend(line),
                _ => lines.push(line),
            }
        }
        let fields = lines.iter().filter_map(|line| {
            let colon = line.iter().position(|&b| b == b':')?;
            Some((self.name(&line[..colon]), line[colon + 1..].trim_ascii().to_ascii_lowercase()))
        });
        Some(Head { start_line, fields: fields.collect() })
    }

    fn name(&self, name: &[u8]) -> Vec<u8> {
        let name = name.to_ascii_lowercase();
        if !self.leniency.loose_names {
            return name;
        }
        name.iter().filter(|b| b.is_ascii_graphic()).map(|&b| if b == b'_' { b'-' } else { b }).collect()
    }

    fn number(&self, text: &[u8], radix: u32) -> Option<usize> {
        let text = std::str::from_utf8(text).ok()?;
        if !self.leniency.loose_numbers {
            return text.bytes().all(|b| char::from(b).is_digit(radix)).then(|| usize::from_str_radix(text, radix).ok())?;
        }
        let text = text.trim().trim_start_matches("0x").trim_start_matches('+');
        let end = text.find(|c: char| !c.is_digit(radix)).unwrap_or(text.len());
        usize::from_str_radix(&text[..end], radix).ok()
    }

    /// `unframed`: bytes of a body that no field frames.
    fn body(&mut self, head: &Head, unframed: Option<usize>) -> Option<Vec<u8>> {
        let values = |name: &[u8]| head.fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v).collect::<Vec<_>>();
        let (codings, lengths) = (values(b"transfer-encoding"), values(b"content-length"));
        let chunked = codings.iter().any(|coding| match self.leniency.odd_codings {
            true => coding.windows(7).any(|part| part == b"chunked"),
            false => *coding == b"chunked",
        });
        let length = if self.leniency.last_length { lengths.last() } else { lengths.first() };
        let len = match length {
            Some(length) if !chunked || self.leniency.length_first => self.number(length, 10)?,
            _ if chunked => return self.chunks(),
            _ => unframed?,
        };
        self.take(len)
    }

    fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        let content = self.bytes.get(self.at..self.at.checked_add(len)?)?.to_vec();
        self.at += len;
        Some(content)
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(|&b| b == b';').next().unwrap_or_default();
            let size = self.number(size, 16)?;
            if size == 0 {
                break;
            }
            content.extend(self.take(size)?);
            self.line()?.is_empty().then_some(())?;
        }
        while !self.line()?.is_empty() {}
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readers that differ are the point: each of these bytes is one request to some and two to others.
    #[test]
    fn readers_disagree_where_they_should() {
        for smuggled in [
            "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nGET /",
            "GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nX: y\nContent-Length: 5\r\n\r\nGET /",
            "GET / HTTP/1.1\r\nX: y\rContent-Length: 5\r\n\r\nGET /",
            "GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\nGET /",
            "GET / HTTP/1.1\r\nContent-Length: +5\r\n\r\nGET /",
            "GET / HTTP/1.1\r\nContent-Length:\r\n 5\r\n\r\nGET /",
            "GET / HTTP/1.1\r\nContent_Length: 5\r\n\r\nGET /",
        ] {
            let views: Vec<_> = READERS.iter().map(|&reader| requests(smuggled.as_bytes(), reader)).collect();
            assert!(views.iter().any(|view| *view != views[0]), "{smuggled:?}");
        }
        let plain = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        for &reader in READERS {
            let seen = requests(plain, reader);
            assert_eq!((seen.messages.len(), &seen.messages[0].1[..], seen.rest), (2, &b"abc"[..], false), "{reader:?}");
        }
    }
}

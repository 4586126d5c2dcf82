//! Inputs by the grammar: right, or nearly right. Faults are built in where parsers are known to differ; `mutate` adds
//! those that nobody thought of.

mod hello;
mod words;

use crate::random::Random;
use crate::targets::documents;
pub use hello::hello;
use words::*;

/// One to three requests on a connection.
pub fn requests(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..1 + random.below(3) {
        request(random, &mut out);
    }
    out
}

fn request(random: &mut Random, out: &mut Vec<u8>) {
    if random.one_in(20) {
        out.extend_from_slice(b"\r\n");
    }
    let method = random.pick(METHODS);
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(rarely(random, "  ", " "));
    target(random, out);
    out.extend_from_slice(rarely(random, "\t", " "));
    out.extend_from_slice(version(random));
    out.extend_from_slice(b"\r\n");
    let mut fields = Vec::new();
    if !random.one_in(30) {
        fields.push(("Host", random.pick(HOSTS).to_owned()));
    }
    others(random, &mut fields);
    let body = framed_body(random, &mut fields);
    write_fields(random, fields, out);
    out.extend(body);
}

/// An answer, interim ones before it, and perhaps bytes behind it.
pub fn response(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    while random.one_in(6) {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(
            random.pick(&["100 Continue", "103 Early Hints", "102", "101 Switching Protocols", "199 "]).as_bytes(),
        );
        out.extend_from_slice(b"\r\n");
        let mut fields = Vec::new();
        others(random, &mut fields);
        write_fields(random, fields, &mut out);
    }
    out.extend_from_slice(version(random));
    out.extend_from_slice(rarely(random, "  ", " "));
    out.extend_from_slice(random.pick(STATUSES).as_bytes());
    out.extend_from_slice(b"\r\n");
    let mut fields = Vec::new();
    others(random, &mut fields);
    let body = framed_body(random, &mut fields);
    write_fields(random, fields, &mut out);
    out.extend(body);
    if random.one_in(8) {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
    out
}

/// `METHOD target`
pub fn target_line(random: &mut Random) -> Vec<u8> {
    let mut out = random.pick(METHODS).as_bytes().to_vec();
    out.push(b' ');
    match random.below(8) {
        0 => out.extend_from_slice(random.pick(HOSTS).as_bytes()),
        _ => target(random, &mut out),
    }
    out
}

fn target(random: &mut Random, out: &mut Vec<u8>) {
    match random.below(12) {
        0 => out.push(b'*'),
        1 | 2 => {
            out.extend_from_slice(random.pick(&["http://", "https://", "HTTP://", "ftp://", "http:/", "http:"]).as_bytes());
            out.extend_from_slice(random.pick(HOSTS).as_bytes());
        }
        3 => return out.extend_from_slice(random.pick(HOSTS).as_bytes()),
        _ => {}
    }
    if random.one_in(3) {
        out.extend_from_slice(b"/p");
    }
    for _ in 0..random.below(4) {
        out.push(b'/');
        for _ in 0..random.below(4) {
            out.extend_from_slice(random.pick(SEGMENTS).as_bytes());
        }
    }
    if out.last().is_none_or(|&b| b == b' ') {
        out.push(b'/');
    }
    if random.one_in(3) {
        out.push(b'?');
        for _ in 0..random.below(5) {
            out.extend_from_slice(random.pick(QUERIES).as_bytes());
        }
    }
}

fn version(random: &mut Random) -> &'static [u8] {
    match random.below(40) {
        0..34 => b"HTTP/1.1",
        34..38 => b"HTTP/1.0",
        _ => random.pick(&["HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.", "HTTP/01.1", "HTTP/1.1 "]).as_bytes(),
    }
}

type Fields<'a> = Vec<(&'a str, String)>;

fn others(random: &mut Random, fields: &mut Fields<'_>) {
    for _ in 0..random.below(5) {
        fields.push((random.pick(NAMES), random.pick(VALUES).to_owned()));
    }
    if random.one_in(4) {
        fields.push(("Connection", random.pick(CONNECTIONS).to_owned()));
    }
    if random.one_in(12) {
        fields.push(("Expect", random.pick(&["100-continue", "100-Continue", "100-continue, x", "nothing", ""]).to_owned()));
    }
    if random.one_in(200) {
        (0..random.below(40)).for_each(|_| fields.push(("X-Many", "x".repeat(random.below(80)))));
    }
}

/// A body, and the fields that frame it, mostly truthfully.
fn framed_body(random: &mut Random, fields: &mut Fields<'_>) -> Vec<u8> {
    match random.below(10) {
        0..3 => Vec::new(),
        3..6 => {
            let body = content(random);
            let value = match random.below(4) {
                0 => random.pick(LENGTHS).replace('N', &body.len().to_string()),
                _ => body.len().to_string(),
            };
            fields.push(("Content-Length", value));
            body
        }
        6..9 => {
            let value = if random.one_in(4) { random.pick(CODINGS) } else { "chunked" };
            fields.push(("Transfer-Encoding", value.to_owned()));
            chunked(random)
        }
        _ => {
            for _ in 0..2 {
                match random.one_in(2) {
                    true => fields.push(("Content-Length", random.pick(LENGTHS).replace('N', "5"))),
                    false => fields.push(("Transfer-Encoding", random.pick(CODINGS).to_owned())),
                }
            }
            if random.one_in(2) { chunked(random) } else { b"hello".to_vec() }
        }
    }
}

fn content(random: &mut Random) -> Vec<u8> {
    match random.below(6) {
        0 => b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        1 => b"0\r\n\r\n".to_vec(),
        _ => (0..random.below(60)).map(|_| random.word() as u8).collect(),
    }
}

/// A chunked body.
pub fn chunked(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..random.below(4) {
        let data = content(random);
        if !data.is_empty() {
            size_line(random, data.len(), &mut out);
            out.extend(data);
            out.extend_from_slice(b"\r\n");
        }
    }
    size_line(random, 0, &mut out);
    let trailers = if random.one_in(3) { random.below(4) } else { 0 };
    let fields: Fields<'_> = (0..trailers).map(|_| (random.pick(TRAILERS), random.pick(VALUES).to_owned())).collect();
    write_fields(random, fields, &mut out);
    out
}

fn size_line(random: &mut Random, size: usize, out: &mut Vec<u8>) {
    let text = match random.below(30) {
        0 => format!("0x{size:x}"),
        1 => format!("+{size:x}"),
        2 => format!("{size:x} "),
        3 => format!("{size:017x}"),
        4 => format!("{size:040x}"),
        5 => format!("1000000000000000{size:x}"),
        6 => format!("{size:X}"),
        7 => format!("00{size:x}"),
        _ => format!("{size:x}"),
    };
    out.extend_from_slice(text.as_bytes());
    while random.one_in(6) {
        out.extend_from_slice(random.pick(EXTENSIONS).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn write_fields(random: &mut Random, mut fields: Fields<'_>, out: &mut Vec<u8>) {
    for i in (1..fields.len()).rev() {
        fields.swap(i, random.below(i + 1));
    }
    for (name, value) in fields {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(if random.one_in(60) { random.pick(&[" :", "", ":\r\n ", ":\0", "\t: "]) } else { ":" }.as_bytes());
        out.extend_from_slice(random.pick(&["", " ", " ", " ", "\t", "  "]).as_bytes());
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(random.pick(&["", "", "", " ", "\t"]).as_bytes());
        out.extend_from_slice(if random.one_in(80) { random.pick(&["\n", "\r", "\n\r", "\r\r\n"]) } else { "\r\n" }.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// A document of some kind, from keys and values that documents have.
pub fn document(random: &mut Random) -> Vec<u8> {
    let (kind, _) = documents::PLACES[random.below(documents::PLACES.len())];
    let mut out = format!("# {kind}\n");
    let sample = DOCUMENTS.iter().find(|(name, _)| *name == kind).map_or("", |(_, text)| text);
    for line in sample.lines() {
        match random.below(14) {
            0 => {}
            1 => out.push_str(&format!("{} = {}\n", random.pick(KEYS), random.pick(TOML_VALUES))),
            2 => {
                let key = line.split('=').next().unwrap_or_default();
                out.push_str(&format!("{key}= {}\n", random.pick(TOML_VALUES)));
            }
            3 => out.push_str(&format!("[{}]\n{line}\n", random.pick(KEYS))),
            _ => out.push_str(&format!("{line}\n")),
        }
    }
    out.into_bytes()
}

fn rarely<'a>(random: &mut Random, odd: &'a str, usual: &'a str) -> &'a [u8] {
    if random.one_in(60) { odd } else { usual }.as_bytes()
}

/// A version and cipher, then what may be records: of any type and length, whole or not.
pub fn records(random: &mut Random) -> Vec<u8> {
    let mut out = vec![random.below(4) as u8];
    for _ in 0..random.below(4) {
        let longest = if random.one_in(10) { 17_000 } else { 200 };
        let length = random.below(longest);
        let [high, low] = (length as u16).to_be_bytes();
        out.extend_from_slice(&[20 + random.below(5) as u8, 3, 3, high, low]);
        out.extend((0..length).map(|_| random.word() as u8));
        if random.one_in(3) {
            out.extend_from_slice(&[20, 3, 3, 0, 1, 1]);
        }
    }
    out
}

//! Heads as they go out: written once, in one pass, into a buffer of fixed size.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::head::Field;

/// A cursor over a fixed buffer. Writing past its end sets `overflow` and keeps nothing more, so that callers check
/// once, at the end, with [`HeadWriter::finish`].
pub struct HeadWriter<'a> {
    buffer: &'a mut [u8],
    len: usize,
    overflow: bool,
}

impl<'a> HeadWriter<'a> {
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0, overflow: false }
    }

    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end > self.buffer.len() {
            self.overflow = true;
            return;
        }
        self.buffer[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    /// `HTTP/1.1`, a status and its phrase: the first line of an answer. We always answer in the highest version we speak
    /// (RFC 9110, section 6.2).
    pub fn status_line(&mut self, status: u16) {
        if let Some(line) = common_status_line(status) {
            return self.bytes(line);
        }
        self.bytes(b"HTTP/1.1 ");
        self.number(u64::from(status));
        self.bytes(b" ");
        self.bytes(reason(status).as_bytes());
        self.bytes(b"\r\n");
    }

    /// One field line: `name: value` and its line end. The caller vouches that both are fit for it: parsed from a head,
    /// or made safe.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.bytes(name);
        self.bytes(b": ");
        self.bytes(value);
        self.bytes(b"\r\n");
    }

    /// A decimal number.
    pub fn number(&mut self, n: u64) {
        let mut digits = itoa::Buffer::new();
        self.bytes(digits.format(n).as_bytes());
    }

    /// An IP address.
    pub fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                let (mut text, mut len) = ([0; V4_BYTES], 0);
                for octet in address.octets() {
                    let (digits, octet_len) = OCTETS[usize::from(octet)];
                    if let Some(room) = text.get_mut(len..len + digits.len()) {
                        room.copy_from_slice(&digits);
                    }
                    len += octet_len;
                }
                // Less the last dot.
                self.bytes(&text[..len - 1]);
            }
            // It takes everything, and knows by itself when it has overflowed.
            IpAddr::V6(address) => _ = write!(self, "{address}"),
        }
    }

    /// An address and its port, as in a `Host`.
    pub fn socket_address(&mut self, address: SocketAddr) {
        match address {
            SocketAddr::V4(v4) => {
                self.address((*v4.ip()).into());
                self.bytes(b":");
                self.number(u64::from(v4.port()));
            }
            SocketAddr::V6(_) => _ = write!(self, "{address}"),
        }
    }

    /// One field line with a decimal number.
    pub fn number_field(&mut self, name: &[u8], n: u64) {
        self.bytes(name);
        self.bytes(b": ");
        self.number(n);
        self.bytes(b"\r\n");
    }

    /// The empty line that ends a head.
    #[inline]
    pub fn end(&mut self) {
        self.bytes(b"\r\n");
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes written, or `None` when the buffer was too small for them.
    pub fn finish(self) -> Option<usize> {
        (!self.overflow).then_some(self.len)
    }
}

/// An IPv4 address at its longest, and a dot.
const V4_BYTES: usize = 16;

/// Each octet in decimal digits with a dot behind them, and how many bytes that is.
const OCTETS: &[([u8; 4], usize); 256] = &octets();

const fn octets() -> [([u8; 4], usize); 256] {
    let mut octets = [([b'.'; 4], 0); 256];
    let mut n = 0;
    while n < 256 {
        let (digits, len) = &mut octets[n];
        *len = if n >= 100 { 4 } else { 2 + (n >= 10) as usize };
        let (mut rest, mut place) = (n, *len - 1);
        while place > 0 {
            place -= 1;
            digits[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        n += 1;
    }
    octets
}

impl Write for HeadWriter<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

/// Field lines that pass as they came. Lines that stand one after the other in the head they were parsed from, spelt as
/// [`HeadWriter::field`] would spell them, are copied in one piece.
pub struct PassingLines<'a> {
    head: &'a [u8],
    /// Lines of `head` that pass and are not written yet.
    run: Range<usize>,
}

impl<'a> PassingLines<'a> {
    pub fn new(head: &'a [u8]) -> Self {
        Self { head, run: 0..0 }
    }

    /// Passes the next line.
    #[inline(always)]
    pub fn pass(&mut self, field: &Field, writer: &mut HeadWriter<'_>) {
        let Some(line) = self.plain(field) else {
            self.finish(writer);
            return writer.field(field.name.of(self.head), field.value.of(self.head));
        };
        if line.start != self.run.end {
            self.finish(writer);
            self.run.start = line.start;
        }
        self.run.end = line.end;
    }

    /// Writes the lines passed so far.
    #[inline]
    pub fn finish(&mut self, writer: &mut HeadWriter<'_>) {
        if !self.run.is_empty() {
            writer.bytes(&self.head[self.run.clone()]);
        }
        self.run = 0..0;
    }

    /// Where the line stands, if it is spelt `name: value` and its line end.
    #[inline]
    fn plain(&self, field: &Field) -> Option<Range<usize>> {
        let [start, colon, value, end] = [field.name.start, field.name.end, field.value.start, field.value.end].map(usize::from);
        let is_plain = field.plain || self.head.get(colon..value)? == b": " && self.head.get(end..end + 2)? == b"\r\n";
        is_plain.then_some(start..end + 2)
    }
}

/// The end of a chunked body without trailers: the last chunk and an empty trailer section (RFC 9112, section 7.1).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The last chunk alone, before trailers and an empty line.
pub const LAST_CHUNK_LINE: &[u8] = b"0\r\n";

/// The interim answer to `Expect: 100-continue` (RFC 9110, section 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The longest line that [`write_chunk_size`] writes, in bytes.
pub const CHUNK_SIZE_BYTES: usize = 18;

/// Writes a chunk size and its line end; returns its length.
pub fn write_chunk_size(size: u64, line: &mut [u8; CHUNK_SIZE_BYTES]) -> usize {
    let digits = (16 - size.leading_zeros() as usize / 4).max(1);
    for (place, digit) in line[..digits].iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(size >> (4 * place) & 0x0f) as usize];
    }
    line[digits..digits + 2].copy_from_slice(b"\r\n");
    digits + 2
}

/// The whole status line of the statuses that make up nearly all answers.
fn common_status_line(status: u16) -> Option<&'static [u8]> {
    Some(match status {
        200 => b"HTTP/1.1 200 OK\r\n",
        201 => b"HTTP/1.1 201 Created\r\n",
        204 => b"HTTP/1.1 204 No Content\r\n",
        302 => b"HTTP/1.1 302 Found\r\n",
        304 => b"HTTP/1.1 304 Not Modified\r\n",
        400 => b"HTTP/1.1 400 Bad Request\r\n",
        401 => b"HTTP/1.1 401 Unauthorized\r\n",
        403 => b"HTTP/1.1 403 Forbidden\r\n",
        404 => b"HTTP/1.1 404 Not Found\r\n",
        429 => b"HTTP/1.1 429 Too Many Requests\r\n",
        500 => b"HTTP/1.1 500 Internal Server Error\r\n",
        503 => b"HTTP/1.1 503 Service Unavailable\r\n",
        504 => b"HTTP/1.1 504 Gateway Timeout\r\n",
        _ => return None,
    })
}

/// The phrase of a status (RFC 9110, section 15; RFC 6585); empty for others, which the grammar allows.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut HeadWriter<'_>)) -> String {
        let mut buffer = [0; 200];
        let mut writer = HeadWriter::new(&mut buffer);
        write(&mut writer);
        let len = writer.finish().unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    #[test]
    fn a_head_is_written_in_one_pass() {
        let head = written(|writer| {
            writer.status_line(200);
            writer.field(b"X-Ca-Stage", b"RELEASE");
            writer.number_field(b"Content-Length", 1024);
            writer.end();
        });
        assert_eq!(head, "HTTP/1.1 200 OK\r\nX-Ca-Stage: RELEASE\r\nContent-Length: 1024\r\n\r\n");
    }

    #[test]
    fn every_octet_of_an_address() {
        for octet in 0..=255 {
            let address = std::net::Ipv4Addr::new(octet, 7, octet, 255 - octet);
            assert_eq!(written(|writer| writer.address(address.into())), address.to_string());
        }
    }

    #[test]
    fn addresses() {
        for text in ["0.0.0.0", "1.20.255.9", "255.255.255.255", "10.100.99.101", "2001:db8::1"] {
            assert_eq!(written(|writer| writer.address(text.parse().unwrap())), text);
        }
        assert_eq!(written(|writer| writer.socket_address("10.0.0.7:8081".parse().unwrap())), "10.0.0.7:8081");
    }

    #[test]
    fn a_buffer_too_small_is_told_at_the_end() {
        let mut buffer = [0; 10];
        let mut writer = HeadWriter::new(&mut buffer);
        writer.bytes(b"12345678");
        writer.field(b"X", b"y");
        assert_eq!(writer.finish(), None);
    }

    /// The ready lines and the phrases agree, and every line is one that our own parser takes.
    #[test]
    fn status_lines() {
        use crate::http::head::{HeadLimits, Parsed, ResponseHead, parse_response};
        let limits = HeadLimits { start_line_bytes: 100, head_bytes: 200, fields: 1 };
        for status in 100..=599 {
            let head = written(|writer| {
                writer.status_line(status);
                writer.end();
            });
            assert_eq!(head, format!("HTTP/1.1 {status} {}\r\n\r\n", reason(status)));
            let mut parsed = ResponseHead::default();
            assert_eq!(parse_response(head.as_bytes(), 0, &limits, &mut parsed), Ok(Parsed::Complete));
            assert_eq!(parsed.status, status);
        }
    }

    #[test]
    fn chunk_sizes() {
        for size in [0, 1, 9, 10, 15, 16, 255, 256, 4096, 65_535, u64::from(u32::MAX), u64::MAX >> 4, u64::MAX] {
            let mut line = [0; CHUNK_SIZE_BYTES];
            let len = write_chunk_size(size, &mut line);
            assert_eq!(std::str::from_utf8(&line[..len]), Ok(&*format!("{size:x}\r\n")));
        }
    }
}

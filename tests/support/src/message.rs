//! HTTP/1.1 messages as they came over a socket, read by the letter of RFC 9112: the tests' own strict reader, which
//! shares no code with the gateway.

use std::fmt;
use std::io::{self, Read};

/// A request or response with the bytes it was read from.
#[derive(Clone)]
pub struct Message {
    /// Start line, fields and the empty line, as received.
    pub head: Vec<u8>,
    pub start_line: String,
    /// Names and values in order; values are bytes read as Latin-1.
    pub fields: Vec<(String, String)>,
    /// The content, without chunked coding.
    pub body: Vec<u8>,
    /// The body as received, chunk sizes and trailers included.
    pub raw_body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl fmt::Debug for Message {
    /// As it came, and not too much of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = &self.raw_body[..self.raw_body.len().min(500)];
        write!(f, "{}{} ({} bytes of body)", self.head.escape_ascii(), body.escape_ascii(), self.raw_body.len())
    }
}

impl Message {
    pub fn status(&self) -> u16 {
        self.start_line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no status: {}", self.start_line))
    }

    pub fn method(&self) -> &str {
        self.start_line.split(' ').next().unwrap_or_default()
    }

    pub fn target(&self) -> &str {
        self.start_line.split(' ').nth(1).unwrap_or_default()
    }

    /// The value of the first field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The gateway's error code; empty for a backend's answer.
    pub fn code(&self) -> &str {
        self.field("X-Ca-Error-Code").unwrap_or_default()
    }

    pub fn error_message(&self) -> &str {
        self.field("X-Ca-Error-Message").unwrap_or_default()
    }

    /// Asserts an error of the gateway: its code, the status that the code carries, an empty body and a request id.
    #[track_caller]
    pub fn assert_refused(&self, code: &str) {
        assert_eq!(self.code(), code, "{self:?}");
        assert_eq!(Some(self.status()), code.get(1..4).and_then(|s| s.parse().ok()), "{self:?}");
        assert!(self.body.is_empty(), "{self:?}");
        assert!(self.has("X-Ca-Request-Id"), "{self:?}");
    }

    /// Asserts a backend's answer with status 200.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert_eq!((self.status(), self.code()), (200, ""), "{self:?}");
    }
}

/// Start line and fields of a head.
pub fn split_head(head: &[u8]) -> io::Result<(String, Vec<(String, String)>)> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{why}: {}", head.escape_ascii()));
    let text: String = head.iter().map(|&b| char::from(b)).collect();
    let lines = text.strip_suffix("\r\n\r\n").ok_or_else(|| bad("a head without its end"))?;
    let mut lines = lines.split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let mut fields = Vec::new();
    for line in lines {
        if line.contains(['\r', '\n', '\0']) {
            return Err(bad("a bare CR, LF or NUL"));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a field without a colon"))?;
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err(bad("a bad field name"));
        }
        fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    Ok((start, fields))
}

/// Reads messages one after the other from a connection.
pub struct Reader {
    stream: Box<dyn Read + Send>,
    pending: Vec<u8>,
}

impl Reader {
    pub fn new(stream: impl Read + Send + 'static) -> Self {
        Self { stream: Box::new(stream), pending: Vec::new() }
    }

    /// More bytes; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 64 * 1024];
        let n = self.stream.read(&mut buffer)?;
        self.pending.extend_from_slice(&buffer[..n]);
        Ok(n > 0)
    }

    fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.pending[searched..].windows(end.len()).position(|w| w == end) {
                return Ok(self.pending.drain(..searched + at + end.len()).collect());
            }
            searched = (self.pending.len() + 1).saturating_sub(end.len());
            if !self.fill()? {
                let got = self.pending.escape_ascii().to_string();
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended after: {got}")));
            }
        }
    }

    pub fn exactly(&mut self, n: usize) -> io::Result<Vec<u8>> {
        while self.pending.len() < n {
            if !self.fill()? {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} of {n} bytes", self.pending.len())));
            }
        }
        Ok(self.pending.drain(..n).collect())
    }

    /// Everything up to the end of the stream.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? {}
        Ok(std::mem::take(&mut self.pending))
    }

    /// Nothing more came before the peer closed in order.
    pub fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.pending.is_empty() && !self.fill()?)
    }

    /// The next head without its body; `None` when the peer closed before its first byte.
    pub fn head(&mut self) -> io::Result<Option<Message>> {
        if self.pending.is_empty() && !self.fill()? {
            return Ok(None);
        }
        let head = self.until(b"\r\n\r\n")?;
        let (start_line, fields) = split_head(&head)?;
        Ok(Some(Message { head, start_line, fields, body: Vec::new(), raw_body: Vec::new(), trailers: Vec::new() }))
    }

    /// The body that the framing fields of `message` announce (a request's: none when there are no such fields).
    pub fn body(&mut self, message: &mut Message, until_close: bool) -> io::Result<()> {
        let lengths: Vec<_> = message.all("Content-Length").map(str::to_owned).collect();
        let chunked = message.all("Transfer-Encoding").collect::<Vec<_>>() == ["chunked"];
        let bad = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        match (lengths.as_slice(), chunked) {
            ([], true) => self.chunks(message)?,
            (_, true) => return bad("Content-Length beside Transfer-Encoding"),
            (_, false) if message.has("Transfer-Encoding") => return bad("an unknown transfer coding"),
            ([length], false) => {
                let length = length.parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
                message.raw_body = self.exactly(length)?;
                message.body.clone_from(&message.raw_body);
            }
            ([], false) if until_close => {
                message.raw_body = self.rest()?;
                message.body.clone_from(&message.raw_body);
            }
            ([], false) => {}
            (_, false) => return bad("Content-Length more than once"),
        }
        Ok(())
    }

    fn chunks(&mut self, message: &mut Message) -> io::Result<()> {
        loop {
            let line = self.until(b"\r\n")?;
            message.raw_body.extend_from_slice(&line);
            let size = std::str::from_utf8(&line[..line.len() - 2]).unwrap_or_default();
            let size = size.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
            if size == 0 {
                break;
            }
            let chunk = self.exactly(size + 2)?;
            message.raw_body.extend_from_slice(&chunk);
            let Some(content) = chunk.strip_suffix(b"\r\n") else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a chunk without its line end"));
            };
            message.body.extend_from_slice(content);
        }
        loop {
            let line = self.until(b"\r\n")?;
            message.raw_body.extend_from_slice(&line);
            if line == b"\r\n" {
                return Ok(());
            }
            let line = [b"x\r\n".as_slice(), &line, b"\r\n"].concat();
            message.trailers.extend(split_head(&line)?.1);
        }
    }

    /// A whole request; `None` when the peer closed before its first byte.
    pub fn request(&mut self) -> io::Result<Option<Message>> {
        let Some(mut message) = self.head()? else { return Ok(None) };
        self.body(&mut message, false)?;
        Ok(Some(message))
    }

    /// A whole final response to a request with this method; interim (1xx) responses are left to the caller.
    pub fn response(&mut self, method: &str) -> io::Result<Message> {
        let Some(mut message) = self.head()? else {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before an answer"));
        };
        let status = message.status();
        if method != "HEAD" && status >= 200 && status != 204 && status != 304 {
            self.body(&mut message, true)?;
        }
        Ok(message)
    }
}

/// `content` in the chunked coding, in chunks of `size` bytes.
pub fn chunked(content: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 64);
    for chunk in content.chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

//! The backend of every measurement: keep-alive HTTP/1.1, a fixed answer of N bytes (the last segment of the path),
//! a realistic head. It does as little as it can, since it shares its core with the generator, but it reads a request
//! body to its end and checks it: a proxy that loses or mixes uploads is found here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Result;
use clap::Args;
use monoio::buf::{IoBuf, IoBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;

use crate::mark::{self, Mark};
use crate::payload::Pattern;
use crate::ring;

/// Largest head, and the step in which a body is read.
const BUFFER_BYTES: usize = 64 * 1024;
const FIELDS: usize = 64;
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Answers kept ready. A scenario asks for one or two sizes.
const MAX_SIZES: usize = 64;

#[derive(Args)]
pub struct Arguments {
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Congestion control of the accepted connections; by default the system's
    #[arg(long)]
    congestion: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    ring::run(serve(arguments))?
}

async fn serve(arguments: &Arguments) -> Result<()> {
    let listener = ring::listen(arguments.listen, arguments.congestion.as_deref())?;
    println!("listening {}", listener.local_addr()?);
    let answers = Rc::new(Answers::new());
    loop {
        let (stream, _) = listener.accept().await?;
        monoio::spawn(connection(stream, Rc::clone(&answers)));
    }
}

/// Serves one connection until either side is done with it. Errors of its socket concern nobody else.
async fn connection(mut stream: TcpStream, answers: Rc<Answers>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER_BYTES);
    let mut beginning = Vec::new();
    loop {
        let request = match parse(&buffer) {
            Parsed::Whole(request) => request,
            Parsed::Begun if buffer.len() < BUFFER_BYTES => {
                match receive(&mut stream, buffer).await {
                    Some(filled) => buffer = filled,
                    None => return,
                }
                continue;
            }
            Parsed::Begun | Parsed::Refused => {
                let _ = stream.write_all(REFUSED).await;
                return;
            }
        };
        let here = (buffer.len() - request.head_bytes).min(request.body_bytes);
        let body = buffer.get(request.head_bytes..request.head_bytes + here).unwrap_or_default();
        let mut good = answers.pattern.matches(0, body);
        buffer.drain(..request.head_bytes + here);
        let mut read = here;
        while read < request.body_bytes {
            // Only the body can be in the buffer now: what was pipelined behind it has not been read.
            buffer.clear();
            match receive(&mut stream, buffer).await {
                Some(filled) => buffer = filled,
                None => return,
            }
            let part = buffer.len().min(request.body_bytes - read);
            good &= answers.pattern.matches(read, buffer.get(..part).unwrap_or_default());
            read += part;
            buffer.drain(..part);
        }
        if !good {
            let _ = stream.write_all(REFUSED).await;
            return;
        }
        let answer = answers.of(request.answer_bytes);
        let result = match request.mark {
            None => stream.write_all(answer.bytes).await.0,
            Some(mark) => {
                answer.begin(&mark, &mut beginning);
                let (result, written) = stream.write_all(beginning).await;
                beginning = written;
                match result {
                    Ok(_) if answer.marked_bytes() < answer.bytes.len() => {
                        stream.write_all(answer.bytes.clone().slice(answer.marked_bytes()..)).await.0
                    }
                    result => result,
                }
            }
        };
        if result.is_err() || request.close {
            return;
        }
    }
}

/// Reads after what `buffer` holds. `None` when the peer is done or gone.
async fn receive(stream: &mut TcpStream, buffer: Vec<u8>) -> Option<Vec<u8>> {
    let (start, end) = (buffer.len(), buffer.capacity());
    let (result, slice) = stream.read(buffer.slice_mut(start..end)).await;
    match result {
        Ok(bytes) if bytes > 0 => Some(slice.into_inner()),
        _ => None,
    }
}

const REFUSED: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[derive(Debug, PartialEq, Eq)]
struct Request {
    head_bytes: usize,
    body_bytes: usize,
    answer_bytes: usize,
    close: bool,
    mark: Option<Mark>,
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Whole(Request),
    Begun,
    /// Not a request, or one without a size in its path, or with a body of unknown length.
    Refused,
}

fn parse(bytes: &[u8]) -> Parsed {
    if bytes.is_empty() {
        return Parsed::Begun;
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let head_bytes = match request.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return Parsed::Begun,
        Err(_) => return Parsed::Refused,
    };
    let mut body_bytes = 0;
    let mut mark = None;
    let mut close = request.version == Some(0);
    for field in request.headers.iter() {
        if field.name.eq_ignore_ascii_case("Content-Length") {
            match decimal(field.value) {
                Some(length) => body_bytes = length,
                None => return Parsed::Refused,
            }
        } else if field.name.eq_ignore_ascii_case("Transfer-Encoding") {
            return Parsed::Refused;
        } else if field.name.eq_ignore_ascii_case(mark::FIELD) {
            mark = field.value.try_into().ok();
        } else if field.name.eq_ignore_ascii_case("Connection") && field.value.eq_ignore_ascii_case(b"close") {
            close = true;
        }
    }
    let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default();
    match path.rsplit('/').next().and_then(|size| decimal(size.as_bytes())) {
        Some(answer_bytes) if answer_bytes <= MAX_ANSWER_BYTES => {
            Parsed::Whole(Request { head_bytes, body_bytes, answer_bytes, close, mark })
        }
        _ => Parsed::Refused,
    }
}

fn decimal(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The largest part of an answer that is written anew for its mark; what follows is sent as it is kept.
const MARKED_BYTES: usize = 32 * 1024;

/// An answer as it is kept: head and body.
#[derive(Clone)]
struct Answer {
    bytes: Rc<Vec<u8>>,
    head_bytes: usize,
}

impl Answer {
    /// Its beginning with a mark, in place of what `out` holds.
    fn begin(&self, mark: &Mark, out: &mut Vec<u8>) {
        let (head, body) = self.bytes.split_at(self.head_bytes);
        out.clear();
        if mark::is_in_body(body.len()) {
            let kept = self.marked_bytes() - head.len();
            for part in [head, mark, &body[mark::BYTES..kept]] {
                out.extend_from_slice(part);
            }
        } else {
            let (fields, end) = head.split_at(head.len() - b"\r\n".len());
            for part in [fields, mark::FIELD.as_bytes(), b": ", mark, b"\r\n", end, body] {
                out.extend_from_slice(part);
            }
        }
    }

    /// Of those kept, how many that stands for.
    fn marked_bytes(&self) -> usize {
        self.bytes.len().min(self.head_bytes + MARKED_BYTES)
    }
}

/// Each size, written once.
struct Answers {
    pattern: Pattern,
    ready: RefCell<HashMap<usize, Answer>>,
}

impl Answers {
    fn new() -> Self {
        Self { pattern: Pattern::new(), ready: RefCell::new(HashMap::new()) }
    }

    fn of(&self, size: usize) -> Answer {
        let mut ready = self.ready.borrow_mut();
        if let Some(answer) = ready.get(&size) {
            return answer.clone();
        }
        let mut bytes = head(size).into_bytes();
        let head_bytes = bytes.len();
        bytes.extend_from_slice(&self.pattern.body(size));
        let answer = Answer { bytes: Rc::new(bytes), head_bytes };
        if ready.len() < MAX_SIZES {
            ready.insert(size, answer.clone());
        }
        answer
    }
}

/// As a web service behind a framework would write it. The date stands still: no proxy reads it.
fn head(size: usize) -> String {
    format!(
        "HTTP/1.1 200 OK\r\n\
         Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n\
         Content-Type: application/json; charset=utf-8\r\n\
         Content-Length: {size}\r\n\
         Connection: keep-alive\r\n\
         Vary: Accept-Encoding, Origin\r\n\
         ETag: \"5d8c72a5edda8d6a5b1f0c9f0d5a7e21\"\r\n\
         Cache-Control: private, max-age=0, must-revalidate\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n\r\n"
    )
}

/// A whole answer, for the tests of who checks it.
#[cfg(test)]
pub fn marked(mark: &Mark, size: usize) -> Vec<u8> {
    let answer = Answers::new().of(size);
    let mut bytes = Vec::new();
    answer.begin(mark, &mut bytes);
    [&bytes, &answer.bytes[answer.marked_bytes()..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Expected, check};

    #[test]
    fn the_last_segment_of_the_path_is_the_size() {
        let bytes = b"POST /upload/128?trace=7 HTTP/1.1\r\nHost: x\r\ncontent-length: 10\r\n\r\n0123";
        let request = Request { head_bytes: bytes.len() - 4, body_bytes: 10, answer_bytes: 128, close: false, mark: None };
        assert_eq!(parse(bytes), Parsed::Whole(request));
        assert_eq!(parse(b"GET /plain/12"), Parsed::Begun);
        assert_eq!(parse(b""), Parsed::Begun);
    }

    #[test]
    fn what_it_cannot_serve_exactly_it_refuses() {
        for bytes in [
            &b"GET /plain/many HTTP/1.1\r\n\r\n"[..],
            b"GET /plain/99999999999 HTTP/1.1\r\n\r\n",
            b"POST /upload/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST /upload/1 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"\x16\x03\x01",
        ] {
            assert_eq!(parse(bytes), Parsed::Refused);
        }
    }

    #[test]
    fn its_answers_pass_the_generators_check() {
        let answers = Answers::new();
        for size in [0, 1, 128, 16_384] {
            assert_eq!(check(&answers.of(size).bytes, &Expected::answer(size), None, &Pattern::new()), Ok(true));
        }
    }
}

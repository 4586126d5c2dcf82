//! One request over a blocking socket, read by the gateway's own rules for HTTP/1.1.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

use crate::http::chunked::{ChunkLimits, Decoder, Output};
use crate::http::framing::{BodyLength, response_framing};
use crate::http::head::{HeadLimits, Parsed, ResponseHead, ResponseView, parse_response};
use crate::tls::client::Client;

pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

pub struct Answer {
    pub status: u16,
    pub status_line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub took: Duration,
}

const LIMITS: HeadLimits = HeadLimits { start_line_bytes: 8 * 1024, head_bytes: 64 * 1024 - 1, fields: 128 };
const CHUNK_LIMITS: ChunkLimits = ChunkLimits { extension_bytes: 64 * 1024, trailer_bytes: 64 * 1024 };

/// What a request goes through.
trait Stream: Read + Write {}
impl Stream for TcpStream {}
impl Stream for StreamOwned<ClientConnection, TcpStream> {}

/// Sends the request and reads the whole answer. `tls`: how, over HTTPS.
pub fn send(gateway: SocketAddr, tls: Option<&Client>, request: &Request<'_>, timeout: Duration) -> io::Result<Answer> {
    let socket = TcpStream::connect_timeout(&gateway, timeout)?;
    socket.set_read_timeout(Some(timeout))?;
    socket.set_write_timeout(Some(timeout))?;
    let mut stream: Box<dyn Stream> = match tls {
        None => Box::new(socket),
        Some(client) => {
            let mut stream = StreamOwned::new(client.blocking(gateway.ip()).map_err(io::Error::other)?, socket);
            while stream.conn.is_handshaking() {
                stream.conn.complete_io(&mut stream.sock)?;
            }
            Box::new(stream)
        }
    };
    let stream = &mut *stream;
    #[allow(clippy::disallowed_methods)] // a person waits, not a worker
    let began = Instant::now();
    stream.write_all(&written(request))?;
    stream.flush()?;

    let mut received = Vec::new();
    let mut head = ResponseHead::default();
    loop {
        match parse_response(&received, 0, &LIMITS, &mut head).map_err(malformed)? {
            Parsed::Complete if head.status < 200 => _ = received.drain(..head.len),
            Parsed::Complete => break,
            Parsed::Partial if receive(stream, &mut received)? == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Parsed::Partial => {}
        }
    }
    let view = ResponseView { buffer: &received, head: &head };
    let framing = response_framing(&view, request.method == "HEAD").map_err(malformed)?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let status_line = format!("HTTP/1.1 {} {}", head.status, text(view.reason()));
    let headers = view.fields().map(|(_, name, value)| (text(name), text(value))).collect();
    let mut body = received.split_off(head.len);
    read_body(stream, framing.body, &mut body)?;
    Ok(Answer { status: head.status, status_line, headers, body, took: began.elapsed() })
}

fn written(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.target).into_bytes();
    for (name, value) in request.headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !request.body.is_empty() {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", request.body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"Connection: close\r\n\r\n");
    bytes.extend_from_slice(request.body);
    bytes
}

/// Reads the rest of a body of which `body` has been received, and leaves its content there.
fn read_body(stream: &mut dyn Stream, length: BodyLength, body: &mut Vec<u8>) -> io::Result<()> {
    match length {
        BodyLength::None => body.clear(),
        BodyLength::Exact(n) => {
            while (body.len() as u64) < n {
                if receive(stream, body)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        BodyLength::UntilClose => while receive(stream, body)? > 0 {},
        BodyLength::Chunked => {
            let mut content = Vec::new();
            let mut decoder = Decoder::new();
            loop {
                let step = decoder.decode(body, Output::Content, &CHUNK_LIMITS).map_err(malformed)?;
                content.extend_from_slice(&body[step.output]);
                body.clear();
                if step.done {
                    break;
                }
                if receive(stream, body)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            *body = content;
        }
    }
    Ok(())
}

fn receive(stream: &mut dyn Stream, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut bytes = [0; 16 * 1024];
    let n = stream.read(&mut bytes)?;
    into.extend_from_slice(&bytes[..n]);
    Ok(n)
}

fn malformed<E: std::fmt::Debug>(error: E) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer is malformed: {error:?}"))
}

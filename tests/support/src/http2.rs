//! Clients that speak HTTP/2: one that keeps to the protocol, by the `h2` crate, and one that sends frames as they are.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::{Request, connected};
use crate::message::Message;
use crate::wait::{DEADLINE, Deadline};

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// A socket that does not wait: whoever polls asks again.
struct Io(Box<dyn ReadWrite>);

fn ask_again<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.0.read(buffer.initialize_unfilled());
        ask_again(read.map(|n| buffer.advance(n)))
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ask_again(self.0.write(bytes))
    }
    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        ask_again(self.0.flush())
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A client that keeps to the protocol.
pub struct Http2Client {
    send: SendRequest<Bytes>,
    connection: Connection<Io>,
    /// How the connection ended.
    ended: Option<Result<(), h2::Error>>,
}

/// A request whose answer is to come.
pub struct Begun {
    pub body: SendStream<Bytes>,
    answer: ResponseFuture,
    informational: Vec<http::Response<()>>,
}

/// An answer whose body is to come.
pub struct Answering {
    pub message: Message,
    pub body: RecvStream,
}

impl Http2Client {
    /// Over clear text, with prior knowledge.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::with(address, &Builder::new())
    }

    /// The same, with settings of its own.
    #[track_caller]
    pub fn with(address: SocketAddr, builder: &Builder) -> Self {
        let stream = connected(address).expect("the gateway takes connections");
        stream.set_nonblocking(true).expect("a socket can be asked not to wait");
        Self::shake_hands(builder, Io(Box::new(stream)))
    }

    /// Over TLS, chosen in the handshake.
    #[track_caller]
    pub fn over_tls(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> Self {
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
        let socket = connected(address).expect("the gateway takes connections");
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).expect("a handshake");
        }
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
        stream.sock.set_nonblocking(true).expect("a socket can be asked not to wait");
        Self::shake_hands(&Builder::new(), Io(Box::new(stream)))
    }

    #[track_caller]
    fn shake_hands(builder: &Builder, io: Io) -> Self {
        let mut shaking = pin!(builder.handshake(io));
        let mut context = Context::from_waker(Waker::noop());
        let deadline = Deadline::after(DEADLINE);
        loop {
            if let Poll::Ready(done) = shaking.as_mut().poll(&mut context) {
                let (send, connection) = done.expect("a connection of HTTP/2");
                return Self { send, connection, ended: None };
            }
            assert!(deadline.look_again(), "the connection is not taken");
        }
    }

    /// Drives the connection until this is ready.
    #[track_caller]
    pub fn wait<T>(&mut self, what: &str, mut ready: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let mut context = Context::from_waker(Waker::noop());
        let deadline = Deadline::after(DEADLINE);
        loop {
            self.drive(&mut context);
            if let Poll::Ready(done) = ready(&mut context) {
                // What it has given away goes out.
                self.drive(&mut context);
                return done;
            }
            assert!(deadline.look_again(), "{what}: {:?}", self.ended);
        }
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        if self.ended.is_none()
            && let Poll::Ready(ended) = Pin::new(&mut self.connection).poll(context)
        {
            self.ended = Some(ended);
        }
    }

    /// Waits until the connection is over.
    #[track_caller]
    pub fn end(&mut self) -> Result<(), h2::Error> {
        let deadline = Deadline::after(DEADLINE);
        loop {
            self.drive(&mut Context::from_waker(Waker::noop()));
            if let Some(ended) = self.ended.take() {
                return ended;
            }
            assert!(deadline.look_again(), "the connection does not end");
        }
    }

    /// Sends a head, and the body with it where `end` is set.
    #[track_caller]
    pub fn begin(&mut self, request: &Request, end: bool) -> Begun {
        self.try_begin(request, end).unwrap_or_else(|e| panic!("the request cannot be sent: {e}"))
    }

    pub fn try_begin(&mut self, request: &Request, end: bool) -> Result<Begun, h2::Error> {
        let host = request.value("Host").unwrap_or(b"api.test");
        let host = std::str::from_utf8(host).expect("a host");
        let uri = if request.method == "CONNECT" { host.to_owned() } else { format!("http://{host}{}", request.target) };
        let mut head = http::Request::builder().method(&*request.method).uri(uri);
        for (name, value) in request.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Host")) {
            head = head.header(name.to_ascii_lowercase(), &value[..]);
        }
        if !request.body.is_empty() && end && request.value("Content-Length").is_none() {
            head = head.header("content-length", request.body.len());
        }
        let head = head.body(()).unwrap_or_else(|e| panic!("{request:?}: {e}"));
        let mut send = self.send.clone();
        self.wait("a stream is free", |context| send.poll_ready(context))?;
        let only_head = end && request.body.is_empty();
        let (answer, mut body) = send.send_request(head, only_head)?;
        if !only_head && !request.body.is_empty() {
            self.send_data(&mut body, &request.body, end);
        }
        Ok(Begun { body, answer, informational: Vec::new() })
    }

    /// Sends data as the gateway grants room for it.
    #[track_caller]
    pub fn send_data(&mut self, body: &mut SendStream<Bytes>, mut data: &[u8], end: bool) {
        if data.is_empty() && end {
            return drop(body.send_data(Bytes::new(), true));
        }
        while !data.is_empty() {
            body.reserve_capacity(data.len());
            let granted = self.wait("room for data", |context| body.poll_capacity(context));
            let Some(Ok(granted)) = granted else { return };
            let (part, rest) = data.split_at(granted.min(data.len()));
            let last = end && rest.is_empty();
            if body.send_data(Bytes::copy_from_slice(part), last).is_err() {
                return;
            }
            data = rest;
        }
    }

    /// The head of an answer.
    pub fn try_head(&mut self, mut begun: Begun) -> Result<(Answering, SendStream<Bytes>), h2::Error> {
        let answer = self.wait("an answer", |context| {
            while let Poll::Ready(Some(Ok(informational))) = begun.answer.poll_informational(context) {
                begun.informational.push(informational);
            }
            Pin::new(&mut begun.answer).poll(context)
        })?;
        let (head, body) = answer.into_parts();
        let fields = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), latin1(value.as_bytes()))).collect();
        let message = Message {
            head: Vec::new(),
            start_line: format!("HTTP/2 {}", head.status.as_u16()),
            fields,
            body: Vec::new(),
            raw_body: Vec::new(),
            trailers: Vec::new(),
        };
        Ok((Answering { message, body }, begun.body))
    }

    /// The whole of an answer.
    pub fn try_finish(&mut self, begun: Begun) -> Result<Message, h2::Error> {
        let (mut answering, _body) = self.try_head(begun)?;
        while let Some(data) = self.wait("a body", |context| answering.body.poll_data(context)) {
            let data = data?;
            answering.body.flow_control().release_capacity(data.len())?;
            answering.message.body.extend_from_slice(&data);
        }
        let trailers = self.wait("trailers", |context| answering.body.poll_trailers(context))?;
        for (name, value) in trailers.iter().flatten() {
            answering.message.trailers.push((name.as_str().to_owned(), latin1(value.as_bytes())));
        }
        answering.message.raw_body.clone_from(&answering.message.body);
        Ok(answering.message)
    }

    #[track_caller]
    pub fn finish(&mut self, begun: Begun) -> Message {
        self.try_finish(begun).unwrap_or_else(|e| panic!("no answer: {e}"))
    }

    #[track_caller]
    pub fn call(&mut self, request: &Request) -> Message {
        let begun = self.begin(request, true);
        self.finish(begun)
    }
}

impl Begun {
    /// Interim answers that came before the answer, so far.
    pub fn wait_for_informational(&mut self, client: &mut Http2Client) -> u16 {
        let answer = &mut self.answer;
        let next = client.wait("an interim answer", |context| answer.poll_informational(context));
        next.expect("an interim answer").expect("an interim answer").status().as_u16()
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// A frame (RFC 9113, section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    pub const END_STREAM: u8 = 1;
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;

    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// A whole head of a request without a body.
    pub fn get(stream: u32, path: &str) -> Self {
        let fields = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "api.test")];
        Self::new(Self::HEADERS, Self::END_STREAM | Self::END_HEADERS, stream, fields_block(&fields))
    }

    pub fn bytes(&self) -> Vec<u8> {
        let len = self.payload.len() as u32;
        let mut bytes = vec![(len >> 16) as u8, (len >> 8) as u8, len as u8, self.kind, self.flags];
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The error code of `RST_STREAM` or `GOAWAY`.
    pub fn code(&self) -> Option<u32> {
        let at = match self.kind {
            Self::RST_STREAM => 0,
            Self::GOAWAY => 4,
            _ => return None,
        };
        Some(u32::from_be_bytes(self.payload.get(at..at + 4)?.try_into().ok()?))
    }
}

/// Fields spelled without a table and without Huffman's code (RFC 7541, section 6.2.2).
pub fn fields_block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            let mut length = text.len();
            if length < 127 {
                block.push(length as u8);
            } else {
                block.push(127);
                length -= 127;
                while length >= 128 {
                    block.push(length as u8 | 128);
                    length >>= 7;
                }
                block.push(length as u8);
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A client that sends frames as they are.
pub struct FrameClient {
    pub stream: TcpStream,
}

impl FrameClient {
    /// Connects; nothing has been sent.
    #[track_caller]
    pub fn silent(address: SocketAddr) -> Self {
        Self { stream: connected(address).expect("the gateway takes connections") }
    }

    /// Connects, and begins as a client must.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        let mut client = Self::silent(address);
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").frame(&Frame::new(Frame::SETTINGS, 0, 0, []));
        client
    }

    /// Sends what the gateway takes; it may have closed.
    pub fn send(&mut self, bytes: &[u8]) -> &mut Self {
        let _ = self.stream.write_all(bytes);
        self
    }

    pub fn frame(&mut self, frame: &Frame) -> &mut Self {
        self.send(&frame.bytes())
    }

    /// The next frame; `None` when the connection has ended, or nothing comes.
    pub fn receive(&mut self) -> Option<Frame> {
        let mut header = [0; 9];
        self.stream.read_exact(&mut header).ok()?;
        let [high, middle, low, kind, flags, stream @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// The first frame of one of these kinds.
    #[track_caller]
    pub fn wait_for(&mut self, kinds: &[u8]) -> Frame {
        let mut seen = Vec::new();
        while let Some(frame) = self.receive() {
            if kinds.contains(&frame.kind) {
                return frame;
            }
            seen.push(frame);
        }
        panic!("no frame of {kinds:?} but {seen:?}")
    }

    /// All frames to the end of the connection.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<Frame> {
        self.stream.set_read_timeout(Some(DEADLINE + Duration::from_secs(1))).expect("a deadline");
        std::iter::from_fn(|| self.receive()).collect()
    }

    /// The connection is alive: a ping is answered.
    #[track_caller]
    pub fn assert_alive(&mut self) {
        self.frame(&Frame::new(Frame::PING, 0, 0, *b"still on"));
        loop {
            let ping = self.wait_for(&[Frame::PING, Frame::GOAWAY]);
            assert_eq!(ping.kind, Frame::PING, "{ping:?}");
            if ping.payload == b"still on" {
                return;
            }
        }
    }
}

/// A backend's end of one connection, that reads and sends frames as they are.
pub struct FramePeer {
    frames: FrameClient,
    /// Of connections, from 0.
    pub index: usize,
}

impl FramePeer {
    /// Listens for as long as the test runs; each connection is greeted, and has a thread of its own.
    pub fn listen(script: impl Fn(&mut Self) -> Option<()> + Send + Sync + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of its own");
        let address = listener.local_addr().expect("it has an address");
        let script = Arc::new(script);
        std::thread::spawn(move || {
            for (index, stream) in listener.incoming().flatten().enumerate() {
                let script = script.clone();
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
                    let mut peer = Self { frames: FrameClient { stream }, index };
                    let mut preface = [0; 24];
                    let greeted = peer.frames.stream.read_exact(&mut preface).is_ok() && preface.starts_with(b"PRI * HTTP/2.0");
                    if greeted {
                        peer.send(&Frame::new(Frame::SETTINGS, 0, 0, []));
                        script(&mut peer);
                    }
                });
            }
        });
        address
    }

    pub fn send(&mut self, frame: &Frame) {
        self.frames.frame(frame);
    }

    /// The next frame of this kind; `None` when the connection has ended.
    pub fn wait_for(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.frames.receive()?;
            if frame.kind == Frame::SETTINGS && frame.flags & Frame::ACK == 0 {
                self.send(&Frame::new(Frame::SETTINGS, Frame::ACK, 0, []));
            }
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// `200 OK` without a body.
    pub fn answer(&mut self, stream: u32) {
        self.send(&Frame::new(
            Frame::HEADERS,
            Frame::END_HEADERS | Frame::END_STREAM,
            stream,
            fields_block(&[(":status", "200")]),
        ));
    }
}

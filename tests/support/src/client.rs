//! A client that sends bytes as they are, and requests made from parts.

use std::io::{self, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::message::{Message, Reader};
use crate::wait::DEADLINE;

/// One connection. Reads and writes give up after [`DEADLINE`].
pub struct Client {
    pub stream: TcpStream,
    pub reader: Reader,
}

/// A connection whose reads and writes give up after [`DEADLINE`].
pub(crate) fn connected(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// A connection from an address of this machine.
pub fn connect_from(address: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    // The port is chosen with the connection: one may serve several.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(address, 0).into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

impl Client {
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap_or_else(|e| panic!("connect {address}: {e}"))
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Self::on(connected(address)?)
    }

    /// On a connection that exists.
    pub fn on(stream: TcpStream) -> io::Result<Self> {
        let reader = Reader::new(stream.try_clone()?);
        Ok(Self { stream, reader })
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("the gateway takes the bytes");
        self
    }

    /// The next response, to a request with this method.
    #[track_caller]
    pub fn response(&mut self, method: &str) -> Message {
        self.reader.response(method).unwrap_or_else(|e| panic!("no answer to {method}: {e}"))
    }

    #[track_caller]
    pub fn call(&mut self, request: &Request) -> Message {
        self.send(request.bytes());
        self.response(&request.method)
    }

    /// As [`Client::call`], where the connection may be gone.
    pub fn try_call(&mut self, request: &Request) -> io::Result<Message> {
        self.stream.write_all(&request.bytes())?;
        self.reader.response(&request.method)
    }

    /// Ends the sending side; answers can still be read.
    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// The gateway closed the connection and sent nothing more.
    #[track_caller]
    pub fn assert_closed(&mut self) {
        match self.reader.is_at_end() {
            Ok(true) => {}
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => {}
            other => panic!("expected the end of the connection, got {other:?}"),
        }
    }
}

/// A request made from parts; what it does not say is not sent, except `Host` and a `Content-Length` for its body.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), fields: Vec::new(), body: Vec::new() }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: &str, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new("POST", target).field("Content-Type", content_type).body(body)
    }

    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.into(), value.as_ref().into()));
        self
    }

    pub fn host(self, host: &str) -> Self {
        self.field("Host", host)
    }

    pub fn stage(self, stage: &str) -> Self {
        self.field("X-Ca-Stage", stage)
    }

    pub fn app_code(self, code: &str) -> Self {
        self.field("Authorization", format!("APPCODE {code}"))
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().into();
        self
    }

    /// The value of the first field of this name.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_slice())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        if self.value("Host").is_none() {
            out.extend_from_slice(b"Host: api.test\r\n");
        }
        for (name, value) in &self.fields {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
        let framed = self.value("Content-Length").is_some() || self.value("Transfer-Encoding").is_some();
        if !self.body.is_empty() && !framed {
            out.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

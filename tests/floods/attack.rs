//! Floods, one function each: what a client can do with little effort, as often as it can.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lockgate_test_support::{Gateway, Request, TlsClient, connect_from};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::SockRef;

use crate::rude::{hold, patient, say, sip};

pub struct Attack<'a> {
    pub gateway: &'a Gateway,
    pub tls: &'a Arc<ClientConfig>,
    pub over: &'a AtomicBool,
}

/// Of one connection, far beyond what is listened to.
const ENDLESS: usize = 400_000;

fn post(framing: &str, body: &[u8]) -> Vec<u8> {
    [format!("POST /flood HTTP/1.1\r\nHost: api.test\r\n{framing}\r\n\r\n").as_bytes(), body].concat()
}

impl Attack<'_> {
    /// From addresses that are not the good clients'; `n` chooses one of 250.
    fn connect(&self, n: usize, to: SocketAddr) -> Option<TcpStream> {
        patient(connect_from(Ipv4Addr::new(127, 0, 2, 1 + (n % 250) as u8).into(), to).ok()?)
    }

    pub fn plain(&self) -> Option<TcpStream> {
        self.connect(0, self.gateway.address)
    }

    fn secure(&self) -> Option<TcpStream> {
        self.connect(0, self.gateway.https())
    }

    /// One connection after the other.
    fn again(&self, mut visit: impl FnMut(usize)) {
        (0..).take_while(|_| !self.over.load(Ordering::Relaxed)).for_each(&mut visit);
    }

    pub fn says(&self, bytes: &[u8]) {
        self.again(|_| self.plain().into_iter().for_each(|stream| say(stream, bytes)));
    }

    pub fn slow_heads(&self) {
        hold(self.over, 200, || self.plain(), b"GET /flood HTTP/1.1\r\nHost: api.test\r\nX-Slow: ", b"x");
    }

    pub fn slow_bodies(&self) {
        hold(self.over, 200, || self.plain(), &post("Content-Length: 1000000", b""), b"x");
    }

    pub fn slow_readers(&self) {
        sip(self.over, 100, || self.plain(), &Request::get("/large").bytes());
    }

    pub fn idle_connections(&self) {
        hold(self.over, 1000, || self.plain(), b"", b"");
    }

    /// All of them busy, and from one address.
    pub fn one_address(&self) {
        hold(self.over, 300, || self.plain(), &post("Content-Length: 1000000", b""), b"x");
    }

    /// Come and gone, from many addresses.
    pub fn connections(&self) {
        self.again(|n| {
            if let Some(stream) = self.connect(n, self.gateway.address) {
                // Leaves by a reset: no port waits for it to be over.
                let _ = SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
            }
        });
    }

    pub fn tiny_chunks(&self) {
        let body = [b"1\r\nx\r\n".repeat(50_000), b"0\r\n\r\n".to_vec()].concat();
        self.says(&post("Transfer-Encoding: chunked", &body));
    }

    pub fn chunk_extensions(&self) {
        self.says(&post("Transfer-Encoding: chunked", format!("1;x={}", "x".repeat(ENDLESS)).as_bytes()));
    }

    pub fn trailers(&self) {
        let body = [b"1\r\nx\r\n0\r\n".to_vec(), b"X-Trailer: x\r\n".repeat(ENDLESS / 14)].concat();
        self.says(&post("Transfer-Encoding: chunked", &body));
    }

    pub fn fields(&self) {
        self.says(&[b"GET /flood HTTP/1.1\r\nHost: api.test\r\n".to_vec(), b"a:\r\n".repeat(ENDLESS / 4)].concat());
    }

    pub fn endless_field(&self) {
        self.says(format!("GET /flood HTTP/1.1\r\nHost: api.test\r\nX: {}", "x".repeat(ENDLESS)).as_bytes());
    }

    pub fn handshakes(&self) {
        let mut config = ClientConfig::clone(self.tls);
        config.resumption = Resumption::disabled();
        let config = Arc::new(config);
        self.again(|_| _ = self.secure().map(|stream| TlsClient::on(stream, "api.test", &config)));
    }

    /// Begun, and never gone on with.
    pub fn half_handshakes(&self) {
        hold(self.over, 500, || self.secure(), &self.hello(), b"");
    }

    /// Begun a byte at a time.
    pub fn slow_handshakes(&self) {
        hold(self.over, 200, || self.secure(), &self.hello()[..5], b"\x01");
    }

    pub fn no_handshakes(&self) {
        self.again(|_| self.secure().into_iter().for_each(|stream| say(stream, &[22, 3, 1, 0, 200, 1, 0, 0, 196, 9, 9, 9])));
    }

    /// New keys, again and again, and nothing that they are for.
    pub fn key_updates(&self) {
        self.again(|_| {
            let Some(client) = self.secure().and_then(|stream| TlsClient::on(stream, "api.test", self.tls).ok()) else { return };
            let update = || client.with(|stream| stream.conn.refresh_traffic_keys().is_ok() && stream.flush().is_ok());
            let _ = (0..1000).take_while(|_| !self.over.load(Ordering::Relaxed)).all(|_| update());
        });
    }

    /// What a client says first.
    fn hello(&self) -> Vec<u8> {
        let name = ServerName::try_from("api.test").expect("a name");
        let mut hello = Vec::new();
        let mut connection = ClientConnection::new(self.tls.clone(), name).expect("a connection");
        connection.write_tls(&mut hello).expect("a hello");
        hello
    }
}

//! A scripted backend that speaks TLS, with rustls's own record layer.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

use crate::backend::Backend;
use crate::message::{Message, Reader};
use crate::tls::{Authority, Half, Identity};

pub struct TlsServer(Arc<ServerConfig>);

type Secured = StreamOwned<ServerConnection, TcpStream>;

/// One connection from the gateway, in the hands of a script.
pub struct TlsPeer {
    stream: Arc<Mutex<Secured>>,
    pub reader: Reader,
}

impl TlsServer {
    /// Every version, where none is named. `clients`: only those with a certificate of this authority.
    pub fn new(identity: &Identity, versions: &[&'static SupportedProtocolVersion], clients: Option<&Authority>) -> Self {
        let versions = if versions.is_empty() { rustls::ALL_VERSIONS } else { versions };
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                let certificate = CertificateDer::from_pem_slice(clients.pem.as_bytes()).expect("PEM");
                roots.add(certificate).expect("a certificate");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("authorities"))
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(identity.chain.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("PEM");
        Self(Arc::new(builder.with_single_cert(chain, key).expect("a key and its certificate")))
    }

    /// A backend that runs `script` on each connection once its handshake is done.
    pub fn backend(&self, script: impl Fn(&mut TlsPeer) -> io::Result<()> + Send + Sync + 'static) -> Backend {
        let config = self.0.clone();
        Backend::scripted(move |peer| {
            let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(connection, peer.stream.try_clone()?);
            while stream.conn.is_handshaking() {
                stream.conn.complete_io(&mut stream.sock)?;
            }
            let stream = Arc::new(Mutex::new(stream));
            script(&mut TlsPeer { reader: Reader::new(Half(stream.clone())), stream })
        })
    }

    /// Answers every request with what `answer` makes of it, and keeps connections alive.
    pub fn answering(&self, answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Backend {
        self.backend(move |peer| {
            while let Some(request) = peer.reader.request()? {
                peer.send(answer(&request))?;
            }
            Ok(())
        })
    }
}

impl TlsPeer {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let stream = &mut *self.stream.lock().expect("one thread");
        stream.write_all(bytes.as_ref())?;
        stream.flush()
    }

    /// Ends the session with `close_notify`, and the connection.
    pub fn end(&mut self) -> io::Result<()> {
        let stream = &mut *self.stream.lock().expect("one thread");
        stream.conn.send_close_notify();
        stream.flush()?;
        stream.sock.shutdown(Shutdown::Write)
    }

    /// Ends the connection alone, as anyone on the way can.
    pub fn cut(&mut self) -> io::Result<()> {
        self.stream.lock().expect("one thread").sock.shutdown(Shutdown::Write)
    }
}

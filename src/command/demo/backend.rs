//! The demo's backend: a small web service on monoio-http that stands in for the nginx of the walk-through. It hears
//! from nobody but the demo's gateway.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use monoio::io::sink::{Sink, SinkExt};
use monoio::io::stream::Stream;
use monoio::net::{TcpListener, TcpStream};
use monoio_http::common::request::Request;
use monoio_http::common::response::Response;
use monoio_http::h1::codec::ServerCodec;
use monoio_http::h1::codec::decoder::FillPayload;
use monoio_http::h1::payload::{FixedPayload, Payload};

use crate::observe::event::Event;

/// Serves from a thread of its own for the rest of the process.
pub fn start(address: SocketAddr) -> io::Result<()> {
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    std::thread::Builder::new().name("backend".into()).spawn(move || {
        // Epoll will do for a demo, and it runs where io_uring is forbidden.
        let runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().build();
        match runtime.map(|runtime| (runtime, listener)) {
            Ok((mut runtime, listener)) => runtime.block_on(accept(listener)),
            Err(error) => Event::DemoBackendFailed { error: &error }.tell(),
        }
    })?;
    Ok(())
}

async fn accept(listener: StdListener) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        monoio::spawn(serve(stream));
    }
}

async fn serve(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut codec = ServerCodec::new(stream);
    while let Some(Ok(request)) = codec.next().await {
        // What was sent with the request is read, so that the next request is found behind it.
        if codec.fill_payload().await.is_err() || codec.send_and_flush(answer(&request)).await.is_err() {
            break;
        }
    }
    let _ = Sink::<Response>::close(&mut codec).await;
}

fn answer(request: &Request) -> Response {
    let mut page = String::from("<h1>Welcome</h1>\n<p>A backend in the VPC was asked:</p>\n<pre>\n");
    page.push_str(&escaped(&format!("{} {}\n{}", request.method(), request.uri(), fields(request.headers()))));
    page.push_str("</pre>\n");
    let mut response = Response::new(Payload::Fixed(FixedPayload::new(page.into())));
    *response.status_mut() = StatusCode::OK;
    let fields = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::SERVER, "lockgate-demo-backend")];
    response.headers_mut().extend(fields.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

fn fields(headers: &HeaderMap) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

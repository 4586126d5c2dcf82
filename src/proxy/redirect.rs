//! Calls over HTTP that are sent to HTTPS.

use super::connection::{After, Connection};
use super::refuse::answer;
use super::request::Request;
use super::story::Story;
use crate::catalog::Scheme;
use crate::http::serialise::HeadWriter;
use crate::http::target::{host_of, parse_target};

const HTTPS_PORT: u16 = 443;

/// Tells the client to call again over HTTPS, at the same domain, path and query.
pub async fn redirect(c: &Connection, request: &mut Request, story: &Story) -> After {
    // A method that is not safe stays what it is (RFC 9110, section 15.4.9); older clients know the first alone.
    let status = if matches!(request.view().method(), b"GET" | b"HEAD") { 301 } else { 308 };
    story.status.set(status);
    answer(c, request, status, true, story, write_location).await
}

fn write_location(request: &Request, writer: &mut HeadWriter<'_>) {
    let view = request.view();
    let Ok(target) = parse_target(view.method(), view.target()) else { return };
    let Ok(host) = host_of(&view, &target) else { return };
    let listeners = || request.tables.catalog.listeners.iter().filter(|listener| listener.scheme == Scheme::Https);
    let standard = listeners().any(|listener| listener.address.port() == HTTPS_PORT);
    let port = if standard { None } else { listeners().next().map(|listener| listener.address.port()) };
    writer.bytes(b"Location: https://");
    writer.bytes(host);
    if let Some(port) = port.filter(|&port| port != HTTPS_PORT) {
        writer.bytes(b":");
        writer.number(port.into());
    }
    writer.bytes(target.path);
    if let Some(query) = target.query {
        writer.bytes(b"?");
        writer.bytes(query);
    }
    writer.bytes(b"\r\n");
}

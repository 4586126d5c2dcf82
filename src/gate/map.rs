//! Client request -> backend request: what passes, what is replaced, what never leaves the gateway.
//!
//! Written in one pass, without allocation. Every byte comes from the parsed head, from the catalog, or from the
//! gateway itself; parameters of the path are decoded and encoded anew, so that none of them ends a line, a segment or
//! the path.

mod path;
mod query;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use query::write_query;

use super::{Call, Forward, Tables, hops};
use crate::catalog::{
    Api, AppCodePlace, Authentication, Backend, BackendInstance, Group, PathTemplate, Scheme, VpcAccess, VpcAccessId,
};
use crate::http::connection::HopByHop;
use crate::http::field::FieldId;
use crate::http::framing::BodyLength;
use crate::http::head::{RequestView, Version};
use crate::http::serialise::{HeadWriter, PassingLines};

/// What the proxy knows and the gate does not: the instance picked, the id of the request, how the body goes out.
pub struct Outgoing<'a> {
    pub instance: &'a BackendInstance,
    /// Upper-case UUID.
    pub request_id: &'a [u8; 36],
    pub body: BodyLength,
    /// The request came by HTTP/2.
    pub http2: bool,
}

/// Where a call goes, and how long its backend may take from the end of the request to the head of the answer.
pub fn backend_of<'t>(tables: &'t Tables, forward: &Forward) -> (&'t VpcAccess, VpcAccessId, Duration) {
    let backend = Target::of(&tables.catalog.apis[forward.api.index()]);
    (&tables.catalog.vpc_accesses[backend.vpc_access.index()], backend.vpc_access, backend.timeout)
}

/// The method that the backend sees: the definition's, or the client's.
pub fn method_to_backend<'a>(request: &RequestView<'a>, forward: &Forward, tables: &'a Tables) -> &'a [u8] {
    let backend = Target::of(&tables.catalog.apis[forward.api.index()]);
    backend.method.map_or(request.method(), str::as_bytes)
}

/// Writes the head of the backend request, its empty line included.
pub fn write_request(call: &Call<'_>, forward: &Forward, tables: &Tables, out: &Outgoing<'_>, writer: &mut HeadWriter<'_>) {
    let api = &tables.catalog.apis[forward.api.index()];
    let group = &tables.catalog.groups[api.group.index()];
    let backend = Target::of(api);
    let method = method_to_backend(&call.request, forward, tables);

    writer.bytes(method);
    writer.bytes(b" ");
    path::write(call.target.path, &forward.path, &api.path, backend.path, writer);
    write_query(call.target.query, !group.forward_app_code && takes_app_code_in_query(api), writer);
    writer.bytes(b" HTTP/1.1\r\n");

    write_host(&tables.catalog.vpc_accesses[backend.vpc_access.index()], out.instance, writer);
    write_client_fields(call, group, writer);
    write_forwarded_for(call, writer);
    writer.field(b"X-Forwarded-Proto", if call.scheme == Scheme::Https { b"https" } else { b"http" });
    if let Some(own) = &tables.catalog.instance.via {
        writer.bytes(match call.request.head.version {
            Version::Http11 if out.http2 => b"Via: 2.0 ",
            Version::Http11 => b"Via: 1.1 ",
            Version::Http10 => b"Via: 1.0 ",
        });
        writer.bytes(own.as_bytes());
        writer.bytes(b"\r\n");
    }
    if let Some(left) = hops::left(&call.request) {
        writer.number_field(b"Max-Forwards", left.saturating_sub(1));
    }
    if let Some(subject) = call.client.and_then(|client| client.subject.as_deref()) {
        writer.field(b"X-Client-S-Dn", subject.as_bytes());
    }
    writer.field(b"X-Ca-Request-Id", out.request_id);
    write_framing(method, out.body, writer);
    if let Some(protocol) = forward.upgrade.and_then(|place| api.upgrades.get(place)) {
        writer.bytes(b"Connection: upgrade\r\n");
        writer.field(b"Upgrade", protocol.as_bytes());
    }
    writer.bytes(b"\r\n");
}

/// The parts of [`Backend::Vpc`].
struct Target<'a> {
    vpc_access: VpcAccessId,
    path: &'a PathTemplate,
    method: Option<&'a str>,
    timeout: Duration,
}

impl<'a> Target<'a> {
    fn of(api: &'a Api) -> Self {
        let Backend::Vpc { vpc_access, path, method, timeout } = &api.backend;
        Self { vpc_access: *vpc_access, path, method: method.as_deref(), timeout: *timeout }
    }
}

fn takes_app_code_in_query(api: &Api) -> bool {
    matches!(api.authentication, Authentication::App { app_code: AppCodePlace::HeaderQuery, .. })
}

fn write_host(access: &VpcAccess, instance: &BackendInstance, writer: &mut HeadWriter<'_>) {
    writer.bytes(b"Host: ");
    match &access.host {
        Some(host) => writer.bytes(host.as_bytes()),
        None => writer.socket_address(instance.address),
    }
    writer.bytes(b"\r\n");
}

/// The client's fields, in order, without those that end here.
fn write_client_fields(call: &Call<'_>, group: &Group, writer: &mut HeadWriter<'_>) {
    let hop_by_hop = HopByHop::of_request(&call.request);
    let mut lines = PassingLines::new(call.request.buffer);
    for field in call.request.head.fields.iter() {
        let passes = match field.id {
            // A plain line has no `_` in its name.
            FieldId::Other => field.plain || !imitates_gateway(field.name.of(call.request.buffer)),
            FieldId::Authorization => group.forward_app_code || !is_app_code(field.value.of(call.request.buffer)),
            // Counted down, where it means something.
            FieldId::MaxForwards => hops::left(&call.request).is_none(),
            id => !is_ours(id),
        };
        if passes && !hop_by_hop.drops(field) {
            lines.pass(field, writer);
        }
    }
    lines.finish(writer);
}

/// Fields that the gateway writes itself, answers itself, or that are for no one behind it.
fn is_ours(id: FieldId) -> bool {
    use FieldId::*;
    matches!(
        id,
        Host | ContentLength
            | Expect
            | XCaProxy
            | XCaRequestId
            | XCaSignature
            | XCaSignatureHeaders
            | XCaSignatureMethod
            | XClientSDn
            | XForwardedFor
            | XForwardedProto
    )
}

/// The name becomes one of the gateway's own where `_` is read as `-`, as CGI and its successors do: a client's
/// `X_Forwarded_For` would pass there for the gateway's word.
fn imitates_gateway(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 4] = [b"x-forwarded-for", b"x-forwarded-proto", b"x-ca-request-id", b"x-client-s-dn"];
    let spells = |name: &[u8], known: &[u8]| {
        name.len() == known.len() && name.iter().zip(known).all(|(&a, &b)| a.eq_ignore_ascii_case(&b) || (a == b'_' && b == b'-'))
    };
    const PROXY: &[u8] = b"x-ca-proxy-";
    matches!(name, [b'x' | b'X', ..])
        && memchr::memchr(b'_', name).is_some()
        && (NAMES.iter().any(|known| spells(name, known)) || name.get(..PROXY.len()).is_some_and(|start| spells(start, PROXY)))
}

/// `Authorization: APPCODE x`; the scheme in any case.
fn is_app_code(value: &[u8]) -> bool {
    const SCHEME: &[u8] = b"APPCODE";
    value.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
        && value.get(SCHEME.len()).is_none_or(|byte| byte.is_ascii_whitespace())
}

/// The client's chain, all its lines as one, and the peer after it.
fn write_forwarded_for(call: &Call<'_>, writer: &mut HeadWriter<'_>) {
    writer.bytes(b"X-Forwarded-For: ");
    if call.request.field(FieldId::XForwardedFor).is_some() {
        let lines = call.request.fields().filter(|(id, ..)| *id == FieldId::XForwardedFor);
        for (_, _, value) in lines.filter(|(_, _, value)| !value.is_empty()) {
            writer.bytes(value);
            writer.bytes(b", ");
        }
    }
    writer.address(call.peer.to_canonical());
    writer.bytes(b"\r\n");
}

/// The body's length as it leaves (RFC 9112, section 6): never as it came.
fn write_framing(method: &[u8], body: BodyLength, writer: &mut HeadWriter<'_>) {
    match body {
        BodyLength::Exact(length) => {
            writer.bytes(b"Content-Length: ");
            writer.number(length);
            writer.bytes(b"\r\n");
        }
        BodyLength::Chunked | BodyLength::UntilClose => writer.field(b"Transfer-Encoding", b"chunked"),
        // Methods that give content a meaning say that there is none (RFC 9110, section 8.6).
        BodyLength::None if matches!(method, b"POST" | b"PUT" | b"PATCH") => writer.field(b"Content-Length", b"0"),
        BodyLength::None => {}
    }
}

//! The head of an answer as the client gets it: the backend's, without what concerned its connection alone, with our
//! own framing and the gateway's fields.

use crate::gate::policy::Told;
use crate::http::connection::HopByHop;
use crate::http::date::DATE_BYTES;
use crate::http::field::FieldId;
use crate::http::framing::BodyLength;
use crate::http::head::{ResponseView, Version};
use crate::http::serialise::{HeadWriter, PassingLines};

/// What the gateway adds.
pub struct Ours<'a> {
    /// The request was `HEAD`: the answer describes a body it does not have.
    pub to_head: bool,
    /// Of the client.
    pub version: Version,
    pub keep_alive: bool,
    pub request_id: &'a [u8; 36],
    pub date: &'a [u8; DATE_BYTES],
    /// For a caller that asked for debug information: milliseconds of the backend, and in all.
    pub latencies: Option<(u64, u64)>,
    /// What the call drew from.
    pub told: Option<&'a Told>,
}

/// Writes the client's head for a backend's final one.
pub fn write_head(answer: &ResponseView<'_>, body: BodyLength, ours: &Ours<'_>, writer: &mut HeadWriter<'_>) {
    write_status_line(answer, writer);
    write_passing_fields(answer, ours.told, writer);
    if answer.field(FieldId::Date).is_none() {
        writer.field(b"Date", ours.date);
    }
    write_framing(answer, body, ours, writer);
    write_connection(ours.version, ours.keep_alive, writer);
    writer.field(b"X-Ca-Request-Id", ours.request_id);
    if let Some(told) = ours.told {
        told.write(writer);
    }
    if let Some((service, total)) = ours.latencies {
        write_debug_info(service, total, writer);
    }
    writer.bytes(b"\r\n");
}

/// Writes the client's copy of an interim head (RFC 9110, section 15.2).
pub fn write_interim(answer: &ResponseView<'_>, writer: &mut HeadWriter<'_>) {
    write_status_line(answer, writer);
    write_passing_fields(answer, None, writer);
    writer.bytes(b"\r\n");
}

/// Writes the client's head for a backend's switch to another protocol.
pub fn write_switch(
    answer: &ResponseView<'_>,
    protocol: &str,
    request_id: &[u8; 36],
    told: Option<&Told>,
    writer: &mut HeadWriter<'_>,
) {
    write_status_line(answer, writer);
    write_passing_fields(answer, told, writer);
    writer.bytes(b"Connection: upgrade\r\n");
    writer.field(b"Upgrade", protocol.as_bytes());
    writer.field(b"X-Ca-Request-Id", request_id);
    if let Some(told) = told {
        told.write(writer);
    }
    writer.bytes(b"\r\n");
}

/// What a caller in debug mode is told: milliseconds of the backend, and in all.
pub fn write_debug_info(service_ms: u64, total_ms: u64, writer: &mut HeadWriter<'_>) {
    writer.bytes(b"X-Ca-Debug-Info: {\"ServiceLatency\":");
    writer.number(service_ms);
    writer.bytes(b",\"TotalLatency\":");
    writer.number(total_ms);
    writer.bytes(b"}\r\n");
}

/// Says whether the connection goes on, where its version does not say so by itself.
pub fn write_connection(version: Version, keep_alive: bool, writer: &mut HeadWriter<'_>) {
    match (version, keep_alive) {
        (Version::Http11, true) | (Version::Http10, false) => {}
        (Version::Http11, false) => writer.bytes(b"Connection: close\r\n"),
        (Version::Http10, true) => writer.bytes(b"Connection: keep-alive\r\n"),
    }
}

fn write_status_line(answer: &ResponseView<'_>, writer: &mut HeadWriter<'_>) {
    writer.bytes(b"HTTP/1.1 ");
    writer.number(answer.head.status.into());
    writer.bytes(b" ");
    writer.bytes(answer.reason());
    writer.bytes(b"\r\n");
}

fn write_passing_fields(answer: &ResponseView<'_>, told: Option<&Told>, writer: &mut HeadWriter<'_>) {
    let hop_by_hop = HopByHop::of_response(answer);
    let mut lines = PassingLines::new(answer.buffer);
    for field in answer.head.fields.iter() {
        match field.id {
            // Framing is ours to say.
            FieldId::ContentLength | FieldId::TransferEncoding => {}
            // The gateway's own words: a backend's would be taken for them.
            FieldId::XCaRequestId | FieldId::XCaErrorCode | FieldId::XCaErrorMessage => {}
            FieldId::Other if told.is_some_and(|told| told.is_named(field.name.of(answer.buffer))) => {}
            _ if hop_by_hop.drops(field) => {}
            _ => lines.pass(field, writer),
        }
    }
    lines.finish(writer);
}

fn write_framing(answer: &ResponseView<'_>, body: BodyLength, ours: &Ours<'_>, writer: &mut HeadWriter<'_>) {
    match body {
        BodyLength::Exact(n) => {
            writer.bytes(b"Content-Length: ");
            writer.number(n);
            writer.bytes(b"\r\n");
        }
        // The length of the body that is not sent (RFC 9110, section 8.6); checked to be a number by the framing.
        BodyLength::None if ours.to_head || answer.head.status == 304 => {
            if let Some(length) = answer.field(FieldId::ContentLength) {
                writer.field(b"Content-Length", length);
            }
        }
        BodyLength::None if answer.head.status == 204 => {}
        BodyLength::None => writer.bytes(b"Content-Length: 0\r\n"),
        BodyLength::Chunked | BodyLength::UntilClose if ours.version == Version::Http11 => {
            writer.bytes(b"Transfer-Encoding: chunked\r\n");
        }
        // Ends with the connection.
        BodyLength::Chunked | BodyLength::UntilClose => {}
    }
}

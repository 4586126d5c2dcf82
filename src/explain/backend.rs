//! The backend request that would be sent.

use super::places::{Part, Places};
use super::request::RawRequest;
use super::{Step, places};
use crate::catalog::{BackendInstance, VpcAccess};
use crate::gate::map::{Outgoing, backend_of, write_request};
use crate::gate::{Call, ErrorCode, Forward, Refusal, Tables};
use crate::http::framing::BodyLength;
use crate::http::serialise::HeadWriter;
use crate::tls::client::Client;

/// Stands for the id that each request gets of its own.
const REQUEST_ID: &[u8; 36] = b"00000000-0000-4000-8000-000000000000";

/// The largest head, in bytes.
const HEAD_BYTES: usize = 128 * 1024;

/// The steps, and the head of the request to the first instance.
pub fn request(
    call: &Call<'_>,
    forward: &Forward,
    tables: &Tables,
    request: &RawRequest,
    places: &places::Places<'_>,
) -> Result<(Vec<Step>, String), Refusal> {
    let (access, _, timeout) = backend_of(tables, forward);
    let instance = access.instances.first().ok_or(Refusal::new(ErrorCode::D504CO))?;
    // A form that was read for its signature goes out with its length.
    let body = match (call.form, request.framing()) {
        (Some(form), BodyLength::Chunked) => BodyLength::Exact(form.len() as u64),
        (_, body) => body,
    };
    let mut buffer = vec![0; HEAD_BYTES];
    let mut writer = HeadWriter::new(&mut buffer);
    write_request(call, forward, tables, &Outgoing { instance, request_id: REQUEST_ID, body, http2: false }, &mut writer);
    let length = writer.finish().ok_or(Refusal::new(ErrorCode::I413UL))?;
    let addresses: Vec<String> = access.instances.iter().map(|instance| instance.address.to_string()).collect();
    let api = tables.catalog.apis.get(forward.api.index());
    let step = Step {
        name: "backend",
        passed: true,
        says: format!(
            "the VPC access `{}`, one of {}{}, within {} ms{}",
            access.name,
            addresses.join(", "),
            over(access, instance),
            timeout.as_millis(),
            named(access, places)
        ),
        place: api.and_then(|api| places.api(api, Part::Backend)),
    };
    let variables = api.map(|api| places.variables(api)).unwrap_or_default();
    let mut steps: Vec<Step> = variables
        .into_iter()
        .map(|(name, value, place)| Step {
            name: "variable",
            passed: true,
            says: format!("`#{name}#` is `{value}` in this stage"),
            place: Some(place),
        })
        .collect();
    steps.push(step);
    Ok((steps, shown(&buffer[..length])))
}

/// How it is spoken to.
fn over(access: &VpcAccess, instance: &BackendInstance) -> String {
    let asked_for = |tls: &Client| format!(", over HTTPS as `{}`", tls.name(instance.address.ip()).to_str());
    access.tls.as_ref().map_or(String::new(), asked_for)
}

/// The document of the VPC access.
fn named(access: &VpcAccess, places: &Places<'_>) -> String {
    let place = places.vpc_access(access);
    place.map_or(String::new(), |place| format!(" ({})", place.source.path.display()))
}

/// A head as text, without the AppCode that a group may have passed on.
fn shown(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let lines = text.split("\r\n").map(|line| match line.split_once(": ") {
        Some((name, value)) if name.eq_ignore_ascii_case("authorization") && !value.is_empty() => {
            format!("{name}: [not shown]")
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned() + "\n"
}

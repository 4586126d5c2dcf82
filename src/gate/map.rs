//! Client request -> backend request.

use super::{Call, Forward, Tables};
use crate::catalog::BackendInstance;
use crate::http::framing::BodyLength;
use crate::http::serialise::HeadWriter;

/// What the proxy knows and the gate does not: the instance picked, the id of the request, how the body goes out.
pub struct Outgoing<'a> {
    pub instance: &'a BackendInstance,
    /// Upper-case UUID.
    pub request_id: &'a [u8; 36],
    pub body: BodyLength,
}

/// Writes the head of the backend request, its empty line included.
pub fn write_request(_call: &Call<'_>, _forward: &Forward, _tables: &Tables, _out: &Outgoing<'_>, _writer: &mut HeadWriter<'_>) {
    todo!()
}

//! Calls for the options of an API that are to go no further than the gateway (`Max-Forwards: 0`).

use super::connection::{After, Connection};
use super::refuse::answer;
use super::request::Request;
use super::story::Story;
use crate::catalog::{ApiId, MethodSet};
use crate::http::serialise::HeadWriter;

/// Answers as the final recipient: with the methods that the API takes (RFC 9110, sections 7.6.2 and 9.3.7).
pub async fn options(c: &Connection, request: &mut Request, api: ApiId, story: &Story) -> After {
    story.status.set(200);
    let allow = |request: &Request, writer: &mut HeadWriter<'_>| {
        // Of an API that takes any method there is nothing to say.
        let Some(MethodSet::These(methods)) = request.tables.catalog.apis.get(api.index()).map(|api| &api.methods) else {
            return;
        };
        for (n, method) in methods.iter().enumerate() {
            writer.bytes(if n == 0 { b"Allow: " } else { b", " });
            writer.bytes(method.as_bytes());
        }
        writer.bytes(b"\r\n");
    };
    answer(c, request, 200, true, story, allow).await
}

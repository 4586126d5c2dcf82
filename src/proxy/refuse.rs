//! Answers of the gateway's own making: the product's error code and message in the head, and no body.

use super::connection::{After, Connection};
use super::request::Request;
use super::response_head::{write_connection, write_debug_info};
use super::story::Story;
use crate::gate::Refusal;
use crate::http::framing::BodyLength;
use crate::http::serialise::HeadWriter;
use crate::observe::record::Ended;

/// Tells the client why its request does not pass.
pub async fn refuse(c: &Connection, request: &mut Request, refusal: &Refusal, story: &Story) -> After {
    story.refused(refusal);
    let write = |_: &Request, writer: &mut HeadWriter<'_>| {
        writer.field(b"X-Ca-Error-Code", refusal.code.as_str().as_bytes());
        writer.bytes(b"X-Ca-Error-Message: ");
        refusal.write_message(writer);
        writer.bytes(b"\r\n");
        refusal.write_fields(writer);
    };
    answer(c, request, refusal.code.status(), !refusal.closes(), story, write).await
}

/// Answers with a head alone. `may_go_on`: the answer itself is no reason to close; `write`: the fields that say what it
/// is about.
pub async fn answer(
    c: &Connection,
    request: &mut Request,
    status: u16,
    may_go_on: bool,
    story: &Story,
    write: impl FnOnce(&Request, &mut HeadWriter<'_>),
) -> After {
    // The next request can only be found where the body of this one is all there.
    let whole = request.next_at.is_some()
        || request.framing.body == BodyLength::None
        || (matches!(request.framing.body, BodyLength::Exact(_)) && request.first_part(false).is_ok_and(|(_, p)| p.ended));
    let keep_alive = whole && request.framing.keep_alive && may_go_on && c.may_go_on();
    c.watch.answer_begins();

    let mut block = c.core.blocks.small();
    block.fill_with(|room| {
        let mut writer = HeadWriter::new(room);
        writer.status_line(status);
        writer.field(b"Date", &c.core.clock.date());
        writer.bytes(b"Content-Length: 0\r\n");
        write_connection(request.head.version, keep_alive, &mut writer);
        writer.field(b"X-Ca-Request-Id", &request.id);
        write(request, &mut writer);
        if story.debug.get() {
            let (service, total) = story.latencies(c);
            write_debug_info(service, total, &mut writer);
        }
        writer.bytes(b"\r\n");
        writer.finish()
    });
    let len = block.len();
    let (result, block) = c.send(block).await;
    c.core.blocks.put(block);
    match result {
        Ok(()) => story.sent(len),
        Err(_) => {
            story.ended.set(Ended::ClientGone);
            return After::Close;
        }
    }
    if keep_alive {
        request.next_at = request.next_at.or(Some(request.head.len));
        After::Next(None)
    } else {
        After::Linger
    }
}

//! The head of a stream's request, spelled as in HTTP/1.1 for the one parser of heads (RFC 9113, section 8.3.1).
//!
//! `h2` has refused what is no request: upper-case names, fields of one connection, pseudo-fields that are missing,
//! repeated or come late. What is left to disagree on is spelled so that the parser refuses it: two hosts, an authority
//! that is none, a length beside chunks.

use h2::ext::Protocol;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, TRAILER};
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::http::serialise::HeadWriter;

/// Writes the head. `ended`: there is no body.
pub fn write_head(request: &Parts, ended: bool, writer: &mut HeadWriter<'_>) {
    let authority = request.uri.authority().map(|authority| authority.as_str());
    writer.bytes(request.method.as_str().as_bytes());
    writer.bytes(b" ");
    let path = request.uri.path_and_query().map(|path| path.as_str()).filter(|path| !path.is_empty());
    // A request for a tunnel has an authority alone (section 8.5).
    let target = if request.method == Method::CONNECT { authority } else { path };
    writer.bytes(target.unwrap_or("*").as_bytes());
    writer.bytes(b" HTTP/1.1\r\n");
    if let Some(authority) = authority {
        writer.field(b"host", authority.as_bytes());
    }
    let chunked = comes_in_chunks(&request.headers, ended);
    write_fields(&request.headers, authority, chunked, writer);
    if chunked {
        writer.field(b"transfer-encoding", b"chunked");
    }
    writer.bytes(b"\r\n");
}

/// The request asks for another protocol on its stream (RFC 8441).
pub fn asks_for_protocol(request: &Parts) -> bool {
    request.extensions.get::<Protocol>().is_some()
}

/// The body of these fields is spelled in chunks: its length has not been said, or trailers have been announced, which HTTP/1.1 has in chunks
/// alone. (RFC 9110, section 6.6.2: a sender should announce them. Those that come unannounced beside a length are dropped, as
/// section 6.5.1 has it; the length itself has been held against the data by `h2`.)
pub fn comes_in_chunks(fields: &HeaderMap, ended: bool) -> bool {
    !ended && (!fields.contains_key(CONTENT_LENGTH) || fields.contains_key(TRAILER))
}

fn write_fields(fields: &HeaderMap, authority: Option<&str>, chunked: bool, writer: &mut HeadWriter<'_>) {
    let is_the_authority = |host: &[u8]| authority.is_some_and(|authority| authority.as_bytes().eq_ignore_ascii_case(host));
    for name in fields.keys() {
        let values = fields.get_all(name).iter().map(|value| value.as_bytes());
        match name {
            // Crumbs are one field again (section 8.2.3).
            name if name == COOKIE => {
                writer.bytes(b"cookie: ");
                for (n, crumb) in values.enumerate() {
                    writer.bytes(if n == 0 { b"" } else { b"; " });
                    writer.bytes(crumb);
                }
                writer.bytes(b"\r\n");
            }
            // Says the same, or there are two.
            name if name == HOST => {
                values.filter(|host| !is_the_authority(host)).for_each(|host| writer.field(b"host", host));
            }
            name if name == CONTENT_LENGTH && chunked => {}
            name => values.for_each(|value| writer.field(name.as_str().as_bytes(), value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn spelled(request: http::request::Builder, ended: bool) -> String {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut room = [0; 1000];
        let mut writer = HeadWriter::new(&mut room);
        write_head(&parts, ended, &mut writer);
        let len = writer.finish().unwrap();
        String::from_utf8(room[..len].to_vec()).unwrap()
    }

    #[test]
    fn a_head_has_its_fields_in_order() {
        let request = Request::get("http://api.test:80/a?b=c").header("x-b", "1").header("a", "2").header("x-b", "3");
        let expected = "GET /a?b=c HTTP/1.1\r\nhost: api.test:80\r\nx-b: 1\r\nx-b: 3\r\na: 2\r\n\r\n";
        assert_eq!(spelled(request, true), expected);
    }

    #[test]
    fn a_body_has_its_length_or_comes_in_chunks() {
        let post = || Request::post("http://a/");
        assert_eq!(spelled(post(), true), "POST / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(spelled(post(), false), "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        let long = post().header("content-length", "5");
        assert_eq!(spelled(long, false), "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n");
    }

    #[test]
    fn announced_trailers_need_chunks() {
        let announced = || Request::post("http://a/").header("content-length", "5").header("trailer", "x-sum");
        let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(spelled(announced(), false), chunked);
        let whole = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntrailer: x-sum\r\n\r\n";
        assert_eq!(spelled(announced(), true), whole);
    }

    #[test]
    fn crumbs_are_one_cookie() {
        let request = Request::get("http://a/").header("cookie", "a=1").header("x", "y").header("cookie", "b=2");
        assert_eq!(spelled(request, true), "GET / HTTP/1.1\r\nhost: a\r\ncookie: a=1; b=2\r\nx: y\r\n\r\n");
    }

    #[test]
    fn a_host_that_differs_is_a_second_one() {
        let with_host = |host| Request::get("http://Api.test/").header("host", host);
        assert_eq!(spelled(with_host("api.TEST"), true), "GET / HTTP/1.1\r\nhost: Api.test\r\n\r\n");
        let two = "GET / HTTP/1.1\r\nhost: Api.test\r\nhost: other.test\r\n\r\n";
        assert_eq!(spelled(with_host("other.test"), true), two);
        assert_eq!(spelled(Request::get("/").header("host", "a"), true), "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }

    #[test]
    fn targets_without_a_path() {
        assert_eq!(spelled(Request::options("*").header("host", "a"), true), "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n");
        let connect = Request::builder().method("CONNECT").uri("a:443");
        assert_eq!(spelled(connect, false), "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\ntransfer-encoding: chunked\r\n\r\n");
    }
}

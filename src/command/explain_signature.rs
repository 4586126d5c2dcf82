//! `lockgate explain-signature`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::catalog::{self, Catalog, Limits, Scheme};
use crate::gate::authenticate::Scratch;
use crate::gate::authenticate::apps::Apps;
use crate::gate::authenticate::explain::{Explanation, explain};
use crate::gate::{Call, Refusal};
use crate::http::chunked::{Decoder, Output};
use crate::http::framing::{BodyLength, request_framing};
use crate::http::head::{Parsed, RequestHead, RequestView, parse_request};
use crate::http::target::parse_target;

/// Tell why the signature of a request is refused
#[derive(Args)]
pub struct ExplainSignature {
    /// The request as it was sent: request line, headers, an empty line, the body
    file: PathBuf,
}

impl ExplainSignature {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let catalog = catalog::load(config)?;
        let request = std::fs::read(&self.file).map_err(|error| Failure::file(&self.file, error))?;
        let explanation = explanation(request, &catalog, super::now_ms()?).map_err(|reason| Failure::file(&self.file, reason))?;
        write!(out, "{explanation}")?;
        Ok(())
    }
}

fn explanation(request: Vec<u8>, catalog: &Catalog, now_ms: u64) -> Result<Explanation, String> {
    let refused = |refusal: Refusal| format!("such a request is refused with {}: {:?}", refusal.code.as_str(), refusal.detail);
    let request = with_line_ends(request);
    let mut head = RequestHead::default();
    match parse_request(&request, 0, &catalog.limits.head, &mut head).map_err(|error| refused(error.into()))? {
        Parsed::Complete => {}
        Parsed::Partial => return Err("the head of the request does not end: an empty line is missing".to_owned()),
    }
    let view = RequestView { buffer: &request, head: &head };
    let target = parse_target(view.method(), view.target()).map_err(|error| refused(error.into()))?;
    let framing = request_framing(&view).map_err(|error| refused(error.into()))?;
    let body = body(&request[head.len..], framing.body, &catalog.limits)?;
    let call = Call {
        request: view,
        target,
        scheme: Scheme::Http,
        peer: [127, 0, 0, 1].into(),
        client: None,
        form: Some(&body),
        now_ms,
    };
    explain(&call, catalog, &Apps::build(catalog), &mut Scratch::default()).map_err(refused)
}

/// The content of the body, without its framing.
fn body(rest: &[u8], length: BodyLength, limits: &Limits) -> Result<Vec<u8>, String> {
    let mut body = rest.to_vec();
    match length {
        BodyLength::None => body.clear(),
        BodyLength::Exact(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if body.len() < length {
                return Err(format!("the body has {} bytes, but Content-Length says {length}", body.len()));
            }
            // An editor may have added a line end.
            body.truncate(length);
        }
        BodyLength::Chunked => {
            let step = Decoder::new().decode(&mut body, Output::Content, &limits.chunked);
            let step = step.map_err(|error| format!("the chunks of the body: {error:?}"))?;
            if !step.done {
                return Err("the chunked body does not end".to_owned());
            }
            body.truncate(step.output.end);
            body.drain(..step.output.start);
        }
        BodyLength::UntilClose => {}
    }
    Ok(body)
}

/// A head that was saved with bare line feeds gets the line ends that it was sent with.
fn with_line_ends(request: Vec<u8>) -> Vec<u8> {
    let first_line = request.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
    if first_line.ends_with(b"\r\n") {
        return request;
    }
    let mut restored = Vec::with_capacity(request.len() + 64);
    let mut lines = request.split_inclusive(|&byte| byte == b'\n');
    for line in lines.by_ref() {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        restored.extend_from_slice(text);
        restored.extend_from_slice(b"\r\n");
        if text.is_empty() {
            break;
        }
    }
    lines.for_each(|line| restored.extend_from_slice(line));
    restored
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::authenticate::explain::Finding;
    use crate::gate::authenticate::tests::request::catalog;

    fn explained(text: &str) -> Result<Explanation, String> {
        explanation(text.as_bytes().to_vec(), &catalog(), 1_646_365_291_734)
    }

    /// A published request (`p003` of the vectors), as an editor saves it.
    const FORM: &str = "POST /Third/User/getNyAccessToken HTTP/1.1\nHost: a\naccept: application/json\n\
        content-type: application/x-www-form-urlencoded\nx-ca-timestamp: 1646646682418\n\
        x-ca-nonce: ca5a6753-b76c-4fff-a9d9-e5bb643e8cdf\nx-ca-key: appKey\n\
        x-ca-signature-headers: x-ca-key,x-ca-nonce,x-ca-timestamp\nx-ca-signature: gmf9xq0hc95Hmt+7G+OocS009ka3v1v0rvfshKzYc3w=\n";
    const BODY: &str = "nickname=nickname&room_id=6893&uuid=uuid&photo=photo";

    #[test]
    fn a_saved_request_is_read_with_its_body() {
        let exact = format!("{FORM}Content-Length: {}\n\n{BODY}\n", BODY.len());
        assert_eq!(explained(&exact).unwrap().finding, Finding::Good);
        let chunked = format!("{FORM}Transfer-Encoding: chunked\n\n{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
        assert_eq!(explained(&chunked).unwrap().finding, Finding::Good);
        assert_eq!(explained(&chunked.replace("\n", "\r\n").replace("\r\r", "\r")).unwrap().finding, Finding::Good);
        let none = explained(&format!("{FORM}\n")).unwrap().finding;
        assert!(matches!(none, Finding::Unknown), "{none:?}");
    }

    #[test]
    fn what_is_no_request_is_said_to_be_so() {
        assert!(explained(FORM).unwrap_err().contains("an empty line is missing"));
        assert!(explained(&format!("{FORM}Content-Length: 99\n\n{BODY}")).unwrap_err().contains("52 bytes"));
        assert!(explained(&format!("{FORM}Transfer-Encoding: chunked\n\n5\r\nab")).unwrap_err().contains("does not end"));
        assert!(explained("GET / HTTP/1.1\nHost: a\n\n").unwrap_err().contains("A400MA"));
    }
}

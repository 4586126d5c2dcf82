//! `lockgate explain-signature`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::catalog::{self, Catalog, Scheme};
use crate::explain::{Circumstances, RawRequest, Unreadable};
use crate::gate::Refusal;
use crate::gate::authenticate::Scratch;
use crate::gate::authenticate::apps::Apps;
use crate::gate::authenticate::explain::{Explanation, explain};

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
    let request = RawRequest::read(request, &catalog.limits).map_err(|why| match why {
        Unreadable::Refused(refusal) => refused(refusal),
        Unreadable::Incomplete(why) => why,
    })?;
    let circumstances = Circumstances { scheme: Scheme::Http, peer: [127, 0, 0, 1].into(), now_ms };
    let call = request.call(circumstances, true).map_err(refused)?;
    explain(&call, catalog, &Apps::build(catalog), &mut Scratch::default()).map_err(refused)
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

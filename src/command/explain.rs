//! `lockgate explain`

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::change::author;
use super::curl_like::{RequestArguments, Url, has};
use super::format::Format;
use super::progress::Progress;
use crate::catalog::{self, STAGES, Scheme};
use crate::document::Layout;
use crate::explain::{Circumstances, Outcome, RawRequest, Unreadable, explain};
use crate::publish::{Request, Target, preview};

/// The request would be refused.
const REFUSED: u8 = 3;

/// Longest request file, in bytes.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Args)]
#[command(after_help = "Exit code: 0 the request passes, 3 it is refused, 1 it cannot be decided.")]
pub struct Explain {
    /// The URL to call, or its path and query
    #[arg(value_name = "URL|PATH", required_unless_present = "request", conflicts_with = "request")]
    target: Option<String>,
    #[command(flatten)]
    arguments: RequestArguments,
    /// A request as it was sent: request line, headers, an empty line, the body; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "headers", "data"])]
    request: Option<PathBuf>,
    /// Sets X-Ca-Stage
    #[arg(long, conflicts_with = "request")]
    stage: Option<String>,
    /// As if the drafts were published to the stage: all of them, or those of a GROUP or a GROUP/API
    #[arg(long, value_name = "GROUP/API", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    draft: Option<String>,
    /// The request comes over https; with a URL, that says so
    #[arg(long)]
    https: bool,
    /// Where the request comes from
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    peer: IpAddr,
    /// When it comes, RFC 3339; otherwise now
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Explain {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let layout = match &self.draft {
            Some(draft) => self.published(config, draft)?,
            None => Layout::new(config),
        };
        let catalog = catalog::load_layout(layout.clone())?;
        let text = match (&self.request, &self.target) {
            (Some(file), _) => read(file)?,
            (None, Some(target)) => self.spelled(target)?,
            (None, None) => return Err(Failure::new("there is no request")),
        };
        let https = self.https || self.target.as_deref().is_some_and(|target| Url::parse(target).https);
        let now_ms = match self.at {
            Some(time) => u64::try_from(time.as_millisecond()).unwrap_or(0),
            None => super::now_ms()?,
        };
        let scheme = if https { Scheme::Https } else { Scheme::Http };
        let request = RawRequest::read(text, &catalog.limits).map_err(unreadable)?;
        let circumstances = Circumstances { scheme, peer: self.peer, now_ms };
        let explanation =
            explain(&request, circumstances, catalog, &layout).map_err(|refusal| unreadable(Unreadable::Refused(refusal)))?;
        match self.format {
            Format::Text => write!(out, "{explanation}")?,
            Format::Json => writeln!(out, "{:#}", explanation.to_json())?,
        }
        match explanation.outcome {
            Outcome::Forward { .. } | Outcome::Options => Ok(()),
            Outcome::Redirect | Outcome::Refuse(_) => Err(Failure::silent().code(REFUSED)),
        }
    }

    /// The config directory with drafts published.
    fn published(&self, config: &Path, draft: &str) -> Result<Layout, Failure> {
        let target = if draft.is_empty() { Target::All } else { Target::These(vec![draft.to_owned()]) };
        // A stage of a group is written as the group has it, those of every group in any case, as in X-Ca-Stage.
        let asked = self.stage.as_deref().unwrap_or(STAGES[0]);
        let stage = STAGES.into_iter().find(|stage| stage.eq_ignore_ascii_case(asked)).unwrap_or(asked).to_owned();
        let request = Request { target, stage, author: author(None, String::new()) };
        let progress = Progress::new();
        let preview = preview(config, &request, &|what, done, all| progress.show(what, done, all))?;
        Ok(preview.layout)
    }

    /// The request that the arguments spell.
    fn spelled(&self, target: &str) -> Result<Vec<u8>, Failure> {
        let url = Url::parse(target);
        let mut headers = self.arguments.headers()?;
        if let Some(authority) = url.authority.filter(|_| !has(&headers, "Host")) {
            headers.insert(0, ("Host".to_owned(), authority.to_owned()));
        }
        if !has(&headers, "Host") {
            return Err(Failure::new("no Host: give a URL, or -H 'Host: DOMAIN'"));
        }
        headers.extend(self.stage.clone().map(|stage| ("X-Ca-Stage".to_owned(), stage)));
        let body = self.arguments.body();
        if self.arguments.data.is_some() {
            let form = "application/x-www-form-urlencoded; charset=UTF-8";
            if !has(&headers, "Content-Type") {
                headers.push(("Content-Type".to_owned(), form.to_owned()));
            }
            if !has(&headers, "Content-Length") && !has(&headers, "Transfer-Encoding") {
                headers.push(("Content-Length".to_owned(), body.len().to_string()));
            }
        }
        let mut text = format!("{} {} HTTP/1.1\r\n", self.arguments.method(), url.request_target());
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        Ok([text.as_bytes(), body].concat())
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().take(FILE_BYTES).read_to_end(&mut text),
        false => std::fs::File::open(file).and_then(|file| file.take(FILE_BYTES).read_to_end(&mut text)),
    };
    read.map_err(|error| Failure::file(file, error))?;
    Ok(text)
}

/// Refused before there is anything to decide, or not whole.
fn unreadable(why: Unreadable) -> Failure {
    match why {
        Unreadable::Refused(refusal) => {
            let words = crate::explain::message(&refusal);
            Failure::new(format!("refused for its head: {} {words}", refusal.code.as_str())).code(REFUSED)
        }
        Unreadable::Incomplete(why) => Failure::new(why),
    }
}

//! The gateway's own code as the proxy uses it, without sockets: what it reads of a client's or backend's bytes, and what
//! it would send on. Bytes may arrive in pieces, cut anywhere.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use lockgate::catalog::{self, Catalog, Scheme};
use lockgate::gate::map::{Outgoing, backend_of, write_request};
use lockgate::gate::{Call, Scratch, Shared, Tables, Verdict, decide};
use lockgate::http::chunked::ChunkLimits;
use lockgate::http::framing::{BodyLength, RequestFraming, request_framing, response_framing};
use lockgate::http::head::{
    Fields, HeadLimits, Parsed, RequestHead, RequestView, ResponseHead, ResponseView, Version, parse_request, parse_response,
};
use lockgate::http::serialise::HeadWriter;
use lockgate::http::target::{host_of, parse_target};
use lockgate::proxy::response_head::{Ours, write_head, write_interim};
use lockgate::proxy::transfer::Transfer;
use lockgate::publish::{Author, Request as Publish, Target as PublishTarget, publish};

/// Small, so that small inputs reach them.
pub const HEAD: HeadLimits = HeadLimits { start_line_bytes: 400, head_bytes: 1600, fields: 24 };
pub const CHUNKED: ChunkLimits = ChunkLimits { extension_bytes: 48, trailer_bytes: 160 };

const REQUEST_ID: &[u8; 36] = b"7AD052CB-EE8B-4DFD-BBAF-EFB340E0A5AF";
const DATE: &[u8; lockgate::http::date::DATE_BYTES] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
const ROOM: usize = 16 * 1024;

/// An instance with open APIs: `ANY /p/[one]` goes to `/q/[one]/r`, all else to where it was.
pub struct Gateway {
    tables: Tables,
    shared: Shared,
    scratch: Scratch,
}

/// A request read, and what of it would be sent on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub host: Vec<u8>,
    pub http11: bool,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub head_len: usize,
    pub keep_alive: bool,
    pub framing: &'static str,
    /// By which of the two readers of field lines: the one of plain lines, the other, or both.
    pub readers: &'static str,
    /// Bytes of the whole request.
    pub len: usize,
    /// `None`: the gate has no API for it.
    pub forwarded: Option<Vec<u8>>,
}

/// What reading a connection came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    pub whole: Vec<Request>,
    /// Sent on of a request that never became whole.
    pub partial: Vec<u8>,
    /// Why the connection ends.
    pub refused: Option<String>,
}

impl Gateway {
    pub fn new() -> Self {
        let catalog = CATALOG.clone();
        let shared = Shared::new(&catalog, 0, [7; 16]);
        let scratch = Scratch::new(&shared, 0);
        Self { tables: Tables::build(catalog, &shared), shared, scratch }
    }

    /// Reads a client's connection that ends after `bytes`, received in pieces that end at `cuts`. `bare`: bodies are
    /// looked at on their way.
    pub fn requests(&mut self, bytes: &[u8], cuts: &[usize], bare: bool) -> Requests {
        let mut found = Requests::default();
        let mut start = 0;
        while start < bytes.len() {
            match self.request(bytes, start, cuts, bare, &mut found.partial) {
                Ok(Some(request)) => {
                    start += request.len;
                    let keep_alive = request.keep_alive;
                    found.whole.push(request);
                    if !keep_alive {
                        break;
                    }
                }
                Ok(None) => break,
                Err(reason) => {
                    found.refused = Some(reason);
                    break;
                }
            }
        }
        found
    }

    fn request(
        &mut self,
        bytes: &[u8],
        start: usize,
        cuts: &[usize],
        bare: bool,
        partial: &mut Vec<u8>,
    ) -> Result<Option<Request>, String> {
        let mut head = RequestHead::default();
        let Some(received) =
            read_head(bytes, start, cuts, |buffer, scanned| parse_request(buffer, scanned, &HEAD, &mut head).map_err(debug))?
        else {
            return Ok(None);
        };
        let buffer = &bytes[start..received];
        let view = RequestView { buffer, head: &head };
        let framing = request_framing(&view).map_err(debug)?;
        let target = parse_target(view.method(), view.target()).map_err(debug)?;
        let host = host_of(&view, &target).map_err(debug)?;
        let mut request = Request {
            method: view.method().to_vec(),
            target: view.target().to_vec(),
            host: host.to_vec(),
            http11: head.version == Version::Http11,
            fields: view.fields().map(|(_, name, value)| (name.to_vec(), value.to_vec())).collect(),
            head_len: head.len,
            keep_alive: framing.keep_alive,
            framing: name_of(framing.body),
            readers: readers(&head.fields),
            ..Request::default()
        };
        let forwarded = self.forward(&view, framing)?;
        let is_forwarded = forwarded.is_some();
        let mut out = forwarded.unwrap_or_default();
        let body_at = start + head.len;
        let body = pass(Transfer::to_backend(framing.body, bare), bytes, body_at, received, cuts, false, &mut out);
        if !matches!(body, Ok(Some(_))) && is_forwarded {
            partial.clone_from(&out);
        }
        Ok(body?.map(|end| {
            request.len = end - start;
            request.forwarded = is_forwarded.then_some(out);
            request
        }))
    }

    /// The head of the backend request.
    fn forward(&mut self, view: &RequestView<'_>, framing: RequestFraming) -> Result<Option<Vec<u8>>, String> {
        let target = parse_target(view.method(), view.target()).map_err(debug)?;
        let call = Call {
            request: *view,
            target,
            body_bytes: framing.body.declared(),
            scheme: Scheme::Http,
            peer: PEER,
            client: None,
            form: None,
            now_ms: 0,
        };
        let Verdict::Forward(forward) = decide(&call, &self.tables, &self.shared, &mut self.scratch).verdict else {
            return Ok(None);
        };
        let instance = &backend_of(&self.tables, &forward).0.instances[0];
        let outgoing = Outgoing { instance, request_id: REQUEST_ID, body: framing.body, http2: false };
        Ok(Some(written(|writer| write_request(&call, &forward, &self.tables, &outgoing, writer))))
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self::new()
    }
}

/// How a backend's answer is relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub framing: &'static str,
    /// The body is whole.
    pub ended: bool,
    /// The body was found malformed on its way: the connection is broken off.
    pub broken: bool,
    /// The backend's connection may carry another request.
    pub reusable: bool,
    /// The client's connection carries another request.
    pub client_keep_alive: bool,
    /// Bytes of the backend that belong to the answer.
    pub len: usize,
    /// What the client is sent.
    pub sent: Vec<u8>,
}

/// What the client of an answer is.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub to_head: bool,
    pub http11: bool,
}

/// Relays the answer in `bytes`, received in pieces; `closed`: the backend closes after them. `None`: no whole head came.
pub fn relay(bytes: &[u8], cuts: &[usize], closed: bool, client: Client) -> Result<Option<Answer>, String> {
    let mut sent = Vec::new();
    let mut start = 0;
    let version = if client.http11 { Version::Http11 } else { Version::Http10 };
    loop {
        let mut head = ResponseHead::default();
        let Some(received) =
            read_head(bytes, start, cuts, |buffer, scanned| parse_response(buffer, scanned, &HEAD, &mut head).map_err(debug))?
        else {
            return Ok(None);
        };
        let view = ResponseView { buffer: &bytes[start..received], head: &head };
        start += head.len;
        if head.status < 200 {
            if head.status == 101 {
                return Err("101".into());
            }
            if head.status != 100 && client.http11 {
                sent.extend(written(|writer| write_interim(&view, writer)));
            }
            continue;
        }
        let framing = response_framing(&view, client.to_head).map_err(debug)?;
        let transfer = Transfer::new(framing.body, client.http11);
        let client_keep_alive = !matches!(transfer, Transfer::Raw | Transfer::Content(_));
        let (to_head, keep_alive) = (client.to_head, client_keep_alive);
        let ours = Ours { to_head, version, keep_alive, request_id: REQUEST_ID, date: DATE, latencies: None, told: None };
        sent.extend(written(|writer| write_head(&view, framing.body, &ours, writer)));
        let passed = pass(transfer, bytes, start, received, cuts, closed, &mut sent);
        let end = passed.clone().ok().flatten();
        return Ok(Some(Answer {
            status: head.status,
            framing: name_of(framing.body),
            ended: end.is_some(),
            broken: passed.is_err(),
            reusable: framing.keep_alive && end == Some(bytes.len()),
            client_keep_alive,
            len: end.unwrap_or(bytes.len()),
            sent,
        }));
    }
}

/// Reads pieces until there is a whole head; the place up to which bytes have been received, or `None` when they end first.
fn read_head(
    bytes: &[u8],
    start: usize,
    cuts: &[usize],
    mut parse: impl FnMut(&[u8], usize) -> Result<Parsed, String>,
) -> Result<Option<usize>, String> {
    let mut scanned = 0;
    for &cut in cuts.iter().filter(|&&cut| cut > start) {
        match parse(&bytes[start..cut], scanned)? {
            Parsed::Complete => return Ok(Some(cut)),
            Parsed::Partial => scanned = cut - start,
        }
    }
    Ok(None)
}

/// Passes a body on, as the proxy does: first what came with the head, then each piece. Its end, or `None` when it is
/// not whole.
fn pass(
    mut transfer: Transfer,
    bytes: &[u8],
    start: usize,
    received: usize,
    cuts: &[usize],
    closed: bool,
    out: &mut Vec<u8>,
) -> Result<Option<usize>, String> {
    let mut at = start;
    for cut in std::iter::once(received).chain(cuts.iter().copied().filter(|&cut| cut > received)) {
        let mut piece = bytes[at..cut].to_vec();
        let passed = transfer.pass(&mut piece, &CHUNKED).map_err(debug)?;
        out.extend_from_slice(passed.prefix.as_bytes());
        out.extend_from_slice(&piece[passed.output]);
        at += passed.consumed;
        if passed.ended {
            transfer.tail().iter().for_each(|part| out.extend_from_slice(part));
            return Ok(Some(at));
        }
    }
    if closed && transfer.ends_by_close() {
        transfer.tail().iter().for_each(|part| out.extend_from_slice(part));
        return Ok(Some(at));
    }
    Ok(None)
}

fn written(write: impl FnOnce(&mut HeadWriter<'_>)) -> Vec<u8> {
    let mut buffer = vec![0; ROOM];
    let mut writer = HeadWriter::new(&mut buffer);
    write(&mut writer);
    let len = writer.finish().expect("no head of these limits is as long as the room");
    buffer.truncate(len);
    buffer
}

fn readers(fields: &Fields) -> &'static str {
    let plain = fields.iter().filter(|field| field.plain).count();
    match (plain, fields.len() - plain) {
        (0, 0) => "no field",
        (_, 0) => "plain",
        (0, _) => "other",
        _ => "plain and other",
    }
}

fn debug(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

fn name_of(body: BodyLength) -> &'static str {
    match body {
        BodyLength::None => "none",
        BodyLength::Exact(_) => "length",
        BodyLength::Chunked => "chunked",
        BodyLength::UntilClose => "until close",
    }
}

/// Publishing waits for the disk: once is enough.
static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(catalog);

/// Written as documents and published, so that it is what the gateway would load.
fn catalog() -> Arc<Catalog> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let api = |name: &str, path: &str, backend: &str| {
        format!(
            "name = \"{name}\"\n[authentication]\ntype = \"none\"\n[request]\nprotocols = [\"http\"]\npath = \"{path}\"\n\
             method = \"ANY\"\nmode = \"pass-through\"\n[backend]\ntype = \"vpc\"\nvpc_access = \"v\"\npath = \"{backend}\"\n\
             method = \"ANY\"\ntimeout_ms = 1000\n"
        )
    };
    let documents = [
        ("gateway.toml", "[instance]\nname = \"fuzz\"\n[[listener]]\naddress = \"127.0.0.1:8080\"\nprotocol = \"http\"\n".into()),
        (
            "vpc-access/v.toml",
            "name = \"v\"\nvpc_id = \"vpc\"\nport = 80\n[[instance]]\nid = \"i\"\naddress = \"127.0.0.1\"\n".into(),
        ),
        ("groups/g/group.toml", "name = \"g\"\ndomains = [\"*\"]\n".into()),
        ("groups/g/apis/all.toml", api("all", "/*", "/*")),
        ("groups/g/apis/one.toml", api("one", "/p/[one]", "/q/[one]/r")),
    ];
    for (place, text) in documents {
        let file = directory.path().join(place);
        let parent = file.parent().expect("a file in the directory");
        std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&file, text)).expect("a file can be written");
    }
    let request = Publish {
        target: PublishTarget::All,
        stage: "RELEASE".into(),
        author: Author { by: "fuzz".into(), remarks: String::new(), now: Timestamp::UNIX_EPOCH },
    };
    publish(directory.path(), &request, &|_, _, _| {}).unwrap_or_else(|error| panic!("{error}"));
    catalog::load(directory.path()).unwrap_or_else(|report| panic!("{report}"))
}

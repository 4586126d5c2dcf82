//! How commands speak to the running gateway: a Unix socket in its state directory, for its owner alone. A line of JSON
//! goes in (an [`Order`]), a line comes back (an [`Answer`]). Works without the operator's listener.

use std::fmt;
use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Sender, sync_channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keeper::Event;
use super::state::{SocketPlace, State, remove_stale, shown_socket};
use crate::observe::status::Work;

/// Longest order, in bytes.
const ORDER_BYTES: u64 = 1024;
/// Longest wait for an order of someone who has connected, and for the answer to be taken.
const ORDER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait of a command for its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long no connection is taken when there is no descriptor for one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "order", deny_unknown_fields)]
pub enum Order {
    /// Put in force what the files say now, and answer when every worker runs it. What looks as it did is not read again.
    Load,
    /// The same, and every file is read.
    Reload,
    /// The same; the answer is what runs until then.
    ReloadSoon,
}

/// What an order came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What runs now.
    pub receipt: Receipt,
    /// Why the files as they are now are not served; the report as text, with places.
    pub error: Option<String>,
}

/// What runs, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub generation: u64,
    pub sha256: String,
    /// Workers that run it, of all.
    pub workers: usize,
    pub of: usize,
    pub took_us: u64,
    /// False: it ran already.
    pub changed: bool,
    /// What was done for it.
    pub work: Work,
    /// Keys that take effect when the gateway is started anew.
    pub restart_needed: Vec<String>,
    /// The config directory that the gateway reads.
    pub config: String,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, sha256, workers, of, took_us, .. } = self;
        let took_ms = took_us.div_ceil(1000);
        write!(f, "generation {generation}, sha256 {sha256}, {workers}/{of} workers, {took_ms} ms")
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// Nobody listens.
    NotRunning(String),
    Io(String, io::Error),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning(socket) => write!(f, "no gateway runs here: nobody listens on {socket}"),
            Self::Io(socket, error) => write!(f, "the gateway does not answer: {socket}: {error}"),
        }
    }
}

/// Gives an order to the gateway that uses this state directory, and waits for what it comes to.
pub fn ask(state_directory: &Path, order: Order) -> Result<Answer, NoAnswer> {
    let shown = || shown_socket(state_directory);
    let stream = SocketPlace::of(state_directory).and_then(|place| UnixStream::connect(place.path()));
    let stream = stream.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => NoAnswer::NotRunning(shown()),
        _ => NoAnswer::Io(shown(), error),
    })?;
    converse(&stream, order).map_err(|error| NoAnswer::Io(shown(), error))
}

fn converse(mut stream: &UnixStream, order: Order) -> io::Result<Answer> {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ORDER_TIMEOUT))?;
    stream.write_all(format!("{}\n", serde_json::to_string(&order)?).as_bytes())?;
    let mut line = String::new();
    if BufReader::new(stream).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}

/// Begins to listen for commands, on a thread of its own. The caller holds the state directory's lock, so that a socket
/// that is there has been left by a process that died.
pub(super) fn listen(state: &State, events: Sender<Event>) -> io::Result<()> {
    let place = SocketPlace::of(&state.directory)?;
    // Nobody may connect before its permissions are set: it is found only then.
    remove_stale(&place.new_path())?;
    let listener = UnixListener::bind(place.new_path())?;
    std::fs::set_permissions(place.new_path(), Permissions::from_mode(0o600))?;
    std::fs::rename(place.new_path(), place.path())?;
    let serve = move || {
        let _place = place;
        loop {
            match listener.accept() {
                // One after the other: who waits finds its answer made by the load before, most often.
                Ok((stream, _)) => drop(answer(&stream, &events)),
                Err(_) => std::thread::sleep(ACCEPT_PAUSE),
            }
        }
    };
    std::thread::Builder::new().name("control".into()).spawn(serve).map(drop)
}

fn answer(mut stream: &UnixStream, events: &Sender<Event>) -> io::Result<()> {
    stream.set_read_timeout(Some(ORDER_TIMEOUT))?;
    stream.set_write_timeout(Some(ORDER_TIMEOUT))?;
    let mut line = String::new();
    BufReader::new(stream.take(ORDER_BYTES)).read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    let (reply, answer) = sync_channel(1);
    events.send(Event::Asked(order, reply)).map_err(io::Error::other)?;
    let answer = answer.recv().map_err(io::Error::other)?;
    stream.write_all(format!("{}\n", serde_json::to_string(&answer)?).as_bytes())
}

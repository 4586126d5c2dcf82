//! Where the gateway's own words go: to standard error, through a bounded queue and a thread, so that whoever says
//! something never waits for whoever reads it. Lines for people, or JSON.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that may wait to be written; further ones are lost.
const LINES_WAITING: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Time, level, message.
    Text,
    /// An object a line: time, level, message, the event's name, and what it is about.
    Json,
}

enum Message {
    Line(Vec<u8>),
    /// Everything before has been written.
    Flushed(Sender<()>),
}

/// The queue.
#[derive(Clone)]
pub struct Log(SyncSender<Message>);

impl Log {
    /// From now on what is said goes to standard error in this form. A second gateway in one process finds it set.
    pub fn start(format: Format) -> io::Result<Self> {
        let (sender, lines) = sync_channel(LINES_WAITING);
        std::thread::Builder::new().name("log".into()).spawn(move || write(&lines))?;
        let log = Self(sender);
        let words = tracing_subscriber::fmt().with_writer(log.clone()).with_target(false).with_ansi(false);
        // What packages say is about their peers, and as often as those like.
        let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::INFO);
        let set = match format {
            // A message says everything; its fields are for programs.
            Format::Text => words.fmt_fields(debug_fn(message)).finish().with(ours).try_init(),
            Format::Json => {
                words.json().flatten_event(true).with_current_span(false).with_span_list(false).finish().with(ours).try_init()
            }
        };
        if set.is_ok() {
            std::panic::set_hook(Box::new(|panic| {
                // The message of a panic is ours, not a client's.
                let place = panic.location().map(ToString::to_string).unwrap_or_default();
                let payload = panic.payload();
                let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref().map(String::as_str));
                tracing::error!(event = "panic", place, "panicked at {place}: {}", text.unwrap_or_default());
            }));
        }
        Ok(log)
    }

    /// Waits until what was said is written, at most this long.
    pub fn flush(&self, at_most: Duration) {
        let (done, is_done) = channel();
        if self.0.try_send(Message::Flushed(done)).is_ok() {
            _ = is_done.recv_timeout(at_most);
        }
    }
}

fn message(
    writer: &mut tracing_subscriber::fmt::format::Writer<'_>,
    field: &tracing::field::Field,
    value: &dyn std::fmt::Debug,
) -> std::fmt::Result {
    if field.name() == "message" { write!(writer, "{value:?}") } else { Ok(()) }
}

fn write(lines: &Receiver<Message>) {
    for message in lines {
        match message {
            // Nobody is left who could be told.
            Message::Line(line) => _ = io::stderr().write_all(&line),
            Message::Flushed(done) => _ = done.send(()),
        }
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { text: Vec::new(), log: self.0.clone() }
    }
}

/// A line as it is formatted; handed over when dropped.
pub struct Line {
    text: Vec<u8>,
    log: SyncSender<Message>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        _ = self.log.try_send(Message::Line(std::mem::take(&mut self.text)));
    }
}

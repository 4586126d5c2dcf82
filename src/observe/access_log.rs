//! The access log's way off the workers: lines are built in place in a worker's batch, batches go to one writer
//! thread, empty batches come back. A worker never waits: when the writer falls behind, lines are dropped and counted.

use std::cell::{Cell, RefCell};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;

use super::counters::Counters;
use super::event::Event;

/// A batch is handed on when it holds this much, or when the worker's sweep comes by.
const BATCH_BYTES: usize = 32 * 1024;
/// A batch that the writer would not take grows no further than this.
const BATCH_BYTES_AT_MOST: usize = 256 * 1024;
/// Batches that may wait for the writer, over all workers.
const BATCHES_WAITING: usize = 64;

pub enum Destination {
    Stdout,
    File(PathBuf),
}

enum Message {
    Batch { text: Vec<u8>, lines: u64, back_to: Sender<Vec<u8>> },
    Reopen,
    Stop,
}

/// The writer thread.
pub struct Writer {
    to: ToWriter,
    thread: JoinHandle<()>,
}

#[derive(Clone)]
struct ToWriter {
    sender: SyncSender<Message>,
    lines: Arc<Lines>,
}

/// What has become of the lines that workers handed over.
#[derive(Debug, Default)]
pub struct Lines {
    /// Not yet written.
    waiting: AtomicU64,
    written: AtomicU64,
    /// Not taken by the file.
    lost: AtomicU64,
}

impl Lines {
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// A handle that asks the writer to open its file anew (after a rotation).
#[derive(Clone)]
pub struct Reopen(SyncSender<Message>);

/// A worker's end.
pub struct Sink {
    batch: RefCell<Vec<u8>>,
    lines: Cell<u64>,
    writer: Option<ToWriter>,
    back: Receiver<Vec<u8>>,
    back_to: Sender<Vec<u8>>,
    counters: Arc<Counters>,
}

impl Writer {
    pub fn start(destination: Destination) -> io::Result<Self> {
        let mut output = open(&destination)?;
        let (sender, receiver) = sync_channel(BATCHES_WAITING);
        let to = ToWriter { sender, lines: Arc::default() };
        let counts = to.lines.clone();
        let thread = std::thread::Builder::new().name("access-log".into()).spawn(move || {
            while let Ok(message) = receiver.recv() {
                match message {
                    Message::Batch { mut text, lines, back_to } => {
                        let outcome = match output.write_all(&text).and_then(|()| output.flush()) {
                            Ok(()) => &counts.written,
                            Err(error) => {
                                Event::AccessLogLost { lines, error: &error }.tell();
                                &counts.lost
                            }
                        };
                        outcome.fetch_add(lines, Ordering::Relaxed);
                        counts.waiting.fetch_sub(lines, Ordering::Relaxed);
                        text.clear();
                        let _ = back_to.send(text);
                    }
                    Message::Reopen => match open(&destination) {
                        Ok(anew) => output = anew,
                        Err(error) => {
                            Event::AccessLogStale { error: &error }.tell();
                        }
                    },
                    Message::Stop => return,
                }
            }
        })?;
        Ok(Self { to, thread })
    }

    pub fn sink(&self, counters: Arc<Counters>) -> Sink {
        Sink::new(Some(self.to.clone()), counters)
    }

    pub fn lines(&self) -> Arc<Lines> {
        self.to.lines.clone()
    }

    pub fn reopen(&self) -> Reopen {
        Reopen(self.to.sender.clone())
    }

    /// Writes what the workers have handed over, and ends. `give_up` waits a moment and says whether to wait no longer,
    /// for a destination that takes nothing. Returns how many lines were lost then.
    pub fn finish(self, mut give_up: impl FnMut() -> bool) -> u64 {
        let mut told = false;
        loop {
            told = told || !matches!(self.to.sender.try_send(Message::Stop), Err(TrySendError::Full(_)));
            if self.thread.is_finished() {
                let _ = self.thread.join();
                return 0;
            }
            if give_up() {
                return self.to.lines.waiting.load(Ordering::Relaxed);
            }
        }
    }
}

fn open(destination: &Destination) -> io::Result<Box<dyn Write + Send>> {
    Ok(match destination {
        Destination::Stdout => Box::new(io::stdout()),
        Destination::File(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
    })
}

impl Reopen {
    pub fn ask(&self) {
        let _ = self.0.send(Message::Reopen);
    }
}

impl Sink {
    fn new(writer: Option<ToWriter>, counters: Arc<Counters>) -> Self {
        let (back_to, back) = channel();
        Self { batch: RefCell::default(), lines: Cell::new(0), writer, back, back_to, counters }
    }

    /// A sink for a gateway without an access log.
    pub fn none(counters: Arc<Counters>) -> Self {
        Self::new(None, counters)
    }

    pub fn is_on(&self) -> bool {
        self.writer.is_some()
    }

    /// Adds a line; `build` writes it, without its line end.
    pub fn line(&self, build: impl FnOnce(&mut Vec<u8>)) {
        if self.writer.is_none() {
            return;
        }
        let mut batch = self.batch.borrow_mut();
        if batch.len() >= BATCH_BYTES_AT_MOST {
            self.counters.log_lines_dropped.add(1);
            return;
        }
        build(&mut batch);
        batch.push(b'\n');
        self.lines.set(self.lines.get() + 1);
        let full = batch.len() >= BATCH_BYTES;
        drop(batch);
        if full {
            self.hand_over();
        }
    }

    /// Gives the batch to the writer, if it takes it.
    pub fn hand_over(&self) {
        let Some(writer) = &self.writer else { return };
        if self.batch.borrow().is_empty() {
            return;
        }
        let empty = self.back.try_recv().unwrap_or_default();
        let (text, lines) = (self.batch.replace(empty), self.lines.get());
        writer.lines.waiting.fetch_add(lines, Ordering::Relaxed);
        match writer.sender.try_send(Message::Batch { text, lines, back_to: self.back_to.clone() }) {
            Ok(()) => self.lines.set(0),
            Err(refused) => {
                writer.lines.waiting.fetch_sub(lines, Ordering::Relaxed);
                match refused {
                    TrySendError::Full(Message::Batch { text, .. }) => _ = self.batch.replace(text),
                    _ => self.counters.log_lines_dropped.add(self.lines.take()),
                }
            }
        }
    }

    /// Gives the last batch to the writer; what it does not take is dropped.
    pub fn finish(&self) {
        self.hand_over();
        self.counters.log_lines_dropped.add(self.lines.take());
        self.batch.borrow_mut().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits some seconds.
    fn patience() -> impl FnMut() -> bool {
        let mut left = 5000;
        move || {
            std::thread::sleep(std::time::Duration::from_millis(1));
            left -= 1;
            left == 0
        }
    }

    #[test]
    fn lines_of_all_workers_reach_the_file_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let writer = Writer::start(Destination::File(path.clone())).unwrap();
        std::thread::scope(|scope| {
            for worker in 0..3 {
                let sink = writer.sink(Arc::default());
                scope.spawn(move || {
                    for n in 0..2000 {
                        sink.line(|line| write!(line, "{worker} {n} {}", "x".repeat(40)).unwrap());
                    }
                    // The writer may be behind at this moment.
                    while !sink.batch.borrow().is_empty() {
                        sink.hand_over();
                        std::thread::yield_now();
                    }
                });
            }
        });
        assert_eq!(writer.finish(patience()), 0);
        let text = std::fs::read_to_string(path).unwrap();
        let mut last = [-1; 3];
        for line in text.lines() {
            let mut words = line.split(' ');
            let worker: usize = words.next().unwrap().parse().unwrap();
            let n: i32 = words.next().unwrap().parse().unwrap();
            assert_eq!(n, last[worker] + 1);
            last[worker] = n;
        }
        assert_eq!(last, [1999; 3]);
    }

    #[test]
    fn a_writer_that_does_not_keep_up_costs_lines_not_time() {
        // A writer that takes nothing at all.
        let (sender, _receiver) = sync_channel(1);
        let to = ToWriter { sender, lines: Arc::default() };
        let counters = Arc::<Counters>::default();
        let sink = Sink::new(Some(to), counters.clone());
        let lines = 20_000u64;
        for _ in 0..lines {
            sink.line(|line| line.extend_from_slice(&[b'x'; 99]));
        }
        let held = sink.batch.borrow().len();
        assert!(held <= BATCH_BYTES_AT_MOST + 100, "{held}");
        let (kept, dropped) = ((held + BATCH_BYTES) as u64 / 100, counters.log_lines_dropped.get());
        assert!((lines - dropped).abs_diff(kept) <= 1, "kept {kept}, dropped {dropped}");
        // At the end, every line is in one of the two counts.
        let handed_over = sink.writer.as_ref().unwrap().lines.clone();
        sink.finish();
        assert_eq!(handed_over.waiting.load(Ordering::Relaxed) + counters.log_lines_dropped.get(), lines);
    }

    #[test]
    fn a_rotated_file_is_opened_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let writer = Writer::start(Destination::File(path.clone())).unwrap();
        let sink = writer.sink(Arc::default());
        sink.line(|line| line.extend_from_slice(b"before"));
        sink.hand_over();
        // The batch has come back: it is written.
        let empty = sink.back.recv().unwrap();
        sink.back_to.send(empty).unwrap();
        std::fs::rename(&path, directory.path().join("access.log.1")).unwrap();
        writer.reopen().ask();
        sink.line(|line| line.extend_from_slice(b"after"));
        sink.hand_over();
        drop(sink);
        assert_eq!(writer.finish(patience()), 0);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "after\n");
    }
}

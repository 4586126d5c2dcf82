//! What goes on beside the load while it is measured: the gateway's metrics are asked for, and its documents change. Each in a thread
//! of its own, which sleeps most of the time; that the gateway has done its part is looked at when the measurement is over.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::gateway::changing_document;
use super::peers::{Peer, Started};
use super::scenario::Setting;
use crate::clock;

const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait for an answer of the operator's listener, and for a last change to be taken up.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub struct Beside {
    threads: Vec<(Sender<()>, JoinHandle<Result<()>>)>,
}

impl Beside {
    /// What `setting` asks for, of the gateway; of others, nothing.
    pub fn begin(started: &Started, setting: Option<&Setting>) -> Result<Self> {
        let mut beside = Self { threads: Vec::new() };
        let Some(setting) = setting.filter(|_| started.peer == Peer::Lockgate) else { return Ok(beside) };
        if let Some(admin) = started.admin {
            beside.every(SCRAPE_INTERVAL, move |_| ask(admin, "/metrics").map(drop));
        }
        if let Some(interval_ms) = setting.change_every_ms {
            let changes = Changes {
                admin: started.admin.context("changes are seen by the operator's listener: `metrics = true`")?,
                config: started.config.clone().context("documents that change")?,
                gateway: Pid::from_child(&started.process.child),
            };
            let before = changes.loads()?;
            beside.every(Duration::from_millis(interval_ms), move |moment| match moment {
                Moment::Time(time) => changes.make(time),
                Moment::End => changes.are_taken_up(before),
            });
        }
        Ok(beside)
    }

    pub fn end(self) -> Result<()> {
        for (stop, thread) in self.threads {
            drop(stop);
            thread.join().map_err(|_| anyhow!("what went on beside the load has panicked"))??;
        }
        Ok(())
    }

    /// Once at the beginning, then so often, and once more at the end.
    fn every(&mut self, interval: Duration, act: impl Fn(Moment) -> Result<()> + Send + 'static) {
        let (stop, stopped) = channel::<()>();
        let run = move || {
            for time in 0.. {
                act(Moment::Time(time))?;
                if stopped.recv_timeout(interval) == Err(RecvTimeoutError::Disconnected) {
                    break;
                }
            }
            act(Moment::End)
        };
        self.threads.push((stop, std::thread::spawn(run)));
    }
}

enum Moment {
    Time(u64),
    End,
}

/// A document that is replaced, and the gateway told so.
struct Changes {
    admin: SocketAddr,
    config: PathBuf,
    gateway: Pid,
}

impl Changes {
    fn make(&self, time: u64) -> Result<()> {
        let (name, text) = changing_document(time);
        let (file, new) = (self.config.join(name), self.config.join("changing.new"));
        fs::write(&new, text)?;
        fs::rename(&new, &file).with_context(|| file.display().to_string())?;
        Ok(kill_process(self.gateway, Signal::HUP)?)
    }

    /// The gateway has loaded its documents since it had done so `before` times.
    fn are_taken_up(&self, before: u64) -> Result<()> {
        let deadline = clock::now() + PATIENCE;
        loop {
            let loads = self.loads()? - before;
            if loads > 0 {
                eprintln!("documents loaded {loads} times meanwhile");
                return Ok(());
            }
            if clock::now() > deadline {
                bail!("the gateway has taken up none of the changes");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn loads(&self) -> Result<u64> {
        let status: serde_json::Value = serde_json::from_str(&ask(self.admin, "/status")?)?;
        status["generation"]["load"].as_u64().context("the status says how often documents were loaded")
    }
}

fn ask(admin: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("asking for {path}"))?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => bail!("{path}: {answer}"),
    }
}

//! A command that comes to harm at one of its calls that change files: killed before, after or amid it, or refused by the
//! disk. The library that does it is `shim/faults.rs`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::gateway::succeeds;

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL instead of the call.
    KilledBefore,
    /// SIGKILL once it is done.
    KilledAfter,
    /// Half of a write, then SIGKILL.
    Torn,
    /// It fails with this error number.
    Fails(i32),
    /// And so does whatever needs room from then on.
    FailsFromThenOn(i32),
    /// And so does everything from then on.
    AllFailsFromThenOn(i32),
}

/// A call of a command on files below a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// It changed nothing: a directory was there already, a file was not.
    Nothing,
    /// To open a file for reading that is not there.
    Missing,
    /// A file is made, or opened if it is there. What its descriptor is says the `Open` that follows.
    Create(PathBuf),
    Truncate(PathBuf),
    Open(u32, PathBuf),
    Close(u32),
    Write(u32, Vec<u8>),
    Sync(u32),
    /// The whole file system of an open file.
    SyncAll(u32),
    Resize(u32, u64),
    Mode(u32),
    Unlink(PathBuf),
    Mkdir(PathBuf),
    Rmdir(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
}

impl Call {
    /// Whether a process may be killed at it.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::Missing | Self::Open(..) | Self::Close(_))
    }
}

/// The calls of a trace that the library counts: of all that may fail, or of those that change something.
pub fn counted(trace: &[Call], reads: bool) -> Vec<usize> {
    let made = |at: usize| at > 0 && matches!(trace[at - 1], Call::Create(_) | Call::Truncate(_));
    let reading = |at: usize| matches!(trace[at], Call::Missing) || (matches!(trace[at], Call::Open(..)) && !made(at));
    (0..trace.len()).filter(|&at| trace[at].changes() || (reads && reading(at))).collect()
}

/// Has a fault happen at the `at`th counted call (from 1) that a command makes below a directory.
pub fn with_fault(mut command: Command, below: &Path, at: usize, fault: Fault) -> Command {
    command.envs(fault_at(below, at, fault));
    command
}

/// The environment that does it.
pub(crate) fn fault_at(below: &Path, at: usize, fault: Fault) -> Vec<(&'static str, String)> {
    let kind = match fault {
        Fault::KilledBefore => "before".to_owned(),
        Fault::KilledAfter => "after".to_owned(),
        Fault::Torn => "tear".to_owned(),
        Fault::Fails(error) | Fault::FailsFromThenOn(error) | Fault::AllFailsFromThenOn(error) => error.to_string(),
    };
    let mut environment = preload(below);
    environment.extend([("LOCKGATE_FAULT_KIND", kind), ("LOCKGATE_FAULT_AT", at.to_string())]);
    match fault {
        Fault::FailsFromThenOn(_) => environment.push(("LOCKGATE_FAULT_LASTS", "room".to_owned())),
        Fault::AllFailsFromThenOn(_) => environment.push(("LOCKGATE_FAULT_LASTS", "all".to_owned())),
        _ => {}
    }
    environment
}

/// Runs a command that must succeed; its calls below a directory.
#[track_caller]
pub fn traced(mut command: Command, below: &Path) -> (Vec<Call>, Output) {
    let trace = tempfile::NamedTempFile::new().expect("a temporary file");
    command.envs(tracing(below, trace.path()));
    let output = succeeds(&mut command);
    (read_trace(trace.path()), output)
}

/// The calls that a process has made so far of which the trace is written to this file ([`Config::traced`](crate::Config)).
pub fn read_trace(trace: &Path) -> Vec<Call> {
    parse(&std::fs::read(trace).expect("the trace can be read"))
}

pub(crate) fn tracing(below: &Path, trace: &Path) -> Vec<(&'static str, String)> {
    let mut environment = preload(below);
    environment.push(("LOCKGATE_FAULT_TRACE", trace.to_str().expect("tests lie below paths of UTF-8").to_owned()));
    environment
}

fn preload(below: &Path) -> Vec<(&'static str, String)> {
    let below = below.to_str().expect("tests lie below paths of UTF-8");
    vec![("LD_PRELOAD", env!("FAULTS_LIBRARY").to_owned()), ("LOCKGATE_FAULT_BELOW", below.to_owned())]
}

fn parse(mut trace: &[u8]) -> Vec<Call> {
    let mut calls = Vec::new();
    while let Some(end) = trace.iter().position(|&byte| byte == b'\n') {
        let line = String::from_utf8(trace[..end].to_vec()).expect("calls are told in words");
        trace = &trace[end + 1..];
        let mut words = line.split('\t');
        let kind = words.next().unwrap_or_default();
        let mut word = || words.next().unwrap_or_else(|| panic!("a word is missing: {line}"));
        let number = |word: &str| word.parse().unwrap_or_else(|e| panic!("{e}: {line}"));
        calls.push(match kind {
            "none" => Call::Nothing,
            "missing" => Call::Missing,
            "create" => Call::Create(word().into()),
            "truncate" => Call::Truncate(word().into()),
            "open" => Call::Open(number(word()), word().into()),
            "close" => Call::Close(number(word())),
            "sync" => Call::Sync(number(word())),
            "sync-all" => Call::SyncAll(number(word())),
            "resize" => Call::Resize(number(word()), number(word()).into()),
            "mode" => Call::Mode(number(word())),
            "unlink" => Call::Unlink(word().into()),
            "mkdir" => Call::Mkdir(word().into()),
            "rmdir" => Call::Rmdir(word().into()),
            "rename" => Call::Rename(word().into(), word().into()),
            "link" => Call::Link(word().into(), word().into()),
            "write" => {
                let (fd, length) = (number(word()), number(word()) as usize);
                let bytes = trace[..length].to_vec();
                trace = &trace[length + 1..];
                Call::Write(fd, bytes)
            }
            other => panic!("a call of no kind: {other}"),
        });
    }
    calls
}

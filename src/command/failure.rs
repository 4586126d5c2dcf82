//! How a command fails: what is said on standard error, and the exit code.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use crate::document::Report;

#[derive(Debug)]
pub struct Failure {
    message: Message,
    code: u8,
}

#[derive(Debug)]
enum Message {
    Text(String),
    Documents(Report),
    /// Nothing is left to say.
    Silent,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: Message::Text(message.into()), code: 1 }
    }

    /// Everything has been said already.
    pub fn silent() -> Self {
        Self { message: Message::Silent, code: 1 }
    }

    /// Something that could not be done to a file.
    pub fn file(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::new(format!("{}: {error}", path.display()))
    }

    pub fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Says it and gives the exit code.
    pub fn report(self) -> ExitCode {
        let colour = colour();
        match self.message {
            Message::Text(text) => eprintln!("error: {text}"),
            Message::Documents(report) => {
                eprintln!("{}{}", report.render(colour), report.summary());
            }
            Message::Silent => {}
        }
        ExitCode::from(self.code)
    }
}

/// Whether standard error shows colours.
pub fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Self { message: Message::Documents(report), code: 1 }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(),
            _ => Self::new(error.to_string()),
        }
    }
}

//! Connections that take turns in step: each sends a request, then each takes its answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Case;
use crate::answer::{self, Fault};
use crate::compare::gateway;
use crate::payload::Pattern;
use crate::request::{App, Requests, Template};

/// Longest wait for a part of an answer: valgrind makes the gateway some fifty times slower.
const PATIENCE: Duration = Duration::from_secs(60);
/// Room for the head of an answer.
const HEAD_BYTES: usize = 8 * 1024;

#[derive(Clone, Copy)]
pub enum Expected {
    /// The backend's, with so many bytes.
    Answer(usize),
    /// The gateway's, because the signature is wrong: a head alone.
    Refusal,
}

pub struct Clients {
    connections: Vec<TcpStream>,
    requests: Requests,
    expected: Expected,
    pattern: Pattern,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Clients {
    pub fn connect(connections: usize, address: SocketAddr, case: &Case) -> Result<Self> {
        let mut app = gateway::app();
        if matches!(case.expected, Expected::Refusal) {
            app = App { secret: format!("not {}", app.secret), ..app };
        }
        let pattern = Pattern::new();
        let requests = Requests::new(&Template {
            method: &case.scenario.method,
            path: &case.scenario.path,
            host: gateway::DOMAIN,
            credential: case.scenario.credential,
            app: &app,
            body: &pattern.body(case.scenario.request_bytes),
        })?;
        let open = || -> Result<TcpStream> {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let connections = (0..connections).map(|_| open()).collect::<Result<_>>()?;
        Ok(Self { connections, requests, expected: case.expected, pattern, request: Vec::new(), answer: Vec::new() })
    }

    /// So many requests on each connection.
    pub fn turns(&mut self, turns: u32) -> Result<()> {
        for _ in 0..turns {
            for connection in &mut self.connections {
                self.requests.write_next(&mut self.request);
                connection.write_all(&self.request).context("sending a request")?;
            }
            for connection in 0..self.connections.len() {
                self.take_answer(connection)?;
            }
        }
        Ok(())
    }

    fn take_answer(&mut self, connection: usize) -> Result<()> {
        let body_bytes = match self.expected {
            Expected::Answer(bytes) => bytes,
            Expected::Refusal => 0,
        };
        self.answer.resize(HEAD_BYTES + body_bytes, 0);
        let mut len = 0;
        loop {
            let n = self.connections[connection].read(&mut self.answer[len..]).context("an answer")?;
            len += n;
            match (answer::check(&self.answer[..len], body_bytes, &self.pattern), self.expected) {
                (Ok(true), Expected::Answer(_)) | (Err(Fault::Status(403, _)), Expected::Refusal) => return Ok(()),
                (Ok(false), _) if n > 0 => {}
                (Err(fault), _) => bail!("{fault}"),
                (Ok(_), _) => bail!("not the answer that was expected"),
            }
        }
    }
}

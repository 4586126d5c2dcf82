//! Connections that take turns in step: each sends a request, then each takes its answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::answer::{self, Expected};
use crate::compare::gateway;
use crate::compare::scenario::Scenario;
use crate::payload::Pattern;
use crate::request::{Requests, Template};

/// Longest wait for a part of an answer: valgrind makes the gateway some fifty times slower.
const PATIENCE: Duration = Duration::from_secs(60);
/// Room for the head of an answer.
const HEAD_BYTES: usize = 8 * 1024;

pub struct Clients {
    connections: Vec<TcpStream>,
    requests: Requests,
    expected: Expected,
    pattern: Pattern,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Clients {
    pub fn connect(connections: usize, address: SocketAddr, scenario: &Scenario) -> Result<Self> {
        let pattern = Pattern::new();
        let requests = Requests::new(&Template {
            method: &scenario.method,
            path: &scenario.path,
            host: gateway::DOMAIN,
            credential: scenario.credential,
            app: &gateway::app(),
            body: &pattern.body(scenario.request_bytes),
            marked: false,
        })?;
        let open = || -> Result<TcpStream> {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let connections = (0..connections).map(|_| open()).collect::<Result<_>>()?;
        Ok(Self { connections, requests, expected: scenario.expected(), pattern, request: Vec::new(), answer: Vec::new() })
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
        self.answer.resize(HEAD_BYTES + self.expected.body_bytes, 0);
        let mut len = 0;
        loop {
            let n = self.connections[connection].read(&mut self.answer[len..]).context("an answer")?;
            len += n;
            match answer::check(&self.answer[..len], &self.expected, None, &self.pattern) {
                Ok(true) => return Ok(()),
                Ok(false) if n > 0 => {}
                Ok(false) => bail!("the connection was closed"),
                Err(fault) => bail!("{fault}"),
            }
        }
    }
}

//! Active checks: every now and then, off the path of requests, each instance is sent a request of its own; what it
//! answers says whether it is up. One worker checks for all.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::board::Entry;
use super::multiplexed::{Multiplexed, Terms};
use super::{Instance, Upstreams};
use crate::catalog::{HealthCheck, VpcAccess};
use crate::http::head::{HeadLimits, Parsed, ResponseHead, parse_response};
use crate::net::handshake::{self, Handshakes, Means};
use crate::net::{Block, Blocks, Clock, Stream, Wait};
use crate::tls::client::Client;

/// The largest head of an answer to a check, in bytes.
const HEAD_BYTES: usize = 8 * 1024;
const HEAD_LIMITS: HeadLimits = HeadLimits { start_line_bytes: HEAD_BYTES / 2, head_bytes: HEAD_BYTES, fields: 100 };

/// What an instance's checks have found. Pure.
#[derive(Debug, Default)]
struct Findings {
    down: bool,
    /// Checks in a row that spoke against the state.
    against: u32,
}

impl Findings {
    /// Takes a check's result; `Some`: the instance is up now, or down, and was not before.
    fn note(&mut self, good: bool, plan: &HealthCheck) -> Option<bool> {
        if good != self.down {
            self.against = 0;
            return None;
        }
        self.against += 1;
        if self.against < if good { plan.healthy_threshold } else { plan.unhealthy_threshold } {
            return None;
        }
        *self = Self { down: !good, against: 0 };
        Some(good)
    }
}

/// A check as others see it while it runs.
#[derive(Clone)]
pub struct Running {
    plan: Rc<HealthCheck>,
    request: Rc<[u8]>,
    entry: Entry,
    wanted: Rc<Cell<bool>>,
}

impl Running {
    /// The checker would do the very same.
    pub fn is(&self, checker: &Checker) -> bool {
        (&self.plan, &self.request) == (&checker.running.plan, &checker.running.request)
    }

    /// Ends it; what it is finding out now is not noted.
    pub fn stop(&self) {
        self.wanted.set(false);
    }

    /// Nobody checks this instance any more: what checks have found does not hold.
    pub fn forget(&self, clock: &Clock) {
        self.entry.change(|health| Some(health.checked(true, clock.coarse_ms())));
    }
}

/// The checks of one instance.
pub struct Checker {
    running: Running,
    address: SocketAddr,
    tls: Option<Client>,
    http2: bool,
    terms: Terms,
    findings: Findings,
    head: Box<ResponseHead>,
}

impl Checker {
    pub(super) fn new(plan: &Rc<HealthCheck>, access: &VpcAccess, instance: &Instance) -> Self {
        let address = instance.backend.address;
        let shown = address.to_string();
        let host = plan.host.as_ref().or(access.host.as_ref()).unwrap_or(&shown);
        let request = format!(
            "{} {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lockgate-health-check\r\nConnection: close\r\n\r\n",
            plan.method, plan.path
        );
        // What an earlier check of the same instance has found is where this one begins.
        let findings = Findings { down: instance.entry.health().is_down(), against: 0 };
        let (entry, wanted) = (instance.entry.clone(), Rc::new(Cell::new(true)));
        let running = Running { plan: plan.clone(), request: request.into_bytes().into(), entry, wanted };
        Self {
            running,
            address,
            tls: access.tls.clone(),
            http2: access.http2,
            terms: instance.terms(),
            findings,
            head: Box::default(),
        }
    }

    pub fn running(&self) -> Running {
        self.running.clone()
    }

    pub fn is_wanted(&self) -> bool {
        self.running.wanted.get()
    }

    /// From the end of one check to the start of the next.
    pub fn interval(&self) -> Duration {
        self.running.plan.interval
    }

    /// Makes one check and tells all workers what it means. Returns within the time-out, and a sweep.
    pub async fn check(&mut self, upstreams: &Upstreams, clock: &Clock, handshakes: &Handshakes, blocks: &Rc<Blocks>) {
        let until_ms = clock.coarse_ms().saturating_add(self.running.plan.timeout.as_millis() as u64);
        let means = Means { handshakes, blocks, until_ms };
        let good =
            matches!(self.probe(upstreams, clock, &means).await, Ok(status) if self.running.plan.expected_status.has(status));
        if self.is_wanted()
            && let Some(up) = self.findings.note(good, &self.running.plan)
        {
            self.running.entry.change(|health| Some(health.checked(up, clock.coarse_ms())));
        }
    }

    /// The status that the instance answers with. What is overdue is shut down by the sweeper, so that every operation
    /// runs to its end.
    async fn probe(&mut self, upstreams: &Upstreams, clock: &Clock, means: &Means<'_>) -> io::Result<u16> {
        let connecting = upstreams.reach(self.address)?;
        let watched = upstreams.pools.checks.add(connecting.stream().handle(), None);
        // One deadline for all of it.
        watched.to_client.arm(Wait::Connect, clock.coarse_ms(), self.running.plan.timeout);
        let stream = connecting.finish().await?;
        if let Some(tls) = &self.tls {
            let secured = handshake::connect(&stream, means, tls, self.address.ip()).await;
            secured.map_err(|_| io::ErrorKind::ConnectionAborted)?;
        }
        if !self.http2 {
            return self.ask(&stream).await;
        }
        let connection = Multiplexed::begin(&upstreams.pools, stream, self.terms);
        poll_fn(|context| connection.poll_begun(context)).await;
        let (call, _) = connection.call(clock.now_us()).ok_or(io::ErrorKind::ConnectionReset)?;
        let left_ms = means.until_ms.saturating_sub(clock.coarse_ms());
        // The socket is the connection's own from here on.
        drop(watched);
        let watched = upstreams.pools.checks.add(call.handle(), None);
        watched.to_client.arm(Wait::Connect, clock.coarse_ms(), Duration::from_millis(left_ms));
        let status = self.ask(&call).await;
        connection.leave();
        status
    }

    async fn ask(&mut self, stream: &Stream) -> io::Result<u16> {
        let mut block = Block::with_room(HEAD_BYTES.max(self.running.request.len()));
        block.append(&self.running.request);
        let (sent, mut block) = stream.send(block).await;
        sent?;
        block.clear(0);
        self.status(stream, block).await
    }

    async fn status(&mut self, stream: &Stream, mut block: Block) -> io::Result<u16> {
        let mut scanned = 0;
        while block.room() > 0 {
            let (received, back) = stream.recv(block).await;
            block = back;
            if received? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            while !block.is_empty() {
                match parse_response(block.filled(), scanned, &HEAD_LIMITS, &mut self.head) {
                    Ok(Parsed::Partial) => {
                        scanned = block.len();
                        break;
                    }
                    Ok(Parsed::Complete) if self.head.status >= 200 => return Ok(self.head.status),
                    // An interim answer; the final one follows.
                    Ok(Parsed::Complete) => block.advance(self.head.len),
                    Err(_) => return Err(io::ErrorKind::InvalidData.into()),
                }
                scanned = 0;
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ExpectedStatus;

    fn plan() -> HealthCheck {
        HealthCheck {
            method: "GET",
            path: "/healthz".into(),
            host: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy_threshold: 2,
            unhealthy_threshold: 3,
            expected_status: ExpectedStatus::Class(2),
        }
    }

    #[test]
    fn only_as_many_in_a_row_as_the_thresholds_say_change_anything() {
        let mut findings = Findings::default();
        let mut told = |results: &[bool]| results.iter().map(|&good| findings.note(good, &plan())).collect::<Vec<_>>();
        assert_eq!(told(&[true, false, false, true, false, false]), [None; 6]);
        assert_eq!(told(&[false, false]), [Some(false), None]);
        assert_eq!(told(&[true, false, true]), [None; 3]);
        assert_eq!(told(&[true, true]), [Some(true), None]);
    }

    #[test]
    fn what_is_expected_is_good() {
        assert!(ExpectedStatus::Class(2).has(299) && !ExpectedStatus::Class(2).has(300));
        let these = ExpectedStatus::These(vec![200, 503]);
        assert!(these.has(503) && !these.has(201));
    }
}
